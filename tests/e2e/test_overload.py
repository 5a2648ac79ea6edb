# SPDX-License-Identifier: Apache-2.0
"""Limits on the real server: who is refused, in which words of which protocol, and when to come again; how urgent a request is, and how long it waits."""

import json
import threading
import time
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest
import tritonclient.grpc as over_grpc
from models import xgboost_model
from server import Server

PACKAGE = """phoenix: 1
name: {name}
engine: {{name: python, file: model.py}}
inputs: [{{name: x, type: FP32, shape: [-1, 1]}}]
outputs: [{{name: y, type: FP32, shape: [-1, 1]}}]
limits: {limits}
"""

MODEL = """
import time

def predict(inputs):
    x = inputs["x"]
    rows = x.tolist() if hasattr(x, "tolist") else x
    time.sleep(rows[0][0] / 1000)
    return {"y": rows}
"""


def sleeper(folder, name, limits):
    (folder / name).mkdir()
    (folder / name / "model.yaml").write_text(PACKAGE.format(name=name, limits=limits))
    (folder / name / "model.py").write_text(MODEL)
    return folder / name


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = tmp_path_factory.mktemp("overload")
    xgboost_model(root / "forest.json")
    models = [sleeper(root, "fixed", "{concurrency: 3}"), sleeper(root, "fair", "{concurrency: off, per_client: 1}"),
              sleeper(root, "learned", "auto"), sleeper(root, "known", "{concurrency: off}"), root / "forest.json"]
    with Server(*models, env={"PHOENIX_PYTHON": "/usr/bin/python3"}) as server:
        for name in ("fixed", "fair", "learned"):
            assert ask(server, name, 1)[0] == 200
        yield server


def ask(server, model, ms, parameters=None, path="/v2/models/{}/infer", **headers):
    """(status, headers, body)"""
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [ms]}]}
    if path.endswith(":predict"):
        body = {"instances": [[ms]]}
    if parameters:
        body["parameters"] = parameters
    fields = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = urllib.request.Request(server.url + path.format(model), json.dumps(body).encode(), fields)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, reply.headers, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, error.headers, json.load(error)


def limits(server, model):
    models = server.request("/api/v1/models")[1]["models"]
    return next(each for each in models if each["name"] == model)["limits"]


class Busy:
    """Requests that sleep in the model while the block runs."""

    def __init__(self, server, model, n, **headers):
        self.server, self.model, self.answers = server, model, []
        self.threads = [threading.Thread(target=self.one, args=(headers,)) for _ in range(n)]

    def one(self, headers):
        self.answers.append(ask(self.server, self.model, 700, **headers)[0])

    def __enter__(self):
        before = limits(self.server, self.model)["in_flight"]
        for thread in self.threads:
            thread.start()
        while limits(self.server, self.model)["in_flight"] < before + len(self.threads):
            time.sleep(0.005)
        return self

    def __exit__(self, *_):
        for thread in self.threads:
            thread.join()
        assert self.answers == [200] * len(self.threads)


def refused(server, model, reason):
    text = server.request("/metrics")[1]
    name = f'phoenix_refused_total{{model="{model}",version="1",reason="{reason}"}}'
    return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(name)), 0)


def test_what_is_over_the_limit_is_told_when_to_come_again(server):
    with Busy(server, "fixed", 2):
        status, headers, body = ask(server, "fixed", 1)
        assert status == 503 and "which takes 3: what is left is for critical ones" in body["error"]
        assert int(headers["Retry-After"]) >= 1
        status, headers, body = ask(server, "fixed", 1, path="/v1/models/{}:predict")
        assert status in (400, 503)
    assert ask(server, "fixed", 1)[0] == 200
    assert refused(server, "fixed", "limit") >= 1
    assert limits(server, "fixed") | {"gradient": 0, "request_ms": 0, "request_alone_ms": 0} == {
        "concurrency": "fixed", "limit": 3, "min": 3, "max": 3, "in_flight": 0, "gradient": 0, "request_ms": 0,
        "request_alone_ms": 0}


def test_sheddable_requests_are_refused_before_others(server):
    with Busy(server, "fixed", 2):
        assert ask(server, "fixed", 1, Phoenix_Criticality="sheddable")[0] == 503
        assert ask(server, "fixed", 1, parameters={"criticality": "sheddable"})[0] == 503
        assert ask(server, "fixed", 1, Phoenix_Criticality="sheddable", parameters={"criticality": "critical"})[0] == 200
    assert refused(server, "fixed", "sheddable") == 2


