# SPDX-License-Identifier: Apache-2.0
"""Trains the parity matrix with the XGBoost that runs it, and writes what that library predicts.

    python xgboost_cases.py FOLDER

Runs under XGBoost 1.7 and every later version. Per case, FOLDER/NAME/ holds model.json, model.ubj,
base.f32 (rows), and after a second run with --predict also margins.f32 and scores.f32 of rows.f32.
"""

import json
import sys
from pathlib import Path

import numpy as np
import xgboost as xgb

VERSION = tuple(int(part) for part in xgb.__version__.split(".")[:2])
N, FEATURES = 600, 8


def numbers(seed=1, missing=0.0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(N, FEATURES)).astype(np.float32)
    x[:, 6] = np.round(x[:, 6] * 2)  # many equal values, zeros among them
    x[:, 7] *= np.float32(1e-38)  # denormals
    clean = x.copy()
    x[random.random(x.shape) < missing] = np.nan
    y = clean[:, 0] * clean[:, 1] + clean[:, 2] ** 2 + 0.3 * clean[:, 6]
    return x, y


def categories(seed=2):
    """The first three features are categories with 3, 30 and 100 codes."""
    random = np.random.default_rng(seed)
    x, y = numbers(seed, missing=0.1)
    for feature, n in enumerate((3, 30, 100)):
        codes = random.integers(n, size=N).astype(np.float32)
        y = y + random.normal(size=n)[codes.astype(int)]
        codes[random.random(N) < 0.05] = np.nan
        x[:, feature] = codes
    return x, y


def label(kind, y):
    if kind == "binary":
        return (y > 0.8).astype(np.float32)
    if kind == "classes":
        return np.digitize(y, [0.0, 1.0, 2.0]).astype(np.float32)
    if kind == "count":
        return np.floor(np.abs(y)).astype(np.float32)
    if kind == "positive":
        return (np.abs(y) + 0.1).astype(np.float32)
    if kind == "labels":
        return np.column_stack([y > 0.5, y > 1.0]).astype(np.float32)
    if kind == "three":
        return np.column_stack([y, -y, y**2]).astype(np.float32)
    return y.astype(np.float32)


def case(objective, kind="real", rounds=8, **params):
    data = {key: params.pop(key) for key in ("missing", "categorical") if key in params}
    return {"objective": objective, "kind": kind, "rounds": rounds, "params": params, **data}


