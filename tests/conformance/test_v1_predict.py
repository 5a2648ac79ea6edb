# SPDX-License-Identifier: Apache-2.0
"""V1 predict: rows as objects, arrays and CSV; scores equal to the training libraries' bits."""

import numpy as np
import pytest
import requests
from rest_models import BANK, NAMES, bank_instance, bank_rows, csv_text, rows, xgboost_scores


def post(rest, model, body=None, **options):
    return requests.post(f"{rest[0].url}/v1/models/{model}:predict", json=body, timeout=60, **options)


def predictions(rest, model, instances, **members):
    reply = post(rest, model, {"instances": instances, **members})
    assert reply.status_code == 200, reply.text
    return reply.json()["predictions"]


def same_bits(got, want):
    want = np.asarray(want)
    assert np.array_equal(np.asarray(got, want.dtype).ravel(), want.ravel())


def as_lists(x):
    return [[None if np.isnan(v) else float(v) for v in row] for row in x]


def as_objects(x, names=NAMES):
    return [dict(zip(names, row)) for row in as_lists(x)]


def want_of(rest, model, x, **options):
    booster = rest[1][model]
    return booster.predict(x) if model == "light" else xgboost_scores(booster, x, **options)


@pytest.mark.parametrize("model", ["named", "classes", "light"])
def test_objects(rest, model):
    x = rows()
    same_bits(predictions(rest, model, as_objects(x)), want_of(rest, model, x))


@pytest.mark.parametrize("model", ["named", "plain", "classes", "light"])
def test_arrays(rest, model):
    x = rows()
    same_bits(predictions(rest, model, as_lists(x)), want_of(rest, model, x))


def test_one_instance(rest):
    x = rows()[5:6]
    same_bits(predictions(rest, "named", as_objects(x)), want_of(rest, "named", x))


def test_order_and_absence_do_not_matter(rest):
    x = rows()
    instances = [
        {k: v for k, v in reversed(instance.items()) if v is not None} for instance in as_objects(x)
    ]
    same_bits(predictions(rest, "named", instances), want_of(rest, "named", x))


def test_categories_booleans_and_dates(rest):
    x = bank_rows()
    instances = [bank_instance(row) for row in x]
    same_bits(predictions(rest, "bank", instances), want_of(rest, "bank", x))


def test_labels_and_margins(rest):
    x = bank_rows()
    instances = [bank_instance(row) for row in x]
    labels = predictions(rest, "bank", instances, output="labels")
    assert labels == ["yes" if p > 0.5 else "no" for p in want_of(rest, "bank", x)]
    margins = predictions(rest, "bank", instances, output="margins")
    same_bits(margins, want_of(rest, "bank", x, margin=True))


def test_labels_of_a_regression_that_estimates_a_probability(rest):
    x = rows()
    scores = want_of(rest, "logistic", x)
    assert scores.min() > 0 and scores.min() < 0.5 < scores.max()
    labels = predictions(rest, "logistic", as_lists(x), output="labels")
    assert labels == ["yes" if p > 0.5 else "no" for p in scores]


def test_many_rows(rest):
    x = np.tile(rows(), (40, 1))
    same_bits(predictions(rest, "named", as_lists(x)), want_of(rest, "named", x))


def test_one_version(rest):
    reply = requests.post(
        f"{rest[0].url}/v1/models/named/versions/1:predict", json={"instances": [{}]}, timeout=60
    )
    assert len(reply.json()["predictions"]) == 1


# ---- CSV ----


def csv_post(rest, model, text, accept=None, kind="text/csv"):
    headers = {"Content-Type": kind, **({"Accept": accept} if accept else {})}
    return post(rest, model, data=text, headers=headers)


