# SPDX-License-Identifier: Apache-2.0
"""Triton's model repository, statistics and model configuration extensions, driven by tritonclient."""

import base64
import json
import shutil
import threading
import time

import numpy as np
import pytest
import requests
import tritonclient.http as triton
from models import lightgbm_model, rows, xgboost_model
from server import Server
from tritonclient.utils import InferenceServerException


@pytest.fixture
def repository(tmp_path):
    """A folder of models: `risk` with version 1, `churn` with 1 and 2."""
    folder = tmp_path / "models"
    for name, version in (("risk", 1), ("churn", 1), ("churn", 2)):
        (folder / name / str(version)).mkdir(parents=True)
        xgboost_model(folder / name / str(version) / "model.json")
    return folder


@pytest.fixture
def server(repository):
    with Server(repository) as server:
        yield server


@pytest.fixture
def client(server):
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        yield client


def infer(client, model, n=1, **options):
    x = rows(n).astype(np.float32)
    tensor = triton.InferInput("input", x.shape, "FP32")
    tensor.set_data_from_numpy(x, binary_data=False)
    output = triton.InferRequestedOutput("predictions", binary_data=False)
    return client.infer(model, [tensor], outputs=[output], **options).as_numpy("predictions")


def index(client):
    """{(name, version): (state, reason)}"""
    entries = client.get_model_repository_index()
    return {(e["name"], e["version"]): (e["state"], e.get("reason", "")) for e in entries}


def test_index_lists_every_version(client):
    assert index(client) == {
        ("churn", "1"): ("READY", ""),
        ("churn", "2"): ("READY", ""),
        ("risk", "1"): ("READY", ""),
    }


def test_unload_and_load(client):
    client.unload_model("risk", unload_dependents=True)
    assert not client.is_model_ready("risk")
    with pytest.raises(InferenceServerException):
        infer(client, "risk")
    deadline = time.monotonic() + 30
    while index(client)["risk", "1"][0] == "UNLOADING" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert index(client)["risk", "1"] == ("UNAVAILABLE", "unloaded")
    assert client.is_model_ready("churn")
    client.load_model("risk")
    assert client.is_model_ready("risk")
    assert infer(client, "risk").shape == (1, 1)


def test_index_of_ready_models_only(server, client):
    client.unload_model("risk")
    status, entries = server.request("/v2/repository/index", {"ready": True})
    assert status == 200
    assert {e["name"] for e in entries} == {"churn"}


def test_new_models_and_versions_are_found(client, repository):
    shutil.copytree(repository / "churn" / "2", repository / "churn" / "3")
    shutil.copytree(repository / "risk", repository / "fresh")
    assert index(client)["fresh", "1"] == ("UNAVAILABLE", "unloaded")
    client.load_model("fresh")
    client.load_model("churn")
    assert client.get_model_metadata("churn")["versions"] == ["1", "2", "3"]
    assert client.is_model_ready("fresh")


def test_a_failed_load_leaves_the_old_version_serving(client, repository):
    before = infer(client, "risk", n=5)
    (repository / "risk" / "1" / "model.json").write_text('{"learner": {')
    with pytest.raises(InferenceServerException) as error:
        client.load_model("risk")
    assert "load model 'risk' version 1" in error.value.message()
    assert np.array_equal(infer(client, "risk", n=5), before)
    state, reason = index(client)["risk", "1"]
    assert state == "READY" and "model.json" in reason


def test_load_with_config_and_files(client, tmp_path):
    lightgbm_model(tmp_path / "other.txt")
    content = (tmp_path / "other.txt").read_bytes()
    client.load_model("risk", config="{}", files={"file:7/model.txt": content})
    assert client.get_model_metadata("risk")["versions"] == ["7"]
    assert client.get_model_config("risk")["platform"].startswith("lightgbm")
    client.load_model("risk")  # without files the repository counts again
    assert client.get_model_metadata("risk")["versions"] == ["1"]


