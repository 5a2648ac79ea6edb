# SPDX-License-Identifier: Apache-2.0
"""Parity with CatBoost: raw values to the bit, probabilities within a few units in the last place."""

import json

import catboost
import numpy as np
import pytest
from parity import BATCHES, assert_same_bits, info_fixture, kernels_of, refusal, score, torture_rows  # noqa: F401
from torture import Split, path_rows

N, FEATURES = 700, 6
COLORS = ["red", "green", "blue", "nan", "white space", "Ünïcode"]
LETTERS = list("abcdefghijklmnopqrstuvwxyz") + [f"{a}{b}" for a in "xyz" for b in "0123456789"]
UNKNOWN = "never seen"


def numbers(missing=0.0, seed=3):
    random = np.random.default_rng(seed)
    x = random.normal(size=(N, FEATURES))
    x[:, 5] = np.round(x[:, 5] * 2)
    y = x[:, 0] * x[:, 1] + x[:, 2] ** 2 + 0.3 * x[:, 5]
    x[random.random(x.shape) < missing] = np.nan
    return x, y


def label(kind, y):
    if kind == "binary":
        return (y > 0.8).astype(int)
    if kind == "text":
        return np.where(y > 0.8, "yes", "no")
    if kind == "classes":
        return np.digitize(y, [0.0, 1.0, 2.0])
    if kind == "count":
        return np.floor(np.abs(y))
    if kind == "positive":
        return np.abs(y) + 0.1
    if kind == "unit":
        return 1 / (1 + np.exp(-y))
    if kind == "two":
        return np.c_[y, np.abs(y)]
    if kind == "labels":
        return np.c_[y > 0, y > 1].astype(int)
    return y


def train(loss, x, y, rounds=15, **params):
    settings = {"loss_function": loss, "iterations": rounds, "depth": 4, "random_seed": 4, "verbose": 0,
                "thread_count": 1, "allow_writing_files": False, **params}
    return catboost.CatBoost(settings).fit(x if isinstance(x, catboost.Pool) else catboost.Pool(x, y))


def case(loss, kind="real", rounds=15, missing=0.0, prediction=None, **params):
    return loss, kind, rounds, missing, prediction, params


CASES = {
    "rmse": case("RMSE", missing=0.1),
    "mae": case("MAE"),
    "quantile": case("Quantile:alpha=0.3"),
    "huber": case("Huber:delta=1"),
    "mape": case("MAPE", "positive"),
    "poisson": case("Poisson", "count", prediction="Exponent"),
    "tweedie": case("Tweedie:variance_power=1.5", "positive", prediction="Exponent"),
    "cox": case("Cox"),
    "logloss": case("Logloss", "binary", missing=0.2, prediction="Probability"),
    "logloss-text-labels": case("Logloss", "text", prediction="Probability"),
    "cross-entropy": case("CrossEntropy", "unit", prediction="Probability"),
    "focal": case("Focal:focal_alpha=0.3;focal_gamma=2", "binary", prediction="Probability"),
    "classes": case("MultiClass", "classes", missing=0.1, prediction="Probability"),
    "one-versus-all": case("MultiClassOneVsAll", "classes", prediction="Probability"),
    "multi-rmse": case("MultiRMSE", "two"),
    "multi-quantile": case("MultiQuantile:alpha=0.2,0.8"),
    "multi-label": case("MultiLogloss", "labels", prediction="Probability"),
    "uncertainty": case("RMSEWithUncertainty"),
    "missing-low": case("RMSE", missing=0.3, nan_mode="Min"),
    "missing-high": case("RMSE", missing=0.3, nan_mode="Max"),
    "missing-high-never-seen": case("RMSE", nan_mode="Max"),
    "depthwise": case("RMSE", missing=0.2, grow_policy="Depthwise", depth=6),
    "lossguide": case("Logloss", "binary", missing=0.2, prediction="Probability",
                      grow_policy="Lossguide", max_leaves=40, depth=10),
    "lossguide-classes": case("MultiClass", "classes", prediction="Probability",
                              grow_policy="Lossguide", max_leaves=20),
    "deep": case("RMSE", rounds=4, depth=12),
    "stump": case("RMSE", rounds=1, depth=1),
    "many-borders": case("RMSE", border_count=2000, rounds=40, depth=6),
    "two-hundred-rounds": case("Logloss", "binary", rounds=200, prediction="Probability"),
}


def thresholds(document):
    return [(feature["flat_feature_index"], border)
            for feature in document["features_info"]["float_features"] for border in feature["borders"]]


