# SPDX-License-Identifier: Apache-2.0
"""What a model is, which there are, and settings, over gRPC with NVIDIA's own client."""

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from grpc_health.v1 import health_pb2, health_pb2_grpc
from models import NAMES, rows, xgboost_model
from server import Server
from tritonclient.utils import InferenceServerException

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def client(rest):
    server, _ = rest
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        yield client


def status_of(call):
    with pytest.raises(InferenceServerException) as caught:
        call()
    return caught.value.status(), caught.value.message()


def test_readiness(client):
    assert client.is_model_ready("named")
    assert client.is_model_ready("named", "1")
    assert not client.is_model_ready("broken")
    assert not client.is_model_ready("nobody")


def test_metadata_is_that_of_rest(client, rest):
    server, _ = rest
    for model in ("named", "bank", "classes", "light"):
        _, want = server.request(f"/v2/models/{model}")
        got = client.get_model_metadata(model, as_json=True)
        assert got["name"] == want["name"] and got["versions"] == want["versions"]
        assert got["platform"] == want["platform"]
        for side in ("inputs", "outputs"):
            tensors = [{**t, "shape": [int(d) for d in t["shape"]]} for t in got[side]]
            assert tensors == want[side]
    _, want = server.request("/v2")
    assert list(client.get_server_metadata().extensions) == want["extensions"]


def test_configuration(client):
    config = client.get_model_config("named").config
    assert config.name == "named" and config.max_batch_size > 0
    assert config.HasField("dynamic_batching") and config.version_policy.HasField("all")
    assert [(t.name, list(t.dims)) for t in config.input] == [("input", [len(NAMES)])]
    config = client.get_model_config("bank").config
    assert [t.name for t in config.input] == ["age", "job", "married", "since", "balance"]
    status, _ = status_of(lambda: client.get_model_config("nobody"))
    assert status == "StatusCode.NOT_FOUND"


def test_repository_index(client):
    index = {m.name: m for m in client.get_model_repository_index().models}
    assert index["named"].state == "READY" and index["named"].version == "1"
    assert index["broken"].state == "UNAVAILABLE" and index["broken"].reason


@pytest.fixture
def own(tmp_path):
    """A server with one model that may be loaded and unloaded, and its client."""
    xgboost_model(tmp_path / "m.json")
    with Server(tmp_path / "m.json") as server:
        with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
            yield server, client


def test_models_come_and_go(own):
    server, client = own
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == SERVING
        client.unload_model("m")
        assert next(watch).status == NOT_SERVING
        assert not client.is_server_ready()
        client.load_model("m")
        assert next(watch).status == SERVING
        watch.cancel()
    assert client.is_model_ready("m")
    status, text = status_of(lambda: client.load_model("nobody"))
    assert status == "StatusCode.NOT_FOUND" and "nobody" in text


def test_a_model_that_comes_with_the_request(own, tmp_path):
    _, client = own
    other = xgboost_model(tmp_path / "other.json", objective="reg:squarederror")
    x = rows(3).astype(np.float32)
    client.load_model("m", config="{}",
                      files={"file:1/model.json": (tmp_path / "other.json").read_bytes()})
    tensor = triton.InferInput("input", x.shape, "FP32")
    tensor.set_data_from_numpy(x)
    from models import xgboost_scores
    want = np.asarray(xgboost_scores(other, rows(3)))
    got = client.infer("m", [tensor]).as_numpy("predictions")
    assert np.array_equal(got.ravel().view(np.uint32), want.ravel().view(np.uint32))


def test_log_settings(own):
    _, client = own
    settings = client.get_log_settings().settings
    assert settings["log_info"].bool_param and settings["log_error"].bool_param
    changed = client.update_log_settings({"log_verbose_level": 1, "log_info": False}).settings
    assert changed["log_verbose_level"].uint32_param == 1
    assert not changed["log_info"].bool_param
    status, _ = status_of(lambda: client.update_log_settings({"log_nothing": True}))
    assert status == "StatusCode.INVALID_ARGUMENT"
    status, _ = status_of(lambda: client.update_log_settings({"log_file": "x"}))
    assert status == "StatusCode.UNIMPLEMENTED"


def test_trace_settings(own):
    server, client = own
    settings = client.get_trace_settings().settings
    assert list(settings["trace_level"].value) == ["OFF"]
    _, want = server.request("/v2/trace/setting")
    assert set(settings) == set(want)
    client.update_trace_settings(model_name="m", settings={"trace_rate": "10"})
    assert list(client.get_trace_settings(model_name="m").settings["trace_rate"].value) == ["10"]
    client.update_trace_settings(model_name="m", settings={"trace_rate": None})
    got = client.get_trace_settings(model_name="m").settings["trace_rate"].value
    assert list(got) == list(settings["trace_rate"].value)
    status, _ = status_of(lambda: client.get_trace_settings(model_name="nobody"))
    assert status == "StatusCode.NOT_FOUND"
    status, _ = status_of(lambda: client.update_trace_settings(settings={"trace_nothing": "1"}))
    assert status == "StatusCode.INVALID_ARGUMENT"