def test_files_leave_nothing_behind(repository, tmp_path):
    (tmp_path / "tmp").mkdir()
    content = (repository / "risk" / "1" / "model.json").read_bytes()
    with Server(repository, env={"TMPDIR": str(tmp_path / "tmp")}) as server:
        with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
            client.load_model("risk", config="{}", files={"file:1/m.json": content})
            with pytest.raises(InferenceServerException):
                client.load_model("risk", config="{}", files={"file:1/m.json": b"x"})
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_file_that_is_no_model_is_told_by_its_own_name(client):
    with pytest.raises(InferenceServerException) as error:
        client.load_model("risk", config="{}", files={"file:1/m.json": b"garbage"})
    assert error.value.status() == "422"
    assert "version 1: 1/m.json: the file is no model" in error.value.message()


def test_the_own_configuration_is_accepted(client):
    config = client.get_model_config("churn")
    client.load_model("churn", config=json.dumps(config))
    assert client.is_model_ready("churn", "2")


def test_model_config(client):
    config = client.get_model_config("risk", "1")
    assert config["name"] == "risk"
    assert config["max_batch_size"] > 0
    assert config["input"][0] == {
        "name": "input",
        "data_type": "TYPE_FP32",
        "dims": [4],
        "is_shape_tensor": False,
        "format": "FORMAT_NONE",
        "allow_ragged_batch": False,
        "optional": False,
    }
    assert config["output"][0]["data_type"] == "TYPE_FP32"
    assert config["dynamic_batching"]["max_queue_delay_microseconds"] == 0


