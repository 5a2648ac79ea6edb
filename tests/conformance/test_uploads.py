# SPDX-License-Identifier: Apache-2.0
"""Models whose files come with a load request: they may be computed, but they bring no code and call nobody."""

import base64
import json
import pathlib

import pytest
from server import Server

ROOT = pathlib.Path(__file__).parent.parent.parent
GOLDEN = ROOT / "tests" / "golden" / "onnxruntime"

TENSORS = "inputs: [{name: x, type: FP32, shape: [-1]}]\noutputs: [{name: y, type: FP32, shape: [-1]}]\n"
PYTHON = "import os\nos.system('touch %s')\n\ndef predict(inputs):\n    return inputs\n"


@pytest.fixture(scope="module")
def server():
    with Server(f"affine={GOLDEN / 'affine.onnx'}") as server:
        yield server


def upload(server, **files):
    parameters = {"config": "{}"}
    for path, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        parameters["file:1/" + path.replace("__", "/").replace("_dot_", ".")] = base64.b64encode(data).decode()
    return server.request("/v2/repository/models/mine/load", {"parameters": parameters})


def test_an_onnx_model_and_a_graph_may_come(server):
    affine = (GOLDEN / "affine.onnx").read_bytes()
    assert upload(server, model_dot_onnx=affine)[0] == 200
    graph = ("phoenix_graph: 1\nname: g\ninputs: [{name: x, type: FP32, shape: [-1, 3]}]\n"
             "outputs: [{name: y, from: a.y}]\nsteps: [{name: a, model: affine.onnx, inputs: {x: x}}]\n")
    package = "phoenix: 1\nname: mine\nengine: graph\nmodel: graph.yaml\n"
    status, reply = upload(server, model_dot_yaml=package, graph_dot_yaml=graph, affine_dot_onnx=affine)
    assert status == 200, reply
    assert server.predict("mine", [[1, 2, 3]]) == server.predict("affine", [[1, 2, 3]])


@pytest.mark.parametrize("setting", [
    "profile: %s", "config: {session.optimized_model_filepath: '%s'}", "providers: [{name: CPU, cache: '%s'}]",
], ids=["profile", "config", "provider"])
def test_an_onnx_model_writes_no_file(server, tmp_path, setting):
    package = ("phoenix: 1\nname: mine\nmodel: affine.onnx\nengine: {name: onnxruntime, %s}\n"
               % setting % (tmp_path / "written"))
    status, reply = upload(server, model_dot_yaml=package, affine_dot_onnx=(GOLDEN / "affine.onnx").read_bytes())
    assert status == 403 and "comes with a request" in json.dumps(reply), (status, reply)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("engine", [
    "{name: python, file: model.py}",
    "{name: plugin, library: rules.so}",
    "{name: torchscript}",
    "{name: remote, urls: ['http://127.0.0.1:9'], model: m}",
], ids=["python", "plugin", "torchscript", "remote"])
@pytest.mark.parametrize("nested", [False, True], ids=["alone", "in_a_graph"])
def test_code_and_calls_may_not(server, tmp_path, engine, nested):
    mark = tmp_path / "ran"
    package = f"phoenix: 1\nname: mine\nengine: {engine}\n" + TENSORS
    files = {"model_dot_py": PYTHON % mark, "rules_dot_so": b"\x7fELF"}
    if nested:
        graph = ("phoenix_graph: 1\nname: g\ninputs: [{name: x, type: FP32, shape: [-1]}]\n"
                 "outputs: [{name: y, from: a.y}]\nsteps: [{name: a, model: inner, inputs: {x: x}}]\n")
        files = {"inner__" + name: content for name, content in files.items()}
        files |= {"model_dot_yaml": "phoenix: 1\nname: mine\nengine: graph\nmodel: graph.yaml\n",
                  "graph_dot_yaml": graph, "inner__model_dot_yaml": package}
    else:
        files["model_dot_yaml"] = package
    status, reply = upload(server, **files)
    assert status == 403 and "comes with a request" in json.dumps(reply), (status, reply)
    assert not mark.exists()
