# SPDX-License-Identifier: Apache-2.0
"""The tokenizers against Hugging Face's `tokenizers`, one thread each, MB/s of text.

Vocabularies of 30,000 (WordPiece) and 50,000 tokens at most (byte-level BPE) are trained here on generated text; both
sides then encode the same texts, in turns, 64 a batch, padded to the longest and cut at 512 tokens, into arrays of 64-bit
numbers. Time is processor time, which other programs disturb less. Not counted: start, reading vocabularies. The peer's cache of words is warm from the first round; its rounds
include making numpy arrays of the numbers, as a caller needs them (the share of that is given too).
"""
import os
import random
import struct
import subprocess
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import numpy as np
import yaml
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

import common

common.build("phoenix", "text_tool")
sys.path[:0] = [str(common.ROOT / "tests" / "golden"), str(common.ROOT / "tests" / "support")]
import text_parity

BATCH = 64
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def plain_texts(n, seed):
    """English-looking texts: words of two to four syllables, as frequent as Zipf says, and some punctuation."""
    rng = random.Random(seed)
    syllables = [a + b + c for a in "b c d f g h l m n p r s t v w st tr ch".split() for b in "aeiou" for c in ("", "n", "r", "s", "ng")]
    words = text_parity.WORDS + ["".join(random.Random(i).choices(syllables, k=2 + i % 3)) for i in range(60_000)]
    weights = [1 / (i + 10) for i in range(len(words))]
    texts = []
    for _ in range(n):
        chosen = rng.choices(words, weights, k=rng.randrange(20, 200))
        texts.append("".join((w.capitalize() if rng.random() < 0.1 else w) + rng.choice([" ", " ", " ", " ", " ", " ", ", ", ". "]) for w in chosen))
    return texts


def mixed_texts(n, seed):
    return [text_parity.text(random.Random(seed * 100_003 + i), 60) for i in range(n)]


def make_wordpiece(folder, corpus):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(corpus, trainers.WordPieceTrainer(vocab_size=30_000, special_tokens=SPECIALS, show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return save(folder, "tokenize_wordpiece", tokenizer)


def make_bpe(folder, corpus):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=50_000, special_tokens=["<s>", "[PAD]", "</s>"], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(corpus, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return save(folder, "tokenize_bpe", tokenizer)


def save(folder, kind, tokenizer):
    tokenizer.save(str(folder / f"{kind}.json"))
    (folder / f"{kind}.yaml").write_text(yaml.safe_dump({"tokenizer": f"{kind}.json", "pad_token": "[PAD]"}))
    tokenizer.enable_truncation(512)
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id("[PAD]"))
    return kind, tokenizer


def encode(tokenizer, texts, arrays):
    """One round of the peer; returns seconds and the numbers of the last batch."""
    started = time.process_time()
    for at in range(0, len(texts), BATCH):
        encodings = tokenizer.encode_batch(texts[at:at + BATCH])
        if arrays:
            ids = np.array([e.ids for e in encodings], np.int64)
            masks = np.array([e.attention_mask for e in encodings], np.int64)
    return time.process_time() - started, (ids, masks) if arrays else None


def time_phoenix(kind, folder, rounds):
    done = subprocess.run([text_parity.TOOL, kind, folder / f"{kind}.yaml", folder / "texts", "--time", str(rounds)],
                          check=True, capture_output=True, text=True)
    return [float(line) for line in done.stdout.split()]


def compare(kind, tokenizer, texts, folder, rounds):
    sample = texts[:BATCH]
    (folder / "sample").mkdir(exist_ok=True)
    (folder / "sample" / f"{kind}.json").write_bytes((folder / f"{kind}.json").read_bytes())
    got = text_parity.apply(kind, yaml.safe_load((folder / f"{kind}.yaml").read_text()), sample, folder / "sample")
    ids, masks = encode(tokenizer, sample, True)[1]
    if not (np.array_equal(got["input_ids"], ids) and np.array_equal(got["attention_mask"], masks)):
        raise SystemExit(f"tokenizing: {kind} gives other numbers")
    text_parity.write_texts(folder / "texts", texts)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    encode(tokenizer, texts, True)
    turns = [(min(time_phoenix(kind, folder, 3)), encode(tokenizer, texts, True)[0], encode(tokenizer, texts, False)[0]) for _ in range(rounds)]
    return {"megabytes": megabytes, "phoenix": common.spread([megabytes / ours for ours, _, _ in turns]),
            "peer": common.spread([megabytes / theirs for _, theirs, _ in turns]),
            "peer_without_arrays": common.spread([megabytes / bare for _, _, bare in turns]),
            "ratio": common.spread([theirs / ours for ours, theirs, _ in turns]),
            "ratio_without_arrays": common.spread([bare / ours for ours, _, bare in turns])}


def run(folder, quick):
    n, rounds = (500, 2) if quick else (2_000, 5)
    kinds_of_text = {"English-like": plain_texts(n, 2), "many scripts": mixed_texts(n, 2)}
    corpus = plain_texts(n * 2, 1) + mixed_texts(n // 2, 1)
    result = {}
    for kind, tokenizer in (make_wordpiece(folder, corpus), make_bpe(folder, corpus)):
        for name, texts in kinds_of_text.items():
            result[f"{kind}, {name}"] = compare(kind, tokenizer, texts, folder, rounds)
            print(f"  {kind}, {name}: {common.show(result[f'{kind}, {name}']['ratio_without_arrays'])}x", flush=True)
    return {"runs": result, "rounds": rounds}


def report(result):
    rows = [[name, f"{one['megabytes']:.1f}", common.show(one["phoenix"]), common.show(one["peer"]), common.show(one["peer_without_arrays"]),
             common.show(one["ratio"]), common.show(one["ratio_without_arrays"])] for name, one in result["runs"].items()]
    return (f"One thread, batches of {BATCH} texts, {result['rounds']} rounds in turns. MB of UTF-8 by second of processor time. Phoenix writes the tensors; the peer is given "
            "with and without making numpy arrays of its numbers. In a turn Phoenix runs three rounds, of which the fastest counts (the first one warms a "
            "new process), and the peer one, in a process that is warm: that favours Phoenix a little. The numbers of a batch were compared first.\n\n"
            + common.table(["tokenizer, texts", "MB", "Phoenix", "tokenizers, arrays", "tokenizers", "ratio", "ratio without arrays"], rows))