@pytest.mark.parametrize("model", ["named", "light"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_by_name(rest, model, end):
    x = rows()
    order = [2, 0, 3, 1]
    text = csv_text(x[:, order], [NAMES[i] for i in order], end=end)
    reply = csv_post(rest, model, text)
    assert reply.status_code == 200, reply.text
    same_bits(reply.json()["predictions"], want_of(rest, model, x))


def test_csv_by_position(rest):
    x = rows()
    reply = csv_post(rest, "plain", csv_text(x, None))
    same_bits(reply.json()["predictions"], want_of(rest, "plain", x))


def test_csv_reply(rest):
    x = rows()
    reply = csv_post(rest, "named", csv_text(x), accept="text/csv")
    assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
    name, *lines = reply.text.splitlines()
    assert name == "score"
    same_bits([float(v) for v in lines], want_of(rest, "named", x))
    reply = csv_post(rest, "classes", csv_text(x), accept="text/csv")
    assert reply.text.startswith("score_0,score_1,score_2\n")


def test_csv_with_categories(rest):
    x = bank_rows()
    lines = [",".join(BANK)]
    for instance in map(bank_instance, x):
        lines.append(",".join("" if v is None else str(v) for v in instance.values()))
    reply = csv_post(rest, "bank", "\n".join(lines))
    same_bits(reply.json()["predictions"], want_of(rest, "bank", x))


# ---- errors ----


@pytest.mark.parametrize(
    "instance, message",
    [
        ({"agee": 3}, "instance 0: unknown feature 'agee' (did you mean 'age'?)"),
        ({"age": "58"}, "instance 0: feature 'age': expected a number or null, got the text \"58\""),
        ({"age": [58, 59]}, "got several values"),
        ({"married": "maybe"}, "feature 'married': expected true or false, got 'maybe'"),
        ({"since": "yesterday"}, "feature 'since'"),
        ([1, 2], "instance 0: expected 5 values, got 2"),
        (7, "instance 0: expected an object"),
    ],
)
def test_errors_name_row_feature_and_value(rest, instance, message):
    reply = post(rest, "bank", {"instances": [instance]})
    assert reply.status_code == 400
    assert reply.headers["Content-Type"] == "application/problem+json"
    problem = reply.json()
    assert message in problem["detail"]
    assert problem["status"] == 400
    assert problem["code"] == "INVALID"
    assert message in problem["error"]


def test_a_repeated_feature(rest):
    reply = post(rest, "bank", data='{"instances":[{"age":1},{"age":1,"age":2}]}')
    assert reply.status_code == 400
    assert "instance 1: feature 'age' is given twice" in reply.json()["detail"]


def test_csv_errors(rest):
    reply = csv_post(rest, "named", csv_text(rows(), ["agee", *NAMES[1:]]))
    assert reply.status_code == 400
    assert "no column for feature 'age' (the nearest column is 'agee')" in reply.json()["detail"]
    reply = csv_post(rest, "named", ",".join(NAMES) + "\n1,2,3,4\n1,x,3,4\n")
    assert "CSV line 3: feature 'balance': expected a number, got 'x'" in reply.json()["detail"]


def test_unknown_and_failed_models(rest):
    reply = post(rest, "namd", {"instances": []})
    assert reply.status_code == 404
    assert "'named'" in reply.text
    reply = post(rest, "broken", {"instances": []})
    assert reply.status_code == 503
    assert reply.json()["code"] == "UNAVAILABLE"


def test_status(rest):
    url = rest[0].url + "/v1/models"
    assert requests.get(url, timeout=60).json() == {
        "models": ["bank", "broken", "classes", "light", "logistic", "named", "plain"]
    }
    status = requests.get(url + "/named", timeout=60).json()
    assert status["ready"] is True
    assert status["model_version_status"][0]["state"] == "AVAILABLE"
    reply = requests.get(url + "/broken", timeout=60)
    assert (reply.status_code, reply.json()["ready"]) == (503, False)
    assert reply.json()["model_version_status"][0]["status"]["error_message"]


def test_a_wrong_method_on_predict_is_405(rest):
    reply = requests.get(f"{rest[0].url}/v1/models/any:predict", timeout=60)
    assert (reply.status_code, reply.headers["Allow"]) == (405, "POST, OPTIONS")


def test_categories_that_the_model_never_saw_are_told(rest):
    """They score as other; the reply and a metric say so, and missing ones do not count."""
    before = rest[0].metric("phoenix_unseen_categories_total", model="bank")
    instances = [{"job": "astronaut", "age": 3}, {"job": None}, {"job": "pilot"}, {"job": ""}]
    reply = post(rest, "bank", {"instances": instances}).json()
    assert reply["unseen_categories"] == sum(j["job"] in ("astronaut", "pilot") for j in instances)
    known = post(rest, "bank", {"instances": [{"age": 3}]}).json()
    assert list(known) == ["predictions"]
    assert rest[0].metric("phoenix_unseen_categories_total", model="bank") - before == 2
    tensor = {"name": "job", "datatype": "BYTES", "shape": [2], "data": ["pilot", None]}
    infer = requests.post(f"{rest[0].url}/v2/models/bank/infer", json={"inputs": [tensor]}, timeout=60)
    assert infer.json()["parameters"] == {"unseen_categories": 1}
