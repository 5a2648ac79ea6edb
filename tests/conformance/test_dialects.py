# SPDX-License-Identifier: Apache-2.0
"""The dialects that arrive over V1's and MLflow's paths, with requests, curl and the bodies that their clients send."""

import json
import shutil
import subprocess

import numpy as np
import pytest
import requests
from rest_models import BANK, NAMES, bank_instance, bank_rows, make_models, rows, xgboost_scores
from command import ROOT
from server import Server


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return make_models(tmp_path_factory.mktemp("dialects"))


@pytest.fixture(scope="module")
def one(models, tmp_path_factory):
    """A server with bank as its default model, a label, CORS and Vertex AI's environment."""
    config = tmp_path_factory.mktemp("config") / "phoenix.yaml"
    config.write_text(
        "server:\n  cors_origins: https://a.example, https://b.example\n"
        "serving:\n  default_model: bank\n  version_labels: bank:canary=1, bank:lost=7\n"
    )
    env = {"AIP_PREDICT_ROUTE": "/v1/models/bank:vertex", "AIP_HEALTH_ROUTE": "/alive"}
    with Server(*models[0], "--config", config, env=env) as server:
        yield server, models[1]


def post(server, path, body, **headers):
    data = body if isinstance(body, (str, bytes)) else json.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named.setdefault("Content-Type", "application/json")
    return requests.post(server.url + path, data=data, headers=named, timeout=60)


def good(reply):
    assert reply.status_code == 200, reply.text
    return reply.json()


def close(got, want):
    np.testing.assert_allclose(np.asarray(got, dtype=np.float64), want, rtol=1e-6)


@pytest.fixture(scope="module")
def bank(one):
    """(server, raw rows as objects, their scores)"""
    x = bank_rows(20, seed=11)
    instances = [bank_instance(row) for row in x]
    scores = good(post(one[0], "/v1/models/bank:predict", {"instances": instances}))["predictions"]
    return one[0], instances, scores


def split_of(instances):
    return {"columns": BANK, "index": list(range(len(instances))),
            "data": [[row[name] for name in BANK] for row in instances]}


# ---- MLflow


def test_mlflow_takes_its_four_forms(bank):
    server, instances, scores = bank
    columns = {name: [row[name] for row in instances] for name in BANK}
    for body in [
        {"dataframe_split": split_of(instances)},
        {"dataframe_records": instances},
        {"instances": instances},
        {"inputs": columns},
        {"inputs": instances},
        {"dataframe_split": split_of(instances), "params": None},
        {"dataframe_records": instances, "params": {"temperature": 0.5}},
    ]:
        assert good(post(server, "/invocations", body))["predictions"] == scores


def test_mlflow_split_may_have_its_data_first_and_columns_to_spare(bank):
    server, instances, scores = bank
    split = split_of(instances)
    data = [[*row, "spare"] for row in split["data"]]
    body = {"dataframe_split": {"data": data, "columns": [*BANK, "id"]}}
    assert good(post(server, "/invocations", body))["predictions"] == scores


def test_mlflow_numbers_for_columns_are_positions(bank):
    server, instances, scores = bank
    split = {**split_of(instances), "columns": list(range(len(BANK)))}
    assert good(post(server, "/invocations", {"dataframe_split": split}))["predictions"] == scores


def test_mlflow_csv_has_a_header(bank):
    server, instances, scores = bank
    lines = [",".join("" if row[name] is None else str(row[name]) for name in BANK) for row in instances]
    reply = post(server, "/invocations", "\n".join([",".join(BANK), *lines]), Content_Type="text/csv; charset=utf-8")
    assert good(reply)["predictions"] == scores


def test_mlflow_params_and_query_select_the_output(bank):
    server, instances, _ = bank
    body = {"dataframe_records": instances, "params": {"output": "labels"}}
    labels = good(post(server, "/invocations", body))["predictions"]
    assert set(labels) <= {"no", "yes"}
    reply = post(server, "/invocations?output=labels", {"dataframe_records": instances})
    assert good(reply)["predictions"] == labels


