# SPDX-License-Identifier: Apache-2.0
"""Queue batching of real networks: concurrent clients get the answers that each would get alone, and can read why batches were formed."""

import json
import re
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx_models
import pytest
from command import fail, succeed
from server import Server

CLIENTS = 8
TOGETHER = "batching: {max_rows: 8, max_delay: 2s}"
NETWORKS = {"mlp": onnx_models.mlp, "words": onnx_models.transformer, "towers": onnx_models.two_tower}


def write_package(folder, network, batching):
    folder.mkdir()
    network(folder / "model.onnx")
    (folder / "model.yaml").write_text(
        f"phoenix: 1\nname: {folder.name}\nmodel: model.onnx\nengine: {{name: onnxruntime, batches: true}}\n"
        f"warm_up: 0\n{batching}\n")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    folders = [write_package(root / f"{name}{suffix}", network, batching)
               for name, network in NETWORKS.items()
               for suffix, batching in (("", TOGETHER), ("_alone", "batching: off"))]
    folders.append(write_package(root / "usual", onnx_models.mlp, ""))
    folders.append(write_package(root / "small", onnx_models.mlp, "batching: {max_rows: 4}"))
    folders.append(write_package(root / "urgent", onnx_models.mlp,
                                 "batching: {max_rows: 4, split: false, priorities: 2, max_delay: 5s}"))
    with Server(*folders) as server:
        yield server


def tensor(name, array):
    kinds = {"f": "FP32", "i": "INT64"}
    return {"name": name, "shape": list(array.shape), "datatype": kinds[array.dtype.kind], "data": array.ravel().tolist()}


def infer(server, model, *inputs, headers=None):
    body = json.dumps({"inputs": inputs}).encode()
    request = urllib.request.Request(f"{server.url}/v2/models/{model}/infer", body, headers or {})
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return 200, json.load(reply)["outputs"][0]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["error"]


def get(server, path):
    with urllib.request.urlopen(server.url + path, timeout=30) as reply:
        return reply.read().decode()


def batches(server, model):
    return json.loads(get(server, f"/api/v1/models/{model}/batches"))


def at_once(calls):
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def metric(server, name, model, more=""):
    found = re.search(rf'^{name}{{model="{model}",version="1"{more}}} (\d+)$', get(server, "/metrics"), re.M)
    assert found, name
    return int(found.group(1))


def test_concurrent_clients_get_what_each_would_get_alone(server):
    rows = np.random.default_rng(1).normal(size=(CLIENTS, 4)).astype(np.float32)
    got = at_once([lambda row=row: infer(server, "mlp", tensor("x", row[None])) for row in rows])
    for row, (status, output) in zip(rows, got):
        assert status == 200, output
        assert output == infer(server, "mlp_alone", tensor("x", row[None]))[1]
        assert output["shape"] == [1, 3]
    latest = batches(server, "mlp")["batches"][0]
    assert latest["rows"] == CLIENTS and latest["requests"] == CLIENTS and latest["reason"] == "full"


