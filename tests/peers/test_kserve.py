# SPDX-License-Identifier: Apache-2.0
"""KServe's own client: V1 and V2 over HTTP, and gRPC. The calls stand in kserve_calls.py."""

import functools
import json

import numpy as np
import pytest
from rest_models import NAMES, xgboost_scores


@pytest.fixture(scope="module")
def answers(phoenix, run_in, some_rows):
    """answers(PROTOCOL) gives what the client returned, by the name of the call."""

    @functools.cache
    def of(protocol):
        return run_in("kserve", "kserve_calls.py", phoenix[0].port, json.dumps(some_rows.tolist()), protocol)

    return of


@pytest.fixture
def scores(phoenix, some_rows):
    def of(rows=some_rows, **options):
        return xgboost_scores(phoenix[1]["named"], rows, **options)

    return of


def same(got, want):
    assert np.array_equal(np.float32(got), want)


def test_version_1(answers, scores):
    v1 = answers("v1")
    assert (v1["live"], v1["ready"], v1["broken ready"]) == (True, True, False)
    same(v1["predict"]["predictions"], scores())
    for name, status in (("absent ready", 404), ("absent", 404), ("bad", 400), ("bad explain", 400)):
        assert f"'{status} " in v1[name]


def test_explanations_add_up_to_the_margin(answers, scores, some_rows):
    explained = answers("v1")["explain"]
    assert explained["features"] == NAMES and len(explained["explanations"]) == len(some_rows)
    sums = np.sum(explained["explanations"], axis=1)
    np.testing.assert_allclose(sums, scores(margin=True), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("protocol", ["v2", "grpc"])
def test_open_inference(answers, scores, some_rows, protocol):
    mine = answers(protocol)
    assert (mine["live"], mine["server ready"], mine["ready"]) == (True, True, True)
    for call in ("infer", "binary"):
        answer = mine[call]
        same(answer["scores"], scores())
        assert (answer["id"], answer["model"]) == ("an id", "named")
        assert (answer["output"], answer["datatype"], answer["shape"][0]) == ("predictions", "FP32", len(some_rows))


def test_other_widths_of_numbers(answers, scores, some_rows):
    same(answers("v2")["half"]["scores"], scores(some_rows.astype(np.float16).astype(np.float32)))
    same(answers("v2")["double"]["scores"], scores())


def test_errors_name_what_is_absent(answers):
    assert answers("v2")["absent ready"] is answers("grpc")["absent ready"] is False
    assert "'404 " in answers("v2")["absent"] and "nobody" in answers("v2")["absent"]
    assert "'400 " in answers("v2")["bad"]
    assert "NOT_FOUND" in answers("grpc")["absent"] and "nobody" in answers("grpc")["absent"]
