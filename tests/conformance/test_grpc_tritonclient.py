# SPDX-License-Identifier: Apache-2.0
"""Open Inference over gRPC as NVIDIA's own client speaks it, with scores equal to the training libraries' bits."""

import asyncio
import queue
import threading
import time

import grpc
import ml_dtypes
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from models import xgboost_model
from rest_models import NAMES, bank_instance, bank_rows, rows, xgboost_scores
from server import Server
from tritonclient.utils import InferenceServerException


@pytest.fixture
def client(rest):
    server, _ = rest
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        yield client


def tensor(name, values, datatype):
    made = triton.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values)
    return made


def whole(x, datatype="FP32"):
    return [tensor("input", x, datatype)]


def scores(client, model, inputs, name="predictions", **options):
    return client.infer(model, inputs, **options).as_numpy(name)


def same_bits(got, want):
    want = np.asarray(want)
    assert got.dtype == want.dtype
    bits = np.uint32 if got.dtype == np.float32 else np.uint64
    assert np.array_equal(got.ravel().view(bits), want.ravel().view(bits))


def test_health(client):
    assert client.is_server_live()
    assert client.is_server_ready()


def test_server_metadata(client):
    metadata = client.get_server_metadata()
    assert metadata.name == "phoenix"
    assert "classification" in metadata.extensions


def test_scores_equal_the_library(client, rest):
    _, boosters = rest
    x = rows(64)
    want = xgboost_scores(boosters["named"], x)
    result = client.infer("named", whole(x.astype(np.float32)), request_id="my-id")
    same_bits(result.as_numpy("predictions"), want)
    response = result.get_response()
    assert (response.model_name, response.model_version, response.id) == ("named", "1", "my-id")
    assert list(response.outputs[0].shape) == [64, 1]


def test_several_scores_a_row(client, rest):
    _, boosters = rest
    x = rows(10)
    got = scores(client, "classes", whole(x.astype(np.float32)))
    same_bits(got, xgboost_scores(boosters["classes"], x))


def test_double_precision(client, rest):
    _, boosters = rest
    x = rows(10)
    same_bits(scores(client, "light", whole(x, "FP64")), boosters["light"].predict(x))


def test_one_tensor_per_feature(client, rest):
    _, boosters = rest
    x = bank_rows(20)
    x = x[~np.isnan(x).any(axis=1)]
    raw = [bank_instance(row) for row in x]
    text = lambda name: np.array([[r[name].encode()] for r in raw], np.object_)
    inputs = [
        tensor("age", x[:, :1].astype(np.int32), "INT32"),
        tensor("job", text("job"), "BYTES"),
        tensor("married", np.array([[r["married"]] for r in raw]), "BOOL"),
        tensor("since", text("since"), "BYTES"),
        tensor("balance", x[:, 4:], "FP64"),
    ]
    want = xgboost_scores(boosters["bank"], x)
    same_bits(scores(client, "bank", inputs), want)
    labels = scores(client, "bank", inputs, "labels",
                    outputs=[triton.InferRequestedOutput("labels")])
    assert [v.decode() for v in labels.ravel()] == ["yes" if p > 0.5 else "no" for p in want]


@pytest.mark.parametrize(
    "datatype, numpy_type",
    [
        ("INT8", np.int8), ("INT16", np.int16), ("INT32", np.int32),
        ("INT64", np.int64), ("UINT8", np.uint8), ("UINT16", np.uint16), ("UINT32", np.uint32),
        ("UINT64", np.uint64), ("FP16", np.float16), ("FP32", np.float32), ("FP64", np.float64),
        ("BF16", ml_dtypes.bfloat16),
    ],
)
def test_every_datatype(client, rest, datatype, numpy_type):
    _, boosters = rest
    x = np.array([[3, 0, 1, 2]], np.float64)
    got = scores(client, "named", whole(x.astype(numpy_type), datatype))
    same_bits(got, xgboost_scores(boosters["named"], x))


def test_typed_contents(rest):
    """Values in the fields of their types, which tritonclient itself never sends."""
    from tritonclient.grpc import service_pb2, service_pb2_grpc

    server, boosters = rest
    x = rows(3)
    request = service_pb2.ModelInferRequest(model_name="named")
    sent = request.inputs.add(name="input", datatype="FP32", shape=x.shape)
    sent.contents.fp32_contents.extend(x.astype(np.float32).ravel().tolist())
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        response = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)
    got = np.frombuffer(response.raw_output_contents[0], np.float32)
    same_bits(got, xgboost_scores(boosters["named"], x))


