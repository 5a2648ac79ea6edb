# SPDX-License-Identifier: Apache-2.0
"""The scripted calls that are made to Triton and to Phoenix: HTTP as bytes, gRPC as messages."""

import base64
import gzip
import json
import struct
import zlib

import numpy as np
from tritonclient.grpc import service_pb2 as pb

FEATURES = 8
ROWS = (np.arange(3 * FEATURES, dtype=np.float32).reshape(3, FEATURES) / 7 - 1).astype(np.float32)
INFER = "/v2/models/m/infer"


def tensor(rows=ROWS, name="input", datatype="FP32", **members):
    return {"name": name, "shape": list(rows.shape), "datatype": datatype, **members}


def body(*inputs, **members):
    return json.dumps({"inputs": list(inputs), **members}).encode()


def with_data(rows=ROWS, **members):
    return tensor(rows, data=rows.ravel().tolist(), **members)


def with_binary(rows=ROWS, size=None, **members):
    size = rows.nbytes if size is None else size
    return tensor(rows, parameters={"binary_data_size": size}, **members)


def binary_call(head, data, length=None):
    return ("POST", INFER, {"Inference-Header-Content-Length": str(len(head) if length is None else length)},
            head + data)


def output(**parameters):
    return {"name": "predictions", "parameters": parameters}


RAW = ROWS.tobytes()
PLAIN = body(with_data())

