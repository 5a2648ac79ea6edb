# SPDX-License-Identifier: Apache-2.0
"""Models of tensors over every form of Open Inference: JSON, binary, gRPC raw and typed, with Triton's clients."""

import json
import pathlib
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from server import Server
from tritonclient.grpc import service_pb2, service_pb2_grpc

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "onnxruntime"
MODELS = ["types", "affine", "zipmap_texts", "loop", "pieces", "fixed"]

# Two values of every datatype that fit nowhere narrower, as JSON has them; `types` gives back what it gets.
VALUES = {
    "BOOL": [True, False],
    "UINT8": [0, 255],
    "UINT16": [0, 65535],
    "UINT32": [0, 2**32 - 1],
    "UINT64": [2**63, 2**64 - 1],
    "INT8": [-128, 127],
    "INT16": [-(2**15), 2**15 - 1],
    "INT32": [-(2**31), 2**31 - 1],
    "INT64": [-(2**63), 2**63 - 1],
    "FP16": [0.5, -65504.0],
    "BF16": [1.5, -3.0],
    "FP32": [0.1, 1e-45],
    "FP64": [0.1, 5e-324],
    "BYTES": ["", "né"],
}
FIELDS = {"BOOL": "bool", "UINT8": "uint", "UINT16": "uint", "UINT32": "uint", "UINT64": "uint64",
          "INT8": "int", "INT16": "int", "INT32": "int", "INT64": "int64", "FP32": "fp32",
          "FP64": "fp64", "BYTES": "bytes"}


@pytest.fixture(scope="module")
def server():
    with Server(*(f"{name}={GOLDEN / name}.onnx" for name in MODELS)) as server:
        yield server


def call(server, model, body, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{server.url}/v2/models/{model}/infer", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as reply:
        return reply.code, json.load(reply)


def tensors_of(server, model):
    with urllib.request.urlopen(f"{server.url}/v2/models/{model}") as reply:
        metadata = json.load(reply)
    return metadata["inputs"], metadata["outputs"]


def test_json_carries_every_datatype_both_ways(server):
    inputs, outputs = tensors_of(server, "types")
    assert {t["datatype"] for t in inputs} == set(VALUES)
    status, reply = call(server, "types", {"inputs": [
        {"name": t["name"], "datatype": t["datatype"], "shape": [2], "data": VALUES[t["datatype"]]}
        for t in inputs]})
    assert status == 200, reply
    assert [t["name"] for t in reply["outputs"]] == [t["name"] for t in outputs]
    for tensor in reply["outputs"]:
        assert tensor["data"] == VALUES[tensor["datatype"]], tensor


def as_numpy(datatype):
    values = [v.encode() if isinstance(v, str) else v for v in VALUES[datatype]]
    return np.array(values, {"BYTES": np.object_}.get(datatype) or over_http.triton_to_np_dtype(datatype))


@pytest.mark.parametrize("client, binary", [(over_http, True), (over_http, False), (over_grpc, None)])
def test_tritonclient_carries_every_datatype(server, client, binary):
    inputs, _ = tensors_of(server, "types")
    asked, outputs, arrays = [], [], {}
    for t in inputs:
        array = as_numpy(t["datatype"])
        if t["datatype"] == "BYTES" and binary is False:
            array = np.array([b"", b"ne"], np.object_)  # the client reads texts of JSON as ASCII
        tensor = client.InferInput(t["name"], [2], t["datatype"])
        name = t["name"].replace("in_", "out_")
        if client is over_grpc:
            tensor.set_data_from_numpy(array)
            outputs.append(client.InferRequestedOutput(name))
        else:
            tensor.set_data_from_numpy(array, binary_data=binary or t["datatype"] in ("FP16", "BF16"))
            outputs.append(client.InferRequestedOutput(name, binary_data=binary))
        asked.append(tensor)
        arrays[name] = array
    with client.InferenceServerClient(f"127.0.0.1:{server.port}") as connection:
        reply = connection.infer("types", asked, outputs=outputs)
    for name, array in arrays.items():
        got = reply.as_numpy(name)
        want = array if array.dtype != np.object_ or binary or client is over_grpc else array.astype(str)
        assert [str(v) for v in got] == [str(v) for v in want], name


def test_typed_contents_carry_every_datatype_that_has_a_field(server):
    inputs, _ = tensors_of(server, "types")
    request = service_pb2.ModelInferRequest(model_name="types")
    for t in inputs:
        values = VALUES[t["datatype"]]
        tensor = request.inputs.add(name=t["name"], datatype=t["datatype"], shape=[2])
        if t["datatype"] in FIELDS:
            contents = [v.encode() if isinstance(v, str) else v for v in values]
            getattr(tensor.contents, FIELDS[t["datatype"]] + "_contents").extend(contents)
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError, match="unable to find data"):
            stub.ModelInfer(request)  # FP16 and BF16 have no field
        del request.inputs[:]
        for kind, field in FIELDS.items():
            tensor = request.inputs.add(name="x", datatype=kind, shape=[1, 2])
            getattr(tensor.contents, field + "_contents").extend(
                [v.encode() if isinstance(v, str) else v for v in VALUES[kind]])
            request.model_name = "affine"
            with pytest.raises(grpc.RpcError, match="expected"):
                stub.ModelInfer(request)
            del request.inputs[:]
        request.inputs.add(name="x", datatype="FP32", shape=[2, 3]).contents.fp32_contents.extend(range(6))
        reply = stub.ModelInfer(request)
    assert np.frombuffer(reply.raw_output_contents[0], np.float32).size == 6