def test_mlflow_errors_are_in_its_form(bank):
    server, instances, _ = bank
    for body, word in [
        ({"columns": [], "data": []}, "unknown member 'columns'"),
        ({}, "dataframe_split"),
        ({"instances": instances, "inputs": instances}, "got both"),
        ({"dataframe_split": {"columns": ["age"], "data": [[1]]}}, "'job'"),
        ({"dataframe_split": {"columns": BANK, "data": [[1, 2]]}}, "row 0"),
        ({"dataframe_split": {"columns": BANK}}, "no 'data'"),
        ({"dataframe_records": [{"age": 1}]}, "'job'"),
        ({"inputs": {"age": [1, 2], "job": [None]}}, "expected 2 values"),
        ({"inputs": {"agee": [1]}}, "did you mean"),
    ]:
        reply = post(server, "/invocations", body)
        problem = reply.json()
        assert (reply.status_code, problem["error_code"]) == (400, "BAD_REQUEST"), body
        assert word in problem["message"], problem["message"]
    reply = post(server, "/invocations", "a=1", Content_Type="application/x-www-form-urlencoded")
    assert reply.status_code == 415 and "text/csv" in reply.json()["message"]


def test_mlflow_probes(bank):
    server = bank[0]
    for path in ("/ping", "/health"):
        reply = requests.get(server.url + path, timeout=60)
        assert (reply.status_code, reply.text) == (200, "\n")
    version = requests.get(server.url + "/version", timeout=60)
    assert version.status_code == 200 and version.text[0].isdigit()


def test_mlflow_client(bank):
    client = pytest.importorskip("mlflow.pyfunc.scoring_server.client")
    pandas = pytest.importorskip("pandas")
    server, instances, scores = bank
    got = client.ScoringServerClient("127.0.0.1", server.port).invoke(pandas.DataFrame(instances, columns=BANK))
    assert got.get_predictions().iloc[:, 0].tolist() == scores


def test_several_models_and_no_default_is_an_error_that_says_so(models):
    with Server(*models[0]) as server:
        reply = post(server, "/invocations", {"instances": []})
        assert reply.status_code == 400
        assert "serving.default_model" in reply.json()["message"]
        target = post(server, "/invocations", {"instances": []}, X_Amzn_SageMaker_Target_Model="bank.tar.gz")
        assert good(target) == {"predictions": []}


def test_the_only_model_answers(models):
    with Server(models[0][0]) as server:
        assert good(post(server, "/invocations", {"instances": []})) == {"predictions": []}


# ---- SageMaker


@pytest.fixture(scope="module")
def named(one):
    """(server, numeric rows, scores of the model `named`)"""
    server, boosters = one
    x = rows(12)
    return server, x, xgboost_scores(boosters["named"], x)


TARGET = {"X_Amzn_SageMaker_Target_Model": "named"}


def test_sagemaker_csv_has_no_header_either_way(named):
    server, x, scores = named
    body = "\n".join(",".join("" if np.isnan(v) else repr(float(v)) for v in row) for row in x)
    reply = post(server, "/invocations", body, Content_Type="text/csv", Accept="text/csv", **TARGET)
    assert reply.headers["Content-Type"].startswith("text/csv")
    close([float(line) for line in reply.text.splitlines()], np.ravel(scores))


def values(row):
    return [None if np.isnan(v) else float(v) for v in row]


def test_sagemaker_json_lines_in_and_out(named):
    server, x, scores = named
    body = "\n".join(json.dumps({"features": values(row)}) for row in x) + "\n"
    for kind in ("application/jsonlines", "application/x-jsonlines"):
        reply = post(server, "/invocations", body, Content_Type=kind, Accept="application/jsonlines", **TARGET)
        assert reply.headers["Content-Type"] == "application/jsonlines"
        close([json.loads(line)["score"] for line in reply.text.splitlines()], np.ravel(scores))


def test_sagemaker_json(named):
    server, x, scores = named
    body = {"instances": [{"features": values(row)} for row in x]}
    close([row["score"] for row in good(post(server, "/invocations", body, **TARGET))["predictions"]], np.ravel(scores))


