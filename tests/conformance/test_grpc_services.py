# SPDX-License-Identifier: Apache-2.0
"""Health, reflection and the rules of gRPC itself, with stubs that gRPC's own project generated."""

import threading

import grpc
import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from models import rows, xgboost_model
from server import Server
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

SERVICES = [
    "inference.GRPCInferenceService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
]
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


@pytest.fixture
def channel(rest):
    server, _ = rest
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


def ask(name):
    return health_pb2.HealthCheckRequest(service=name)


def test_health_check(channel):
    health = health_pb2_grpc.HealthStub(channel)
    for name in ["", *SERVICES]:
        assert health.Check(ask(name)).status == SERVING
    with pytest.raises(grpc.RpcError) as caught:
        health.Check(ask("nobody"))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_health_watch_of_the_unknown(channel):
    call = health_pb2_grpc.HealthStub(channel).Watch(ask("nobody"))
    assert next(call).status == SERVICE_UNKNOWN
    call.cancel()


def test_health_while_draining(tmp_path):
    xgboost_model(tmp_path / "m.json")
    with Server(tmp_path / "m.json", drain_delay_ms=3000) as server:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            health = health_pb2_grpc.HealthStub(channel)
            call = health.Watch(ask(""))
            assert next(call).status == SERVING
            server.signal()
            assert next(call).status == NOT_SERVING
            with pytest.raises(grpc.RpcError) as caught:
                next(call)
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
            assert server.wait(20) == 0


def test_an_open_stream_does_not_hold_the_server(tmp_path):
    xgboost_model(tmp_path / "m.json")
    with Server(tmp_path / "m.json") as server:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            release = threading.Event()

            def requests():
                yield infer_request("m", rows(1))
                release.wait(30)

            call = stub.ModelStreamInfer(requests())
            assert not next(call).error_message
            server.signal()
            with pytest.raises(grpc.RpcError):
                next(call)
            release.set()
            assert server.wait(20) == 0


def infer_request(model, x):
    request = service_pb2.ModelInferRequest(model_name=model)
    request.inputs.add(name="input", datatype="FP64", shape=x.shape)
    request.raw_input_contents.append(x.tobytes())
    return request


def test_reflection_of_every_service(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    assert sorted(database.get_services()) == sorted(SERVICES)
    pool = DescriptorPool(database)
    for name in SERVICES:
        assert pool.FindServiceByName(name).methods
    infer = pool.FindServiceByName("inference.GRPCInferenceService").methods_by_name["ModelInfer"]
    assert infer.input_type.fields_by_name["raw_input_contents"].number == 7


def test_reflection_by_the_name_of_v1(channel):
    """The messages of both versions are the same; the stub in the package is v1alpha's."""
    method = channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    questions = [
        reflection_pb2.ServerReflectionRequest(list_services="*"),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="no.such.Symbol"),
        reflection_pb2.ServerReflectionRequest(file_by_filename="model_config.proto"),
    ]
    answers = list(method(iter(questions)))
    assert [s.name for s in answers[0].list_services_response.service] == SERVICES
    assert answers[1].error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
    assert len(answers[2].file_descriptor_response.file_descriptor_proto) == 1
    assert answers[1].original_request == questions[1]


def numbers(message, path=""):
    """Every field of a DescriptorProto and of those inside it: path -> (number, type, label)."""
    found = {}
    for field in message.field:
        type_name = field.type_name.split(".")[-1]
        found[f"{path}{message.name}.{field.name}"] = (
            field.number, field.type, field.label, type_name)
    for enum in message.enum_type:
        for value in enum.value:
            found[f"{path}{message.name}.{enum.name}.{value.name}"] = value.number
    for nested in message.nested_type:
        found.update(numbers(nested, f"{path}{message.name}."))
    return found


def file_numbers(file):
    found = {}
    for message in file.message_type:
        found.update(numbers(message))
    for enum in file.enum_type:
        for value in enum.value:
            found[f"{enum.name}.{value.name}"] = value.number
    for service in file.service:
        for method in service.method:
            found[f"{service.name}.{method.name}"] = (
                method.input_type, method.output_type, method.client_streaming,
                method.server_streaming)
    return found


def served_file(channel, name):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    question = reflection_pb2.ServerReflectionRequest(file_by_filename=name)
    answer = next(stub.ServerReflectionInfo(iter([question])))
    return descriptor_pb2.FileDescriptorProto.FromString(
        answer.file_descriptor_response.file_descriptor_proto[0])


@pytest.mark.parametrize(
    "name, module",
    [
        ("grpc_service.proto", service_pb2),
        ("model_config.proto", model_config_pb2),
        ("grpc/health/v1/health.proto", health_pb2),
        ("grpc/reflection/v1alpha/reflection.proto", reflection_pb2),
    ],
)
def test_names_and_numbers_are_the_public_ones(channel, name, module):
    public = descriptor_pb2.FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(public)
    ours, theirs = file_numbers(served_file(channel, name)), file_numbers(public)
    assert {k: ours.get(k) for k in theirs} == theirs
    # What is ours alone: the properties of Open Inference, and the newest call of health.
    more = {k.split(".")[0] for k in set(ours) - set(theirs)}
    assert more <= {"ModelMetadataResponse", "Health", "HealthListResponse", "HealthListRequest"}


def test_unknown_methods_are_unimplemented(channel):
    for path in ("/inference.GRPCInferenceService/Nothing", "/no.Service/Method"):
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(path)(b"")
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_malformed_messages_are_refused(channel):
    method = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    for message in (b"", b"\x0a\xff", b"\xff" * 100, b"\x0a\x01m\x2a\x02\x08"):
        with pytest.raises(grpc.RpcError) as caught:
            method(message)
        assert caught.value.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)


def test_messages_above_the_limit_exhaust_resources(tmp_path):
    xgboost_model(tmp_path / "m.json")
    (tmp_path / "phoenix.yaml").write_text("server:\n  body_bytes_max: 65536\n")
    with Server(tmp_path / "m.json", "--config", tmp_path / "phoenix.yaml") as server:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            method = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
            with pytest.raises(grpc.RpcError) as caught:
                method(b"\x3a" + b"\x80\x80\x10" + bytes(1 << 18))
            assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_metadata_is_read_over(channel):
    metadata = [("authorization", "Basic eDp5"), ("trace-bin", b"\x00\xff"), ("x-y", "z")]
    assert health_pb2_grpc.HealthStub(channel).Check(ask(""), metadata=metadata).status == SERVING
