# SPDX-License-Identifier: Apache-2.0
"""The processors of tables give what scikit-learn, scipy and numpy give, to the bit where their arithmetic is defined."""

import json
import pathlib
import struct
import subprocess
import sys

import numpy as np
import pytest
import scipy.special
import yaml
from command import PHOENIX, built
from sklearn.calibration import CalibratedClassifierCV
from sklearn.impute import SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.preprocessing import (KBinsDiscretizer, MaxAbsScaler, MinMaxScaler, OneHotEncoder, OrdinalEncoder, RobustScaler,
                                   StandardScaler)
from sklearn.svm import LinearSVC

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = built(pathlib.Path(PHOENIX).parent / "tests" / "tabular_tool")
sys.path.insert(0, str(ROOT / "examples" / "python"))
from sklearn_settings import save, step  # noqa: E402

TYPES = {"BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64, "INT8": np.int8,
         "INT16": np.int16, "INT32": np.int32, "INT64": np.int64, "FP16": np.float16, "FP32": np.float32, "FP64": np.float64}
NAMES = {np.dtype(dtype): name for name, dtype in TYPES.items()}
RNG = np.random.default_rng(5)
TABLE = np.vstack([RNG.normal(3, 20, (700, 4)) * [1, 1e-3, 1e6, 1], [[0, -0.0, 1e30, 1e-30]], RNG.integers(-5, 5, (100, 4))])
HOLES = np.where(RNG.random(TABLE.shape) < 0.2, np.nan, TABLE)
SCORES = np.concatenate([RNG.normal(0, 3, 3000), [0, -0.0, 700, -700, 1e308, -1e308, 5e-324, np.inf, -np.inf]])


def texts_bytes(values):
    encoded = [str(value).encode() for value in values]
    return b"".join(struct.pack("<I", len(text)) + text for text in encoded)


def read_texts(data, shape):
    values, at = [], 0
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        values.append(data[at + 4:at + 4 + size].decode())
        at += 4 + size
    return np.array(values, dtype=object).reshape(shape)


def run(kind, settings, table, folder):
    """Outputs by name; a message when it is refused."""
    table = np.asarray(table)
    is_text = table.dtype.kind in "OU"
    (folder / "settings.yaml").write_text(settings if isinstance(settings, str) else yaml.safe_dump(settings, allow_unicode=True))
    (folder / "input").write_bytes(texts_bytes(table.ravel()) if is_text else table.tobytes())
    name = "BYTES" if is_text else NAMES[table.dtype]
    shape = "x".join(map(str, table.shape))
    done = subprocess.run([TOOL, kind, folder / "settings.yaml", name, shape, folder / "input", folder / "out"], capture_output=True,
                          text=True)
    if done.returncode:
        assert done.returncode == 1
        return done.stderr
    outputs = {}
    for line in done.stdout.splitlines():
        output, type_name, shape = line.split()
        data, shape = (folder / f"out.{output}").read_bytes(), json.loads(shape)
        outputs[output] = read_texts(data, shape) if type_name == "BYTES" else np.frombuffer(data, TYPES[type_name]).reshape(shape)
    return outputs


def apply(kind, settings, table, folder):
    outputs = run(kind, settings, table, folder)
    assert isinstance(outputs, dict), outputs
    return outputs["output"]


def assert_same(got, want):
    """To the bit, the sign of zero included; all NaNs are one."""
    assert got.dtype == want.dtype and got.shape == want.shape
    if got.dtype.kind == "f":
        same = (got == want) & (np.signbit(got) == np.signbit(want)) | np.isnan(got) & np.isnan(want)
    else:
        same = got == want
    assert same.all(), (np.argwhere(~same)[:3], got[~same][:3], want[~same][:3])


def exported(transformer, table, folder):
    kind = save(transformer, folder / "fitted.json")
    return apply(kind, {"file": "fitted.json"}, table, folder)


