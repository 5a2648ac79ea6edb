# SPDX-License-Identifier: Apache-2.0
"""The tokenizers give the numbers of Hugging Face's `tokenizers`, for vocabularies trained here on texts in many scripts."""

import json
import random

import numpy as np
import pytest
from text_parity import apply, text, texts
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

ROWS = texts(400)
BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def marked(specials, seed=5):
    """Texts that contain special tokens, whole and nearly."""
    rng = random.Random(seed)
    parts = [*specials, "[", "]", "<", ">", "<|", "[CLS", "[[SEP]]", "<s", " ", "  ", "\n", "\u00a0"]
    return ["".join(rng.choice(parts) if rng.random() < 0.5 else text(rng, 2) for _ in range(8)) for _ in range(60)]


def train(tokenizer, trainer_kind, size, specials, **options):
    trainer = trainer_kind(vocab_size=size, special_tokens=specials, show_progress=False, **options)
    tokenizer.train_from_iterator([row for row in texts(600, seed=3) if len(row) < 2000], trainer)
    return tokenizer


def write_vocabulary(tokenizer, path):
    by_id = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    path.write_text("".join(token + "\n" for token, _ in by_id))


def expected(tokenizer, rows, pad_id, max_length=512, padding="longest", left=False):
    tokenizer.enable_truncation(max_length)
    tokenizer.enable_padding(pad_id=pad_id, length=max_length if padding == "max_length" else None, direction="left" if left else "right")
    encodings = [tokenizer.encode_batch(rows)][0]
    return {"input_ids": np.array([e.ids for e in encodings], np.int64), "attention_mask": np.array([e.attention_mask for e in encodings], np.int64),
            "token_type_ids": np.array([e.type_ids for e in encodings], np.int64)}


def assert_same(got, want, rows):
    assert not isinstance(got, str), got
    for name, values in got.items():
        assert values.shape == want[name].shape
        wrong = np.flatnonzero((values != want[name]).any(axis=1))
        assert not len(wrong), f"{name} of {rows[wrong[0]]!r}: {values[wrong[0]].tolist()}, not {want[name][wrong[0]].tolist()}"


