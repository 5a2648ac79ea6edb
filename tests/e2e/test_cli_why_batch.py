# SPDX-License-Identifier: Apache-2.0
"""phoenix why-batch: the latest batches of a running server, as a table and as JSON, and what it says when there is nothing to tell."""

import http.server
import json
import threading

import models
import numpy as np
import onnx_models
import pytest
from command import fail, succeed
from server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    (root / "mlp").mkdir()
    onnx_models.mlp(root / "mlp" / "model.onnx")
    (root / "mlp" / "model.yaml").write_text(
        "phoenix: 1\nname: mlp\nmodel: model.onnx\nengine: {name: onnxruntime, batches: true}\nwarm_up: 0\n")
    models.xgboost_model(root / "trees.json")
    with Server(root / "mlp", root / "trees.json") as server:
        yield server


def test_the_table_tells_each_batch_and_its_reason(server):
    assert "no batch was formed yet" in succeed("why-batch", server.url, "--model", "mlp")
    body = {"inputs": [{"name": "x", "shape": [2, 4], "datatype": "FP32", "data": np.ones(8).tolist()}]}
    for _ in range(3):
        assert server.request("/v2/models/mlp/infer", body)[0] == 200
    told = succeed("why-batch", server.url, "--model", "mlp")
    assert told.startswith("mlp version 1, queue: ") and "max_rows: 64" in told and "of 3 batches" in told
    rows = told.split("predicted\n")[1].splitlines()
    assert len(rows) == 3 and all(" 2         1  idle " in row for row in rows), told
    by_url = succeed("why-batch", f"127.0.0.1:{server.port}/v2/models/mlp/versions/1")
    assert by_url.count(" idle ") == 3
    shown = json.loads(succeed("why-batch", server.url, "--model", "mlp", "--json"))
    assert shown["name"] == "mlp" and len(shown["batches"]) == 3 and shown["cost"]["observations"] == 3


def test_a_model_without_a_queue_says_why(server):
    told = succeed("why-batch", server.url, "--model", "trees")
    assert told.startswith("trees version 1, wave: it takes microseconds")


def test_what_is_missing_is_said(server):
    assert "2 models: which one?" in fail("why-batch", server.url)
    assert "did you mean 'mlp'?" in fail("why-batch", server.url, "--model", "mlpp")
    assert "unknown model 'nobody'" in fail("why-batch", server.url, "--model", "nobody")
    assert "cannot connect" in fail("why-batch", "127.0.0.1:1", "--model", "m")
    assert "https" in fail("why-batch", "https://127.0.0.1", "--model", "m")


@pytest.mark.parametrize("body", [b"nothing", b'{"batches": [{"rows": "many"}]}', b'{"batches": {}}'])
def test_an_answer_that_is_none_is_refused(body):
    class Stranger(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Stranger) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        said = fail("why-batch", f"127.0.0.1:{other.server_port}", "--model", "m")
        other.shutdown()
    assert "the server's answer" in said
