# SPDX-License-Identifier: Apache-2.0
"""Outputs of texts that are not UTF-8, which JSON cannot hold: an error that says what to ask for, never another text."""

import json
import subprocess
import urllib.request

import pytest
from command import PHOENIX
from server import Server

MODEL = """
def predict(inputs):
    return {"y": [b"fine", b"\\xff\\x00"]}
"""

PACKAGE = """
phoenix: 1
name: bytes
engine: {name: python, file: model.py}
inputs: [{name: x, type: FP32, shape: [-1]}]
outputs: [{name: y, type: BYTES, shape: [-1]}]
"""

INPUT = {"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2]}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "model.py").write_text(MODEL)
    (folder / "model.yaml").write_text(PACKAGE)
    return folder


def test_json_is_refused_and_binary_data_answered(package):
    with Server(package) as server:
        for path, body in (("/v2/models/bytes/infer", {"inputs": [INPUT]}),
                           ("/v1/models/bytes:predict", {"instances": [1, 2]}),
                           ("/invocations", {"instances": [1, 2]})):
            status, reply = server.request(path, body, headers={"Content-Type": "application/json"})
            assert status == 400, reply
            text = json.dumps(reply)
            assert "value 1 of the output 'y' is not valid UTF-8" in text and "binary_data" in text
        body = {"inputs": [INPUT], "outputs": [{"name": "y", "parameters": {"binary_data": True}}]}
        with urllib.request.urlopen(server.url + "/v2/models/bytes/infer", json.dumps(body).encode(), 60) as reply:
            assert reply.read().endswith(b"\4\0\0\0fine\2\0\0\0\xff\0")


def test_predict_does_not_write_it(package, tmp_path):
    (tmp_path / "rows.jsonl").write_text("1\n2\n")
    done = subprocess.run([PHOENIX, "predict", package, tmp_path / "rows.jsonl"], capture_output=True, text=True,
                          timeout=60, check=False)
    assert "not valid UTF-8" in done.stderr + done.stdout and "\ufffd" not in done.stdout
