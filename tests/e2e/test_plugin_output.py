# SPDX-License-Identifier: Apache-2.0
"""What a Python model prints: it is in the log, and what has no place there is counted."""

import re
import time

import pytest
from server import Server

MODEL = """
import os

def predict(inputs):
    print("\\n".join(f"line {i}" for i in range(300)), flush=True)
    if inputs["x"][0] < 0:
        os._exit(3)
    return {"y": inputs["x"]}
"""

PACKAGE = """
phoenix: 1
name: chatty
engine: {name: python, file: model.py}
warm_up: 0
inputs: [{name: x, type: FP32, shape: [-1]}]
outputs: [{name: y, type: FP32, shape: [-1]}]
"""


@pytest.mark.parametrize("value, status", [(1, 200), (-1, 503)])
def test_lines_without_a_place_in_the_log_are_counted(tmp_path, value, status):
    """Also when nothing is printed afterwards, or the process has ended."""
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "model.yaml").write_text(PACKAGE)
    with Server(tmp_path) as server:
        body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [value]}]}
        assert server.request("/v2/models/chatty/infer", body)[0] == status
        until = time.monotonic() + 20
        while "plugin.output_dropped" not in server.log() and time.monotonic() < until:
            time.sleep(0.05)
        log = server.log()
    told = sum(int(n) for n in re.findall(r"plugin.output_dropped.* lines=(\d+)", log))
    assert told + len(re.findall("event=plugin.output ", log)) == 300, log
