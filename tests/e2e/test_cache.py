# SPDX-License-Identifier: Apache-2.0
"""The response cache on the real server: over REST and gRPC, forests and tensors, what is told, and what ends an answer."""

import http.server
import json
import re
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import onnx_models
import pytest
import tritonclient.grpc as over_grpc
from command import fail
from models import NAMES, xgboost_model
from server import Server

ROW = {"age": 41, "balance": 10.5, "duration": 2, "pdays": 0.01}


def forest(folder, cache="true", seed_name="bank"):
    folder.mkdir(parents=True, exist_ok=True)
    xgboost_model(folder / "model.json")
    (folder / "model.yaml").write_text(f"phoenix: 1\nname: {seed_name}\nmodel: model.json\ncache: {cache}\n")
    return folder


def network(folder, cache="true"):
    folder.mkdir(parents=True, exist_ok=True)
    onnx_models.mlp(str(folder / "model.onnx"))
    (folder / "model.yaml").write_text(f"phoenix: 1\nname: mlp\nmodel: model.onnx\ncache: {cache}\n")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = tmp_path_factory.mktemp("cache")
    with Server(forest(root / "bank"), network(root / "mlp"), forest(root / "short", "{ttl: 200ms}", "short"),
                forest(root / "plain", "false", "plain")) as server:
        yield server


def post(server, path, body, **headers):
    data = json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply), reply.headers.get("Phoenix-Cache")


def get(server, path):
    with urllib.request.urlopen(server.url + path, timeout=30) as reply:
        return reply.read().decode()


def metric(server, name, model):
    found = re.search(rf'^{name}{{model="{model}"[^}}]*}} (\S+)$', get(server, "/metrics"), re.M)
    return float(found.group(1)) if found else None


def v2(model, values, **parameters):
    body = {"inputs": [{"name": "input" if model != "mlp" else "x", "datatype": "FP32",
                        "shape": list(np.shape(values)), "data": np.ravel(values).tolist()}]}
    return {**body, "parameters": parameters} if parameters else body


def infer(server, model, values, **parameters):
    reply, header = post(server, f"/v2/models/{model}/infer", v2(model, values, **parameters))
    assert reply.get("parameters", {}).get("cache") == header
    return reply["outputs"], header


def names_of(server, model):
    return json.loads(get(server, f"/v2/models/{model}"))["inputs"]


def test_a_forest_answers_the_same_request_from_the_cache(server):
    values = [[1.5, 2, 3, 4]]
    first, header = infer(server, "bank", values)
    assert header == "miss"
    again, header = infer(server, "bank", values)
    assert header == "hit" and again == first
    other, header = infer(server, "bank", [[1.5, 2, 3, 5]])
    assert header == "miss"
    _, header = infer(server, "bank", values, priority=1, timeout=10_000_000)
    assert header == "hit"  # who asks, and how urgently, does not change the answer


def test_every_dialect_shares_the_answers_of_a_forest(server):
    body = {"instances": [ROW]}
    first, header = post(server, "/v1/models/bank:predict", body)
    assert header == "miss"
    again, header = post(server, "/v1/models/bank:predict", body)
    assert header == "hit" and again == first
    values = [[ROW[name] for name in NAMES]]
    outputs, header = infer(server, "bank", values)
    assert header == "hit"


def test_a_model_without_the_setting_says_nothing_of_a_cache(server):
    for _ in range(2):
        outputs, header = infer(server, "plain", [[1, 2, 3, 4]])
        assert header is None
    assert metric(server, "phoenix_cache_entries", "plain") is None
    assert metric(server, "phoenix_cache_hits_total", "plain") == 0


def mlp_values(server, seed):
    shape = [n if n > 0 else 1 for n in names_of(server, "mlp")[0]["shape"]]
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_a_network_answers_from_the_cache_over_rest_and_grpc(server):
    values = mlp_values(server, 1)
    name = names_of(server, "mlp")[0]["name"]

    def ask_rest():
        body = {"inputs": [{"name": name, "datatype": "FP32", "shape": list(values.shape), "data": values.ravel().tolist()}]}
        reply, header = post(server, "/v2/models/mlp/infer", body)
        return reply["outputs"][0], header

    first, header = ask_rest()
    assert header == "miss"
    again, header = ask_rest()
    assert header == "hit" and again == first
    client = over_grpc.InferenceServerClient(f"127.0.0.1:{server.port}")
    tensor = over_grpc.InferInput(name, values.shape, "FP32")
    tensor.set_data_from_numpy(values)
    reply = client.infer("mlp", [tensor])
    assert reply.get_response().parameters["cache"].string_param == "hit"
    assert (reply.as_numpy(first["name"]).ravel() == np.array(first["data"], np.float32)).all()
    values += 1
    tensor.set_data_from_numpy(values)
    assert client.infer("mlp", [tensor]).get_response().parameters["cache"].string_param == "miss"
    assert client.infer("mlp", [tensor]).get_response().parameters["cache"].string_param == "hit"
    statistics = client.get_inference_statistics("mlp").model_stats[0].inference_stats
    assert statistics.cache_hit.count == 3 and statistics.cache_miss.count == 2
    assert statistics.success.count == 5 and statistics.compute_infer.count == 2
    rest = json.loads(get(server, "/v2/models/mlp/stats"))["model_stats"][0]["inference_stats"]
    assert rest["cache_hit"]["count"] == 3 and rest["cache_hit"]["ns"] > 0
    client.close()


