# SPDX-License-Identifier: Apache-2.0
"""Large requests, whose rows are shared among threads: the same scores, whatever serving.batch_threads says."""

import models
import numpy as np
import pytest
from command import fail
from server import Server

ROWS = models.rows(30000, seed=4).astype(np.float32)


def serve(tmp_path, model, threads):
    config = tmp_path / "phoenix.yaml"
    config.write_text(f"server:\n  threads: 2\nserving:\n  batch_rows_max: 20000\n  batch_threads: {threads}\n")
    return Server(model, "--config", config)


def ask(server, x):
    lines = [",".join("" if np.isnan(v) else repr(float(v)) for v in row) for row in x]
    body = "\n".join([",".join(models.NAMES), *lines]) + "\n"
    name = server.request("/api/v1/models")[1]["models"][0]["name"]
    status, reply = server.request(f"/v1/models/{name}:predict", body.encode(), {"Content-Type": "text/csv"})
    assert status == 200, reply
    return np.array(reply["predictions"])


@pytest.mark.parametrize("threads", [0, 1, 2, 5])
def test_scores_do_not_depend_on_the_threads(tmp_path, threads):
    booster = models.xgboost_model(tmp_path / "m.json", rounds=200)
    expected = models.xgboost_scores(booster, ROWS)
    with serve(tmp_path, tmp_path / "m.json", threads) as server:
        np.testing.assert_array_equal(ask(server, ROWS).astype(np.float32), expected)
        np.testing.assert_array_equal(ask(server, ROWS[:1]).astype(np.float32), expected[:1])


def test_a_wrong_number_of_threads_is_refused(tmp_path):
    config = tmp_path / "phoenix.yaml"
    config.write_text("serving:\n  batch_threads: 300\n")
    models.xgboost_model(tmp_path / "m.json")
    message = fail("serve", tmp_path / "m.json", "--config", config)
    assert "batch_threads" in message and "256" in message
