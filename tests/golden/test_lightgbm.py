# SPDX-License-Identifier: Apache-2.0
"""Parity with LightGBM, to the bit: raw scores and transformed ones, in 64-bit arithmetic."""

import lightgbm as lgb
import numpy as np
import pytest
from parity import assert_parity, torture_rows
from torture import Split, path_rows

N, FEATURES = 800, 8


def data(missing=0.0, categories=False, zeros=0.0, seed=4):
    random = np.random.default_rng(seed)
    x = random.normal(size=(N, FEATURES))
    x[:, 6] = np.round(x[:, 6] * 2)
    y = x[:, 0] * x[:, 1] + x[:, 2] ** 2 + 0.3 * x[:, 6]
    if categories:
        for feature, n in enumerate((3, 40)):
            codes = random.integers(n, size=N)
            y = y + random.normal(size=n)[codes]
            x[:, feature] = codes
    x[random.random(x.shape) < zeros] = 0.0
    x[random.random(x.shape) < missing] = np.nan
    return x, y


def label(kind, y):
    if kind == "binary":
        return (y > 0.8).astype(int)
    if kind == "classes":
        return np.digitize(y, [0.0, 1.0, 2.0])
    if kind == "count":
        return np.floor(np.abs(y))
    if kind == "positive":
        return np.abs(y) + 0.1
    if kind == "unit":
        return 1 / (1 + np.exp(-y))
    return y


def case(objective, kind="real", rounds=10, **params):
    made = {key: params.pop(key) for key in ("missing", "categories", "zeros") if key in params}
    return objective, kind, rounds, params, made


BAGGING = {"bagging_freq": 1, "bagging_fraction": 0.6, "feature_fraction": 0.8}
CASES = {
    "regression": case("regression", missing=0.1),
    "regression-sqrt": case("regression", reg_sqrt=True),
    "l1": case("regression_l1"),
    "huber": case("huber"),
    "fair": case("fair"),
    "poisson": case("poisson", "count"),
    "quantile": case("quantile", alpha=0.3),
    "mape": case("mape", "positive"),
    "gamma": case("gamma", "positive"),
    "tweedie": case("tweedie", "count"),
    "binary": case("binary", "binary", missing=0.2),
    "binary-sigmoid": case("binary", "binary", sigmoid=2.5),
    "multiclass": case("multiclass", "classes", num_class=4, missing=0.1),
    "multiclassova": case("multiclassova", "classes", num_class=4, sigmoid=0.7),
    "cross-entropy": case("cross_entropy", "unit"),
    "cross-entropy-lambda": case("cross_entropy_lambda", "unit"),
    "lambdarank": case("lambdarank", "count"),
    "rank-xendcg": case("rank_xendcg", "count"),
    "dart": case("binary", "binary", boosting="dart", drop_rate=0.5, rounds=20),
    "goss": case("binary", "binary", data_sample_strategy="goss", rounds=15),
    "random-forest": case("regression", boosting="rf", **BAGGING),
    "random-forest-binary": case("binary", "binary", boosting="rf", **BAGGING),
    "random-forest-classes": case("multiclass", "classes", num_class=4, boosting="rf", **BAGGING),
    "missing-nan": case("regression", missing=0.4),
    "missing-zero": case("regression", zero_as_missing=True, zeros=0.4, missing=0.1),
    "missing-ignored": case("regression", use_missing=False, missing=0.3),
    "nan-never-seen": case("regression"),
    "categories": case("binary", "binary", categories=True, missing=0.1, min_data_per_group=1),
    "categories-one-hot": case("regression", categories=True, max_cat_to_onehot=100),
    "categories-classes": case("multiclass", "classes", num_class=4, categories=True),
    "linear-leaves": case("regression", linear_tree=True),
    "linear-leaves-missing": case("regression", linear_tree=True, missing=0.2),
    "deep": case("regression", num_leaves=300, min_data_in_leaf=1, min_sum_hessian_in_leaf=0),
    "stump": case("binary", "binary", num_leaves=2, rounds=1),
    "one-leaf-trees": case("regression", min_data_in_leaf=N, rounds=3),
    "many-bins": case("regression", max_bin=4000, min_data_in_bin=1, num_leaves=60),
}


def split_of(node):
    """The tree below a node of dump_model() for torture.path_rows."""
    if "split_feature" not in node:
        return None
    categories = None
    if node["decision_type"] == "==":
        categories = {int(code) for code in node["threshold"].split("||")}
    children = split_of(node["left_child"]), split_of(node["right_child"])
    return Split(node["split_feature"], node["threshold"], categories, True, *children)


def thresholds_of(roots):
    """(feature, value) of every numeric split."""
    found, todo = set(), [root for root in roots if root]
    while todo:
        split = todo.pop()
        if split.categories is None:
            found.add((split.feature, split.threshold))
        todo += [child for child in (split.left, split.right) if child]
    return sorted(found)


@pytest.mark.parametrize("name", CASES)
def test_raw_scores_and_scores(name, tmp_path):
    objective, kind, rounds, params, made = CASES[name]
    x, y = data(**made)
    dataset = lgb.Dataset(
        x,
        label=label(kind, y),
        categorical_feature=[0, 1] if made.get("categories") else [],
        group=[20] * (N // 20) if "rank" in objective else None,
        params={"linear_tree": params.get("linear_tree", False), "verbose": -1},
    )
    settings = {
        "objective": objective,
        "num_leaves": 15,
        "min_data_in_leaf": 5,
        "verbose": -1,
        "num_threads": 1,
        "seed": 2,
        **params,
    }
    lgb.train(settings, dataset, rounds).save_model(tmp_path / "m.txt")
    booster = lgb.Booster(model_file=tmp_path / "m.txt")
    roots = [split_of(tree["tree_structure"]) for tree in booster.dump_model()["tree_info"]]
    rows = torture_rows(x[:150], thresholds_of(roots))
    rows[150:160, 3] = np.inf
    rows[160:170, 3] = -np.inf
    if made.get("categories"):
        odd = [-1, 0, 2.9, 7, -0.5, 1e10, np.nan]
        rows[170:, 0] = np.random.default_rng(1).choice(odd, len(rows) - 170)
        rows[170:, 1] = np.random.default_rng(2).integers(-2, 70, len(rows) - 170)
    rows = np.vstack([rows, path_rows(roots, x[:150], le=True)])
    margins = booster.predict(rows, raw_score=True)
    assert_parity(tmp_path / "m.txt", rows, margins, booster.predict(rows), tmp_path)