def bert(lowercase=True, strip_accents=None, chinese=True, clean=True, size=2500):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(clean_text=clean, handle_chinese_chars=chinese, strip_accents=strip_accents,
                                                      lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    train(tokenizer, trainers.WordPieceTrainer, size, BERT_SPECIALS, limit_alphabet=400)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")])
    return tokenizer


@pytest.fixture(scope="module")
def uncased():
    return bert()


@pytest.mark.parametrize("options", [{}, {"lowercase": False}, {"strip_accents": False}, {"lowercase": False, "strip_accents": True},
                                     {"chinese": False}, {"clean": False}], ids=str)
def test_wordpiece_of_vocab_txt(options, tmp_path):
    tokenizer = bert(**options)
    write_vocabulary(tokenizer, tmp_path / "vocab.txt")
    names = {"chinese": "tokenize_chinese_chars", "clean": "clean_text"}
    settings = {"vocabulary": "vocab.txt", **{names.get(key, key): value for key, value in options.items()}}
    rows = ROWS + marked(BERT_SPECIALS)
    assert_same(apply("tokenize_wordpiece", settings, rows, tmp_path), expected(tokenizer, rows, 0), rows)


def test_wordpiece_of_tokenizer_json(uncased, tmp_path):
    uncased.save(str(tmp_path / "tokenizer.json"))
    rows = ROWS + marked(BERT_SPECIALS)
    got = apply("tokenize_wordpiece", {"tokenizer": "tokenizer.json"}, rows, tmp_path)
    assert_same(got, expected(uncased, rows, 0), rows)


@pytest.mark.parametrize("length,padding,left", [(2, "longest", False), (3, "max_length", False), (16, "longest", True), (700, "max_length", True)])
def test_truncation_and_padding(uncased, length, padding, left, tmp_path):
    write_vocabulary(uncased, tmp_path / "vocab.txt")
    if length == 2:
        length = 3
    settings = {"vocabulary": "vocab.txt", "max_length": length, "padding": padding, "padding_side": "left" if left else "right"}
    assert_same(apply("tokenize_wordpiece", settings, ROWS, tmp_path), expected(uncased, ROWS, 0, length, padding, left), ROWS)


def every_character(around):
    return [around.format("".join(chr(c) + between for c in range(start, start + 64) if not 0xD800 <= c < 0xE000))
            for start in range(0, 0x30000, 64) for between in ("x",)] + ["".join(map(chr, range(0xE0000, 0xE0200)))]


def test_every_character_is_normalised_and_cut_as_there(tmp_path):
    """A vocabulary of all characters that can come out, so that nothing hides behind [UNK]."""
    rows = every_character("a{}b")
    normalizer = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)
    letters = sorted({c for row in rows for c in normalizer.normalize_str(row)})
    vocabulary = {token: i for i, token in enumerate(BERT_SPECIALS + letters + ["##" + c for c in letters])}
    (tmp_path / "vocab.txt").write_text("".join(token + "\n" for token in vocabulary if token not in "\r\n"), newline="\n")
    tokens = [line for line in (tmp_path / "vocab.txt").read_bytes().decode().split("\n") if line]
    tokenizer = Tokenizer(models.WordPiece({token: i for i, token in enumerate(tokens)}, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizers.BertPreTokenizer()
    got = apply("tokenize_wordpiece", {"vocabulary": "vocab.txt", "add_special_tokens": False}, rows, tmp_path)
    got.pop("token_type_ids")
    assert_same(got, expected(tokenizer, rows, 0), rows)


def test_whitespace_is_word_level(tmp_path):
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.WhitespaceSplit()
    train(tokenizer, trainers.WordLevelTrainer, 1500, ["<pad>", "<unk>"])
    write_vocabulary(tokenizer, tmp_path / "words.txt")
    settings = {"vocabulary": "words.txt", "lowercase": True, "unk_token": "<unk>", "pad_token": "<pad>"}
    rows = [row for row in ROWS if "<" not in row]
    assert_same(apply("tokenize_whitespace", settings, rows, tmp_path), expected(tokenizer, rows, 0), rows)


GPT_SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<|endoftext|>"]


def byte_level(size=3000, specials=GPT_SPECIALS, alphabet=True, prefix=False, regex=True, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=regex)
    initial = pre_tokenizers.ByteLevel.alphabet() if alphabet else []
    return train(tokenizer, trainers.BpeTrainer, size, specials, initial_alphabet=initial, **({} if alphabet else {"limit_alphabet": 60}))


@pytest.fixture(scope="module")
def gpt():
    return byte_level()


@pytest.mark.parametrize("prefix", [False, True])
def test_bpe_of_vocab_json_and_merges_txt(prefix, tmp_path):
    tokenizer = byte_level(prefix=prefix)
    tokenizer.model.save(str(tmp_path))
    rows = ROWS + marked(GPT_SPECIALS)
    settings = {"vocabulary": "vocab.json", "merges": "merges.txt", "pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>",
                "eos_token": "</s>", "add_special_tokens": False, "add_prefix_space": prefix}
    tokenizer.add_special_tokens(GPT_SPECIALS[:4])
    plain = [row for row in rows if "endoftext" not in row]
    got = apply("tokenize_bpe", settings, plain, tmp_path)
    assert_same(got, expected(tokenizer, plain, tokenizer.token_to_id("<pad>")), plain)


@pytest.mark.parametrize("how", ["plain", "roberta", "template", "mask", "no_regex", "few_bytes", "unknown", "fused", "ignore_merges"])
def test_bpe_of_tokenizer_json(how, tmp_path):
    tokenizer = byte_level(alphabet=how not in ("few_bytes", "unknown", "fused"), regex=how != "no_regex",
                           **({"unk_token": "<unk>", "fuse_unk": how == "fused"} if how in ("unknown", "fused") else {}),
                           **({"ignore_merges": True} if how == "ignore_merges" else {}))
    if how == "roberta":
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    if how == "template":
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> <unk> $A </s>", special_tokens=[("</s>", 2), ("<s>", 0), ("<unk>", 3)])
    if how == "mask":
        tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True), AddedToken("<right>", rstrip=True)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    rows = ROWS + marked([*GPT_SPECIALS, "<mask>", "<right>"])
    got = apply("tokenize_bpe", {"tokenizer": "tokenizer.json", "pad_token": "<pad>", "max_length": 600}, rows, tmp_path)
    assert_same(got, expected(tokenizer, rows, 1, 600), rows)


def test_every_character_is_cut_as_the_expression_cuts_it(gpt, tmp_path):
    gpt.save(str(tmp_path / "tokenizer.json"))
    rows = [row for around in ("a{}b", "1 {}", "! {} !") for row in every_character(around)]
    got = apply("tokenize_bpe", {"tokenizer": "tokenizer.json", "pad_token": "<pad>", "max_length": 600}, rows, tmp_path)
    assert_same(got, expected(gpt, rows, 1, 600), rows)


def test_long_words_are_merged_in_the_same_order(gpt, tmp_path):
    gpt.save(str(tmp_path / "tokenizer.json"))
    rng = random.Random(9)
    rows = ["".join(rng.choice("etaoinshr") for _ in range(n)) for n in [*range(40, 60), 500, 3000]] + ["the" * 900, "-" * 4000, "é" * 2000]
    got = apply("tokenize_bpe", {"tokenizer": "tokenizer.json", "pad_token": "<pad>", "max_length": 4096}, rows, tmp_path)
    assert_same(got, expected(gpt, rows, 1, 4096), rows)


def test_what_does_not_fit_is_refused_by_name(uncased, tmp_path):
    write_vocabulary(uncased, tmp_path / "vocab.txt")
    document = json.loads(uncased.to_str())
    for name, change in {"nfc": {"normalizer": {"type": "NFC"}}, "split": {"pre_tokenizer": {"type": "Metaspace"}},
                         "unigram": {"model": {"type": "Unigram"}}}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({**document, **change}))
    for kind, settings, part in [
            ("tokenize_wordpiece", {"vocabulary": "vocab.txt", "max_lenght": 3}, "did you mean 'max_length'"),
            ("tokenize_wordpiece", {"vocabulary": "vocab.txt", "unk_token": "nope!"}, "has no token 'nope!'"),
            ("tokenize_wordpiece", {"vocabulary": "vocab.txt", "max_length": 2}, "expected 3 to"),
            ("tokenize_wordpiece", {"vocabulary": "vocab.txt", "padding": "longst"}, "did you mean 'longest'"),
            ("tokenize_wordpiece", {}, "expected `vocabulary`"), ("tokenize_whitespace", {}, "expected `vocabulary`"),
            ("tokenize_wordpiece", {"tokenizer": "nfc.json"}, "normalizer 'NFC'"),
            ("tokenize_wordpiece", {"tokenizer": "split.json"}, "pre_tokenizer 'Metaspace'"),
            ("tokenize_wordpiece", {"tokenizer": "unigram.json"}, "type 'Unigram'")]:
        assert part in apply(kind, settings, [], tmp_path)
    got = apply("tokenize_wordpiece", {"vocabulary": "vocab.txt", "max_length": 4, "truncation": False}, ["a b c"], tmp_path)
    assert "text 0 has more than 4 tokens" in got
