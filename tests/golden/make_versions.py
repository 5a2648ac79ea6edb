# SPDX-License-Identifier: Apache-2.0
"""Makes models of old library versions with their predictions: the files in versions/.

    PYTHONPATH=where/the/old/library/is PYTHON make_versions.py xgboost|lightgbm versions/

They were made once, each with `pip install --no-deps --target FOLDER xgboost==VERSION` (or lightgbm) under
Python 3.11 with numpy 1.23 on x86-64. rows.json holds the rows, NAME.expected.json the margins and scores,
as hexadecimal floats, which lose nothing.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np

N, FEATURES, CATEGORY = 400, 4, 3


def data():
    random = np.random.RandomState(5)
    x = random.normal(size=(N, FEATURES)).round(2)
    x[:, CATEGORY] = random.randint(0, 12, N)
    x[:, CATEGORY][random.random_sample(N) < 0.2] = 0
    x[random.random_sample(x.shape) < 0.1] = np.nan
    clean = np.nan_to_num(x)
    y = clean[:, 0] + np.sin(3 * clean[:, 1]) + clean[:, CATEGORY] % 3 + 2 * (clean[:, CATEGORY] == 0)
    return x, y


def hexadecimal(values):
    return [float(value).hex() for value in np.ravel(values)]


def write(folder, name, rows, margins, scores):
    texts = {"rows": [hexadecimal(row) for row in rows],
             f"{name}.expected": {"margins": hexadecimal(margins), "scores": hexadecimal(scores)}}
    for file, content in texts.items():
        (folder / f"{file}.json").write_text(json.dumps(content, separators=(",", ":")) + "\n")


def xgboost_models(folder):
    import xgboost

    version = tuple(map(int, xgboost.__version__.split(".")[:2]))
    x, y = data()
    x = x.astype(np.float32)
    typed = {"feature_types": ["q"] * 3 + ["c"], "enable_categorical": True} if version >= (1, 6) else {}
    classes = np.clip(y, 0, 2).astype(int)
    cases = {
        "logitraw": ({"objective": "binary:logitraw", "base_score": 0.3}, y > 1, {}),
        "binary": ({"objective": "binary:logistic", "gamma": 3.0, "tree_method": "exact"}, y > 1, {}),
        "dart": ({"booster": "dart", "rate_drop": 0.5, "one_drop": 1, "base_score": 1.7}, y, typed),
        "classes": ({"objective": "multi:softprob", "num_class": 3, "max_depth": 2}, classes, typed),
    }
    if version >= (2, 0):
        vector = {"multi_strategy": "multi_output_tree"}
        cases["vector"] = (vector, np.stack([y, -y], axis=1), {})
    for case, (params, label, kind) in cases.items():
        given = {"max_depth": 3, "tree_method": "hist", "verbosity": 0, "nthread": 1, **params}
        booster = xgboost.train(given, xgboost.DMatrix(x, label, **kind), 3)
        name = f"xgboost-{xgboost.__version__}-{case}"
        booster.save_model(str(folder / f"{name}.json"))
        rows = xgboost.DMatrix(x[:30], **kind)
        write(folder, name, data()[0][:30], booster.predict(rows, output_margin=True), booster.predict(rows))


def lightgbm_models(folder):
    import lightgbm

    x, y = data()
    cases = {
        "missing-none": {"objective": "regression", "use_missing": False},
        "missing-zero": {"objective": "binary", "zero_as_missing": True},
        "lambda": {"objective": "cross_entropy_lambda"},
    }
    for case, params in cases.items():
        given = {"num_leaves": 8, "min_data_in_leaf": 5, "min_data_per_group": 5, "cat_smooth": 1,
                 "num_threads": 1, "verbose": -1, **params}
        label = y if params["objective"] == "regression" else (y > 1).astype(int)
        train = lightgbm.Dataset(x, label, categorical_feature=[CATEGORY], params=given)
        booster = lightgbm.train(given, train, 3)
        name = f"lightgbm-{lightgbm.__version__}-{case}"
        booster.save_model(str(folder / f"{name}.txt"))
        write(folder, name, x[:30], booster.predict(x[:30], raw_score=True), booster.predict(x[:30]))


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    make = {"xgboost": xgboost_models, "lightgbm": lightgbm_models}[sys.argv[1]]
    make(Path(sys.argv[2]))
