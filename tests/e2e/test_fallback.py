# SPDX-License-Identifier: Apache-2.0
"""Breakers and fallback ladders on the real server: plug-ins that fail, hang and are full on command, peers that are killed, files that are broken."""

import concurrent.futures
import json
import re
import shutil
import signal
import time
import urllib.error
import urllib.request

import grpc
import numpy as np
import onnx_models
import pytest
import tritonclient.grpc as over_grpc
from models import xgboost_model
from server import Server

MODEL = """
import os, time
folder = os.path.dirname(os.path.abspath(__file__))

def predict(inputs):
    x = inputs["x"]
    rows = x.tolist() if hasattr(x, "tolist") else x
    try:
        mode = open(os.path.join(folder, "mode")).read()
    except OSError:
        mode = ""
    if mode == "fail":
        raise RuntimeError("failed on command")
    if mode == "refuse":
        raise ValueError("this input is bad")
    if mode.startswith("sleep"):
        time.sleep(float(mode.split()[1]))
    return {"y": [[row[0] + %d] for row in rows]}
"""

PACKAGE = """phoenix: 1
name: {name}
engine: {{name: python, file: model.py}}
inputs: [{{name: x, type: FP32, shape: [-1, 1]}}]
outputs: [{{name: y, type: FP32, shape: [-1, 1]}}]
{more}
"""

BREAKER = "breaker: {window: 10, failures: 3, failure_rate: 0.5, open: 400ms, probes: 2}\n"


class Model:
    """One version of a model in a folder of models; adds a number, and does as it is told."""

    def __init__(self, root, name, version, number, more=BREAKER):
        self.folder = root / name / str(version)
        self.folder.mkdir(parents=True)
        (self.folder / "model.py").write_text(MODEL % number)
        (self.folder / "model.yaml").write_text(PACKAGE.format(name=name, more=more))

    def do(self, mode):
        (self.folder / "mode.new").write_text(mode)
        (self.folder / "mode.new").rename(self.folder / "mode")


def serve(*what):
    return Server(*what, env={"PHOENIX_PYTHON": "/usr/bin/python3"})


