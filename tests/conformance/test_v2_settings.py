# SPDX-License-Identifier: Apache-2.0
"""Triton's trace and logging extensions, driven by tritonclient; the trace file as its tools read it."""

import json
import time

import numpy as np
import pytest
import tritonclient.http as triton
from models import rows, xgboost_model
from server import Server
from tritonclient.utils import InferenceServerException

DEFAULTS = {
    "trace_level": ["OFF"],
    "trace_rate": "1000",
    "trace_count": "-1",
    "log_frequency": "0",
    "trace_mode": "triton",
}
TIMES = [
    "HTTP_RECV_END",
    "REQUEST_START",
    "QUEUE_START",
    "COMPUTE_START",
    "COMPUTE_INPUT_END",
    "COMPUTE_OUTPUT_START",
    "COMPUTE_END",
    "REQUEST_END",
]


@pytest.fixture
def traced(tmp_path):
    """(server, client, the trace file) with models `a` and `b`."""
    xgboost_model(tmp_path / "a.json")
    xgboost_model(tmp_path / "b.json")
    (tmp_path / "phoenix.yaml").write_text(f"trace:\n  file: {tmp_path}/trace.json\n")
    arguments = (tmp_path / "a.json", tmp_path / "b.json", "--config", tmp_path / "phoenix.yaml")
    with Server(*arguments, "--threads", 1) as server:
        with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
            yield server, client, tmp_path / "trace.json"


def infer(client, model, n=1):
    x = np.nan_to_num(rows(n).astype(np.float32))
    tensor = triton.InferInput("input", x.shape, "FP32")
    tensor.set_data_from_numpy(x, binary_data=False)
    return client.infer(model, [tensor])


def traces(path, n):
    """The records of the file once it has traces of `n` requests: {id: [record, ...]}."""
    deadline = time.monotonic() + 30
    found = {}
    while len(found) < n and time.monotonic() < deadline:
        time.sleep(0.01)
        try:
            records = json.loads(path.read_text())
        except json.JSONDecodeError:  # in the middle of a write
            continue
        found = {}
        for record in records:
            found.setdefault(record["id"], []).append(record)
    return found


def test_settings_have_defaults_and_are_reset_by_null(traced):
    _, client, file = traced
    assert client.get_trace_settings() == {**DEFAULTS, "trace_file": str(file)}
    changed = client.update_trace_settings(settings={"trace_rate": "5", "trace_level": ["TIMESTAMPS"]})
    assert changed["trace_rate"] == "5" and changed["trace_level"] == ["TIMESTAMPS"]
    own = client.update_trace_settings(model_name="a", settings={"trace_rate": "7"})
    assert own["trace_rate"] == "7" and own["trace_level"] == ["TIMESTAMPS"]
    assert client.get_trace_settings()["trace_rate"] == "5"
    assert client.get_trace_settings(model_name="b")["trace_rate"] == "5"
    assert client.update_trace_settings(model_name="a", settings={"trace_rate": None})["trace_rate"] == "5"
    client.update_trace_settings(settings={"trace_rate": None, "trace_level": None})
    assert client.get_trace_settings() == {**DEFAULTS, "trace_file": str(file)}


def test_times_of_a_request_are_written_in_order(traced):
    _, client, file = traced
    client.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"], "trace_rate": "1"})
    infer(client, "a")
    (records,) = traces(file, 1).values()
    head, times = records
    assert head["model_name"] == "a" and head["model_version"] == 1
    assert [t["name"] for t in times["timestamps"]] == TIMES
    ns = [t["ns"] for t in times["timestamps"]]
    assert ns == sorted(ns)


def test_tensors_are_written_when_asked_for(traced):
    _, client, file = traced
    client.update_trace_settings(
        settings={"trace_level": ["TIMESTAMPS", "TENSORS"], "trace_rate": "1"}
    )
    score = infer(client, "a", n=2).as_numpy("predictions")
    (records,) = traces(file, 1).values()
    tensors = {r["activity"]: r["tensor"] for r in records if "activity" in r}
    given = tensors["TENSOR_QUEUE_INPUT"]
    assert given["shape"] == "2,4" and given["dtype"] == "FP32"
    assert len(given["data"].split(",")) == 8
    got = np.array(tensors["TENSOR_BACKEND_OUTPUT"]["data"].split(","), np.float64)
    assert np.array_equal(got.astype(np.float32), score.ravel())