SCALERS = [StandardScaler(), StandardScaler(with_mean=False), StandardScaler(with_std=False), MinMaxScaler(),
           MinMaxScaler(feature_range=(-3, 0.7), clip=True), RobustScaler(), RobustScaler(with_centering=False), RobustScaler(with_scaling=False),
           MaxAbsScaler()]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.int8, np.bool_])
@pytest.mark.parametrize("scaler", SCALERS, ids=str)
def test_scalers(scaler, dtype, tmp_path):
    fitted_on, asked = (TABLE, HOLES) if dtype in (np.float64, np.float32) else (np.clip(TABLE, -100, 100),) * 2
    scaler.fit(fitted_on[:400].astype(dtype))
    assert_same(exported(scaler, asked.astype(dtype), tmp_path), scaler.transform(asked.astype(dtype)))


@pytest.mark.parametrize("scaler", SCALERS, ids=str)
def test_floats_with_parameters_of_doubles(scaler, tmp_path):
    scaler.fit(TABLE[:400])
    table = HOLES.astype(np.float32)
    assert_same(exported(scaler, table, tmp_path), scaler.transform(table))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("options", [{}, {"strategy": "median"}, {"strategy": "most_frequent"}, {"strategy": "constant", "fill_value": -1.5},
                                     {"add_indicator": True}, {"missing_values": 0.0}, {"missing_values": 3.0, "add_indicator": True}], ids=str)
def test_imputer(options, dtype, tmp_path):
    table = (HOLES if np.isnan(options.get("missing_values", np.nan)) else TABLE).astype(dtype)
    imputer = SimpleImputer(**options).fit(table[-300:])
    assert_same(exported(imputer, table, tmp_path), imputer.transform(table))


def test_imputer_drops_columns_that_were_empty(tmp_path):
    table = HOLES.copy()
    table[:50, 1] = np.nan
    imputer = SimpleImputer(add_indicator=True).fit(table[:50])
    with pytest.warns(UserWarning):
        want = imputer.transform(table)
    assert_same(exported(imputer, table, tmp_path), want)


def test_imputer_of_integers_and_texts(tmp_path):
    table = RNG.integers(-3, 4, (200, 3))
    imputer = SimpleImputer(missing_values=-1, strategy="most_frequent", add_indicator=True).fit(table)
    assert_same(exported(imputer, table, tmp_path), imputer.transform(table))
    words = RNG.choice(["", "a", "ż", "null"], (50, 2)).astype(object)
    imputer = SimpleImputer(missing_values="", strategy="most_frequent").fit(words)
    assert_same(exported(imputer, words, tmp_path), imputer.transform(words))


WORDS = np.array(["red", "", "null", "~", "1", "1.0", "true", "żółć", "漢字", "😀", 'a "b" \\ c', "two\nlines", "a: b", "#", " x "], dtype=object)


def tables_of_categories():
    yield RNG.choice(WORDS, (400, 3))
    yield RNG.integers(-9, 9, (400, 3))
    yield RNG.integers(0, 9, (400, 3)).astype(np.uint8)
    yield RNG.choice([0.0, -0.0, 0.1, np.nan, 1e300, -7], (400, 3))
    yield RNG.choice(np.array([0.0, 0.1, np.nan, 3], np.float32), (400, 3))
    yield RNG.random((400, 1)) < 0.5


@pytest.mark.filterwarnings("ignore:Found unknown categories")
@pytest.mark.parametrize("table", list(tables_of_categories()), ids=lambda t: str(t.dtype))
@pytest.mark.parametrize("options", [{}, {"handle_unknown": "ignore"}, {"drop": "first"}, {"drop": "if_binary", "handle_unknown": "ignore"},
                                     {"handle_unknown": "infrequent_if_exist", "min_frequency": 60}], ids=str)
def test_one_hot(options, table, tmp_path):
    encoder = OneHotEncoder(sparse_output=False, **options)
    known = table[:200] if "handle_unknown" not in options else np.where(table[:200] == table[0], table[1], table[:200])
    encoder.fit(known)
    asked = table if "handle_unknown" in options else known
    assert_same(exported(encoder, asked, tmp_path), encoder.transform(asked))


