# SPDX-License-Identifier: Apache-2.0
"""The configuration that tritonclient sends with a load: how requests are put together, and whether answers are kept."""

import json

import numpy as np
import onnx_models
import pytest
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from server import Server
from tritonclient.utils import InferenceServerException

MODEL_YAML = """phoenix: 1
name: {name}
model: model.onnx
engine: {{name: onnxruntime, batches: true}}
warm_up: 1
{more}
"""
LEVELS = {
    "preferred_batch_size": [8, 4],
    "max_queue_delay_microseconds": 250,
    "priority_levels": 2,
    "default_priority_level": 2,
    "default_queue_policy": {"max_queue_size": 50},
    "priority_queue_policy": {"1": {"timeout_action": "DELAY", "default_timeout_microseconds": 90000,
                                    "allow_timeout_override": True, "max_queue_size": 9}},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    for name, more in (("mlp", "batching: {max_rows: 16, max_delay: 1ms, delay: auto}"), ("kept", "cache: true"),
                       ("alone", "batching: off")):
        (root / name).mkdir()
        onnx_models.mlp(root / name / "model.onnx")
        (root / name / "model.yaml").write_text(MODEL_YAML.format(name=name, more=more))
    with Server(root) as server:
        yield server


@pytest.fixture(params=["http", "grpc"])
def client(server, request):
    module = over_http if request.param == "http" else over_grpc
    with module.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        client.get_config = lambda model: (client.get_model_config(model, as_json=True)["config"]
                                           if module is over_grpc else client.get_model_config(model))
        client.infer_row = lambda model: infer(client, module, model)
        yield client


def get_json(server, path):
    status, reply = server.request(path)
    assert status == 200, reply
    return reply


def infer(client, module, model):
    row = module.InferInput("x", [1, 4], "FP32")
    row.set_data_from_numpy(np.ones((1, 4), np.float32))
    return client.infer(model, [row])


def load(client, model, **config):
    client.load_model(model, config=json.dumps(config))
    return client.get_config(model)


def numbers(value):
    """gRPC's JSON writes 64-bit numbers as texts."""
    if isinstance(value, dict):
        return {key: numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [numbers(item) for item in value]
    return int(value) if isinstance(value, str) and value.isdigit() else value


def test_dynamic_batching_is_shown_and_applied(client, server):
    shown = numbers(load(client, "mlp", dynamic_batching=LEVELS)["dynamic_batching"])
    assert shown["preferred_batch_size"] == [4, 8] and shown["max_queue_delay_microseconds"] == 250
    assert shown["priority_levels"] == 2 and shown["default_priority_level"] == 2
    policies = shown["priority_queue_policy"]
    assert policies["1"] == {"timeout_action": "DELAY", "default_timeout_microseconds": 90000,
                             "allow_timeout_override": True, "max_queue_size": 9}
    assert policies["2"]["max_queue_size"] == 50
    settings = get_json(server, "/api/v1/models/mlp/batches")["settings"]
    assert settings["preferred_rows"] == [4, 8] and settings["max_delay"] == "250us" and settings["delay"] == "fixed"
    assert settings["max_rows"] == 16
    client.infer_row("mlp")


def test_a_load_without_a_configuration_goes_back_to_the_files(client, server):
    load(client, "mlp", dynamic_batching=LEVELS)
    client.load_model("mlp")
    settings = get_json(server, "/api/v1/models/mlp/batches")["settings"]
    assert settings["priorities"] == 1 and settings["delay"] == "auto" and settings["max_delay"] == "1ms"


@pytest.mark.parametrize("more", [{}, LEVELS])
def test_the_own_configuration_changes_nothing(client, server, more):
    before = load(client, "mlp", dynamic_batching=more)
    settings = get_json(server, "/api/v1/models/mlp/batches")["settings"]
    client.load_model("mlp", config=json.dumps(before))
    assert client.get_config("mlp") == before
    if not more:
        assert get_json(server, "/api/v1/models/mlp/batches")["settings"] == settings


@pytest.mark.parametrize("model, config, part", [
    ("mlp", {"dynamic_batching": {"preferred_batch_size": [32]}}, "preferred_batch_size"),
    ("mlp", {"dynamic_batching": {"default_queue_policy": {"max_queue_size": 100000}}}, "max_queue_size"),
    ("mlp", {"dynamic_batching": {"priority_levels": 2, "preserve_ordering": True}}, "preserve_ordering"),
    ("mlp", {"dynamic_batching": {"max_delay": 3}}, "max_delay"),
    ("alone", {"dynamic_batching": {"max_queue_delay_microseconds": 3}}, "max_queue_delay_microseconds"),
    ("mlp", {"response_cache": {"ttl": 3}}, "ttl"),
])
def test_what_cannot_be_done_is_refused_by_name(client, model, config, part):
    before = client.get_config(model)
    with pytest.raises(InferenceServerException) as error:
        client.load_model(model, config=json.dumps(config))
    assert part in error.value.message()
    assert client.get_config(model) == before


def hits(server, model):
    return get_json(server, f"/v2/models/{model}/stats")["model_stats"][0]["inference_stats"]["cache_hit"]["count"]


def test_the_response_cache_is_turned_on_and_off(client, server):
    for model, wanted in (("mlp", True), ("mlp", False), ("kept", False), ("kept", True)):
        config = load(client, model, response_cache={"enable": wanted})
        assert config.get("response_cache", {}).get("enable", False) == wanted
        before = hits(server, model)
        client.infer_row(model)
        client.infer_row(model)
        assert hits(server, model) - before == wanted
    client.load_model("mlp")
    assert "response_cache" not in client.get_config("mlp")
    client.load_model("kept")
    assert client.get_config("kept")["response_cache"] == {"enable": True}


def test_a_server_without_room_for_answers_says_so(tmp_path):
    (tmp_path / "m").mkdir()
    onnx_models.mlp(tmp_path / "m" / "model.onnx")
    (tmp_path / "m" / "model.yaml").write_text(MODEL_YAML.format(name="m", more="cache: true"))
    (tmp_path / "phoenix.yaml").write_text("cache: {bytes_max: 0}\n")
    with Server(tmp_path / "m", "--config", tmp_path / "phoenix.yaml") as server:
        with over_http.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
            assert "response_cache" not in client.get_model_config("m")
            with pytest.raises(InferenceServerException, match="cache.bytes_max|keeps no answers"):
                client.load_model("m", config='{"response_cache": {"enable": true}}')
            client.load_model("m", config='{"response_cache": {"enable": false}}')