def test_a_stream_of_requests_is_answered_in_order(server):
    request = service_pb2.ModelInferRequest(model_name="affine")
    request.inputs.add(name="x", datatype="FP32", shape=[1, 3]).contents.fp32_contents.extend([1, 2, 3])
    requests = [service_pb2.ModelInferRequest() for _ in range(50)]
    for i, one in enumerate(requests):
        one.CopyFrom(request)
        one.id = str(i)
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        ids = [reply.infer_response.id for reply in stub.ModelStreamInfer(iter(requests))]
    assert ids == [str(i) for i in range(50)]


def test_classification_is_of_a_matrix(server):
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}],
            "outputs": [{"name": "y", "parameters": {"classification": 2}}]}
    status, reply = call(server, "affine", body)
    assert status == 200 and reply["outputs"][0]["datatype"] == "BYTES", reply
    values = [text.split(":") for text in reply["outputs"][0]["data"]]
    assert len(values) == 2 and float(values[0][0]) >= float(values[1][0])


X = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}


@pytest.mark.parametrize("change, text", [
    ({"name": "z"}, "unknown input 'z'"),
    ({"datatype": "FP64"}, "expected FP32, got FP64"),
    ({"shape": [3]}, "expected shape [-1,3], got [3]"),
    ({"shape": [1, 4], "data": [1, 2, 3, 4]}, "expected shape [-1,3], got [1,4]"),
    ({"data": [1, 2]}, "needs 3 values, got 2"),
    ({"data": [1, 2, 3, 4]}, "more numbers than the 3 expected"),
    ({"data": [1, 2, "x"]}, "expected a number"),
    ({"shape": [1 << 40, 3]}, "too short for shape"),
])
def test_what_the_model_does_not_take_is_refused_by_name(server, change, text):
    status, reply = call(server, "affine", {"inputs": [{**X, **change}]})
    assert status == 400 and text in reply["error"], reply


@pytest.mark.parametrize("body, text", [
    ({"inputs": []}, "empty"),
    ({"inputs": [X, X]}, "twice"),
    ({"inputs": [X], "outputs": [{"name": "q"}]}, "unknown output 'q'"),
    ({"inputs": [X], "outputs": [{"name": "y"}, {"name": "y"}]}, "twice"),
])
def test_requests_that_mean_two_things_are_refused(server, body, text):
    status, reply = call(server, "affine", body)
    assert status == 400 and text in reply["error"], reply


def test_numbers_outside_the_datatype_are_refused_not_wrapped(server):
    inputs, _ = tensors_of(server, "types")
    for t in inputs:
        if t["datatype"].startswith(("INT", "UINT")):
            tensors = [{"name": o["name"], "datatype": o["datatype"], "shape": [1],
                        "data": VALUES[o["datatype"]][:1]} for o in inputs]
            wrong = next(o for o in tensors if o["name"] == t["name"])
            wrong["data"] = [VALUES[t["datatype"]][1] + 1]
            status, reply = call(server, "types", {"inputs": tensors})
            assert status == 400, (t, reply)


