# SPDX-License-Identifier: Apache-2.0
"""hashing_vectorizer and tfidf give scikit-learn's numbers, to the bit but for logarithms of counts."""

import json

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from text_parity import apply, texts

PARAMETERS = ("analyzer", "binary", "lowercase", "norm", "strip_accents", "sublinear_tf", "token_pattern", "use_idf")
ROWS = texts(250)
WORDS_1 = r"(?u)\b\w+\b"


def export(vectorizer, path):
    """The script of docs/api/processors.md."""
    known = vectorizer.get_params()
    fitted = {key: known[key] for key in PARAMETERS if key in known}
    fitted["ngram_range"] = list(known["ngram_range"])
    fitted["stop_words"] = sorted(vectorizer.get_stop_words() or []) or None
    fitted["vocabulary"] = vectorizer.get_feature_names_out().tolist()
    fitted["idf"] = vectorizer.idf_.tolist() if known.get("use_idf") else None
    path.write_text(json.dumps(fitted))


def assert_same(got, want):
    assert got.dtype == want.dtype and got.shape == want.shape
    rows = np.flatnonzero((got != want).any(axis=1))
    assert not len(rows), f"row {rows[0]}: {ROWS[rows[0]]!r}"


@pytest.mark.parametrize("options", [
    {}, {"norm": "l1"}, {"norm": None, "alternate_sign": False}, {"binary": True}, {"binary": True, "norm": None}, {"lowercase": False},
    {"ngram_range": (1, 3)}, {"ngram_range": (2, 2), "token_pattern": WORDS_1}, {"analyzer": "char", "ngram_range": (1, 4)},
    {"analyzer": "char", "ngram_range": (3, 3), "lowercase": False}, {"analyzer": "char_wb", "ngram_range": (1, 5)},
    {"analyzer": "char_wb", "ngram_range": (4, 4)}, {"stop_words": ["the", "and", "of", "漢字"]}, {"dtype": np.float32}, {"n_features": 1},
    {"dtype": np.float32, "norm": "l1", "analyzer": "char", "ngram_range": (2, 3)}], ids=str)
def test_hashing_of_scikit_learn(options, tmp_path):
    options = {"n_features": 64, **options}
    want = HashingVectorizer(**options).transform(ROWS).toarray()
    settings = {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}
    if settings.pop("dtype", None):
        settings["type"] = "FP32"
    if "stop_words" in settings:
        (tmp_path / "stop.txt").write_text("\n".join(settings["stop_words"]) + "\n")
        settings["stop_words"] = "stop.txt"
    if settings.get("norm", "") is None:
        settings["norm"] = "none"
    assert_same(apply("hashing_vectorizer", settings, ROWS, tmp_path)["output"], want)


@pytest.mark.parametrize("options", [
    {}, {"norm": "l1"}, {"norm": None}, {"binary": True}, {"ngram_range": (1, 2), "min_df": 2}, {"analyzer": "char_wb", "ngram_range": (2, 3)},
    {"stop_words": "english"}, {"use_idf": False}, {"token_pattern": WORDS_1, "lowercase": False}, {"dtype": np.float32}], ids=str)
def test_tfidf_of_scikit_learn(options, tmp_path):
    vectorizer = TfidfVectorizer(**options).fit(ROWS[:150])
    export(vectorizer, tmp_path / "tfidf.json")
    settings = {"file": "tfidf.json", **({"type": "FP32"} if "dtype" in options else {})}
    assert_same(apply("tfidf", settings, ROWS, tmp_path)["output"], vectorizer.transform(ROWS).toarray())


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sublinear_counts_are_as_near_as_two_logarithms(dtype, tmp_path):
    vectorizer = TfidfVectorizer(sublinear_tf=True, analyzer="char", dtype=dtype).fit(ROWS)
    export(vectorizer, tmp_path / "tfidf.json")
    settings = {"file": "tfidf.json", "type": "FP32" if dtype is np.float32 else "FP64"}
    got, want = apply("tfidf", settings, ROWS, tmp_path)["output"], vectorizer.transform(ROWS).toarray()
    np.testing.assert_array_max_ulp(got, want, 4)


def test_counts(tmp_path):
    vectorizer = CountVectorizer(ngram_range=(1, 2)).fit(ROWS)
    export(vectorizer, tmp_path / "counts.json")
    got = apply("tfidf", {"file": "counts.json", "use_idf": False, "norm": "none"}, ROWS, tmp_path)["output"]
    assert_same(got, vectorizer.transform(ROWS).toarray().astype(np.float64))


def test_bytes_that_are_no_utf8_become_replacement_characters(tmp_path):
    rows = [b"caf\xe9 ok", b"\xff\xfe", b"ab\xc3", b"\xe2\x82x yz", b"\xf0\x9f\x98 \xed\xa0\x80 end", b"\xc0\xaf\xf5z\x80 w"]
    want = HashingVectorizer(n_features=32, analyzer="char", decode_error="replace").transform(rows).toarray()
    got = apply("hashing_vectorizer", {"n_features": 32, "analyzer": "char"}, rows, tmp_path)["output"]
    assert (got == want).all()


def test_what_does_not_fit_is_refused_by_name(tmp_path):
    (tmp_path / "t.json").write_text('{"vocabulary": ["a", "b"], "idf": [1.0]}')
    (tmp_path / "u.json").write_text('{"vocabulary": ["a"], "idf": null, "strip_accents": "unicode"}')
    for kind, settings, part in [("hashing_vectorizer", {"n_feature": 3}, "did you mean 'n_features'"),
                                 ("hashing_vectorizer", {"token_pattern": "[a-z]+"}, "token_pattern: expected"),
                                 ("hashing_vectorizer", {"ngram_range": [2, 1]}, "ngram_range"),
                                 ("hashing_vectorizer", {"n_features": 0}, "expected 1 to"),
                                 ("tfidf", {}, "expected `file`"), ("tfidf", {"file": "t.json"}, "2 terms, but 1 numbers"),
                                 ("tfidf", {"file": "u.json"}, "strip_accents is not supported")]:
        assert part in apply(kind, settings, [], tmp_path)
