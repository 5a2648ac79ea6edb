# SPDX-License-Identifier: Apache-2.0
"""The remote engine against a gRPC server that answers whatever a test wants: hostile messages, statuses, silence."""

import threading
from concurrent import futures

import grpc
import numpy as np
import pytest
from remote import Remote, RemoteError
from tritonclient.grpc import service_pb2 as pb

SERVICE = "/inference.GRPCInferenceService/"
X, Y = np.array([[1, 2], [3, 4]], np.float32), np.full((2, 2), 0.5, np.float32)


class Peer(grpc.GenericRpcHandler):
    """Serves "add"; `infer(request bytes, context) -> bytes` may be replaced."""

    def __init__(self):
        self.infer, self.calls, self.metadata = self.add, [], []
        self.release = threading.Event()
        self.server = grpc.server(futures.ThreadPoolExecutor(8))
        self.server.add_generic_rpc_handlers((self,))
        self.url = f"grpc://127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def service(self, details):
        answer = {"ModelMetadata": self.describe, "ModelReady": lambda *_: pb.ModelReadyResponse(ready=True).SerializeToString(),
                  "ModelInfer": self.count}.get(details.method.removeprefix(SERVICE))
        return grpc.unary_unary_rpc_method_handler(answer) if answer else None

    def describe(self, *_):
        tensor = pb.ModelMetadataResponse.TensorMetadata
        return pb.ModelMetadataResponse(
            name="add", inputs=[tensor(name=name, datatype="FP32", shape=[-1, 2]) for name in "xy"],
            outputs=[tensor(name="sum", datatype="FP32", shape=[-1, 2])]).SerializeToString()

    def count(self, request, context):
        self.calls.append(pb.ModelInferRequest.FromString(request))
        self.metadata.append((dict(context.invocation_metadata()), context.time_remaining()))
        return self.infer(self.calls[-1], context)

    @staticmethod
    def reply(values, datatype="FP32", shape=None, typed=False, name="sum"):
        message = pb.ModelInferResponse(model_name="add")
        output = message.outputs.add(name=name, datatype=datatype, shape=shape or values.shape)
        if typed:
            output.contents.fp32_contents.extend(values.ravel())
        else:
            message.raw_output_contents.append(values.tobytes())
        return message.SerializeToString()

    def add(self, request, _):
        x, y = (np.frombuffer(raw, np.float32).reshape(-1, 2) for raw in request.raw_input_contents)
        return self.reply(x + y)


@pytest.fixture
def peer():
    peer = Peer()
    yield peer
    peer.release.set()
    peer.server.stop(None)


def ask(peer, timeout_ms=0, **settings):
    with Remote(urls=[peer.url], model="add", **settings) as remote:
        return remote.run({"x": X, "y": Y}, timeout_ms=timeout_ms)["sum"]


def test_raw_and_typed_replies(peer):
    np.testing.assert_array_equal(ask(peer), X + Y)
    peer.infer = lambda *_: peer.reply(X, typed=True)
    np.testing.assert_array_equal(ask(peer), X)


def test_headers_and_the_deadline_go_along(peer):
    ask(peer, timeout_ms=5000, headers={"authorization": "Bearer abc"})
    metadata, remaining = peer.metadata[0]
    assert metadata["authorization"] == "Bearer abc"
    assert 0 < remaining <= 5
    assert 0 < peer.calls[0].parameters["timeout"].int64_param <= 5_000_000


@pytest.mark.parametrize("answer, text", [
    (lambda p: b"", "'sum' is missing"),
    (lambda p: b"\xff\xff\xff", "ModelInferResponse"),
    (lambda p: b"\x2a\x7f\x00", "ModelInferResponse"),
    (lambda p: p.reply(X, name="other"), "'sum' is missing"),
    (lambda p: p.reply(X, datatype="FP64"), "FP64"),
    (lambda p: p.reply(X, datatype="NONE"), "NONE"),
    (lambda p: p.reply(X, shape=[2, 3]), "sum"),
    (lambda p: p.reply(X, shape=[4, 2]), "sum"),
    (lambda p: p.reply(X, shape=[-1, 2]), "negative"),
    (lambda p: p.reply(X, shape=[2**62, 2]), "sum"),
    (lambda p: p.reply(X, shape=[1] * 9), "dimensions"),
    (lambda p: p.reply(X, shape=[9, 2], typed=True), "sum"),
])
def test_hostile_messages_are_errors(peer, answer, text):
    peer.infer = lambda *_: answer(peer)
    with pytest.raises(RemoteError) as failed:
        ask(peer)
    assert failed.value.code == "INTERNAL"
    assert peer.url in str(failed.value) and text in str(failed.value)
    assert len(peer.calls) == 1


def test_a_reply_that_is_too_long(peer):
    peer.infer = lambda *_: bytes(3_000_000)
    with pytest.raises(RemoteError, match="more than 1000000 bytes"):
        ask(peer, response_bytes_max=1000000)


@pytest.mark.parametrize("status, code, calls", [
    (grpc.StatusCode.INVALID_ARGUMENT, "INVALID", 1),
    (grpc.StatusCode.NOT_FOUND, "NOT_FOUND", 1),
    (grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMITED", 1),
    (grpc.StatusCode.UNAUTHENTICATED, "INTERNAL", 1),
    (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", 3),
])
def test_statuses_and_messages_are_passed_on(peer, status, code, calls):
    peer.infer = lambda request, context: context.abort(status, "größer: 100%\n" + "x" * 500)
    with pytest.raises(RemoteError, match="größer: 100%") as failed:
        ask(peer)
    assert failed.value.code == code
    assert len(str(failed.value)) < 384
    assert len(peer.calls) == calls


def test_an_unavailable_moment_costs_a_retry(peer):
    def infer(request, context):
        if len(peer.calls) == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        return peer.add(request, context)

    peer.infer = infer
    np.testing.assert_array_equal(ask(peer), X + Y)


def test_silence_ends_at_the_deadline_and_the_peer_is_told(peer):
    ended = threading.Event()

    def infer(request, context):
        context.add_callback(ended.set)
        peer.release.wait(20)
        return b""

    peer.infer = infer
    with Remote(urls=[peer.url], model="add") as remote:
        with pytest.raises(RemoteError, match="no answer within"):
            remote.run({"x": X, "y": Y}, timeout_ms=200)
        assert ended.wait(10)
        peer.infer = peer.add
        np.testing.assert_array_equal(remote.run({"x": X, "y": Y})["sum"], X + Y)
