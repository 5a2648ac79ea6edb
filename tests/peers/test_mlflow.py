# SPDX-License-Identifier: Apache-2.0
"""MLflow's own client of a scoring server. The calls stand in mlflow_calls.py."""

import json

import numpy as np
import pytest
from rest_models import NAMES, xgboost_scores


@pytest.fixture(scope="module")
def answers(phoenix_of_named, run_in, some_rows):
    return run_in("mlflow", "mlflow_calls.py", phoenix_of_named[0].port, json.dumps(NAMES),
                  json.dumps(some_rows.tolist()))


@pytest.mark.parametrize("form", ["frame", "other order", "records", "inputs", "unknown parameter"])
def test_every_form_gives_the_scores(answers, phoenix_of_named, some_rows, form):
    assert np.array_equal(np.float32(answers[form]), xgboost_scores(phoenix_of_named[1], some_rows))


def test_params_select_the_output(answers, phoenix_of_named, some_rows):
    want = xgboost_scores(phoenix_of_named[1], some_rows, margin=True)
    np.testing.assert_allclose(answers["margins"], want, rtol=1e-6)


def test_errors_come_through(answers):
    assert "error code 400" in answers["text for a number"] and "BAD_REQUEST" in answers["text for a number"]


def test_version(answers):
    assert answers["version"][0].isdigit()