@pytest.mark.parametrize(
    "config, part",
    [
        ({"max_batch_size": 0}, "max_batch_size"),
        ({"input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [4]}]}, "'x'"),
        ({"ensemble_scheduling": {"step": [{"model_name": "a"}]}}, "ensemble_scheduling"),
        ({"instance_group": [{"kind": "KIND_GPU"}]}, "KIND_GPU"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused_by_name(client, config, part):
    with pytest.raises(InferenceServerException) as error:
        client.load_model("risk", config=json.dumps(config))
    assert part in error.value.message()
    assert client.is_model_ready("risk")


@pytest.mark.parametrize(
    "action, parameters, part",
    [
        ("load", {"priority": 1}, "unrecognized load parameter 'priority'"),
        ("load", {"file:1/m.json": base64.b64encode(b"{}").decode()}, "config"),
        ("load", {"config": "{}", "file:1/../../m.json": "e30="}, "file:<version>/<path"),
        ("load", {"config": "{}", "file:1/m.json": "no base64"}, "base64"),
        ("load", {"config": 1}, "config"),
        ("unload", {"config": "{}"}, "unrecognized unload parameter"),
        ("unload", {"unload_dependents": "yes"}, "boolean"),
    ],
)
def test_wrong_parameters_are_400(server, action, parameters, part):
    path = f"/v2/repository/models/risk/{action}"
    status, reply = server.request(path, {"parameters": parameters})
    assert status == 400 and part in reply["error"]
    assert server.request("/v2/models/risk/ready")[0] == 200


def test_unknown_models_and_bodies(server):
    assert server.request("/v2/repository/models/absent/load", method="POST")[0] == 404
    assert server.request("/v2/repository/models/absent/unload", method="POST")[0] == 404
    assert server.request("/v2/repository/models/..%2Fx/load", method="POST")[0] == 400
    assert server.request("/v2/repository/index", "[1]")[0] == 400
    status, reply = server.request("/v2/repository/other/index", method="POST")
    assert status == 501 and "repository_name" in reply["error"]


def test_success_has_an_empty_body(server):
    assert server.request("/v2/repository/models/risk/load", method="POST") == (200, "")
    assert server.request("/v2/repository/models/risk/unload", method="POST") == (200, "")


def test_model_control_none_refuses(repository, tmp_path):
    (tmp_path / "phoenix.yaml").write_text("serving:\n  model_control: none\n")
    with Server(repository, "--config", tmp_path / "phoenix.yaml") as server:
        status, reply = server.request("/v2/repository/models/risk/load", method="POST")
        assert status == 503 and "not allowed" in reply["error"]
        assert server.request("/v2/repository/index", method="POST")[0] == 200


@pytest.mark.parametrize(
    "path, change",
    [
        ("/v2/logging", {"log_error": False}),
        ("/v2/trace/setting", {"trace_rate": "1"}),
        ("/v2/models/risk/trace/setting", {"trace_rate": "1"}),
        ("/v2/models/risk/trace/setting", {"trace_rate": None}),
    ],
)
def test_model_control_none_keeps_settings(repository, tmp_path, path, change):
    (tmp_path / "phoenix.yaml").write_text("serving:\n  model_control: none\n")
    with Server(repository, "--config", tmp_path / "phoenix.yaml") as server:
        before = server.request(path)
        assert before[0] == 200
        status, reply = server.request(path, change)
        assert status == 503 and "not allowed" in reply["error"]
        assert server.request(path) == before
        assert server.request(path, method="POST")[0] == 200  # changes nothing


def test_no_request_fails_while_models_are_reloaded(server, client):
    stop, failures, scored = threading.Event(), [], []

    def ask():
        with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as own:
            while not stop.is_set():
                try:
                    scored.append(infer(own, "risk").size)
                except InferenceServerException as error:
                    failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        client.load_model("risk")
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures and scored


def test_statistics(client):
    infer(client, "risk", n=3)
    infer(client, "risk", n=3)
    with pytest.raises(InferenceServerException):
        client.infer("risk", [triton.InferInput("input", [1], "INT8").set_data_from_numpy(
            np.zeros(1, np.int8), binary_data=False)])
    stats = client.get_inference_statistics("risk", "1")["model_stats"]
    assert len(stats) == 1
    assert stats[0]["name"] == "risk" and stats[0]["version"] == "1"
    assert stats[0]["inference_count"] == 6
    assert stats[0]["execution_count"] == 2
    assert abs(stats[0]["last_inference"] / 1000 - time.time()) < 60
    one = stats[0]["inference_stats"]
    assert one["success"]["count"] == 2 and one["fail"]["count"] == 1
    assert one["compute_infer"]["ns"] > 0
    assert one["success"]["ns"] >= one["compute_infer"]["ns"]
    assert one["cache_hit"] == {"count": 0, "ns": 0}
    (batch,) = stats[0]["batch_stats"]
    assert batch["batch_size"] == 3 and batch["compute_infer"]["count"] == 2
    assert stats[0]["memory_usage"][0]["byte_size"] > 0


def test_statistics_of_all_models_and_of_none(server, client):
    stats = client.get_inference_statistics()["model_stats"]
    assert [(s["name"], s["version"]) for s in stats] == [
        ("churn", "1"), ("churn", "2"), ("risk", "1")]
    assert len(client.get_inference_statistics("churn")["model_stats"]) == 2
    assert server.request("/v2/models/absent/stats")[0] == 404
    assert server.request("/v2/models/risk/versions/9/stats")[0] == 404


CONTROL = ["/v2/repository/models/churn/unload", "/v2/repository/models/churn/load", "/v2/logging",
           "/v2/trace/setting", "/v2/systemsharedmemory/unregister"]


@pytest.mark.parametrize("path", CONTROL)
def test_web_pages_do_not_control_the_server(server, client, path):
    """What a page can send without asking: a POST of plain text, or one to a name of its own that means 127.0.0.1."""
    own = f"127.0.0.1:{server.port}"
    for headers in (
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": f"http://localhost:{server.port}", "Sec-Fetch-Site": "same-site"},
        {"Origin": "null"},
        {"Host": f"evil.example:{server.port}"},
        {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
    ):
        reply = requests.post(server.url + path, data="{}", timeout=60,
                              headers={"Host": own, "Content-Type": "text/plain", **headers})
        assert reply.status_code == 403, headers
        assert "server.cors_origins" in reply.text or "serving.model_control" in reply.text \
            or "server.shared_memory" in reply.text
    assert index(client)["churn", "2"] == ("READY", "")
    same = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
    assert requests.post(server.url + path, data="{}", headers=same, timeout=60).status_code == 200