def torn(x, document):
    """Rows of doubles around every border, where the conversion to float tips to the other side."""
    rows = torture_rows(x, thresholds(document), most=150)
    borders = thresholds(document)
    random = np.random.default_rng(8)
    extra = []
    for feature, border in (borders[i] for i in random.permutation(len(borders))[:120]):
        b = np.float32(border)
        with np.errstate(over="ignore"):
            neighbours = [np.nextafter(b, np.float32(np.inf)), np.nextafter(b, np.float32(-np.inf))]
        for other in neighbours:
            middle = (np.float64(b) + np.float64(other)) / 2 if np.isfinite(other) else np.float64(b)
            for value in (middle, np.nextafter(middle, np.inf), np.nextafter(middle, -np.inf)):
                row = x[random.integers(len(x))].copy()
                row[feature] = value
                extra.append(row)
    for value in (np.inf, -np.inf, 3.4028235677973366e38, -3.4028235677973366e38, 1e300, -1e300, 1e-46):
        for feature in range(x.shape[1]):
            row = x[random.integers(len(x))].copy()
            row[feature] = value
            extra.append(row)
    return np.vstack([rows, extra])


def roots_of(document):
    """The first trees, as torture.path_rows takes them; none for oblivious trees, whose borders suffice."""
    def split(node):
        if "split" not in node:
            return None
        s = node["split"]
        if s["split_type"] != "FloatFeature":
            return None
        return Split(s["float_feature_index"], s["border"], None, True, split(node["left"]),
                     split(node["right"]))
    return [split(tree) for tree in document.get("trees", [])[:3]]


def assert_raw(path, rows, raw, folder):
    for kernel in kernels_of(path):
        for batch in BATCHES:
            got = score(path, rows, folder, "--kernel", kernel, "--batch", batch, "--margin")
            assert_same_bits(got, raw, rows)


def units(a, b):
    """Distance in units in the last place of positive doubles."""
    return np.abs(np.ascontiguousarray(a).view(np.int64) - np.ascontiguousarray(b).view(np.int64))


# The library has its own exp for softmax and Exponent; its sigmoid uses the C library's.
UNITS = {"MultiClass": 16, "Poisson": 4, "Tweedie": 4}


@pytest.mark.parametrize("name", CASES)
def test_raw_values_and_scores(name, tmp_path):
    loss, kind, rounds, missing, prediction, params = CASES[name]
    x, y = numbers(missing)
    model = train(loss, x, label(kind, y), rounds, **params)
    path = tmp_path / "m.json"
    model.save_model(str(path), format="json")
    document = json.loads(path.read_text())
    rows = torn(x[:120], document)
    rows = np.vstack([rows, path_rows(roots_of(document), x[:120], le=True, most=800)])
    raw = model.predict(rows, prediction_type="RawFormulaVal")
    assert_raw(path, rows, raw, tmp_path)
    got = score(path, rows, tmp_path)
    if prediction is None:
        assert_same_bits(got, raw, rows)
        return
    want = np.asarray(model.predict(rows, prediction_type=prediction)).reshape(len(rows), -1)
    if got.shape[1] == 1 and want.shape[1] == 2:
        want = want[:, 1:]
    assert units(got, want).max() <= UNITS.get(loss.split(":")[0], 0)


def frame(seed=6):
    """Two numbers and two categorical columns; the label depends on all."""
    random = np.random.default_rng(seed)
    x = np.empty((N, 4), object)
    x[:, 0], x[:, 2] = random.normal(size=N), random.normal(size=N)
    color, letter = random.integers(len(COLORS), size=N), random.integers(len(LETTERS), size=N)
    x[:, 1], x[:, 3] = np.array(COLORS)[color], np.array(LETTERS)[letter]
    y = x[:, 0].astype(float) + random.normal(size=len(COLORS))[color] * 2
    y = y + random.normal(size=len(LETTERS))[letter] * 2
    return x, y


def coded(x, lists):
    """Rows as numbers: categories by their position in the model's list, unknown ones as NaN."""
    rows = np.empty(x.shape, np.float64)
    for column in range(x.shape[1]):
        codes = {text: code for code, text in enumerate(lists.get(column, []))}
        rows[:, column] = [codes.get(value, np.nan) if column in lists else value for value in x[:, column]]
    return rows


def category_lists(path, info):
    lists = {}
    for line in info(path):
        if line.startswith("category="):
            column, text = line.removeprefix("category=").split(":", 1)
            lists.setdefault(int(column), []).append(text)
    return lists


CATEGORICAL = {
    "one-hot": ("Logloss", "binary", {"one_hot_max_size": 200}),
    "one-hot-lossguide": ("Logloss", "binary", {"one_hot_max_size": 200, "grow_policy": "Lossguide"}),
    "one-hot-and-statistics": ("Logloss", "binary", {"one_hot_max_size": 10, "max_ctr_complexity": 1}),
    "borders": ("Logloss", "binary", {"max_ctr_complexity": 1, "simple_ctr": ["Borders:Prior=0.3/1"]}),
    "borders-of-classes": ("MultiClass", "classes", {"max_ctr_complexity": 1, "simple_ctr": ["Borders"]}),
    "borders-of-numbers": ("RMSE", "real", {
        "max_ctr_complexity": 1, "simple_ctr": ["Borders:TargetBorderCount=4"]}),
    "buckets": ("MultiClass", "classes", {"max_ctr_complexity": 1, "simple_ctr": ["Buckets"]}),
    "mean": ("RMSE", "real", {"max_ctr_complexity": 1, "simple_ctr": ["BinarizedTargetMeanValue"]}),
    "counter": ("RMSE", "real", {"max_ctr_complexity": 1, "simple_ctr": ["Counter"]}),
    "all-statistics": ("Logloss", "binary", {"max_ctr_complexity": 1, "depth": 7, "simple_ctr": [
        "Borders", "Buckets", "Counter", "BinarizedTargetMeanValue"]}),
}


