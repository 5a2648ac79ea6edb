# SPDX-License-Identifier: Apache-2.0
"""What a model file does not contain, and who has to add it; docs/architecture/forest.md has the whole list."""

import json

import lightgbm as lgb
import numpy as np
import xgboost as xgb
from parity import assert_same_bits, score


def data(seed=2):
    random = np.random.default_rng(seed)
    x = random.normal(size=(400, 4)).astype(np.float32)
    return x, x[:, 0] * x[:, 1] + x[:, 2]


def test_a_missing_mark_of_the_training_data_is_sent_as_nan(tmp_path):
    x, y = data()
    holes = np.random.default_rng(3).random(x.shape) < 0.2
    marked, absent = np.where(holes, np.float32(-999), x), np.where(holes, np.float32(np.nan), x)
    booster = xgb.train({"nthread": 1, "max_depth": 5}, xgb.DMatrix(marked, y, missing=-999), 10)
    booster.save_model(tmp_path / "m.json")
    want = booster.predict(xgb.DMatrix(marked, missing=-999), output_margin=True)
    assert_same_bits(score(tmp_path / "m.json", absent, tmp_path, "--margin"), want, absent)
    as_numbers = booster.predict(xgb.DMatrix(marked), output_margin=True)
    assert (as_numbers != want).any()
    assert_same_bits(score(tmp_path / "m.json", marked, tmp_path, "--margin"), as_numbers, marked)


def test_a_base_margin_of_the_caller_replaces_the_base_score(tmp_path):
    """A file with the margin for its base score is what base_margin makes of a model, to the bit."""
    x, y = data()
    booster = xgb.train({"nthread": 1, "max_depth": 4, "base_score": 3.25}, xgb.DMatrix(x, y), 10)
    booster.save_model(tmp_path / "m.json")
    margin = np.full(len(x), np.float32(-7.7))
    want = booster.predict(xgb.DMatrix(x, base_margin=margin), output_margin=True)
    document = json.loads((tmp_path / "m.json").read_text())
    document["learner"]["learner_model_param"]["base_score"] = "[-7.7E0]"
    (tmp_path / "replaced.json").write_text(json.dumps(document))
    assert_same_bits(score(tmp_path / "replaced.json", x, tmp_path, "--margin"), want, x)


def test_an_init_score_of_training_is_not_in_the_file(tmp_path):
    x, y = data()
    start = np.full(len(x), 12.5)
    booster = lgb.train({"objective": "regression", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 5},
                        lgb.Dataset(x, y + 12.5, init_score=start), 10)
    booster.save_model(tmp_path / "m.txt")
    rows = x.astype(np.float64)
    got = score(tmp_path / "m.txt", rows, tmp_path, "--margin")
    assert_same_bits(got, booster.predict(rows, raw_score=True), rows)
    assert abs(np.mean(got[:, 0] + start - y - 12.5)) < 0.1 < abs(np.mean(got[:, 0] - y - 12.5))