def test_answers_expire(server):
    values = [[9, 9, 9, 9]]
    assert infer(server, "short", values)[1] == "miss"
    assert infer(server, "short", values)[1] == "hit"
    time.sleep(0.3)
    assert infer(server, "short", values)[1] == "miss"
    assert metric(server, "phoenix_cache_expired_total", "short") == 1


def test_the_metrics_tell_what_is_kept(server):
    before = metric(server, "phoenix_cache_entries", "bank")
    for i in range(5):
        infer(server, "bank", [[i, 100, 100, 100]])
    assert metric(server, "phoenix_cache_entries", "bank") == before + 5
    assert metric(server, "phoenix_cache_bytes", "bank") > 5 * 16
    assert metric(server, "phoenix_cache_evictions_total", "bank") == 0


def test_equal_requests_at_a_time_are_computed_once(server):
    replies = []

    def ask(i):
        replies.append(infer(server, "bank", [[77, i // 8, 1, 1]] * 2000))

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replies) == 32
    assert {header for _, header in replies} <= {"hit", "miss", "joined"}


def load(server, model):
    request = urllib.request.Request(f"{server.url}/v2/repository/models/{model}/load", b"{}", {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        assert reply.status == 200


def test_a_reload_forgets_what_the_old_version_said(tmp_path):
    folder = tmp_path / "models"
    forest(folder / "bank" / "1")
    with Server(folder) as server:
        values = [[1, 2, 3, 4]]
        assert infer(server, "bank", values)[1] == "miss"
        old, header = infer(server, "bank", values)
        assert header == "hit"
        xgboost_model(folder / "bank" / "1" / "model.json", rounds=2)
        load(server, "bank")
        new, header = infer(server, "bank", values)
        assert header == "miss" and new != old
        assert metric(server, "phoenix_cache_entries", "bank") == 1


def test_the_memory_is_bounded_and_may_be_none(tmp_path):
    config = tmp_path / "phoenix.yaml"
    config.write_text("cache:\n  bytes_max: 65536\n")
    with Server(forest(tmp_path / "bank"), "--config", config) as server:
        for i in range(400):
            infer(server, "bank", [[i, 1, 2, 3]])
        assert metric(server, "phoenix_cache_bytes", "bank") <= 65536
        assert metric(server, "phoenix_cache_evictions_total", "bank") > 0
    config.write_text("cache:\n  bytes_max: 0\n")
    with Server(forest(tmp_path / "bank"), "--config", config) as server:
        assert infer(server, "bank", [[1, 1, 2, 3]])[1] is None


def test_a_model_that_keeps_state_cannot_be_cached(tmp_path):
    folder = tmp_path / "sum"
    folder.mkdir()
    onnx_models.lstm_step(str(folder / "model.onnx"))
    states = ", ".join(f"{{input: {c}_in, output: {c}_out}}" for c in "hc")
    (folder / "model.yaml").write_text("phoenix: 1\nmodel: model.onnx\nengine: {name: onnxruntime, batches: true}\n"
                                       f"cache: {{ttl: 1s}}\nsequence:\n  states: [{states}]\n")
    assert "keep no state" in fail("check", folder)


class SlowPeer(http.server.BaseHTTPRequestHandler):
    """A server of Open Inference whose model answers when it is let."""

    release, calls = threading.Event(), []
    protocol_version = "HTTP/1.1"

    def answer(self, body):
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        tensor = {"datatype": "FP32", "shape": [-1, 2]}
        self.answer({"name": "slow", "versions": ["1"], "platform": "test", "inputs": [{"name": "x", **tensor}],
                     "outputs": [{"name": "y", **tensor}]})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.calls.append(self.path)
        self.release.wait(30)
        self.answer({"model_name": "slow", "model_version": "1",
                     "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 2], "data": [3.0, 4.0]}]})

    def log_message(self, *_):
        pass


def test_many_wait_for_one_and_each_keeps_its_own_deadline(tmp_path):
    peer = http.server.ThreadingHTTPServer(("127.0.0.1", 0), SlowPeer)
    threading.Thread(target=peer.serve_forever, daemon=True).start()
    folder = tmp_path / "slow"
    folder.mkdir()
    (folder / "model.yaml").write_text("phoenix: 1\nname: slow\nwarm_up: 0\ncache: true\nengine: {name: remote, model: slow, "
                                       f"urls: 'http://127.0.0.1:{peer.server_port}'}}\n")
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
    replies = []
    with Server(folder) as server:
        def ask():
            replies.append(post(server, "/v2/models/slow/infer", body))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        while not SlowPeer.calls:
            time.sleep(0.01)
        with pytest.raises(urllib.error.HTTPError) as late:
            post(server, "/v2/models/slow/infer", {**body, "parameters": {"timeout": 50000}})
        assert late.value.code == 504
        SlowPeer.release.set()
        for thread in threads:
            thread.join()
        assert len(SlowPeer.calls) == 1
        assert sorted(header for _, header in replies)[-1] == "miss"
        assert [header for _, header in replies].count("miss") == 1
        assert all(reply["outputs"][0]["data"] == [3, 4] for reply, _ in replies)
        joined = metric(server, "phoenix_cache_joined_total", "slow")
        assert joined == [header for _, header in replies].count("joined") > 0
    peer.shutdown()
