# SPDX-License-Identifier: Apache-2.0
"""The same scripted calls to a real Triton server and to Phoenix, the answers compared field by field.

What differs must stand in docs/api/triton.md with the reason, and what stands there must differ. Texts of errors are our own everywhere, so only their place is compared; numbers that count or
measure are compared by their type.
"""

import http.client
import json
import os
import shutil
import socket
from pathlib import Path

import grpc
import numpy as np
import pytest
import xgboost
from calls import FEATURES, GRPC, HTTP, floats
from differences import DIFFERENCES
from google.protobuf.json_format import MessageToDict
from server import Server
from triton import Triton, write_model
from tritonclient.grpc import service_pb2_grpc

VENV = Path(os.environ.get("TRITON_VENV", Path(__file__).parents[2] / ".venv-peers" / "triton"))
MEASURES = {"ns", "count", "last_inference", "inference_count", "execution_count", "byte_size"}


def free_ports(n):
    probes = [socket.socket() for _ in range(n)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def write_regression(path):
    rows = np.random.default_rng(3).normal(size=(300, FEATURES)).astype(np.float32)
    data = xgboost.DMatrix(rows, rows[:, 0] * 2 + rows[:, 1])
    booster = xgboost.train({"objective": "reg:squarederror", "max_depth": 3, "nthread": 1}, data, 5)
    booster.save_model(path)


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """(HTTP port, gRPC port) of Triton and of Phoenix, with models m and other."""
    if not (VENV / "bin" / "python").exists():
        pytest.skip(f"no Triton at {VENV}; see tests/peers/README.md")
    folder = tmp_path_factory.mktemp("triton")
    write_regression(folder / "model.json")
    for name in ("m", "other"):
        write_model(folder / "repository", name, folder / "model.json", FEATURES, 1)
        (folder / "phoenix" / name / "1").mkdir(parents=True)
        shutil.copy(folder / "model.json", folder / "phoenix" / name / "1" / "model.json")
    with Triton(VENV, folder, free_ports(3)) as triton, Server(folder / "phoenix") as phoenix:
        yield {"triton": (triton.http_port, triton.grpc_port), "phoenix": (phoenix.port, phoenix.port)}


def shape_of(value, key=None):
    """The value with measures as a mark, texts of errors as a mark, and numbers as the floats that they stand for."""
    if isinstance(value, dict):
        return {name: shape_of(member, name) for name, member in value.items()}
    if isinstance(value, list):
        return [shape_of(element, key) for element in value]
    if key == "error":
        return "(text)" if value else value
    if value == "UNLOADING":  # Triton is still at it; a moment later it says the same as we
        return "UNAVAILABLE"
    if key in MEASURES:
        return "(measure)"
    return float(np.float32(value)) if isinstance(value, float) else value


def without_measures(value):
    """Protobuf leaves out what is 0, so measures say nothing by being there."""
    if isinstance(value, dict):
        return {name: without_measures(member) for name, member in value.items() if name not in MEASURES}
    return [without_measures(element) for element in value] if isinstance(value, list) else value


def drop_reasons(index):
    return [{key: value for key, value in entry.items() if key != "reason"} for entry in index]


def parse_body(reply, data):
    length = reply.getheader("Inference-Header-Content-Length")
    if length:
        return {"json": json.loads(data[:int(length)]), "binary": floats(data[int(length):])}
    if data.startswith((b"{", b"[")):
        body = shape_of(json.loads(data))
        return drop_reasons(body) if isinstance(body, list) and data.startswith(b'[{"name"') else body
    return data.decode()


def call_http(port, method, path, headers, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in {"Content-Length": str(len(body or b"")), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    reply = connection.getresponse()
    data = reply.read()
    answer = {"status": reply.status, "body": parse_body(reply, data)}
    if reply.status == 200 and data:  # Triton labels some errors and all empty bodies otherwise than the rest
        answer["type"] = reply.getheader("Content-Type")
    return answer


def call_grpc(port, method, request):
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            reply = getattr(service_pb2_grpc.GRPCInferenceServiceStub(channel), method)(request, timeout=30)
        except grpc.RpcError as error:
            return {"status": error.code().name}
    result = without_measures(MessageToDict(reply, preserving_proto_field_name=True))
    if getattr(reply, "raw_output_contents", None) and reply.outputs[0].datatype == "FP32":
        result["raw_output_contents"] = [floats(data) for data in reply.raw_output_contents]
    return {"status": "OK", "body": result}


def judge(name, triton, phoenix):
    if name in DIFFERENCES:
        assert triton != phoenix, f"{name}: no longer differs; take it out of docs/api/triton.md"
    else:
        assert phoenix == triton, f"{name}: if this is meant, give the reason in docs/api/triton.md"


@pytest.mark.parametrize("name", HTTP)
def test_http(servers, name):
    answers = {server: call_http(ports[0], *HTTP[name]) for server, ports in servers.items()}
    judge(f"HTTP: {name}", **answers)


@pytest.mark.parametrize("name", GRPC)
def test_grpc(servers, name):
    answers = {server: call_grpc(ports[1], *GRPC[name]) for server, ports in servers.items()}
    judge(f"gRPC: {name}", **answers)


def test_every_difference_is_of_a_call():
    names = {f"HTTP: {name}" for name in HTTP} | {f"gRPC: {name}" for name in GRPC}
    assert not set(DIFFERENCES) - names