@pytest.mark.parametrize("table", list(tables_of_categories()), ids=lambda t: str(t.dtype))
@pytest.mark.parametrize("options", [{}, {"handle_unknown": "use_encoded_value", "unknown_value": -1},
                                     {"handle_unknown": "use_encoded_value", "unknown_value": np.nan, "encoded_missing_value": -2}], ids=str)
def test_ordinal(options, table, tmp_path):
    encoder = OrdinalEncoder(**options).fit(table[:200] if options else table)
    if table.dtype.kind == "O":
        table = np.vstack([table, [["new"] * table.shape[1]] * bool(options)]) if options else table
    assert_same(exported(encoder, table, tmp_path), encoder.transform(table))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("encode", ["ordinal", "onehot-dense"])
def test_bins(encode, dtype, tmp_path):
    table = TABLE.clip(-1e9, 1e9).astype(dtype)
    bins = KBinsDiscretizer(n_bins=[2, 5, 7, 3], encode=encode, strategy="quantile", quantile_method="linear").fit(table)
    edges = np.array([[bins.bin_edges_[c][1] for c in range(4)]])
    asked = np.vstack([table, edges, np.nextafter(edges, -np.inf)]).astype(dtype)
    kind, settings = step(bins)
    settings["type"] = NAMES[np.dtype(dtype)]
    assert_same(apply(kind, settings, asked, tmp_path), bins.transform(asked))


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("edges", [[0.0], [-1, 0, 0, 2.5], [float("-inf"), 0.1, float("inf")]], ids=str)
def test_digitize(edges, right, tmp_path):
    for dtype in (np.float64, np.float32):
        values = np.concatenate([SCORES, edges, [np.nan]]).clip(-1e30, 1e30).astype(dtype)
        got = apply("bucketise", {"edges": edges, "closed": "right" if right else "left"}, values, tmp_path)
        assert_same(got, np.digitize(values, edges, right=right))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_bands(dtype, tmp_path):
    with np.errstate(over="ignore"):
        values = np.concatenate([SCORES, [0.9, 0.3, np.nextafter(0.9, 0)]]).astype(dtype)
    labels = np.array(["APPROVE", "REVIEW", "BLOCK"], dtype=object)
    settings = {"thresholds": [0.3, 0.9], "labels": labels.tolist(), "nan": "REVIEW"}
    t = np.array([0.3, 0.9]).astype(dtype)
    assert_same(apply("bands", settings, values.reshape(-1, 1), tmp_path), labels[np.digitize(values, t)].reshape(-1, 1))
    assert_same(apply("bands", {**settings, "closed": "right"}, values, tmp_path), labels[np.digitize(values, t, right=True)])
    assert apply("bands", settings, np.array([np.nan], dtype), tmp_path)[0] == "REVIEW"
    del settings["nan"]
    assert "score 1 is NaN" in run("bands", settings, np.array([0, np.nan], dtype), tmp_path)


def calibrated(method):
    x = RNG.normal(0, 1, (500, 2))
    y = x[:, 0] + RNG.normal(0, 1, 500) > 0
    return CalibratedClassifierCV(LinearSVC(), method=method, ensemble=False, cv=3).fit(x, y)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_platt(dtype, tmp_path):
    classifier = calibrated("sigmoid")
    calibrator = classifier.calibrated_classifiers_[0].calibrators[0]
    with np.errstate(over="ignore"):
        scores = SCORES.astype(dtype)
        want = np.asarray(calibrator.predict(scores))
    assert_same(exported(classifier, scores, tmp_path), want)


@pytest.mark.parametrize("outside", ["clip", "nan"])
def test_isotonic(outside, tmp_path):
    x = RNG.normal(0, 2, 400)
    model = IsotonicRegression(out_of_bounds=outside).fit(x, x + RNG.normal(0, 3, 400))
    assert len(model.X_thresholds_) > 10
    scores = np.concatenate([SCORES[np.isfinite(SCORES)], model.X_thresholds_])
    assert_same(exported(model, scores, tmp_path), model.predict(scores))
    assert_same(exported(model, scores.clip(-1e30, 1e30).astype(np.float32), tmp_path), model.predict(scores.clip(-1e30, 1e30).astype(np.float32)))