@pytest.mark.parametrize("name", CATEGORICAL)
def test_categories_answer_as_in_the_library(name, tmp_path, info):
    loss, kind, params = CATEGORICAL[name]
    x, y = frame()
    pool = catboost.Pool(x, label(kind, y), cat_features=[1, 3], feature_names=["n", "color", "m", "letter"])
    model = train(loss, pool, None, rounds=40, **params)
    path = tmp_path / "m.json"
    model.save_model(str(path), format="json", pool=pool)
    random = np.random.default_rng(2)
    rows = x[random.integers(N, size=600)].copy()
    rows[:, 1] = np.array(COLORS + [UNKNOWN])[random.integers(len(COLORS) + 1, size=600)]
    rows[:, 3] = np.array(LETTERS + [UNKNOWN])[random.integers(len(LETTERS) + 1, size=600)]
    raw = model.predict(catboost.Pool(rows, cat_features=[1, 3]), prediction_type="RawFormulaVal")
    lists = category_lists(path, info)
    assert set(COLORS) <= set(lists[1]) and set(LETTERS) <= set(lists[3])
    assert_raw(path, coded(rows, lists), raw, tmp_path)


def test_statistics_of_a_combination_are_refused_by_name(tmp_path):
    x, _ = frame()
    both = [(COLORS.index(row[1]) + LETTERS.index(row[3])) % 2 for row in x]  # neither alone says anything
    pool = catboost.Pool(x, both, cat_features=[1, 3], feature_names=["n", "color", "m", "letter"])
    model = train("Logloss", pool, None, rounds=60, one_hot_max_size=1, depth=6, model_size_reg=0,
                  max_ctr_complexity=4)
    model.save_model(str(tmp_path / "m.json"), format="json", pool=pool)
    message = refusal(tmp_path / "m.json")
    assert "combination" in message and "max_ctr_complexity=1" in message
    assert "'color'" in message or "'letter'" in message


def test_categories_without_names_are_refused_with_the_call_that_saves_them(tmp_path):
    x, y = frame()
    pool = catboost.Pool(x, label("binary", y), cat_features=[1, 3])
    model = train("Logloss", pool, None, one_hot_max_size=100)
    model.save_model(str(tmp_path / "m.json"), format="json")
    assert "pool=train_pool" in refusal(tmp_path / "m.json")


def test_the_binary_format_is_refused_with_the_call_that_saves_json(tmp_path):
    x, y = numbers()
    train("RMSE", x, y).save_model(str(tmp_path / "m.cbm"))
    assert "format='json'" in refusal(tmp_path / "m.cbm")


def test_scale_and_bias_come_after_the_sum(tmp_path):
    x, y = numbers()
    model = train("RMSE", x, y)
    model.set_scale_and_bias(2.7, -1.3)
    model.save_model(str(tmp_path / "m.json"), format="json")
    rows = x[:200]
    assert_raw(tmp_path / "m.json", rows, model.predict(rows), tmp_path)


def test_labels_names_and_version_come_from_the_file(tmp_path, info):
    x, y = numbers()
    pool = catboost.Pool(x, label("text", y), feature_names=[f"n{i}" for i in range(FEATURES)])
    train("Logloss", pool, None).save_model(str(tmp_path / "m.json"), format="json", pool=pool)
    lines = info(tmp_path / "m.json")
    assert {"format=catboost-json", "objective=Logloss", "classes=2", "probability=1"} <= set(lines)
    assert [line for line in lines if line.startswith("feature=")] == [f"feature=n{i}" for i in range(FEATURES)]
    assert f"version={catboost.__version__}" in lines
    assert [line for line in lines if line.startswith("label=")] == ["label=no", "label=yes"]


def test_subnormal_borders_are_compared_as_they_are(tmp_path):
    """A server that flushed subnormal numbers to zero would send every row here to one side."""
    tiny = np.array([[i * 1.4e-45] for i in range(-40, 40)])
    model = train("RMSE", np.float32(tiny), np.sign(tiny[:, 0] - 1e-44), rounds=3, depth=2)
    model.save_model(str(tmp_path / "m.json"), format="json")
    raw = model.predict(np.float32(tiny))
    assert_raw(tmp_path / "m.json", tiny, raw, tmp_path)