def test_a_client_over_its_own_limit_is_429_and_others_are_not(server):
    with Busy(server, "fair", 1, Phoenix_Client="shop"):
        status, headers, body = ask(server, "fair", 1, Phoenix_Client="shop")
        assert status == 429 and "this client" in body["error"] and int(headers["Retry-After"]) >= 1
        assert ask(server, "fair", 1, Phoenix_Client="bank")[0] == 200
    with Busy(server, "fair", 1):  # by its address
        assert ask(server, "fair", 1)[0] == 429
    assert refused(server, "fair", "client") == 2
    assert limits(server, "fair") | {"request_ms": 0, "request_alone_ms": 0} == {
        "concurrency": "off", "in_flight": 0, "per_client": 1, "request_ms": 0, "request_alone_ms": 0}
    assert 'phoenix_limit{model="fair"' not in server.request("/metrics")[1]


def test_grpc_says_it_in_a_status_and_in_the_pushback(server):
    tensor = over_grpc.InferInput("x", [1, 1], "FP32")
    tensor.set_data_from_numpy(np.array([[1]], np.float32))
    channel = grpc.insecure_channel(f"127.0.0.1:{server.port}")
    infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    request = over_grpc.service_pb2.ModelInferRequest(model_name="learned", inputs=[over_grpc.service_pb2.ModelInferRequest().InferInputTensor(
        name="x", datatype="FP32", shape=[1, 1])], raw_input_contents=[np.float32(1).tobytes()])
    for _ in range(40):  # until the model knows what requests take
        infer(request.SerializeToString(), timeout=20)
        time.sleep(0.005)
    request.model_name = "fair"
    with Busy(server, "fair", 1, Phoenix_Client="shop"), pytest.raises(grpc.RpcError) as caught:
        infer(request.SerializeToString(), metadata=[("phoenix-client", "shop")], timeout=20)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    with pytest.raises(grpc.RpcError) as caught:
        infer(request.SerializeToString(), metadata=[("phoenix-criticality", "urgent")], timeout=20)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT and "sheddable" in caught.value.details()
    channel.close()


@pytest.mark.parametrize(("name", "value"), [("Phoenix-Criticality", "urgent"), ("Phoenix-Priority", "high"),
                                             ("Phoenix-Timeout-Ms", "soon"), ("X-Request-Timeout", "5 parsecs"),
                                             ("Phoenix-Client", "x" * 300)])
def test_a_header_that_means_nothing_is_400_and_named(server, name, value):
    for path in ("/v2/models/{}/infer", "/v1/models/{}:predict"):
        status, _, body = ask(server, "forest", 1, path=path, **{name: value})
        assert status == 400 and name in body["error"] and "expected" in body["error"]


def test_a_parameter_that_means_nothing_is_400(server):
    status, _, body = ask(server, "fixed", 1, parameters={"criticality": "urgent"})
    assert status == 400 and "sheddable" in body["error"]


@pytest.mark.parametrize(("name", "value"), [("Phoenix-Timeout-Ms", "60"), ("X-Request-Timeout", "60ms"),
                                             ("X-Request-Timeout", "0.06")])
def test_a_request_that_waits_no_longer_is_504(server, name, value):
    began = time.monotonic()
    status, _, body = ask(server, "learned", 1500, **{name: value})
    assert status == 504 and "deadline" in body["error"] and time.monotonic() - began < 1.4


def test_an_idle_model_does_not_begin_what_cannot_be_in_time(server):
    for _ in range(10):
        assert ask(server, "known", 100)[0] == 200
    answers = [ask(server, "known", 100, Phoenix_Timeout_Ms="20") for _ in range(3)]
    refusals = [body["error"] for status, _, body in answers if status == 503]
    assert len(refusals) >= 2 and all("would be late" in text for text in refusals), answers
    assert ask(server, "known", 100, Phoenix_Timeout_Ms="20000")[0] == 200


def test_a_limit_that_learns_comes_down_under_load_and_answers_go_on(server):
    stop, answers = threading.Event(), []

    def ask_on():
        while not stop.is_set():
            status, headers, _ = ask(server, "learned", 10)
            answers.append((status, headers.get("Phoenix-Retry-After-Ms")))
            if status != 200:
                time.sleep(0.01)

    threads = [threading.Thread(target=ask_on) for _ in range(24)]
    for thread in threads:
        thread.start()
    time.sleep(4)
    state = limits(server, "learned")
    stop.set()
    for thread in threads:
        thread.join()
    assert state["concurrency"] == "auto" and state["min"] <= state["limit"] < 16
    assert {status for status, _ in answers} == {200, 503}
    assert any(status == 200 for status, _ in answers[-200:])
    assert any(status == 503 and int(retry) >= 1 for status, retry in answers if retry)