def test_isotonic_of_a_calibrated_classifier(tmp_path):
    classifier = calibrated("isotonic")
    x = RNG.normal(0, 2, (300, 2))
    got = exported(classifier, classifier.estimator.fit(x, x[:, 0] > 0).decision_function(x), tmp_path)
    assert_same(got, classifier.calibrated_classifiers_[0].calibrators[0].predict(classifier.estimator.decision_function(x)))


def test_isotonic_outside_of_what_was_fitted(tmp_path):
    settings = {"x": [0, 1], "y": [0, 1], "out_of_bounds": "error"}
    assert "element 1 is 1.5" in run("isotonic", settings, np.array([0.5, 1.5]), tmp_path)
    assert_same(apply("isotonic", settings, np.array([0.5, 1.0]), tmp_path), np.array([0.5, 1.0]))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32])
def test_ranks(dtype, tmp_path):
    table = RNG.integers(-4, 4, (300, 6)).astype(dtype)
    if dtype is not np.int32:
        table[RNG.random(table.shape) < 0.1] = np.nan
    labels = np.array(list("abcdef"), dtype=object)
    assert_same(apply("arg_max", {}, table, tmp_path), np.argmax(table, axis=1))
    assert_same(apply("arg_max", {"labels": list("abcdef")}, table, tmp_path), labels[np.argmax(table, axis=1)])
    assert_same(apply("arg_max", {"labels": [9, 8, 7, 6, 5, -4], "type": "INT64"}, table, tmp_path),
                np.array([9, 8, 7, 6, 5, -4])[np.argmax(table, axis=1)])
    for k in (1, 3, 6):
        order = np.argsort(-table, axis=1, kind="stable")[:, :k]
        got = run("top_k", {"k": k, "labels": list("abcdef")}, table, tmp_path)
        assert_same(got["indices"], order)
        assert_same(got["values"], np.take_along_axis(table, order, axis=1))
        assert_same(got["labels"], labels[order])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_functions(dtype, tmp_path):
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        scores = SCORES.astype(dtype)
        assert_same(apply("clip", {"min": -0.1, "max": 2}, scores, tmp_path), np.clip(scores, -0.1, 2).astype(dtype))
        np.testing.assert_array_max_ulp(apply("sigmoid", {}, scores, tmp_path), scipy.special.expit(scores), 2)
        np.testing.assert_array_max_ulp(apply("log1p", {}, np.abs(scores), tmp_path), np.log1p(np.abs(scores)), 2)
        rows = scores[:3000].reshape(-1, 6)
        want = scipy.special.softmax(rows.astype(float), axis=1).astype(dtype)
        np.testing.assert_allclose(apply("softmax", {}, rows, tmp_path), want, rtol=8 * np.finfo(dtype).eps)


def test_sigmoid_of_doubles_is_that_of_scipy(tmp_path):
    assert_same(apply("sigmoid", {}, SCORES, tmp_path), scipy.special.expit(SCORES))


@pytest.mark.parametrize("table", [TABLE, TABLE.clip(-1e3, 1e3).astype(np.float16), RNG.choice(WORDS, (20, 4))], ids=lambda t: str(t.dtype))
def test_select(table, tmp_path):
    assert_same(apply("select", {"columns": [3, 0, 0]}, table, tmp_path), table[:, [3, 0, 0]])


@pytest.mark.parametrize("to", [name for name in TYPES if name != "FP16"])
@pytest.mark.parametrize("of", TYPES)
def test_casts(to, of, tmp_path):
    values = np.array([0, 1, 2, 100, 127] if of != "BOOL" else [0, 1, 1]).astype(TYPES[of])
    if of[0] == "F" and to != "BOOL":
        values = values + np.array([0.25], TYPES[of])
    for limit in (np.iinfo(TYPES[of]).min, np.iinfo(TYPES[of]).max) if of[0] in "UI" else ():
        if to[0] in "FB" or np.iinfo(TYPES[to]).min <= limit <= np.iinfo(TYPES[to]).max:
            values = np.append(values, np.array([limit], TYPES[of]))
    assert_same(apply("cast", {"type": to}, values, tmp_path), values.astype(TYPES[to]))