def test_shapes_are_not_mixed(server):
    random = np.random.default_rng(2)
    lengths = [3, 5] * (CLIENTS // 2)
    texts = [random.integers(1, 50, (2, length)) for length in lengths]  # 8 rows of each length
    got = at_once([lambda text=text: infer(server, "words", tensor("words", text)) for text in texts])
    for text, (status, output) in zip(texts, got):
        assert status == 200, output
        alone = infer(server, "words_alone", tensor("words", text))[1]
        np.testing.assert_allclose(output["data"], alone["data"], rtol=1e-5)
    assert all(batch["rows"] <= CLIENTS for batch in batches(server, "words")["batches"])


def test_a_bad_row_fails_alone(server):
    users = np.arange(CLIENTS)[:, None]
    users[3] = 99  # there are 20
    got = at_once([lambda user=user: infer(server, "towers", tensor("user", user[None]), tensor("item", user[None] % 20))
                   for user in users])
    assert [status == 200 for status, _ in got] == [i != 3 for i in range(CLIENTS)], got
    assert metric(server, "phoenix_batch_retried_requests_total", "towers") == CLIENTS
    latest = batches(server, "towers")["batches"][0]
    assert latest["retried"] and latest["error"]


def test_a_large_request_is_split_and_answered_as_one(server):
    rows = np.random.default_rng(3).normal(size=(10, 4)).astype(np.float32)
    status, output = infer(server, "small", tensor("x", rows))
    assert status == 200 and output["shape"] == [10, 3]
    np.testing.assert_allclose(output["data"], infer(server, "mlp_alone", tensor("x", rows))[1]["data"], rtol=1e-5)
    assert [batch["rows"] for batch in batches(server, "small")["batches"]] == [2, 4, 4]
    status, message = infer(server, "urgent", tensor("x", rows))
    assert status == 413 and "at most 4 rows in one request, got 10" in message


def test_without_settings_nothing_waits(server):
    row = np.zeros((1, 4), np.float32)
    for _ in range(20):
        assert infer(server, "usual", tensor("x", row))[0] == 200
    report = batches(server, "usual")
    assert report["form"] == "queue" and report["settings"]["max_delay"] == "0ms"
    assert len(report["batches"]) == 20 and {batch["reason"] for batch in report["batches"]} == {"idle"}
    assert report["cost"]["observations"] == 20
    assert metric(server, "phoenix_batches_formed_total", "usual", ',reason="idle"') == 20
    assert metric(server, "phoenix_batches_total", "usual") == 20


def test_the_settings_are_shown_as_tritons(server):
    shown = json.loads(get(server, "/v2/models/urgent/config"))["dynamic_batching"]
    assert shown["max_queue_delay_microseconds"] == 5_000_000 and shown["priority_levels"] == 2
    assert shown["default_queue_policy"]["max_queue_size"] == 1000
    assert set(shown["priority_queue_policy"]) == {"1", "2"}
    assert "dynamic_batching" not in json.loads(get(server, "/v2/models/mlp_alone/config"))


def test_it_says_why_there_are_no_batches(server):
    report = batches(server, "mlp_alone")
    assert report["form"] == "none" and "model.yaml" in report["why"]
    models = json.loads(get(server, "/api/v1/models"))["models"]
    assert {m["name"]: m["engine"]["batching"]["form"] for m in models}["mlp"] == "queue"
    with pytest.raises(urllib.error.HTTPError) as error:
        batches(server, "nobody")
    assert error.value.code == 404


def test_batches_of_a_model_that_has_none_are_refused(tmp_path):
    folder = write_package(tmp_path / "m", onnx_models.mlp, TOGETHER)
    yaml = folder / "model.yaml"
    yaml.write_text(yaml.read_text().replace(", batches: true", ""))
    with pytest.raises(AssertionError, match="batches: true"), Server(folder):
        pass


def test_an_unloaded_model_computes_what_waits_for_company(tmp_path):
    folder = write_package(tmp_path / "m", onnx_models.mlp, "batching: {max_rows: 8, max_delay: 50s}")
    row = np.ones((1, 4), np.float32)
    with Server(folder) as server, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(infer, server, "m", tensor("x", row))
        while batches(server, "m")["queued"] == 0:
            assert not waiting.done()
        urllib.request.urlopen(urllib.request.Request(f"{server.url}/v2/repository/models/m/unload", b"{}"), timeout=30)
        assert waiting.result(timeout=30)[0] == 200


GRAPH = """phoenix_graph: 1
inputs: [{name: x, type: FP32, shape: [-1, 4]}]
outputs: [{name: y, from: net.probabilities}]
steps:
  - {name: net, model: net, inputs: x}
"""


def write_graph(folder, settings):
    folder.mkdir()
    write_package(folder / "net", onnx_models.mlp, TOGETHER)
    (folder / "graph.yaml").write_text(GRAPH)
    (folder / "model.yaml").write_text(f"phoenix: 1\nname: {folder.name}\nmodel: graph.yaml\n{settings}")
    return folder


def test_a_graph_has_settings_of_its_own_and_shows_the_batches_of_its_steps(tmp_path):
    folder = write_graph(tmp_path / "pipe", "cache: true\nlimits: {concurrency: 4}\nbreaker: on\nfallback: [{default: {y: 0.5}}]\n")
    x = tensor("x", np.ones((8, 4), np.float32))
    with Server(folder) as server:
        assert [infer(server, "pipe", x)[0] for _ in range(2)] == [200, 200]
        assert metric(server, "phoenix_cache_hits_total", "pipe") == 1
        (model,) = json.loads(get(server, "/api/v1/models"))["models"]
        assert model["limits"]["limit"] == 4 and model["breaker"]["state"] == "closed" and model["fallback"]
        (step,) = model["engine"]["steps"]
        assert step["batching"]["form"] == "queue" and step["batching"]["max_rows"] == 8
        report = batches(server, "pipe")
        assert report["form"] == "none" and report["steps"][0]["name"] == "net"
        assert report["steps"][0]["batches"][0]["rows"] == 8 and "batches" not in report
        told = succeed("why-batch", server.url)
    assert told.startswith("pipe version 1, none: ") and "\nstep net, queue: " in told and " full " in told


def test_settings_of_a_step_that_would_have_no_effect_are_refused(tmp_path):
    folder = write_graph(tmp_path / "pipe", "")
    (folder / "net" / "model.yaml").write_text((folder / "net" / "model.yaml").read_text() + "cache: true\n")
    said = fail("check", folder)
    assert "'cache' is for models that clients ask" in said and "a model.yaml beside graph.yaml" in said


def test_a_server_that_stops_computes_what_waits_for_company(tmp_path):
    folder = write_package(tmp_path / "m", onnx_models.mlp, "batching: {max_rows: 8, max_delay: 50s}")
    with Server(folder) as server, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(infer, server, "m", tensor("x", np.ones((1, 4), np.float32)))
        while batches(server, "m")["queued"] == 0:
            assert not waiting.done()
        server.signal()
        assert waiting.result(timeout=30)[0] == 200
        assert server.wait() == 0