def test_classification(client, rest):
    _, boosters = rest
    x = rows(5)
    output = triton.InferRequestedOutput("predictions", class_count=2)
    got = scores(client, "classes", whole(x.astype(np.float32)), outputs=[output])
    assert got.shape == (5, 2)
    for row, want in zip(got, xgboost_scores(boosters["classes"], x)):
        best = np.argsort(-want, kind="stable")[:2]
        assert [v.decode().split(":")[1] for v in row] == [str(k) for k in best]


def test_parameters_and_priority(client):
    x = rows(1).astype(np.float32)
    result = client.infer("named", whole(x), priority=3, timeout=10_000_000,
                          parameters={"mine": "x", "number": 7, "flag": True})
    assert result.as_numpy("predictions").shape == (1, 1)


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
@pytest.mark.parametrize("n", [1, 5000])
def test_compression(client, rest, compression, n):
    _, boosters = rest
    x = rows(n)
    got = scores(client, "named", whole(x.astype(np.float32)), compression_algorithm=compression)
    same_bits(got, xgboost_scores(boosters["named"], x))


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_large_tensors(tmp_path, compression):
    booster = xgboost_model(tmp_path / "m.json")
    (tmp_path / "phoenix.yaml").write_text("serving:\n  request_rows_max: 1000000\n")
    n = 8 * 1024 * 1024 // 4 // len(NAMES)
    x = np.tile(rows(1000), (n // 1000 + 1, 1))[:n]
    with Server(tmp_path / "m.json", "--config", tmp_path / "phoenix.yaml") as server:
        with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
            got = scores(client, "m", whole(x.astype(np.float32)),
                         compression_algorithm=compression)
    assert got.shape == (n, 1)
    same_bits(got[:1000], xgboost_scores(booster, x[:1000]))


def test_too_many_rows(client):
    x = np.zeros((100_001, len(NAMES)), np.float32)
    status, text = status_of(lambda: client.infer("named", whole(x)))
    assert status == "StatusCode.RESOURCE_EXHAUSTED" and "request_rows_max" in text


def status_of(call):
    with pytest.raises(InferenceServerException) as caught:
        call()
    return caught.value.status(), caught.value.message()


def test_errors(client):
    x = rows(1).astype(np.float32)
    status, text = status_of(lambda: client.infer("nobody", whole(x)))
    assert status == "StatusCode.NOT_FOUND" and "nobody" in text
    status, _ = status_of(lambda: client.infer("named", whole(x), model_version="9"))
    assert status == "StatusCode.NOT_FOUND"
    status, text = status_of(lambda: client.infer("broken", whole(x)))
    assert status == "StatusCode.UNAVAILABLE"
    status, text = status_of(lambda: client.infer("named", whole(x[:, :2])))
    assert status == "StatusCode.INVALID_ARGUMENT" and f"{len(NAMES)}" in text
    output = triton.InferRequestedOutput("nothing")
    status, text = status_of(lambda: client.infer("named", whole(x), outputs=[output]))
    assert status == "StatusCode.INVALID_ARGUMENT" and "predictions" in text
    status, text = status_of(lambda: client.infer("é%\n", whole(x)))
    assert status == "StatusCode.NOT_FOUND" and "é%\n" in text


def test_members_of_a_sequence_are_answered_as_any_other_request(client):
    x = rows(3).astype(np.float32)
    plain, member = (client.infer("named", whole(x), **options).as_numpy("predictions")
                     for options in ({}, {"sequence_id": 7, "sequence_start": True}))
    assert np.array_equal(plain, member)


def test_statistics(client):
    before = client.get_inference_statistics("named").model_stats[0]
    client.infer("named", whole(rows(3).astype(np.float32)))
    after = client.get_inference_statistics("named").model_stats[0]
    assert after.inference_count == before.inference_count + 3
    assert after.execution_count == before.execution_count + 1
    assert after.inference_stats.success.count == before.inference_stats.success.count + 1
    assert len(client.get_inference_statistics().model_stats) > 1


def test_deadlines(client):
    x = np.zeros((200_000, len(NAMES)), np.float32)
    status, _ = status_of(lambda: client.infer("named", whole(x), client_timeout=0.0001))
    assert status == "StatusCode.DEADLINE_EXCEEDED"
    assert client.infer("named", whole(x[:1]), client_timeout=30).as_numpy("predictions").size == 1


def test_asynchronous_calls(client, rest):
    _, boosters = rest
    x = rows(100)
    want = xgboost_scores(boosters["named"], x)
    answers = queue.Queue()
    for i in range(100):
        client.async_infer(
            "named",
            whole(x[i : i + 1].astype(np.float32)),
            callback=lambda result, error, i=i: answers.put((i, result, error)),
        )
    for _ in range(100):
        i, result, error = answers.get(timeout=60)
        assert error is None
        same_bits(result.as_numpy("predictions"), want[i : i + 1])


def test_cancellation(client):
    x = np.zeros((100_000, len(NAMES)), np.float32)
    answers = queue.Queue()
    call = client.async_infer("named", whole(x), 
                              callback=lambda result, error: answers.put((result, error)))
    call.cancel()
    _, error = answers.get(timeout=60)
    assert error is None or error.status() == "StatusCode.CANCELLED"
    assert client.is_server_live()


class Stream:
    """Answers of a stream, in the order in which they come."""

    def __init__(self, client, **options):
        self.answers = queue.Queue()
        client.start_stream(callback=lambda result, error: self.answers.put((result, error)),
                            **options)

    def next(self):
        return self.answers.get(timeout=60)


def test_streaming_keeps_the_order_of_thousands(client, rest):
    _, boosters = rest
    x = rows(500)
    wants = {m: xgboost_scores(boosters[m], x) for m in ("named", "classes")}
    stream = Stream(client)
    n = 5000
    for i in range(n):
        model = ("named", "classes")[i % 3 == 0]
        client.async_stream_infer(model, whole(x[i % 500 : i % 500 + 1].astype(np.float32)),
                                  request_id=str(i))
    for i in range(n):
        result, error = stream.next()
        assert error is None
        response = result.get_response()
        assert response.id == str(i)
        assert response.parameters["triton_final_response"].bool_param
        model = ("named", "classes")[i % 3 == 0]
        same_bits(result.as_numpy("predictions"), wants[model][i % 500 : i % 500 + 1])
    client.stop_stream()


def test_a_stream_goes_on_after_an_error(client):
    x = rows(1).astype(np.float32)
    stream = Stream(client)
    client.async_stream_infer("nobody", whole(x), request_id="a")
    client.async_stream_infer("named", whole(x), request_id="b")
    _, error = stream.next()
    assert "nobody" in error.message()
    result, error = stream.next()
    assert error is None and result.get_response().id == "b"
    client.stop_stream()


def test_a_stream_ends_with_a_status_when_asked_for(client):
    x = rows(1).astype(np.float32)
    stream = Stream(client, headers={"triton_grpc_error": "true"})
    client.async_stream_infer("nobody", whole(x), request_id="a")
    _, error = stream.next()
    assert error.status() == "StatusCode.NOT_FOUND"
    client.stop_stream()


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_compressed_streams(client, compression):
    x = rows(2000).astype(np.float32)
    stream = Stream(client, compression_algorithm=compression)
    for i in range(20):
        client.async_stream_infer("named", whole(x), request_id=str(i))
    for i in range(20):
        result, error = stream.next()
        assert error is None and result.as_numpy("predictions").shape == (2000, 1)
    client.stop_stream()


def test_large_messages_in_a_stream(client):
    x = np.zeros((100_000, len(NAMES)), np.float32)
    stream = Stream(client)
    for _ in range(5):
        client.async_stream_infer("named", whole(x))
    for _ in range(5):
        result, error = stream.next()
        assert error is None and result.as_numpy("predictions").shape == (100_000, 1)
    client.stop_stream()


def test_asyncio(rest):
    server, boosters = rest
    x = rows(20)
    want = xgboost_scores(boosters["named"], x)

    async def requests(count):
        for i in range(count):
            yield {"model_name": "named", "inputs": whole(x[i : i + 1].astype(np.float32)),
                   "request_id": str(i)}

    async def run():
        async with triton_aio.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
            assert await client.is_server_ready()
            calls = [client.infer("named", whole(x[i : i + 1].astype(np.float32)))
                     for i in range(20)]
            for i, result in enumerate(await asyncio.gather(*calls)):
                same_bits(result.as_numpy("predictions"), want[i : i + 1])
            i = 0
            async for result, error in client.stream_infer(requests(20)):
                assert error is None and result.get_response().id == str(i)
                i += 1
            assert i == 20

    asyncio.run(run())


def test_many_clients_at_once(rest):
    server, boosters = rest
    x = rows(50)
    want = xgboost_scores(boosters["named"], x)
    failures = []

    def work():
        try:
            with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
                for i in range(50):
                    same_bits(scores(client, "named", whole(x[i : i + 1].astype(np.float32))),
                              want[i : i + 1])
        except Exception as error:  # told below, in the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_time_spent_is_not_counted_twice(client):
    """A call over gRPC is one request, as one over REST is."""
    started = time.monotonic_ns()
    before = client.get_inference_statistics("named").model_stats[0].inference_stats
    client.infer("named", whole(rows(1).astype(np.float32)))
    after = client.get_inference_statistics("named").model_stats[0].inference_stats
    assert 0 < after.success.ns - before.success.ns < time.monotonic_ns() - started