@pytest.mark.parametrize("of,value,to", [("INT64", 256, "UINT8"), ("INT8", -1, "UINT64"), ("UINT64", 2**63, "INT64"), ("FP64", 2.0**63, "INT64"),
                                         ("FP32", np.nan, "INT32"), ("FP64", np.inf, "UINT64"), ("INT64", -2**31 - 1, "INT32")])
def test_what_a_type_cannot_hold_is_refused(of, value, to, tmp_path):
    assert "element 1: " in run("cast", {"type": to}, np.array([0, value]).astype(TYPES[of]), tmp_path)


def test_casts_of_texts(tmp_path):
    numbers = np.array(["1", " -2.5 ", "1e3", "nan", "18446744073709551615", "9007199254740993"], dtype=object)
    assert_same(apply("cast", {"type": "FP64"}, numbers, tmp_path), numbers.astype(float))
    assert_same(apply("cast", {"type": "FP32"}, numbers, tmp_path), numbers.astype(np.float32))
    assert_same(apply("cast", {"type": "INT64"}, np.array(["-9223372036854775808", "1e3"], dtype=object), tmp_path), np.array([-2**63, 1000]))
    assert "element 1: 'x' cannot be FP32" in run("cast", {"type": "FP32"}, np.array(["1", "x"], dtype=object), tmp_path)
    assert "'2.5' cannot be INT8" in run("cast", {"type": "INT8"}, np.array(["2.5"], dtype=object), tmp_path)
    assert apply("cast", {"type": "BYTES"}, np.array([0.1, 3], np.float32), tmp_path).tolist() == ["0.1", "3.0"]
    assert apply("cast", {"type": "BYTES"}, np.array([-2**63, 5]), tmp_path).tolist() == [str(-2**63), "5"]


def test_tables_without_rows(tmp_path):
    empty = np.zeros((0, 2))
    for kind, settings in [("scale", {"mean": [0, 1]}), ("impute", {"values": 0}), ("clip", {"min": 0}), ("softmax", {}), ("arg_max", {}),
                           ("bands", {"thresholds": [1], "labels": ["a", "b"]}), ("top_k", {"k": 1}), ("select", {"columns": [1]}),
                           ("bucketise", {"edges": [1], "method": "one_hot"}), ("encode", {"categories": [[1], [2]]})]:
        outputs = run(kind, settings, empty, tmp_path)
        assert isinstance(outputs, dict) and all(len(value) == 0 for value in outputs.values())


def test_the_script_of_the_documentation(tmp_path):
    import joblib

    scaler = StandardScaler().fit(TABLE)
    joblib.dump(scaler, tmp_path / "scaler.joblib")
    script = ROOT / "examples" / "python" / "sklearn_settings.py"
    done = subprocess.run([sys.executable, script, tmp_path / "scaler.joblib", tmp_path / "scaler.json"], capture_output=True, text=True, check=True)
    assert done.stdout == "scale\n"
    assert_same(apply("scale", {"file": "scaler.json"}, TABLE, tmp_path), scaler.transform(TABLE))


