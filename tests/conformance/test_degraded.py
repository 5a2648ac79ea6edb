# SPDX-License-Identifier: Apache-2.0
"""An ensemble's step that fails is answered by its fallback, and every dialect says so. The step is a Python model, which also shows
that a model that throws, or whose process dies, costs its caller an error and the server nothing."""

import json
import pathlib
import time

import numpy as np
import pytest
import requests
import tritonclient.grpc as over_grpc
from server import Server

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "onnxruntime"

GRAPH = """phoenix_graph: 1
name: ensemble
inputs:
  - {name: x, type: FP32, shape: [-1, 3]}
outputs:
  - {name: y, from: risky.y}
steps:
  - name: safe
    model: models/affine.onnx
    inputs: {x: x}
  - name: risky
    model: models/risky
    inputs: {x: x}
    fallback: safe
"""

PACKAGE = """phoenix: 1
name: risky
engine: {name: python, file: model.py}
inputs:
  - {name: x, type: FP32, shape: [-1, 3]}
outputs:
  - {name: y, type: FP32, shape: [-1, 3]}
"""

MODEL = """
import os, sys

def predict(inputs):
    x = inputs["x"]
    rows = x.tolist() if hasattr(x, "tolist") else x
    if rows[0][0] == 666:
        raise ValueError("six hundred and sixty-six")
    if rows[0][0] == 9:
        print("password of the database", file=sys.stderr, flush=True)
        os.kill(os.getpid(), 9)
    return {"y": [[v * 10 for v in row] for row in rows]}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ensemble")
    risky = folder / "models" / "risky"
    risky.mkdir(parents=True)
    (folder / "graph.yaml").write_text(GRAPH)
    (risky / "model.yaml").write_text(PACKAGE)
    (risky / "model.py").write_text(MODEL)
    (folder / "models" / "affine.onnx").write_bytes((GOLDEN / "affine.onnx").read_bytes())
    with Server(f"ensemble={folder / 'graph.yaml'}", f"risky={risky}") as server:
        yield server


def ask_v2(server, first):
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [first, 2, 3]}
    return server.request("/v2/models/ensemble/infer", {"inputs": [tensor]})


def test_what_works_is_not_marked(server):
    status, reply = ask_v2(server, 1)
    assert status == 200 and reply["outputs"][0]["data"] == [10.0, 20.0, 30.0] and "parameters" not in reply


@pytest.mark.parametrize("first", [666, 9], ids=["throws", "dies"])
def test_a_fallback_is_marked_in_every_dialect(server, first):
    status, reply = ask_v2(server, first)
    assert status == 200 and reply["parameters"] == {"degraded": "risky"}, reply
    status, v1 = server.request("/v1/models/ensemble:predict", {"instances": [[first, 2, 3]]})
    assert status == 200 and v1["degraded"] == "risky" and v1["predictions"][0] == reply["outputs"][0]["data"]
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [first, 2, 3]}
    plain = requests.post(f"{server.url}/v2/models/ensemble/infer", json={"inputs": [tensor]}, timeout=30)
    assert plain.headers["Phoenix-Degraded"] == "risky"
    with over_grpc.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        tensor = over_grpc.InferInput("x", [1, 3], "FP32")
        tensor.set_data_from_numpy(np.array([[first, 2, 3]], np.float32))
        answer = client.infer("ensemble", [tensor]).get_response()
    assert answer.parameters["degraded"].string_param == "risky"


def test_the_failing_model_alone_says_why_and_recovers(server):
    status, reply = server.request("/v1/models/risky:predict", {"instances": [[666, 2, 3]]})
    assert status >= 400 and "six hundred and sixty-six" in json.dumps(reply), reply
    status, reply = server.request("/v1/models/risky:predict", {"instances": [[9, 2, 3]]})
    assert status == 503 and "signal 9" in json.dumps(reply), reply
    assert "password" not in json.dumps(reply)  # what it printed is for the log
    for _ in range(100):
        status, reply = server.request("/v1/models/risky:predict", {"instances": [[1, 2, 3]]})
        if status == 200:
            break
        time.sleep(0.1)  # the process is started again after a while
    assert reply == {"predictions": [[10.0, 20.0, 30.0]]}, reply
    assert "password" in server.log()