def ask(server, model, x=1, path="/v2/models/{}/infer", data=None, timeout_us=None, **headers):
    """(status, value or error, reply, headers)"""
    rows = data if data is not None else [[x]]
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [len(rows), 1], "data": rows}]}
    if path.endswith(":predict"):
        body = {"instances": rows}
    if timeout_us:
        body["parameters"] = {"timeout": timeout_us}
    request = urllib.request.Request(server.url + path.format(model), json.dumps(body).encode(),
                                     {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            got = json.load(reply)
            value = got["outputs"][0]["data"] if "outputs" in got else got["predictions"]
            return 200, value, got, reply.headers
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["error"], None, error.headers


def marks(reply):
    """What the body says; the header must say the same."""
    _, _, body, headers = reply
    told = body.get("parameters", body)
    told = (told.get("fallback"), told.get("fallback_reason"))
    expected = f"{told[0]}; reason={told[1]}" if told[0] else None
    other = body.get("parameters", body)
    assert ("fallback_model" in other) == (told[0] in ("model", "previous_version"))
    if "fallback_model" in other:  # whose answer it is
        expected += f'; name="{other["fallback_model"]}"; version="{other["fallback_version"]}"'
    assert headers.get("Phoenix-Fallback") == expected
    return told


def get(server, path):
    with urllib.request.urlopen(server.url + path, timeout=30) as reply:
        return reply.read().decode()


def described(server, name, version):
    models = json.loads(get(server, "/api/v1/models"))["models"]
    return next(m for m in models if m["name"] == name and m["version"] == str(version))


def counted(server, name, **labels):
    for line in get(server, "/metrics").splitlines():
        found = re.match(rf"{name}{{(.*)}} (\S+)$", line)
        if found and all(f'{key}="{value}"' in found.group(1) for key, value in labels.items()):
            return float(found.group(2))
    return None


def open_breaker(server, name, n=6):
    for _ in range(n):
        ask(server, name)


def test_a_version_that_fails_is_answered_by_the_one_before_and_comes_back(tmp_path):
    Model(tmp_path, "m", 1, 100)
    new = Model(tmp_path, "m", 2, 200, BREAKER + "fallback: [previous_version]\n")
    with serve(tmp_path) as server:
        assert ask(server, "m")[1] == [201]
        new.do("fail")
        reply = ask(server, "m")
        assert reply[1] == [101] and marks(reply) == ("previous_version", "failure")
        assert reply[2]["model_version"] == "1"  # whose answer it is
        open_breaker(server, "m")
        assert described(server, "m", 2)["breaker"]["state"] == "open"
        assert counted(server, "phoenix_breaker_state", model="m", version="2") == 1
        reply = ask(server, "m")
        assert reply[1] == [101] and marks(reply) == ("previous_version", "open")
        reply = ask(server, "m", path="/v1/models/{}:predict")
        assert reply[1] == [[101]] and marks(reply) == ("previous_version", "open")
        new.do("")
        deadline = time.time() + 20
        while marks(ask(server, "m")) != (None, None):  # probes close it again
            assert time.time() < deadline
            time.sleep(0.05)
        assert ask(server, "m")[1] == [201]
        for _ in range(3):
            ask(server, "m")
        assert described(server, "m", 2)["breaker"]["state"] == "closed"
        rung = described(server, "m", 2)["fallback"][0]
        assert rung["usable"] and rung["version"] == "1" and rung["taken"]["open"] >= 2
        assert counted(server, "phoenix_fallbacks_total", model="m", kind="previous_version", reason="failure") >= 1
        log = server.log()
        for event in ("breaker.opened", "breaker.half_open", "breaker.closed", "fallback.taken"):
            assert event in log, event


def test_without_a_ladder_an_open_breaker_says_when_to_come_again(tmp_path):
    model = Model(tmp_path, "m", 1, 0, BREAKER.replace("400ms", "20s"))
    with serve(tmp_path) as server:
        model.do("fail")
        assert ask(server, "m")[0] == 500
        open_breaker(server, "m")
        status, error, _, headers = ask(server, "m")
        assert status == 503 and "breaker" in error and "failures" in error
        assert 15 <= int(headers["Retry-After"]) <= 20


def test_bad_input_and_clients_that_leave_open_nothing_and_get_no_fallback(tmp_path):
    model = Model(tmp_path, "m", 1, 0, BREAKER + "fallback: [{default: {y: 7}}]\n")
    with serve(tmp_path) as server:
        model.do("refuse")
        for _ in range(20):
            assert ask(server, "m")[0] == 400
        assert ask(server, "m", data=[[]])[0] == 400
        model.do("sleep 0.05")
        assert ask(server, "m")[0] == 200
        for _ in range(10):
            assert ask(server, "m", timeout_us=5000)[0] == 504
        assert described(server, "m", 1)["breaker"]["state"] == "closed"


def test_a_declared_answer_follows_the_rows_of_the_request(tmp_path):
    model = Model(tmp_path, "m", 1, 0, BREAKER + "fallback: [{default: {y: 0.5}}]\n")
    with serve(tmp_path) as server:
        model.do("fail")
        reply = ask(server, "m", data=[[1], [2], [3]])
        assert reply[1] == [0.5] * 3 and marks(reply) == ("default", "failure")
        assert reply[2]["outputs"][0]["shape"] == [3, 1]
        open_breaker(server, "m")
        client = over_grpc.InferenceServerClient(f"127.0.0.1:{server.port}")
        x = over_grpc.InferInput("x", [2, 1], "FP32")
        x.set_data_from_numpy(np.array([[1], [2]], np.float32))
        result = client.infer("m", [x])
        assert result.as_numpy("y").tolist() == [[0.5], [0.5]]
        parameters = result.get_response().parameters
        assert parameters["fallback"].string_param == "default"
        assert parameters["fallback_reason"].string_param == "open"


def test_rungs_are_tried_in_order_and_the_reason_stays_the_first(tmp_path):
    ladder = "fallback: [{model: small}, {model: other/1}, {default: {y: -1}}]\n"
    big, small = Model(tmp_path, "big", 1, 1000, BREAKER + ladder), Model(tmp_path, "small", 1, 10)
    other = Model(tmp_path, "other", 1, 20)
    with serve(tmp_path) as server:
        big.do("fail")
        reply = ask(server, "big")
        assert reply[1] == [11] and marks(reply) == ("model", "failure") and reply[2]["model_name"] == "small"
        assert reply[2]["parameters"]["fallback_model"] == "small"
        small.do("fail")
        assert ask(server, "big")[1] == [21]
        other.do("fail")
        reply = ask(server, "big")
        assert reply[1] == [-1] and marks(reply) == ("default", "failure")
        assert counted(server, "phoenix_fallbacks_total", model="big", rung="3", reason="failure") == 1
        assert counted(server, "phoenix_fallbacks_total", model="big", rung="1", reason="failure") == 1  # answers, not attempts


def test_when_nobody_can_answer_the_client_hears_of_the_first_failure(tmp_path):
    big = Model(tmp_path, "big", 1, 0, "fallback: [{model: nobody}, previous_version, {model: forest}]\n")
    (tmp_path / "forest" / "1").mkdir(parents=True)
    xgboost_model(tmp_path / "forest" / "1" / "model.json")
    with serve(tmp_path) as server:
        big.do("fail")
        status, error, _, _ = ask(server, "big")
        assert status == 500 and "failed on command" in error
        rungs = described(server, "big", 1)["fallback"]
        assert [rung["usable"] for rung in rungs] == [False] * 3
        assert "nobody" in rungs[0]["problem"] and "no version below" in rungs[1]["problem"]
        assert "another kind" in rungs[2]["problem"]
        assert "fallback.skipped" in server.log()


def test_a_trace_names_the_rung_and_the_reason(tmp_path):
    """The model that answered is the one that is traced."""
    Model(tmp_path / "models", "small", 1, 10)
    big = Model(tmp_path / "models", "big", 1, 0, "breaker: off\nfallback: [{model: small}]\n")
    last = Model(tmp_path / "models", "last", 1, 0, "breaker: off\nfallback: [{default: {y: 1}}]\n")
    file = tmp_path / "trace.json"
    (tmp_path / "phoenix.yaml").write_text(f"trace: {{file: {file}}}\n")
    with serve(tmp_path / "models", "--config", tmp_path / "phoenix.yaml") as server:
        settings = json.dumps({"trace_level": ["TIMESTAMPS"], "trace_rate": "1"}).encode()
        urllib.request.urlopen(urllib.request.Request(server.url + "/v2/trace/setting", settings), timeout=30).close()
        assert ask(server, "big")[1] == [1]
        big.do("fail")
        last.do("fail")
        assert ask(server, "big")[1] == [11] and ask(server, "last")[1] == [1]
    traces = [row for row in json.loads(file.read_text()) if "model_name" in row]
    told = [(row["model_name"], row.get("note")) for row in traces if row["model_name"] in ("model", "default")]
    assert told == [("model", "failure"), ("default", "failure")], traces
    asked = [row["model_name"] for row in traces if "parent_id" not in row]
    assert asked == ["big", "small", "last"], traces


def test_an_old_answer_is_better_than_none(tmp_path):
    more = BREAKER + "cache: {ttl: 50ms}\nfallback: [cached, {default: {y: 0}}]\n"
    model = Model(tmp_path, "m", 1, 5, more)
    with serve(tmp_path) as server:
        assert ask(server, "m", 1)[1] == [6]
        time.sleep(0.1)
        model.do("fail")
        for _ in range(5):  # also once the breaker is open, and though it was asked for in between
            reply = ask(server, "m", 1)
            assert reply[1] == [6] and marks(reply)[0] == "cached"
        reply = ask(server, "m", 2)
        assert reply[1] == [0] and marks(reply)[0] == "default"


def test_overload_and_hopeless_deadlines_fall_back_by_choice(tmp_path):
    more = ("limits: {concurrency: 1}\nfallback: [{rung: previous_version, on: [failure]}, "
            "{default: {y: 3}, on: [overload, deadline]}]\n")
    model = Model(tmp_path, "m", 1, 0, more)
    with serve(tmp_path) as server:
        assert ask(server, "m")[0] == 200
        model.do("sleep 0.3")
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            replies = list(pool.map(lambda _: ask(server, "m"), range(6)))
        assert {reply[0] for reply in replies} == {200}
        told = [marks(reply) for reply in replies]
        assert ("default", "overload") in told and (None, None) in told


def test_what_would_be_late_takes_the_rungs_for_deadlines(tmp_path):
    more = "queue_max: 100\nfallback: [{default: {y: 1}, on: [overload]}, {default: {y: 2}, on: [deadline]}]\n"
    model = Model(tmp_path, "m", 1, 0, more)
    with serve(tmp_path) as server:
        model.do("sleep 0.1")
        for _ in range(10):  # the queue learns what computing takes
            assert ask(server, "m")[0] == 200
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            replies = list(pool.map(lambda _: ask(server, "m", timeout_us=350000), range(12)))
        told = [marks(reply) for reply in replies if reply[0] == 200]
        assert ("default", "deadline") in told and ("default", "overload") not in told
        assert all(reply[1] == [2] for reply in replies if reply[0] == 200 and marks(reply)[0])
        assert counted(server, "phoenix_refused_total", model="m", reason="hopeless") >= 1


def test_a_version_that_cannot_be_loaded_has_its_ladder_too(tmp_path):
    Model(tmp_path, "m", 1, 100)
    broken = Model(tmp_path, "m", 2, 200, "fallback: [previous_version]\n")
    (broken.folder / "model.py").write_text("this is no python")
    for version, more in (("1", ""), ("2", "fallback: [previous_version]\n")):
        folder = tmp_path / "forest" / version
        folder.mkdir(parents=True)
        xgboost_model(folder / "model.json")
        (folder / "model.yaml").write_text(f"phoenix: 1\nname: forest\nmodel: model.json\n{more}")
    (tmp_path / "forest" / "2" / "model.json").write_text("{")
    with serve(tmp_path) as server:
        for path in ("/v2/models/{}/infer", "/v2/models/{}/versions/2/infer"):
            reply = ask(server, "m", path=path)
            assert reply[1] == [101] and marks(reply) == ("previous_version", "failure")
        request = urllib.request.Request(server.url + "/v1/models/forest:predict",
                                         b'{"instances":[[1,2,3,4]]}', {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as reply:
            assert reply.headers["Phoenix-Fallback"] == 'previous_version; reason=failure; name="forest"; version="1"'
            assert json.load(reply)["fallback"] == "previous_version"
        # Every dialect whose body is an object says so there; a table of CSV has only the header.
        named = {"X-Amzn-SageMaker-Target-Model": "forest"}
        for path, body, kind in (("/invocations", b'{"instances":[{"features":[1,2,3,4]}]}', "application/json"),
                                 ("/invocations", b'{"instances":[[1,2,3,4]]}', "application/json"),
                                 ("/invocations", b'{"features":[1,2,3,4]}', "application/jsonlines"),
                                 ("/invocations", b"1,2,3,4", "text/csv"),
                                 ("/v1/models/forest:explain", b'{"instances":[[1,2,3,4]]}', "application/json")):
            request = urllib.request.Request(server.url + path, body, {"Content-Type": kind, "Accept": kind, **named})
            with urllib.request.urlopen(request) as reply:
                assert reply.headers["Phoenix-Fallback"].startswith("previous_version; reason=failure"), path
                text = reply.read()
                assert kind == "text/csv" or json.loads(text)["fallback_version"] == "1", (path, text)


def test_peers_that_are_killed_are_replaced_until_they_are_back(tmp_path):
    onnx_models.mlp(str(tmp_path / "mlp.onnx"))
    peer = Server(tmp_path / "mlp.onnx")
    front = tmp_path / "front"
    front.mkdir()
    (front / "model.yaml").write_text(
        f"phoenix: 1\nname: far\nengine: {{name: remote, urls: '{peer.url}', model: mlp, retries: {{max: 0}}}}\n"
        "breaker: {failures: 3, open: 300ms, probes: 1}\nfallback: [{model: near}]\n")
    near = tmp_path / "near"
    near.mkdir()
    shutil.copy(tmp_path / "mlp.onnx", near / "mlp.onnx")
    (near / "model.yaml").write_text("phoenix: 1\nname: near\nmodel: mlp.onnx\n")
    with Server(front, near) as server:
        shape = json.loads(get(server, "/v2/models/near"))["inputs"][0]
        body = json.dumps({"inputs": [{"name": shape["name"], "datatype": shape["datatype"],
                                       "shape": [1, shape["shape"][1]], "data": [0.5] * shape["shape"][1]}]}).encode()

        def far():
            with urllib.request.urlopen(urllib.request.Request(server.url + "/v2/models/far/infer", body)) as reply:
                return json.load(reply)

        first = far()
        assert first["model_name"] == "far"
        port = peer.port
        peer.stop()
        for _ in range(8):
            got = far()
            assert got["model_name"] == "near" and got["outputs"][0]["data"] == first["outputs"][0]["data"]
        assert described(server, "far", 1)["breaker"]["state"] != "closed"
        with Server(tmp_path / "mlp.onnx", port=port):
            deadline = time.time() + 30
            while far()["model_name"] != "far":
                assert time.time() < deadline
                time.sleep(0.05)


def test_a_rung_that_is_not_in_memory_is_loaded_for_those_who_come_later(tmp_path):
    big = Model(tmp_path / "models", "big", 1, 0, "breaker: off\nfallback: [{model: small}]\n")
    Model(tmp_path / "models", "small", 1, 10)
    Model(tmp_path / "models", "m", 1, 100)
    Model(tmp_path / "models", "m", 2, 200)
    new = Model(tmp_path / "models", "m", 3, 300, "breaker: off\nfallback: [previous_version]\n")
    config = tmp_path / "phoenix.yaml"
    config.write_text("serving: {load_models: demand}\n")

    def state(name, version):
        return described(server, name, version)["state"]

    def ask_until(name, value):
        """The refusals before it say why the version that was asked for failed."""
        deadline = time.time() + 30
        while (reply := ask(server, name))[0] != 200 or reply[1] != [value]:
            assert reply[0] == 200 or "failed on command" in reply[1], reply
            assert time.time() < deadline, reply
        return reply

    with serve(tmp_path / "models", "--config", config) as server:
        assert ask(server, "big")[1] == [1] and ask(server, "m")[1] == [301]  # these wait for their model
        assert state("small", 1) == state("m", 1) == state("m", 2) == "REGISTERED"
        assert not described(server, "big", 1)["fallback"][0]["usable"]  # and looking at it loads nothing
        assert state("small", 1) == "REGISTERED"
        big.do("fail")
        assert ask(server, "big")[0] == 500  # it does not wait
        assert marks(ask_until("big", 11)) == ("model", "failure")
        assert state("small", 1) == "READY" and state("m", 2) == "REGISTERED"
        assert described(server, "big", 1)["fallback"][0]["usable"]
        assert ask(server, "m", path="/v2/models/{}/versions/1/infer")[1] == [101]
        new.do("fail")
        reply = ask(server, "m")  # 1 is there and answers; 2 is loaded meanwhile
        assert reply[1] == [101] and marks(reply) == ("previous_version", "failure")
        ask_until("m", 201)


class Front:
    """A remote model "far" of some peers that serve the same network."""

    def __init__(self, root, urls, engine, more):
        self.folder = root / "front"
        self.folder.mkdir()
        (self.folder / "model.yaml").write_text(
            f"phoenix: 1\nname: far\nengine: {{name: remote, urls: {json.dumps(urls)}, model: mlp, "
            f"health: {{interval_ms: 0}}, {engine}}}\n{more}")

    def ask(self, server, timeout_ms=None):
        """(status, name of the model that answered, headers)"""
        body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [0.5] * 4}]}
        if timeout_ms:
            body["parameters"] = {"timeout": timeout_ms * 1000}
        request = urllib.request.Request(server.url + "/v2/models/far/infer", json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return 200, json.load(reply)["model_name"], reply.headers
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)["error"], error.headers

    @staticmethod
    def peers(server):
        """What the model says of each."""
        return described(server, "far", 1)["engine"]["peers"]


@pytest.fixture(scope="module")
def mlp(tmp_path_factory):
    path = tmp_path_factory.mktemp("mlp") / "mlp.onnx"
    onnx_models.mlp(str(path))
    return path


def test_a_peer_that_accepts_and_never_answers_is_left_out_and_comes_back(mlp, tmp_path):
    with Server(mlp) as stalls, Server(mlp) as good:
        engine = "breaker: {failures: 3, slow: 100ms, open: 300ms, open_max: 600ms, probes: 1}"
        front = Front(tmp_path, [stalls.url, good.url], engine, "breaker: off\n")
        with Server(front.folder) as server:
            assert front.ask(server)[0] == 200
            stalls.process.send_signal(signal.SIGSTOP)  # its kernel goes on accepting connections
            try:
                late = 0
                while front.peers(server)[0]["breaker"]["state"] == "closed":
                    status = front.ask(server, timeout_ms=150)[0]
                    assert status in (200, 504)
                    late += status == 504
                    assert late <= 3, front.peers(server)
                # From now on it gets at most a probe at a time; the other one serves the rest.
                statuses = [front.ask(server, timeout_ms=1000)[0] for _ in range(50)]
                assert statuses.count(200) >= 45 and set(statuses) <= {200, 504}, statuses
                assert counted(server, "phoenix_remote_breaker_opened_total", peer=stalls.url) >= 1
                assert counted(server, "phoenix_remote_breaker_state", peer=good.url) == 0
                assert counted(server, "phoenix_remote_late_total", peer=stalls.url) >= 3
            finally:
                stalls.process.send_signal(signal.SIGCONT)
            before = front.peers(server)[0]["requests"]
            deadline = time.time() + 30
            while front.peers(server)[0]["breaker"]["state"] != "closed":
                assert front.ask(server, timeout_ms=2000)[0] in (200, 504) and time.time() < deadline
            while front.peers(server)[0]["requests"] < before + 10:  # it has its share again
                assert front.ask(server)[0] == 200 and time.time() < deadline
            log = server.log()
            for event in ("breaker.opened", "breaker.half_open", "breaker.closed"):
                assert re.search(rf"{event}.*peer=\"?{stalls.url}", log), log
            assert good.url not in log


def test_when_all_peers_are_open_the_ladder_answers_or_the_client_hears_when_to_come_again(mlp, tmp_path):
    peers = [Server(mlp), Server(mlp)]
    engine = "retries: {max: 0}, breaker: {failures: 1, failure_rate: 0.01, open: 20s}"
    front = Front(tmp_path, [peer.url for peer in peers], engine, "breaker: off\nfallback: [{model: mlp, on: [open]}]\n")
    with Server(front.folder, mlp) as server:
        assert front.ask(server)[:2] == (200, "far")
        before = sum(peer["requests"] for peer in front.peers(server))
        for peer in peers:
            peer.stop()
        tried = [front.ask(server) for _ in range(20)]
        assert sum(status == 503 for status, _, _ in tried) == 2  # one for each peer; no failure has a rung here
        for status, who, headers in tried[-10:]:
            assert (status, who) == (200, "mlp") and headers["Phoenix-Fallback"].startswith("model; reason=open; name=\"mlp\"")
        assert sum(peer["requests"] for peer in front.peers(server)) == before + 2
        assert counted(server, "phoenix_remote_refused_total", model="far") >= 10
        assert counted(server, "phoenix_fallbacks_total", model="far", reason="open") >= 10
    shutil.rmtree(front.folder)
    front = Front(tmp_path, [peer.url for peer in peers], engine,
                  "breaker: off\ninputs: [{name: x, type: FP32, shape: [-1, 4]}]\n"
                  "outputs: [{name: probabilities, type: FP32, shape: [-1, 3]}]\n")
    with Server(front.folder) as server:
        for _ in range(2):
            assert front.ask(server)[0] == 503
        status, error, headers = front.ask(server)
        assert status == 503 and "breakers of all 2 are open" in error
        assert 15 <= int(headers["Retry-After"]) <= 20


@pytest.mark.parametrize("more, words", [
    ("breaker: sometimes", "on, off or a mapping"),
    ("breaker: {failure: 3}", "failures"),
    ("breaker: {failure_rate: 50}", "at most 1"),
    ("breaker: {open: 5}", "time from"),
    ("fallback: previous_version", "rung"),
    ("fallback: [previous]", "previous_version"),
    ("fallback: [cached]", "cache"),
    ("fallback: [{default: {z: 1}}]", "unknown output"),
    ("fallback: [{default: {y: [1, 2]}}]", "values"),
    ("fallback: [{default: {y: high}}]", "is no FP32"),
    ("fallback: [{model: a, on: [fail]}]", "failure"),
])
def test_settings_that_are_wrong_are_told(tmp_path, more, words):
    Model(tmp_path, "m", 1, 0, more + "\n")
    with serve(tmp_path) as server:
        model = described(server, "m", 1)
        assert model["state"] == "FAILED" and words in model["reason"] + model.get("hint", ""), model


def test_a_remote_model_whose_peers_were_down_at_the_start_is_tried_again(mlp, tmp_path):
    peer = Server(mlp)
    front = Front(tmp_path, [peer.url], "retries: {max: 0}", "breaker: off\n")
    peer.stop()
    with Server(front.folder, mlp) as server:
        assert front.ask(server)[0] == 503
        with Server(mlp, port=peer.port):
            until = time.monotonic() + 30
            while (status := front.ask(server)[0]) != 200 and time.monotonic() < until:
                time.sleep(0.1)
            assert status == 200