# name -> (method, path, headers, body), in the order of the calls
HTTP = {
    "live": ("GET", "/v2/health/live", {}, None),
    "ready": ("GET", "/v2/health/ready", {}, None),
    "server metadata": ("GET", "/v2", {}, None),
    "model metadata": ("GET", "/v2/models/m", {}, None),
    "model metadata of a version": ("GET", "/v2/models/m/versions/1", {}, None),
    "model metadata of an absent version": ("GET", "/v2/models/m/versions/7", {}, None),
    "model metadata of an absent model": ("GET", "/v2/models/nobody", {}, None),
    "model ready": ("GET", "/v2/models/m/ready", {}, None),
    "version ready": ("GET", "/v2/models/m/versions/1/ready", {}, None),
    "absent model ready": ("GET", "/v2/models/nobody/ready", {}, None),
    "unknown path": ("GET", "/v2/nowhere", {}, None),
    "wrong method": ("POST", "/v2/models/m", {}, b"{}"),
    "infer": ("POST", INFER, {}, PLAIN),
    "infer one version": ("POST", "/v2/models/m/versions/1/infer", {}, PLAIN),
    "infer an absent model": ("POST", "/v2/models/nobody/infer", {}, PLAIN),
    "infer with an id": ("POST", INFER, {}, body(with_data(), id="42")),
    "infer nested data": ("POST", INFER, {}, body(tensor(data=ROWS.tolist()))),
    "infer and name the output": ("POST", INFER, {}, body(with_data(), outputs=[{"name": "predictions"}])),
    "infer an empty list of outputs": ("POST", INFER, {}, body(with_data(), outputs=[])),
    "infer with a custom parameter": ("POST", INFER, {}, body(with_data(), parameters={"mine": "x", "n": 3})),
    "infer with an unknown member": ("POST", INFER, {}, body(with_data(), model_name="m")),
    "infer as a form": ("POST", INFER, {"Content-Type": "application/x-www-form-urlencoded"}, PLAIN),
    "unknown output": ("POST", INFER, {}, body(with_data(), outputs=[{"name": "nothing"}])),
    "no inputs": ("POST", INFER, {}, b"{}"),
    "empty inputs": ("POST", INFER, {}, body()),
    "no data": ("POST", INFER, {}, body(tensor())),
    "too few values": ("POST", INFER, {}, body(tensor(data=[1.0]))),
    "too many values": ("POST", INFER, {}, body(tensor(data=[1.0] * 100))),
    "wrong shape": ("POST", INFER, {}, body(with_data(ROWS.reshape(4, 6)))),
    "negative shape": ("POST", INFER, {}, body({**with_data(), "shape": [-1, FEATURES]})),
    "unknown datatype": ("POST", INFER, {}, body(with_data(datatype="FP31"))),
    "text for a number": ("POST", INFER, {}, body(tensor(data=["a"] * ROWS.size))),
    "reserved parameter": ("POST", INFER, {}, body(with_data(), parameters={"triton_x": 1})),
    "parameter that is an array": ("POST", INFER, {}, body(with_data(), parameters={"mine": [1]})),
    "JSON that ends early": ("POST", INFER, {}, PLAIN[:-5]),
    "no JSON": ("POST", INFER, {}, b"hello"),
    "empty body": ("POST", INFER, {}, b""),
    "binary in": binary_call(body(with_binary()), RAW),
    "binary in and out": binary_call(body(with_binary(), outputs=[output(binary_data=True)]), RAW),
    "binary output by default": binary_call(body(with_binary(), parameters={"binary_data_output": True}), RAW),
    "JSON in, binary out": ("POST", INFER, {}, body(with_data(), outputs=[output(binary_data=True)])),
    "raw binary request": ("POST", INFER, {"Inference-Header-Content-Length": "0"}, RAW[:FEATURES * 4]),
    "binary too short": binary_call(body(with_binary()), RAW[:-4]),
    "binary too long": binary_call(body(with_binary()), RAW + b"abcd"),
    "binary of another size than the shape": binary_call(body(with_binary(size=8)), RAW[:8]),
    "header longer than the body": binary_call(body(with_binary()), RAW, 10**6),
    "header no number": ("POST", INFER, {"Inference-Header-Content-Length": "x"}, PLAIN),
    "binary and data": binary_call(body(with_binary(data=[1])), RAW),
    "classification": ("POST", INFER, {}, body(with_data(), outputs=[output(classification=1)])),
    "gzip in": ("POST", INFER, {"Content-Encoding": "gzip"}, gzip.compress(PLAIN)),
    "deflate in": ("POST", INFER, {"Content-Encoding": "deflate"}, zlib.compress(PLAIN)),
    "unknown coding": ("POST", INFER, {"Content-Encoding": "br"}, PLAIN),
    "coding that lies": ("POST", INFER, {"Content-Encoding": "gzip"}, PLAIN),
    "sequence of a stateless model": ("POST", INFER, {}, body(with_data(), parameters={
        "sequence_id": 7, "sequence_start": True, "sequence_end": False})),
    "priority": ("POST", INFER, {}, body(with_data(), parameters={"priority": 1})),
    "statistics of a model": ("GET", "/v2/models/m/stats", {}, None),
    "statistics of a version": ("GET", "/v2/models/m/versions/1/stats", {}, None),
    "statistics of all": ("GET", "/v2/models/stats", {}, None),
    "statistics of an absent model": ("GET", "/v2/models/nobody/stats", {}, None),
    "configuration": ("GET", "/v2/models/m/config", {}, None),
    "configuration of an absent model": ("GET", "/v2/models/nobody/config", {}, None),
    "trace settings": ("GET", "/v2/trace/setting", {}, None),
    "trace settings of a model": ("GET", "/v2/models/m/trace/setting", {}, None),
    "change trace settings": ("POST", "/v2/models/m/trace/setting", {}, b'{"trace_rate":"7"}'),
    "reset trace settings": ("POST", "/v2/models/m/trace/setting", {}, b'{"trace_rate":null}'),
    "unknown trace setting": ("POST", "/v2/trace/setting", {}, b'{"colour":"red"}'),
    "log settings": ("GET", "/v2/logging", {}, None),
    "change log settings": ("POST", "/v2/logging", {}, b'{"log_verbose_level":1}'),
    "change them back": ("POST", "/v2/logging", {}, b'{"log_verbose_level":0}'),
    "unknown log setting": ("POST", "/v2/logging", {}, b'{"colour":"red"}'),
    "shared memory status": ("GET", "/v2/systemsharedmemory/status", {}, None),
    "shared memory status of an absent region": ("GET", "/v2/systemsharedmemory/region/r/status", {}, None),
    "register absent shared memory": ("POST", "/v2/systemsharedmemory/region/r/register", {},
                                      b'{"key":"/phoenix_absent","offset":0,"byte_size":64}'),
    "unregister an absent region": ("POST", "/v2/systemsharedmemory/region/r/unregister", {}, None),
    "unregister all": ("POST", "/v2/systemsharedmemory/unregister", {}, None),
    "infer from an absent region": ("POST", INFER, {}, body(tensor(parameters={
        "shared_memory_region": "r", "shared_memory_byte_size": ROWS.nbytes}))),
    "CUDA shared memory status": ("GET", "/v2/cudasharedmemory/status", {}, None),
    "register CUDA shared memory": ("POST", "/v2/cudasharedmemory/region/r/register", {}, json.dumps(
        {"raw_handle": {"b64": base64.b64encode(bytes(64)).decode()}, "device_id": 0, "byte_size": 64}).encode()),
    "repository index": ("POST", "/v2/repository/index", {}, None),
    "repository index of what is ready": ("POST", "/v2/repository/index", {}, b'{"ready":true}'),
    "load again": ("POST", "/v2/repository/models/m/load", {}, b"{}"),
    "load an absent model": ("POST", "/v2/repository/models/nobody/load", {}, b"{}"),
    "load with an unknown parameter": ("POST", "/v2/repository/models/m/load", {}, b'{"parameters":{"x":"y"}}'),
    "unload": ("POST", "/v2/repository/models/other/unload", {}, b'{"parameters":{"unload_dependents":false}}'),
    "infer what is unloaded": ("POST", "/v2/models/other/infer", {}, PLAIN),
    "ready of what is unloaded": ("GET", "/v2/models/other/ready", {}, None),
    "index with something unloaded": ("POST", "/v2/repository/index", {}, None),
    "load it": ("POST", "/v2/repository/models/other/load", {}, b"{}"),
    "infer what is loaded again": ("POST", "/v2/models/other/infer", {}, PLAIN),
}


