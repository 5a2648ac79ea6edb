# SPDX-License-Identifier: Apache-2.0
"""A model is not ready while nothing can answer for it, and the server is ready all the same."""

import json
import shutil
import sys
import time
import urllib.error
import urllib.request

import pytest
import tritonclient.grpc
from command import ROOT
from server import Server

ADD = ROOT / "tests" / "golden" / "onnxruntime" / "add.onnx"
FALLS = """import os
def predict(inputs):
    if inputs["x"][0] > 0:
        os._exit(3)
    return {"y": inputs["x"]}
"""


def status(url):
    try:
        with urllib.request.urlopen(url, timeout=20) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_for(url, wanted):
    for _ in range(400):
        code, text = status(url)
        if code == wanted:
            return text
        time.sleep(0.05)
    pytest.fail(f"{url} answers {code}: {text}")


def grpc_ready(server, model):
    return tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.port}").is_model_ready(model)


def check_faces(server, model, ready, reason=""):
    """What every interface says of the model."""
    assert status(f"{server.url}/v2/models/{model}/ready")[0] == (200 if ready else 503)
    assert grpc_ready(server, model) == ready
    code, text = status(f"{server.url}/v1/models/{model}")
    version = json.loads(text)["model_version_status"][0]
    assert (code, json.loads(text)["ready"]) == (200 if ready else 503, ready)
    assert version["state"] == ("AVAILABLE" if ready else "LOADING") and reason in version["status"]["error_message"]
    assert version["status"]["error_code"] == ("OK" if ready else "UNAVAILABLE")
    shown = json.loads(status(f"{server.url}/api/v1/models")[1])["models"][0]
    assert shown["state"] == ("READY" if ready else "UNAVAILABLE") and reason in shown.get("reason", "")
    metric = f'phoenix_model_ready{{model="{model}",version="1"}} {int(ready)}'
    assert metric in status(f"{server.url}/metrics")[1]
    client = tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.port}")
    over_grpc = client.get_model_repository_index(as_json=True)["models"][0]
    index = json.loads(status(urllib.request.Request(f"{server.url}/v2/repository/index", b"{}"))[1])[0]
    for entry in (over_grpc, index):
        assert entry["state"] == ("READY" if ready else "UNAVAILABLE") and reason in entry.get("reason", "")
    listed = status(urllib.request.Request(f"{server.url}/v2/repository/index", b'{"ready":true}'))[1]
    assert len(json.loads(listed)) == int(ready)
    assert status(f"{server.url}/v2/health/ready")[0] == 200


def test_a_plug_in_whose_only_worker_is_down(tmp_path):
    folder = tmp_path / "falls"
    folder.mkdir()
    (folder / "model.py").write_text(FALLS)
    (folder / "model.yaml").write_text(
        f"phoenix: 1\nname: falls\nengine: {{name: python, file: model.py, python: {sys.executable}, backoff_ms: 30000}}\n"
        "inputs: [{name: x, type: FP32, shape: [-1]}]\noutputs: [{name: y, type: FP32, shape: [-1]}]\n")
    with Server(folder) as server:
        ready = f"{server.url}/v2/models/falls/ready"
        check_faces(server, "falls", True)
        body = b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}]}'
        code, text = status(urllib.request.Request(f"{server.url}/v2/models/falls/infer", body))
        assert code >= 500, text
        assert "no worker is up" in wait_for(ready, 503)
        check_faces(server, "falls", False, "no worker is up")


def test_a_ladder_answers_for_a_model_that_is_not_ready(tmp_path):
    """Readiness tells about the version itself."""
    folder = tmp_path / "falls"
    folder.mkdir()
    (folder / "model.py").write_text(FALLS)
    (folder / "model.yaml").write_text(
        f"phoenix: 1\nname: falls\nengine: {{name: python, file: model.py, python: {sys.executable}, backoff_ms: 30000}}\n"
        "inputs: [{name: x, type: FP32, shape: [-1]}]\noutputs: [{name: y, type: FP32, shape: [-1]}]\n"
        "fallback: [{default: {y: 7}}]\n")
    with Server(folder) as server:
        check_faces(server, "falls", True)
        for value in (1, 0, 0):  # the first one ends the only worker
            body = f'{{"inputs":[{{"name":"x","shape":[1],"datatype":"FP32","data":[{value}]}}]}}'.encode()
            code, text = status(urllib.request.Request(f"{server.url}/v2/models/falls/infer", body))
            assert code == 200 and json.loads(text)["parameters"]["fallback"] == "default", text
            wait_for(f"{server.url}/v2/models/falls/ready", 503)
        check_faces(server, "falls", False, "no worker is up")


def test_a_remote_model_without_a_peer(tmp_path):
    front = tmp_path / "front"
    front.mkdir()
    shutil.copy(ADD, tmp_path / "add.onnx")
    peer = Server(tmp_path / "add.onnx")
    (front / "model.yaml").write_text(
        f"phoenix: 1\nname: add\nengine: {{name: remote, urls: '{peer.url}', model: add, health: {{interval_ms: 50}}}}\n")
    with Server(front) as server:
        ready = f"{server.url}/v2/models/add/ready"
        check_faces(server, "add", True)
        port = peer.port
        peer.stop()
        assert "no peer of 'add'" in wait_for(ready, 503)
        check_faces(server, "add", False, "no peer of 'add'")
        with Server(tmp_path / "add.onnx", port=port):
            wait_for(ready, 200)


GRAPH = """phoenix_graph: 1
inputs: [{{name: x, type: FP32, shape: [-1]}}]
outputs: [{{name: y, from: falls.y}}]
steps:
  - {{name: falls, model: models/falls, inputs: {{x: x}}{fallback}}}
"""


def test_a_graph_is_as_able_as_the_models_that_it_cannot_do_without(tmp_path):
    for name, fallback in (("needs", ""), ("copes", ", fallback: {y: 0}")):
        folder = tmp_path / name / "models" / "falls"
        folder.mkdir(parents=True)
        (folder / "model.py").write_text(FALLS)
        (folder / "model.yaml").write_text(
            f"phoenix: 1\nname: falls\nengine: {{name: python, file: model.py, python: {sys.executable}, backoff_ms: 30000}}\n"
            "inputs: [{name: x, type: FP32, shape: [-1]}]\noutputs: [{name: y, type: FP32, shape: [-1]}]\n")
        (tmp_path / name / "graph.yaml").write_text(GRAPH.format(fallback=fallback))
    with Server(tmp_path / "needs", tmp_path / "copes") as server:
        body = b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}]}'
        for name, code in (("needs", 503), ("copes", 200)):
            assert status(f"{server.url}/v2/models/{name}/ready")[0] == 200
            status(urllib.request.Request(f"{server.url}/v2/models/{name}/infer", body))
            text = wait_for(f"{server.url}/v2/models/{name}/ready", code)
            assert code == 200 or "step 'falls'" in text and "no worker is up" in text