def test_sagemaker_a_bad_line_is_named(named):
    reply = post(named[0], "/invocations", '{"features": [1]}', Content_Type="application/jsonlines", **TARGET)
    assert reply.status_code == 400
    assert reply.json()["detail"].startswith("line 1: ")


# ---- Vertex AI


def test_vertex_routes_come_from_the_environment(bank):
    server, instances, scores = bank
    assert requests.get(server.url + "/alive", timeout=60).status_code == 200
    body = {"instances": instances, "parameters": {"confidence": 0.5}}
    assert good(post(server, "/v1/models/bank:vertex", body))["predictions"] == scores
    body["parameters"] = {"output": "labels"}
    assert set(good(post(server, "/v1/models/bank:vertex", body))["predictions"]) <= {"no", "yes"}


def test_vertex_port_is_weaker_than_an_option(models):
    with Server(models[0][0], env={"AIP_HTTP_PORT": "1"}) as server:
        assert server.port != 1


# ---- TensorFlow Serving


def test_tfs_columns_are_answered_under_outputs(bank):
    server, instances, scores = bank
    columns = {name: [[row[name]] for row in instances] for name in BANK}
    body = {"signature_name": "serving_default", "inputs": columns}
    assert good(post(server, "/v1/models/bank:predict", body))["outputs"] == scores


def test_tfs_labels_and_versions(bank):
    server, instances, scores = bank
    for place in ("", "/versions/1", "/labels/canary", "/labels/stable"):
        for verb in (":predict", ":classify", ":regress", ":explain"):
            key = "examples" if verb in (":classify", ":regress") else "instances"
            reply = post(server, f"/v1/models/bank{place}{verb}", {key: instances})
            assert reply.status_code == 200, (place, verb, reply.text)
        status = requests.get(f"{server.url}/v1/models/bank{place}", timeout=60)
        assert status.json()["model_version_status"][0]["state"] == "AVAILABLE"
        metadata = requests.get(f"{server.url}/v1/models/bank{place}/metadata", timeout=60).json()
        assert metadata["model_spec"] == {"name": "bank", "signature_name": "", "version": "1"}
        assert set(metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]) == set(BANK)
    for label in ("unknown", "lost"):
        reply = post(server, f"/v1/models/bank/labels/{label}:predict", {"instances": instances})
        assert reply.status_code == 404 and "error" in reply.json()
    assert good(post(server, "/v1/models/bank/labels/canary:predict", {"instances": instances}))["predictions"] == scores


def test_tfs_classify_and_regress(bank):
    server, instances, scores = bank
    results = good(post(server, "/v1/models/bank:classify", {"examples": instances}))["results"]
    assert [[label for label, _ in row] for row in results] == [["no", "yes"]] * len(scores)
    assert [row[1][1] for row in results] == scores
    close([row[0][1] for row in results], 1 - np.asarray(scores, dtype=np.float32))
    assert good(post(server, "/v1/models/bank:regress", {"examples": instances}))["results"] == scores


def test_tfs_context_is_shared_by_all_examples(bank):
    server, instances, _ = bank
    shared = {"job": "technician"}
    rest = [{k: v for k, v in row.items() if k != "job"} for row in instances]
    want = good(post(server, "/v1/models/bank:predict", {"instances": [{**row, **shared} for row in rest]}))
    for body in [{"examples": rest, "context": shared}, {"context": {"job": ["technician"]}, "examples": rest}]:
        assert good(post(server, "/v1/models/bank:regress", body))["results"] == want["predictions"]
    reply = post(server, "/v1/models/bank:regress", {"examples": instances, "context": shared})
    assert reply.status_code == 400 and "in an example as well" in reply.json()["error"]


def test_tfs_verbs_refuse_models_they_do_not_fit(one):
    reply = post(one[0], "/v1/models/plain:classify", {"examples": []})
    assert reply.status_code == 400 and ":predict" in reply.json()["error"]
    reply = post(one[0], "/v1/models/classes:regress", {"examples": []})
    assert reply.status_code == 400 and "no single score" in reply.json()["error"]


# ---- explanations