def test_rate_and_count_bound_what_is_traced(traced):
    _, client, file = traced
    client.update_trace_settings(
        settings={"trace_level": ["TIMESTAMPS"], "trace_rate": "3", "trace_count": "2"}
    )
    for _ in range(12):
        infer(client, "a")
    assert len(traces(file, 2)) == 2
    assert client.get_trace_settings()["trace_count"] == "0"


def test_a_model_may_be_traced_alone(traced):
    _, client, file = traced
    client.update_trace_settings(
        model_name="b", settings={"trace_level": ["TIMESTAMPS"], "trace_rate": "1"}
    )
    infer(client, "a")
    infer(client, "b")
    assert [r[0]["model_name"] for r in traces(file, 1).values()] == ["b"]


def test_log_frequency_begins_new_files(traced):
    _, client, file = traced
    client.update_trace_settings(
        settings={"trace_level": ["TIMESTAMPS"], "trace_rate": "1", "log_frequency": "2"}
    )
    for _ in range(5):
        infer(client, "a")
    for number, n in ((0, 2), (1, 2), (2, 1)):
        path = file.with_name(f"trace.json.{number}")
        deadline = time.monotonic() + 30
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(traces(path, n)) == n


@pytest.mark.parametrize(
    "settings, status",
    [
        ({"trace_level": ["LOUD"]}, 400),
        ({"trace_level": ["OFF", "TENSORS"]}, 400),
        ({"trace_rate": "0"}, 400),
        ({"trace_rate": "many"}, 400),
        ({"trace_count": "-2"}, 400),
        ({"trace_colour": "red"}, 400),
        ({"trace_file": "/tmp/x"}, 501),
        ({"trace_mode": "opentelemetry"}, 501),
    ],
)
def test_wrong_settings_change_nothing(traced, settings, status):
    server, client, _ = traced
    before = client.get_trace_settings()
    got, reply = server.request("/v2/trace/setting", {"log_frequency": "9", **settings})
    assert got == status and reply["error"]
    assert client.get_trace_settings() == before


def test_unknown_models_have_no_settings(traced):
    server, _, _ = traced
    assert server.request("/v2/models/absent/trace/setting")[0] == 404
    assert server.request("/v2/models/absent/trace/setting", {"trace_rate": "1"})[0] == 404


def test_without_a_file_nothing_can_be_traced(tmp_path):
    xgboost_model(tmp_path / "a.json")
    with Server(tmp_path / "a.json") as server:
        with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
            assert client.get_trace_settings()["trace_file"] == ""
            client.update_trace_settings(settings={"trace_level": ["OFF"]})
            with pytest.raises(InferenceServerException, match="no file"):
                client.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"]})


def test_log_settings(traced):
    server, client, _ = traced
    assert client.get_log_settings() == {
        "log_file": "",
        "log_info": True,
        "log_warning": True,
        "log_error": True,
        "log_verbose_level": 0,
        "log_format": "ISO8601",
    }
    client.load_model("a")
    assert server.log().count("model.loaded") == 3
    changed = client.update_log_settings({"log_info": False, "log_format": "default"})
    assert changed["log_info"] is False and changed["log_format"] == "default"
    client.load_model("a")
    assert server.log().count("model.loaded") == 3
    client.update_log_settings({"log_info": True, "log_verbose_level": 1})
    client.load_model("a")
    assert server.log().count("model.loaded") == 4
    for wrong, status in (
        ({"log_info": 1}, 400),
        ({"log_verbose_level": -1}, 400),
        ({"log_format": "xml"}, 400),
        ({"log_colour": True}, 400),
        ({"log_file": "/tmp/x"}, 501),
    ):
        got, reply = server.request("/v2/logging", {"log_error": False, **wrong})
        assert got == status and reply["error"]
    assert client.get_log_settings()["log_error"] is True
