# SPDX-License-Identifier: Apache-2.0
"""The models that the REST tests serve, and how their scores are got from the training libraries."""

import numpy as np

from models import NAMES, csv_text, lightgbm_model, rows, target, xgboost_model, xgboost_scores

JOBS = ["admin.", "technician", "blue-collar"]
BANK = ["age", "job", "married", "since", "balance"]

MODEL_YAML = """\
phoenix: 1
name: bank
model: model.json
task: binary
target: y
labels: ["no", "yes"]
features:
  - {name: age, type: number}
  - {name: job, type: category, categories: ["admin.", "technician", "blue-collar"], other: 3}
  - {name: married, type: boolean}
  - {name: since, type: datetime}
  - {name: balance, type: number}
"""


def bank_rows(n=200, seed=5):
    """Encoded rows as the model was trained on: [age, job code, married, seconds, balance]."""
    random = np.random.default_rng(seed)
    x = np.column_stack(
        [
            random.integers(18, 90, n),
            random.integers(0, 4, n),
            random.integers(0, 2, n),
            random.integers(0, 20000, n) * 86400,
            random.normal(0, 1000, n).round(2),
        ]
    ).astype(np.float64)
    x[random.random(x.shape) < 0.1] = np.nan
    return x


def bank_instance(row):
    """The raw form of one encoded row: names, booleans and dates instead of codes."""
    age, job, married, since, balance = (None if np.isnan(v) else float(v) for v in row)
    return {
        "age": age,
        "job": None if job is None else (JOBS + ["astronaut"])[int(job)],
        "married": None if married is None else bool(married),
        "since": None if since is None else str(np.datetime64(int(since), "s")),
        "balance": balance,
    }


def bank_package(folder):
    import xgboost

    x = bank_rows()
    y = (np.nan_to_num(x[:, 1]) + np.nan_to_num(x[:, 0]) / 40 > 2).astype(int)
    data = xgboost.DMatrix(x, label=y, feature_names=BANK)
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 4, "nthread": 1}, data, 10)
    folder.mkdir()
    booster.save_model(folder / "model.json")
    (folder / "model.yaml").write_text(MODEL_YAML)
    return booster


def logistic_package(folder):
    """A regression that estimates a probability, used as a classifier."""
    folder.mkdir()
    booster = xgboost_model(folder / "model.json", objective="reg:logistic")
    (folder / "model.yaml").write_text(
        'phoenix: 1\nmodel: model.json\ntask: binary\nlabels: ["no", "yes"]\n'
    )
    return booster


def make_models(folder):
    """Writes every model; returns (arguments of `phoenix serve`, boosters by name)."""
    boosters = {
        "named": xgboost_model(folder / "named.json"),
        "plain": xgboost_model(folder / "plain.ubj", objective="reg:squarederror", names=None),
        "classes": xgboost_model(folder / "classes.json", objective="multi:softprob", classes=3),
        "light": lightgbm_model(folder / "light.txt"),
        "bank": bank_package(folder / "bank"),
        "logistic": logistic_package(folder / "logistic"),
    }
    (folder / "broken.json").write_text('{"learner": {"gradient_booster": ')
    names = ("named.json", "plain.ubj", "classes.json", "light.txt", "bank", "logistic")
    arguments = [folder / n for n in names]
    return [*arguments, folder / "broken.json"], boosters


__all__ = [
    "BANK",
    "JOBS",
    "NAMES",
    "bank_instance",
    "bank_rows",
    "csv_text",
    "make_models",
    "rows",
    "target",
    "xgboost_scores",
]
