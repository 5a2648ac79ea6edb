# SPDX-License-Identifier: Apache-2.0
"""Small models made by the real libraries, and rows with every awkward value."""

import numpy as np

NAMES = ["age", "balance", "duration", "pdays"]


def rows(n=300, seed=3):
    """Features with missing values, negative zeros and huge and tiny numbers."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, len(NAMES))) * [10, 1000, 1, 0.01]
    x[random.random(x.shape) < 0.1] = np.nan
    x[0] = [0.0, -0.0, 1e30, 1e-30]
    return x


def target(x, classes=2):
    clean = np.nan_to_num(x)
    return np.abs(clean[:, 0] + np.clip(clean[:, 2], -10, 10) * 5).astype(int) % classes


def csv_text(x, names=NAMES, separator=",", end="\n"):
    lines = [separator.join(names)] if names else []
    for row in x:
        lines.append(separator.join("" if np.isnan(v) else repr(float(v)) for v in row))
    return end.join(lines) + end


def xgboost_model(path, objective="binary:logistic", names=NAMES, classes=2, rounds=8):
    import xgboost

    x = rows()
    data = xgboost.DMatrix(x, label=target(x, classes), feature_names=names)
    params = {"objective": objective, "max_depth": 4, "seed": 1, "nthread": 1}
    if objective.startswith("multi:"):
        params["num_class"] = classes
    booster = xgboost.train(params, data, rounds)
    booster.save_model(path)
    return booster


def xgboost_scores(booster, x, margin=False):
    import xgboost

    data = xgboost.DMatrix(x, feature_names=booster.feature_names)
    return booster.predict(data, output_margin=margin)


def lightgbm_model(path, objective="binary", classes=2, rounds=8, names=NAMES):
    import lightgbm

    x = rows()
    params = {
        "objective": objective,
        "num_leaves": 7,
        "min_data_in_leaf": 5,
        "seed": 1,
        "num_threads": 1,
        "verbose": -1,
    }
    if objective == "multiclass":
        params["num_class"] = classes
    data = lightgbm.Dataset(x, label=target(x, classes), feature_name=names or "auto")
    booster = lightgbm.train(params, data, rounds)
    booster.save_model(path)
    return booster