def infer_message(**members):
    inputs = [pb.ModelInferRequest.InferInputTensor(name="input", datatype="FP32", shape=ROWS.shape)]
    return pb.ModelInferRequest(**{"model_name": "m", "inputs": inputs, "raw_input_contents": [RAW], **members})


def typed_input(rows=ROWS, **members):
    contents = pb.InferTensorContents(fp32_contents=rows.ravel().tolist())
    return pb.ModelInferRequest.InferInputTensor(
        **{"name": "input", "datatype": "FP32", "shape": rows.shape, "contents": contents, **members})


def parameter(value):
    if isinstance(value, bool):
        return pb.InferParameter(bool_param=value)
    return pb.InferParameter(int64_param=value) if isinstance(value, int) else pb.InferParameter(string_param=value)


def asked(**parameters):
    return pb.ModelInferRequest.InferRequestedOutputTensor(
        name="predictions", parameters={key: parameter(value) for key, value in parameters.items()})


# name -> (method, request)
GRPC = {
    "ServerLive": ("ServerLive", pb.ServerLiveRequest()),
    "ServerReady": ("ServerReady", pb.ServerReadyRequest()),
    "ServerMetadata": ("ServerMetadata", pb.ServerMetadataRequest()),
    "ModelReady": ("ModelReady", pb.ModelReadyRequest(name="m")),
    "ModelReady of an absent model": ("ModelReady", pb.ModelReadyRequest(name="nobody")),
    "ModelMetadata": ("ModelMetadata", pb.ModelMetadataRequest(name="m")),
    "ModelMetadata of an absent model": ("ModelMetadata", pb.ModelMetadataRequest(name="nobody")),
    "ModelMetadata of an absent version": ("ModelMetadata", pb.ModelMetadataRequest(name="m", version="7")),
    "ModelMetadata of no version": ("ModelMetadata", pb.ModelMetadataRequest(name="m", version="x")),
    "ModelInfer": ("ModelInfer", infer_message()),
    "ModelInfer with an id and a version": ("ModelInfer", infer_message(id="7", model_version="1")),
    "ModelInfer typed": ("ModelInfer", infer_message(inputs=[typed_input()], raw_input_contents=[])),
    "ModelInfer with priority and timeout": ("ModelInfer", infer_message(parameters={
        "priority": pb.InferParameter(uint64_param=1), "timeout": parameter(10_000_000)})),
    "ModelInfer classification": ("ModelInfer", infer_message(outputs=[asked(classification=1)])),
    "ModelInfer of an absent model": ("ModelInfer", infer_message(model_name="nobody")),
    "ModelInfer raw and typed": ("ModelInfer", infer_message(inputs=[typed_input()])),
    "ModelInfer without data": ("ModelInfer", infer_message(raw_input_contents=[])),
    "ModelInfer with too much data": ("ModelInfer", infer_message(raw_input_contents=[RAW + b"abcd"])),
    "ModelInfer with an unknown output": ("ModelInfer", infer_message(outputs=[
        pb.ModelInferRequest.InferRequestedOutputTensor(name="nothing")])),
    "ModelInfer with another typed field": ("ModelInfer", infer_message(raw_input_contents=[], inputs=[
        typed_input(contents=pb.InferTensorContents(int_contents=[1] * ROWS.size))])),
    "ModelInfer with an unknown datatype": ("ModelInfer", infer_message(raw_input_contents=[], inputs=[
        typed_input(datatype="FP31")])),
    "ModelInfer without inputs": ("ModelInfer", infer_message(inputs=[], raw_input_contents=[])),
    "ModelConfig": ("ModelConfig", pb.ModelConfigRequest(name="m")),
    "ModelConfig of an absent model": ("ModelConfig", pb.ModelConfigRequest(name="nobody")),
    "ModelStatistics": ("ModelStatistics", pb.ModelStatisticsRequest(name="m")),
    "ModelStatistics of an absent model": ("ModelStatistics", pb.ModelStatisticsRequest(name="nobody")),
    "RepositoryIndex": ("RepositoryIndex", pb.RepositoryIndexRequest()),
    "RepositoryModelLoad": ("RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="m")),
    "RepositoryModelLoad of an absent model": (
        "RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="nobody")),
    "RepositoryModelLoad with an unknown parameter": (
        "RepositoryModelLoad", pb.RepositoryModelLoadRequest(
            model_name="m", parameters={"x": pb.ModelRepositoryParameter(string_param="y")})),
    "RepositoryModelUnload": ("RepositoryModelUnload", pb.RepositoryModelUnloadRequest(model_name="other")),
    "ModelInfer of what is unloaded": ("ModelInfer", infer_message(model_name="other")),
    "ModelReady of what is unloaded": ("ModelReady", pb.ModelReadyRequest(name="other")),
    "TraceSetting": ("TraceSetting", pb.TraceSettingRequest()),
    "TraceSetting with an unknown one": ("TraceSetting", pb.TraceSettingRequest(settings={
        "colour": pb.TraceSettingRequest.SettingValue(value=["red"])})),
    "LogSettings": ("LogSettings", pb.LogSettingsRequest()),
    "LogSettings with an unknown one": ("LogSettings", pb.LogSettingsRequest(settings={
        "colour": pb.LogSettingsRequest.SettingValue(bool_param=True)})),
    "SystemSharedMemoryStatus": ("SystemSharedMemoryStatus", pb.SystemSharedMemoryStatusRequest()),
    "SystemSharedMemoryRegister of an absent object": (
        "SystemSharedMemoryRegister",
        pb.SystemSharedMemoryRegisterRequest(name="r", key="/phoenix_absent", offset=0, byte_size=64)),
    "CudaSharedMemoryStatus": ("CudaSharedMemoryStatus", pb.CudaSharedMemoryStatusRequest()),
    "CudaSharedMemoryRegister": (
        "CudaSharedMemoryRegister",
        pb.CudaSharedMemoryRegisterRequest(name="r", raw_handle=bytes(64), device_id=0, byte_size=64)),
}


def floats(data):
    return list(struct.unpack(f"<{len(data) // 4}f", data))