@pytest.mark.parametrize("kind,settings,table,part", [
    ("scale", "mean: [1, 2]\nscael: [1, 2]", np.zeros((1, 2)), "line 2 column 1: unknown key 'scael' (did you mean 'scale'?)"),
    ("scale", "method: standart\nscale: [1, 2]", np.zeros((1, 2)), "did you mean 'standard'"),
    ("scale", "mean: [1, 2]\nscale: [1, 2, 3]", np.zeros((1, 2)), "line 2: expected 2 numbers"),
    ("scale", "mean: [1, 2, 3]", np.zeros((1, 2)), "expected 3 columns, as in the settings; got [-1,2]"),
    ("scale", "scale: [1, 0]", np.zeros((1, 2)), "column 1 is 0"), ("scale", "{}", np.zeros((1, 2)), "expected the setting 'scale'"),
    ("scale", "method: maxabs\nmean: 1\nscale: 1", np.zeros((1, 2)), "'mean' belongs to method standard"),
    ("scale", "scale: [1, two]", np.zeros((1, 2)), "line 1: expected a number, got 'two'"),
    ("scale", "scale: 1", np.array([["a"]], dtype=object), "expected numbers, got BYTES"),
    ("scale", "scale: 1", np.zeros((1, 2), np.float16), "put the processor `cast` before it"),
    ("impute", "values: [1, 2.5]", np.zeros((1, 2), np.int64), "the number that means a missing value"),
    ("impute", "values: [1, 2.5]\nmissing: -1", np.zeros((1, 2), np.int64), "expected a whole number, got '2.5'"),
    ("impute", "values: [null, null]", np.zeros((1, 2)), "no column is left"),
    ("impute", "values: [1, 2]\nadd_indicator: [2]", np.zeros((1, 2)), "expected columns, 0 to 1"),
    ("encode", "categories: [[a, b], [a]]", np.array([["a", "c"]], dtype=object), "row 0 column 1: 'c' is no known category"),
    ("encode", "categories: [a, b, a]", np.array(["a"], dtype=object), "the categories 0 and 2 are equal"),
    ("encode", "categories: [300]", np.zeros(1, np.uint8), "300 is outside of UINT8"),
    ("encode", "categories: [a]\nunknown_value: 1", np.array(["a"], dtype=object), "'unknown_value' is for method ordinal"),
    ("encode", "categories: [a]\nmethod: ordinal\nunknown: ignore\ntype: INT64", np.array(["a"], dtype=object), "INT64 has no NaN"),
    ("bucketise", "edges: [2, 1]", np.zeros(1), "expected ascending numbers, got 2 before 1"),
    ("bands", "thresholds: [0.5]\nlabels: [a]", np.zeros(1), "1 thresholds part 2 bands, got 1 labels"),
    ("bands", "thresholds: [0.5, 0.5]\nlabels: [a, b, c]", np.zeros(1), "expected ascending"),
    ("isotonic", "x: [1, 2]\ny: [1]", np.zeros(1), "as many as x"), ("isotonic", "x: [2, 1]\ny: [1, 2]", np.zeros(1), "ascending"),
    ("platt", "a: 1", np.zeros(1), "expected the setting 'b'"), ("top_k", "k: 4", np.zeros((1, 3)), "has 3 columns, k is 4"),
    ("top_k", "k: 0", np.zeros((1, 3)), "expected 1 to"), ("arg_max", "labels: [a]", np.zeros((1, 3)), "expected 1 columns"),
    ("select", "columns: [3]", np.zeros((1, 3)), "there is no column 3: the input has 3"), ("softmax", "{axis: 1}", np.zeros((1, 3)), "unknown key"),
    ("cast", "type: FP23", np.zeros(1), "did you mean 'FP32'"), ("scale", "scale: 1", np.zeros((1, 2, 3)), "expected a table")])
def test_what_does_not_fit_is_refused_by_name(kind, settings, table, part, tmp_path):
    message = run(kind, settings, table, tmp_path)
    assert isinstance(message, str) and part in message, message


def test_a_file_is_named_in_errors(tmp_path):
    (tmp_path / "f.json").write_text('{"mean": [1, 2],\n "scale": [1]}')
    assert "file 'f.json': scale: line 2: expected 2 numbers" in run("scale", {"file": "f.json"}, np.zeros((1, 2)), tmp_path)
    (tmp_path / "f.json").write_text('{"meen": [1, 2]}')
    assert "file 'f.json': line 1 column 2: unknown key 'meen'" in run("scale", {"file": "f.json"}, np.zeros((1, 2)), tmp_path)


def test_what_cannot_be_exported_is_said():
    with pytest.raises(ValueError, match="no processor does what LinearSVC does"):
        step(LinearSVC())