def test_statistics_and_configuration_know_the_model(server):
    call(server, "affine", {"inputs": [X]})
    with urllib.request.urlopen(f"{server.url}/v2/models/affine/stats") as reply:
        stats = json.load(reply)["model_stats"][0]
    assert stats["inference_stats"]["success"]["count"] > 0 and stats["execution_count"] > 0
    with urllib.request.urlopen(f"{server.url}/v2/models/affine/config") as reply:
        config = json.load(reply)
    assert config["platform"] == "onnxruntime_onnx" and config["input"][0]["dims"] == [-1, 3], config


# ---- the dialects that send rows ----


@pytest.mark.parametrize("path, body, expected", [
    ("/v1/models/affine:predict", {"instances": [[1, 2, 3], [4, 5, 6]]}, "predictions"),
    ("/v1/models/affine:predict", {"instances": [{"x": [1, 2, 3]}, {"x": [4, 5, 6]}]}, "predictions"),
    ("/v1/models/affine:predict", {"inputs": [[1, 2, 3], [4, 5, 6]]}, "outputs"),
    ("/v1/models/affine:predict", {"inputs": {"x": [[1, 2, 3], [4, 5, 6]]}}, "outputs"),
])
def test_rows_of_a_single_input_in_every_form(server, path, body, expected):
    status, reply = server.request(path, body)
    _, wanted = call(server, "affine", {"inputs": [{**X, "shape": [2, 3], "data": [1, 2, 3, 4, 5, 6]}]})
    assert status == 200, reply
    assert np.ravel(reply[expected]).tolist() == wanted["outputs"][0]["data"]
    assert np.shape(reply[expected]) == tuple(wanted["outputs"][0]["shape"])


def test_rows_of_several_inputs_and_outputs(server):
    names = {t["name"]: t["datatype"] for t in tensors_of(server, "types")[0]}
    rows = [{name: VALUES[kind][i] for name, kind in names.items()} for i in range(2)]
    status, reply = server.request("/v1/models/types:predict", {"instances": rows})
    assert status == 200, reply
    assert reply["predictions"] == [
        {name.replace("in_", "out_"): value for name, value in row.items()} for row in rows]


def test_several_outputs_by_columns_and_one_that_is_chosen(server):
    status, reply = server.request("/v1/models/zipmap_texts:predict", {"inputs": [[1, 2], [3, 4]]})
    assert status == 200 and set(reply["outputs"]) == {"label", "probabilities", "probabilities_labels"}, reply
    status, one = server.request("/v1/models/zipmap_texts:predict?output=label", {"instances": [[1, 2], [3, 4]]})
    assert status == 200 and one["predictions"] == reply["outputs"]["label"], one


@pytest.mark.parametrize("rows, text", [
    ([[1, 2, 3], [4, 5]], "instance 1: input 'x': expected 3 values as in the first, got 2"),
    ([[1, 2, 3], {"x": [1, 2, 3]}], "expected an object"),
    ([{"x": [1, 2, 3]}, {"y": [1, 2, 3]}], "input 'y' is not in the first instance"),
    ([{"x": [1, 2, 3]}, {}], "expected 1 inputs as in the first, got 0"),
    ([[[[[[[[[1]]]]]]]]], "at most 8 dimensions"),
    ([["a", "b", "c"]], "expected a number"),
    ([], "empty"),
    ([[]], "expected shape"),
])
def test_rows_that_are_no_tensor_are_refused(server, rows, text):
    status, reply = server.request("/v1/models/affine:predict", {"instances": rows})
    assert status == 400 and text in json.dumps(reply), reply


def test_tables_are_refused_with_what_to_send_instead(server):
    for kind, body in (("text/csv", b"x\n1\n"), ):
        status, reply = server.request("/v1/models/affine:predict", body, {"Content-Type": kind})
        assert status >= 400 and "takes tensors" in json.dumps(reply), reply


def test_tensorflow_metadata_lists_the_tensors(server):
    _, reply = server.request("/v1/models/affine/metadata")
    signature = reply["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert [d["size"] for d in signature["inputs"]["x"]["tensor_shape"]["dim"]] == ["-1", "3"]
    assert set(signature["outputs"]) == {"y"}


@pytest.mark.parametrize("verb", ["explain", "classify", "regress"])
def test_what_the_model_cannot_do_is_refused(server, verb):
    status, reply = server.request(f"/v1/models/affine:{verb}", {"instances": [[1, 2, 3]]})
    assert 400 <= status < 600 and status != 500, reply
