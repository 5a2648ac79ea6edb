# SPDX-License-Identifier: Apache-2.0
"""Contributions of features: parity with XGBoost's pred_contribs and LightGBM's pred_contrib.

The contributions of a row are compared within a part of the row's largest sum of absolute contributions: 1e-5 for
XGBoost, which computes in floats, 1e-9 for LightGBM, which computes in doubles as this project does.
"""

import itertools
import subprocess

import lightgbm as lgb
import numpy as np
import pytest
import xgboost as xgb
from parity import TOOL

N, FEATURES = 400, 7


def data(seed=3, missing=0.1, categories=False):
    random = np.random.default_rng(seed)
    x = random.normal(size=(N, FEATURES))
    if categories:
        x[:, 0] = random.integers(30, size=N)
        x[:, 1] = random.integers(3, size=N)
    y = np.sin(x[:, 0]) * 2 + x[:, 1] * x[:, 2] + x[:, 3] + (x[:, 0] % 3 == 1)
    x[random.random(x.shape) < missing] = np.nan
    return x, y


def explain(model, rows, folder):
    (folder / "rows").write_bytes(np.ascontiguousarray(rows).tobytes())
    command = [TOOL, model, folder / "rows", folder / "out", "--explain"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return np.fromfile(folder / "out").reshape(len(rows), -1)


def refusal(model, folder):
    (folder / "rows").write_bytes(b"")
    command = [TOOL, model, folder / "rows", folder / "out", "--explain"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    return done.stderr


def assert_close(got, want, tolerance):
    want = np.asarray(want, dtype=np.float64).reshape(got.shape)
    scale = np.abs(want).sum(axis=1, keepdims=True)
    worst = (np.abs(got - want) / scale).max()
    assert worst <= tolerance, worst


XGBOOST = {
    "regression": {"objective": "reg:squarederror"},
    "logistic": {"objective": "binary:logistic", "base_score": 0.2},
    "classes": {"objective": "multi:softprob", "num_class": 3},
    "poisson": {"objective": "count:poisson"},
    "dart": {"booster": "dart", "rate_drop": 0.4, "objective": "reg:squarederror"},
    "forest": {"num_parallel_tree": 3, "subsample": 0.6, "objective": "reg:squarederror"},
    "deep": {"max_depth": 14, "min_child_weight": 0.1, "objective": "reg:squarederror"},
    "stumps": {"max_depth": 1, "objective": "reg:squarederror"},
    "categories": {"objective": "reg:squarederror", "max_cat_to_onehot": 2},
}


@pytest.mark.parametrize("name", XGBOOST)
@pytest.mark.parametrize("suffix", ["json", "ubj"])
def test_xgboost(name, suffix, tmp_path):
    x, y = data(categories=name == "categories")
    if "num_class" in XGBOOST[name]:
        y = np.digitize(y, [-1, 1])
    elif "logistic" in name:
        y = (y > 0).astype(int)
    elif name == "poisson":
        y = np.floor(np.abs(y))
    types = ["c", "c"] + ["float"] * 5 if name == "categories" else None
    matrix = xgb.DMatrix(x, label=y, feature_types=types, enable_categorical=bool(types))
    params = {"max_depth": 5, "seed": 1, "nthread": 1, "tree_method": "hist", **XGBOOST[name]}
    booster = xgb.train(params, matrix, 12)
    booster.save_model(tmp_path / f"m.{suffix}")
    got = explain(tmp_path / f"m.{suffix}", x.astype(np.float32), tmp_path)
    assert_close(got, booster.predict(matrix, pred_contribs=True), 1e-5)
    margins = booster.predict(matrix, output_margin=True).reshape(N, -1)
    sums = got.reshape(N, margins.shape[1], -1).sum(axis=2)
    np.testing.assert_allclose(sums, margins, rtol=1e-4, atol=1e-4)


LIGHTGBM = {
    "regression": {"objective": "regression"},
    "binary": {"objective": "binary"},
    "classes": {"objective": "multiclass", "num_class": 3},
    "dart": {"boosting": "dart", "objective": "regression", "drop_rate": 0.5},
    "goss": {"data_sample_strategy": "goss", "objective": "regression"},
    "deep": {"num_leaves": 120, "min_data_in_leaf": 1, "objective": "regression"},
    "categories": {"objective": "regression", "min_data_per_group": 5},
    "random-forest": {"boosting": "rf", "objective": "regression", "bagging_freq": 1, "bagging_fraction": 0.6},
    "zero-as-missing": {"objective": "regression", "zero_as_missing": True},
    "bagging": {"objective": "regression", "bagging_freq": 1, "bagging_fraction": 0.5},
}


@pytest.mark.parametrize("name", LIGHTGBM)
def test_lightgbm(name, tmp_path):
    x, y = data(categories=name == "categories")
    if name == "classes":
        y = np.digitize(y, [-1, 1])
    elif name == "binary":
        y = (y > 0).astype(int)
    params = {"num_leaves": 15, "min_data_in_leaf": 5, "verbosity": -1, "seed": 1, "num_threads": 1,
              "deterministic": True, **LIGHTGBM[name]}
    categories = [0, 1] if name == "categories" else []
    booster = lgb.train(params, lgb.Dataset(x, label=y, categorical_feature=categories), 12)
    booster.save_model(tmp_path / "m.txt")
    got = explain(tmp_path / "m.txt", x, tmp_path)
    assert_close(got, booster.predict(x, pred_contrib=True), 1e-9)


def test_shapley_values_by_their_definition(tmp_path):
    """Averages over every order of three features, from the trees alone: no library's TreeSHAP has a say."""
    x, y = data(missing=0)
    x = np.ascontiguousarray(x[:, :3])
    booster = lgb.train({"num_leaves": 8, "verbosity": -1, "num_threads": 1}, lgb.Dataset(x, label=y), 3)
    booster.save_model(tmp_path / "m.txt")
    trees = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]

    def value(node, row, known):
        if "leaf_value" in node:
            return node["leaf_value"]
        left, right = node["left_child"], node["right_child"]
        if node["split_feature"] in known:
            return value(left if row[node["split_feature"]] <= node["threshold"] else right, row, known)
        weights = [child.get("internal_count", child.get("leaf_count")) for child in (left, right)]
        return sum(w * value(c, row, known) for w, c in zip(weights, (left, right))) / sum(weights)

    def shapley(row):
        orders = list(itertools.permutations(range(3)))
        out = np.zeros(4)
        for order in orders:
            known = set()
            for feature in order:
                before = sum(value(tree, row, known) for tree in trees)
                known = known | {feature}
                out[feature] += sum(value(tree, row, known) for tree in trees) - before
        out /= len(orders)
        out[3] = sum(value(tree, row, set()) for tree in trees)
        return out

    got = explain(tmp_path / "m.txt", x[:20], tmp_path)
    np.testing.assert_allclose(got, [shapley(row) for row in x[:20]], rtol=1e-9, atol=1e-12)


def test_what_has_no_contributions_says_why(tmp_path):
    x, y = data()
    xgb.train({"max_depth": 2}, xgb.DMatrix(x, label=y), 2).save_model(tmp_path / "m.json")
    text = (tmp_path / "m.json").read_text().replace('"sum_hessian"', '"sum_nothing"')
    (tmp_path / "m.json").write_text(text)
    assert "how many training rows" in refusal(tmp_path / "m.json", tmp_path)
    params = {"linear_tree": True, "verbosity": -1, "num_threads": 1}
    linear = lgb.train(params, lgb.Dataset(np.nan_to_num(x), label=y), 2)
    linear.save_model(tmp_path / "m.txt")
    assert "linear leaves" in refusal(tmp_path / "m.txt", tmp_path)