def test_explain_is_what_the_library_says(one):
    xgboost = pytest.importorskip("xgboost")
    server, boosters = one
    x = rows(9)
    matrix = xgboost.DMatrix(x.astype(np.float32), feature_names=NAMES)
    reply = good(post(server, "/v1/models/named:explain", {"instances": [values(row) for row in x]}))
    assert reply["features"] == list(NAMES)
    want = boosters["named"].predict(matrix, pred_contribs=True)
    np.testing.assert_allclose(np.asarray(reply["explanations"]), want, rtol=1e-4, atol=1e-5)
    reply = good(post(server, "/v1/models/classes:explain", {"instances": [values(row) for row in x]}))
    want = boosters["classes"].predict(matrix, pred_contribs=True)
    np.testing.assert_allclose(np.asarray(reply["explanations"]), want, rtol=1e-4, atol=1e-5)


def test_explain_bounds_its_work(one):
    server = one[0]
    reply = post(server, "/v1/models/named:explain", {"instances": [[1.0] * len(NAMES)] * 100000})
    assert reply.status_code == 413 and "rows of this model in one explanation" in reply.json()["error"]


# ---- CORS


def test_cors_by_configuration(one):
    url = one[0].url + "/v1/models"
    allowed = requests.get(url, headers={"Origin": "https://b.example"}, timeout=60)
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://b.example"
    assert "Origin" in allowed.headers["Vary"]
    other = requests.get(url, headers={"Origin": "https://c.example"}, timeout=60)
    assert "Access-Control-Allow-Origin" not in other.headers and "Origin" in other.headers["Vary"]
    missing = requests.get(one[0].url + "/nothing/there", headers={"Origin": "https://a.example"}, timeout=60)
    assert missing.status_code == 404
    assert missing.headers["Access-Control-Allow-Origin"] == "https://a.example"


def test_cors_preflight(one):
    url = one[0].url + "/v2/models/bank/infer"
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "content-type"}
    reply = requests.options(url, headers=asked, timeout=60)
    assert reply.status_code == 204
    assert "POST" in reply.headers["Access-Control-Allow-Methods"]
    assert "Content-Type" in reply.headers["Access-Control-Allow-Headers"]
    assert reply.headers["Access-Control-Max-Age"] == "600"
    refused = requests.options(url, headers={**asked, "Origin": "https://evil.example"}, timeout=60)
    assert not [name for name in refused.headers if name.startswith("Access-Control")]


def test_cors_is_off_unless_asked_for(models):
    with Server(models[0][0]) as server:
        reply = requests.get(server.url + "/v1/models", headers={"Origin": "https://a.example"}, timeout=60)
        assert not [name for name in reply.headers if name.startswith("Access-Control")]
        assert "Origin" not in reply.headers.get("Vary", "")


@pytest.mark.parametrize("line,word", [
    ("server:\n  cors_origins: \"*\"\n  cors_credentials: true\n", "cors_credentials"),
    ("server:\n  cors_origins: example.com\n", "cors_origins"),
    ("serving:\n  version_labels: bank=1\n", "version_labels"),
    ("vertex:\n  predict_route: predict\n", "predict_route"),
])
def test_settings_that_cannot_be_are_refused_at_start(models, tmp_path, line, word):
    (tmp_path / "phoenix.yaml").write_text(line)
    with pytest.raises(AssertionError, match=word):
        Server(models[0][0], "--config", tmp_path / "phoenix.yaml")


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl(bank):
    server, instances, scores = bank
    command = ["curl", "-sS", "-H", "Content-Type: application/json", "-d", "@-", server.url + "/invocations"]
    done = subprocess.run(command, input=json.dumps({"dataframe_split": split_of(instances)}),
                          capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["predictions"] == scores


def test_the_label_stable_is_one_version(tmp_path):
    for version in ("1", "2"):
        (tmp_path / "bank" / version).mkdir(parents=True)
        shutil.copy(ROOT / "examples" / "model.json", tmp_path / "bank" / version / "model.json")
    with Server(tmp_path) as server:
        status = requests.get(f"{server.url}/v1/models/bank/labels/stable", timeout=60).json()
        assert [entry["version"] for entry in status["model_version_status"]] == ["2"]
        assert requests.get(f"{server.url}/v1/models/nobody/labels/stable", timeout=60).status_code == 404
