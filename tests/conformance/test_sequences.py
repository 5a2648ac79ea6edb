# SPDX-License-Identifier: Apache-2.0
"""Models that keep state, over REST, gRPC and gRPC's stream with Triton's clients.

An LSTM that is asked tick by tick answers what it answers for the whole series, whatever the scheduler and however many sequences there
are at a time.
"""

import os
import queue
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx_models
import onnx_nodes
import onnxruntime
import pytest
import sequence_packages
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from server import Server
from tritonclient.utils import InferenceServerException

pytestmark = pytest.mark.skipif(
    not onnx_nodes.LIBRARY.exists() and not os.environ.get("PHOENIX_ONNXRUNTIME"),
    reason="no ONNX Runtime (tools/fetch-engines fetches it)")

STEPS = 12
SCHEDULERS = {
    "lstm_oldest": ["scheduler: oldest", "sequences_max: 128", "idle_timeout_ms: 60000", "steps_max: 2000"],
    "lstm_direct": ["scheduler: direct", "sequences_max: 128", "idle_timeout_ms: 60000", "steps_max: 2000"],
    "lstm_crowded": ["sequences_max: 8", "max_queue_delay_us: 200", "batch_max: 4",
                     "preferred_batch_sizes: [2, 4]", "idle_timeout_ms: 60000", "steps_max: 2000"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sequences")


@pytest.fixture(scope="module")
def server(folder):
    packages = {name: sequence_packages.lstm(folder / name, *settings) for name, settings in SCHEDULERS.items()}
    packages["gru"] = sequence_packages.gru(folder / "gru")
    packages["short"] = sequence_packages.lstm(folder / "short", "idle_timeout_ms: 150")
    packages["sum"] = sequence_packages.running_sum(folder / "sum", "scheduler: direct", "sequences_max: 16")
    library = {} if os.environ.get("PHOENIX_ONNXRUNTIME") else {"PHOENIX_ONNXRUNTIME": str(onnx_nodes.LIBRARY)}
    with Server(*(f"{name}={path}" for name, path in packages.items()), env=library) as server:
        yield server


@pytest.fixture(scope="module")
def whole_series(folder):
    """The answers for a whole series [steps, features]."""
    path = str(folder / "series.onnx")
    onnx_models.lstm_series(path)
    session = onnxruntime.InferenceSession(path)
    return lambda series: session.run(["y"], {"x": series[:, None, :]})[0]


def series_of(seed):
    return np.random.default_rng(seed).normal(size=(STEPS, onnx_models.FEATURES)).astype(np.float32)


def ask(client, connection, model, row, **sequence):
    tensor = client.InferInput("x", row.shape, "FP32")
    tensor.set_data_from_numpy(row)
    return connection.infer(model, [tensor], **sequence).as_numpy("y")


def tick_by_tick(client, connection, model, series, sequence_id):
    answers = []
    for i, row in enumerate(series):
        answers.append(ask(client, connection, model, row[None, :], sequence_id=sequence_id,
                           sequence_start=i == 0, sequence_end=i == len(series) - 1)[0])
    return np.array(answers)


def connect(client, server):
    return client.InferenceServerClient(f"127.0.0.1:{server.port}")


@pytest.mark.parametrize("model", SCHEDULERS)
@pytest.mark.parametrize("client", [over_http, over_grpc])
@pytest.mark.parametrize("sequence_id", [2**64 - 2, "a sequence of texts"])
def test_an_lstm_tick_by_tick_is_the_whole_series(server, whole_series, client, model, sequence_id):
    if client is over_grpc and isinstance(sequence_id, int):
        sequence_id = 2**63 - 1  # what the client's field holds
    with connect(client, server) as connection:
        series = series_of(1)
        got = tick_by_tick(client, connection, model, series, sequence_id)
    np.testing.assert_allclose(got, whole_series(series), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model", SCHEDULERS)
def test_a_hundred_sequences_at_a_time_over_http(server, whole_series, model):
    def run(number):
        series = series_of(number)
        with connect(over_http, server) as connection:  # a client belongs to its thread
            return series, tick_by_tick(over_http, connection, model, series, number)

    with ThreadPoolExecutor(25) as pool:
        results = list(pool.map(run, range(1, 101)))
    for series, got in results:
        np.testing.assert_allclose(got, whole_series(series), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model", SCHEDULERS)
def test_a_hundred_interleaved_sequences_in_one_stream(server, whole_series, model):
    """All steps are sent ahead; with a backlog the first ones wait for places."""
    replies = queue.Queue()
    all_series = {number: series_of(number) for number in range(1001, 1101)}
    with connect(over_grpc, server) as connection:
        connection.start_stream(lambda result, error: replies.put((result, error)))
        for i in range(STEPS):
            for number, series in all_series.items():
                tensor = over_grpc.InferInput("x", [1, onnx_models.FEATURES], "FP32")
                tensor.set_data_from_numpy(series[i : i + 1])
                connection.async_stream_infer(
                    model, [tensor], request_id=f"{number}/{i}", sequence_id=number,
                    sequence_start=i == 0, sequence_end=i == STEPS - 1)
        got = {}
        for _ in range(STEPS * len(all_series)):
            result, error = replies.get(timeout=60)
            assert error is None, error
            number, i = map(int, result.get_response().id.split("/"))
            got[number, i] = result.as_numpy("y")[0]
        connection.stop_stream()
    for number, series in all_series.items():
        mine = np.array([got[number, i] for i in range(STEPS)])
        np.testing.assert_allclose(mine, whole_series(series), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("client", [over_http, over_grpc])
def test_a_model_without_rows_keeps_its_state_too(server, folder, client):
    session = onnxruntime.InferenceSession(str(folder / "gru" / "model.onnx"))
    series, state = series_of(7), np.zeros((1, 1, onnx_models.HIDDEN), np.float32)
    with connect(client, server) as connection:
        for i, row in enumerate(series):
            want, state = session.run(["y", "h_out"], {"x": row[None, None, :], "h_in": state})
            got = ask(client, connection, "gru", row[None, None, :], sequence_id=5, sequence_start=i == 0,
                      sequence_end=i == STEPS - 1)
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("client", [over_http, over_grpc])
def test_unknown_sequences_and_missing_ids_are_refused_as_triton_does(server, client):
    row = series_of(1)[:1]
    with connect(client, server) as connection:
        with pytest.raises(InferenceServerException, match="must specify the START flag on the first request"):
            ask(client, connection, "lstm_oldest", row, sequence_id=77)
        with pytest.raises(InferenceServerException, match="expected a sequence id that is not 0"):
            ask(client, connection, "lstm_oldest", row)
        ask(client, connection, "lstm_oldest", row, sequence_id=77, sequence_start=True, sequence_end=True)
        with pytest.raises(InferenceServerException, match="START flag"):
            ask(client, connection, "lstm_oldest", row, sequence_id=77)
        with pytest.raises(InferenceServerException, match="one row"):
            ask(client, connection, "lstm_oldest", series_of(1)[:2], sequence_id=78, sequence_start=True)


def test_a_start_begins_again_and_an_idle_sequence_is_forgotten(server, whole_series):
    series = series_of(3)
    with connect(over_http, server) as connection:
        ask(over_http, connection, "short", series[5:6], sequence_id=1, sequence_start=True)
        first = ask(over_http, connection, "short", series[:1], sequence_id=1, sequence_start=True)
        second = ask(over_http, connection, "short", series[1:2], sequence_id=1)
        np.testing.assert_allclose(np.concatenate([first, second]), whole_series(series[:2]), rtol=1e-5, atol=1e-6)
        time.sleep(0.4)
        with pytest.raises(InferenceServerException, match="START flag"):
            ask(over_http, connection, "short", series[2:3], sequence_id=1)


def test_controls_reach_the_model(server):
    with connect(over_grpc, server) as connection:
        for number in (11, 12):
            for i, value in enumerate([1, 10, 100]):
                tensor = over_grpc.InferInput("x", [1, 1], "FP32")
                tensor.set_data_from_numpy(np.array([[value]], np.float32))
                reply = connection.infer("sum", [tensor], sequence_id=number, sequence_start=i == 0, sequence_end=i == 2)
                assert reply.as_numpy("sum")[0, 0] == sum([1, 10, 100][: i + 1])
                assert reply.as_numpy("id")[0, 0] == number
                assert reply.as_numpy("ready")[0, 0] == 1
                assert reply.as_numpy("end")[0, 0] == (i == 2)


def test_models_are_warm_whatever_type_they_take_the_id_as(server):
    """The model `sum` takes it as INT64."""
    assert "model.cold" not in server.log()


def test_the_configuration_says_how_sequences_are_batched(server):
    with connect(over_http, server) as connection, connect(over_grpc, server) as other:
        assert {"sequence", "sequence(string_id)"} <= set(connection.get_server_metadata()["extensions"])
        assert "sequence" in other.get_server_metadata().extensions
        for model in ("lstm_crowded", "lstm_direct", "sum", "gru"):
            config = connection.get_model_config(model)
            message = other.get_model_config(model).config
            batching, same = config["sequence_batching"], message.sequence_batching
            assert "dynamic_batching" not in config
            assert message.WhichOneof("scheduling_choice") == "sequence_batching"
            assert batching["max_sequence_idle_microseconds"] == same.max_sequence_idle_microseconds
            assert same.WhichOneof("strategy_choice") in batching
            assert config["max_batch_size"] == message.max_batch_size
            assert [s["input_name"] for s in batching["state"]] == [s.input_name for s in same.state]
            assert [s["dims"] for s in batching["state"]] == [list(s.dims) for s in same.state]
            assert all(s.initial_state[0].zero_data for s in same.state)
            assert [c["name"] for c in batching["control_input"]] == [c.name for c in same.control_input]
        oldest = connection.get_model_config("lstm_crowded")
        assert oldest["max_batch_size"] == 4
        assert oldest["sequence_batching"]["oldest"]["preferred_batch_size"] == [2, 4]
        kinds = {c.control[0].kind for c in other.get_model_config("sum").config.sequence_batching.control_input}
        assert kinds == {0, 1, 2, 3}
        names = [t["name"] for t in connection.get_model_metadata("lstm_oldest")["inputs"]]
        assert names == ["x"]


def test_a_state_is_shown_when_the_package_says_so(tmp_path):
    states = "states: [{input: h_in, output: h_out, show: true}, {input: c_in, output: c_out}]"
    package = sequence_packages.write(tmp_path / "shown", onnx_models.lstm_step, [states])
    library = {} if os.environ.get("PHOENIX_ONNXRUNTIME") else {"PHOENIX_ONNXRUNTIME": str(onnx_nodes.LIBRARY)}
    with Server(f"shown={package}", env=library) as server, connect(over_http, server) as connection:
        names = [t["name"] for t in connection.get_model_metadata("shown")["outputs"]]
        assert names == ["y", "h_out"]
