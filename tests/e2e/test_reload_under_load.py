# SPDX-License-Identifier: Apache-2.0
"""A forest and a network are replaced again and again while clients ask: no request fails, every answer is that of a whole model."""

import http.client
import json
import shutil
import threading
import time

import models
import onnx_models
from server import Server

RELOADS, CLIENTS = 6, 2
ROW = dict.fromkeys(models.NAMES, 1.0)
FOREST = ("/v1/models/forest:predict", {"instances": [ROW]}, "predictions")
NETWORK = ("/v2/models/network/infer", {"inputs": [{"name": "x", "shape": [1, onnx_models.FEATURES], "datatype": "FP32",
                                                   "data": [0.5] * onnx_models.FEATURES}]}, "outputs")


class Client(threading.Thread):
    """Asks until it is told to stop; collects what was not 200 and every distinct answer."""

    def __init__(self, server, question):
        super().__init__()
        self.server, (self.path, body, self.member) = server, question
        self.body, self.ending = json.dumps(body), threading.Event()
        self.n_good, self.failures, self.answers = 0, [], set()

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        while not self.ending.is_set():
            connection.request("POST", self.path, self.body)
            reply = connection.getresponse()
            text = reply.read()
            if reply.status == 200:
                self.n_good += 1
                self.answers.add(json.dumps(json.loads(text)[self.member]))
            else:
                self.failures.append((reply.status, text))
        connection.close()


def write_models(folder, number):
    for name in ("forest", "network"):
        (folder / name / "1").mkdir(parents=True, exist_ok=True)
    models.xgboost_model(folder / "forest" / "1" / "model.json", rounds=4 + number % 2)
    fresh = folder.parent / "fresh.onnx"
    onnx_models.mlp(fresh, seed=3 + number % 2)
    shutil.move(fresh, folder / "network" / "1" / "model.onnx")


def test_reloads_every_second_fail_no_request(tmp_path):
    folder = tmp_path / "repo"
    write_models(folder, 0)
    with Server(folder) as server:
        clients = [Client(server, question) for question in (FOREST, NETWORK) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            for number in range(1, RELOADS + 1):
                write_models(folder, number)
                for name in ("forest", "network"):
                    status, reply = server.request(f"/v2/repository/models/{name}/load", {})
                    assert status == 200, reply
                time.sleep(0.5)
        finally:
            for client in clients:
                client.ending.set()
            for client in clients:
                client.join()
        for client in clients:
            assert client.failures == []
            assert client.n_good > RELOADS
            assert len(client.answers) == 2, "the two models, and nothing between them"
