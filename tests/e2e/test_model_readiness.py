# SPDX-License-Identifier: Apache-2.0
"""A model is not ready while nothing can answer for it, and the server is ready all the same."""

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


def test_a_plug_in_whose_only_worker_is_down(tmp_path):
    folder = tmp_path / "falls"
    folder.mkdir()
    (folder / "model.py").write_text(FALLS)
    (folder / "model.yaml").write_text(
        f"phoenix: 1\nname: falls\nengine: {{name: python, file: model.py, python: {sys.executable}, backoff_ms: 30000}}\n"
        "inputs: [{name: x, type: FP32, shape: [-1]}]\noutputs: [{name: y, type: FP32, shape: [-1]}]\n")
    with Server(folder) as server:
        ready = f"{server.url}/v2/models/falls/ready"
        assert status(ready)[0] == 200 and grpc_ready(server, "falls")
        body = b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}]}'
        code, text = status(urllib.request.Request(f"{server.url}/v2/models/falls/infer", body))
        assert code >= 500, text
        assert "no worker is up" in wait_for(ready, 503)
        assert not grpc_ready(server, "falls")
        assert status(f"{server.url}/v2/health/ready")[0] == 200


def test_a_remote_model_without_a_peer(tmp_path):
    front = tmp_path / "front"
    front.mkdir()
    shutil.copy(ADD, tmp_path / "add.onnx")
    peer = Server(tmp_path / "add.onnx")
    (front / "model.yaml").write_text(
        f"phoenix: 1\nname: add\nengine: {{name: remote, urls: '{peer.url}', model: add, health: {{interval_ms: 50}}}}\n")
    with Server(front) as server:
        ready = f"{server.url}/v2/models/add/ready"
        assert status(ready)[0] == 200 and grpc_ready(server, "add")
        port = peer.port
        peer.stop()
        assert "no peer of 'add'" in wait_for(ready, 503)
        assert not grpc_ready(server, "add")
        assert status(f"{server.url}/v2/health/ready")[0] == 200
        with Server(tmp_path / "add.onnx", port=port):
            wait_for(ready, 200)