def cases():
    found = {}
    for objective, kind in [
        ("reg:squarederror", "real"),
        ("reg:squaredlogerror", "positive"),
        ("reg:pseudohubererror", "real"),
        ("reg:absoluteerror", "real"),
        ("reg:logistic", "binary"),
        ("binary:logistic", "binary"),
        ("binary:logitraw", "binary"),
        ("binary:hinge", "binary"),
        ("count:poisson", "count"),
        ("reg:gamma", "positive"),
        ("reg:tweedie", "count"),
        ("survival:cox", "positive"),
        ("survival:aft", "positive"),
        ("rank:pairwise", "count"),
        ("rank:ndcg", "count"),
        ("rank:map", "binary"),
    ]:
        found[objective.replace(":", "-")] = case(objective, kind, missing=0.1)
    for objective in ("multi:softprob", "multi:softmax"):
        name = objective.replace(":", "-")
        found[name] = case(objective, "classes", num_class=4)
        found[name + "-missing"] = case(objective, "classes", num_class=4, missing=0.4)
    found["stump"] = case("binary:logistic", "binary", max_depth=1, rounds=1)
    found["deep"] = case("reg:squarederror", max_depth=14, min_child_weight=0, missing=0.2)
    found["many-rounds"] = case("binary:logistic", "binary", rounds=120, max_depth=3)
    found["leaf-wise"] = case(
        "binary:logistic", "binary", grow_policy="lossguide", max_leaves=60, max_depth=0
    )
    found["exact-method"] = case("reg:squarederror", tree_method="exact", missing=0.3)
    found["pruned"] = case("reg:squarederror", tree_method="exact", gamma=3.0)
    found["forest"] = case(
        "binary:logistic", "binary", rounds=2, num_parallel_tree=5, subsample=0.6
    )
    found["forest-of-classes"] = case(
        "multi:softprob", "classes", num_class=4, rounds=3, num_parallel_tree=3, subsample=0.6
    )
    found["dart"] = case("binary:logistic", "binary", booster="dart", rate_drop=0.4, rounds=12)
    found["dart-classes"] = case(
        "multi:softprob", "classes", num_class=4, booster="dart", rate_drop=0.4, missing=0.2
    )
    for score in (0.02, 0.98):
        found[f"base-{score}"] = case("binary:logistic", "binary", base_score=score)
        found[f"base-poisson-{score}"] = case("count:poisson", "count", base_score=score)
        found[f"base-classes-{score}"] = case(
            "multi:softprob", "classes", num_class=4, base_score=score
        )
    found["targets"] = case("reg:squarederror", "three", missing=0.1)
    found["targets-labels"] = case("binary:logistic", "labels", missing=0.1)
    found["argmax-of-two"] = case("multi:softmax", "binary", num_class=2, booster="dart", rate_drop=0.5)
    found["category-dart"] = case("reg:squarederror", categorical=True, booster="dart", rate_drop=0.5)
    found["category-one-hot"] = case("reg:squarederror", categorical=True, max_cat_to_onehot=200)
    found["category-sets"] = case("binary:logistic", "binary", categorical=True, max_cat_to_onehot=1)
    found["category-classes"] = case(
        "multi:softprob", "classes", num_class=4, categorical=True, max_cat_to_onehot=1
    )
    if VERSION >= (2, 0):
        alpha = np.array([0.9, 0.1, 0.5])
        found["quantiles"] = case("reg:quantileerror", quantile_alpha=alpha)
        found["vector-leaves"] = case(
            "reg:squarederror", "three", multi_strategy="multi_output_tree", missing=0.1
        )
        found["vector-leaves-parallel"] = case(
            "binary:logistic", "labels", multi_strategy="multi_output_tree", num_parallel_tree=2,
            subsample=0.6,
        )
        found["vector-leaves-classes"] = case(
            "multi:softprob", "classes", num_class=4, multi_strategy="multi_output_tree"
        )
    return found


def feature_types(spec):
    return ["c"] * 3 + ["q"] * (FEATURES - 3) if spec.get("categorical") else None


def matrix(spec, x, y=None):
    data = xgb.DMatrix(
        x, feature_types=feature_types(spec), enable_categorical=bool(spec.get("categorical"))
    )
    if y is None:
        return data
    labels = label(spec["kind"], y)
    if spec["objective"] == "survival:aft":
        data.set_float_info("label_lower_bound", labels)
        data.set_float_info("label_upper_bound", labels * np.float32(1.5))
    else:
        data.set_label(labels)
    if spec["objective"].startswith("rank:"):
        data.set_group([20] * (N // 20))
    return data


def train(folder):
    for name, spec in cases().items():
        x, y = categories() if spec.get("categorical") else numbers(missing=spec.get("missing", 0))
        params = {
            "objective": spec["objective"],
            "tree_method": "hist",
            "max_depth": 5,
            "nthread": 1,
            "seed": 3,
            **spec["params"],
        }
        booster = xgb.train(params, matrix(spec, x, y), spec["rounds"])
        place = folder / name
        place.mkdir(parents=True)
        booster.save_model(str(place / "model.json"))
        booster.save_model(str(place / "model.ubj"))
        x[:150].tofile(place / "base.f32")
        (place / "spec.json").write_text(json.dumps({"categorical": bool(spec.get("categorical"))}))


def predict(folder):
    for place in sorted(folder.iterdir()):
        spec = json.loads((place / "spec.json").read_text())
        rows = np.fromfile(place / "rows.f32", dtype=np.float32).reshape(-1, FEATURES)
        booster = xgb.Booster(model_file=str(place / "model.json"))
        booster.set_param({"nthread": 1})
        data = matrix(spec, rows)
        booster.predict(data, output_margin=True).astype(np.float32).tofile(place / "margins.f32")
        booster.predict(data).astype(np.float32).tofile(place / "scores.f32")


if __name__ == "__main__":
    (predict if "--predict" in sys.argv else train)(Path(sys.argv[1]))
