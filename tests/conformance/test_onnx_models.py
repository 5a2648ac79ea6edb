# SPDX-License-Identifier: Apache-2.0
"""Neural networks of the common kinds answer over every protocol what onnxruntime computes in Python."""

import os

import numpy as np
import onnx_models
import onnx_nodes
import onnxruntime
import pytest
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from server import Server

pytestmark = pytest.mark.skipif(
    not onnx_nodes.LIBRARY.exists() and not os.environ.get("PHOENIX_ONNXRUNTIME"),
    reason="no ONNX Runtime (tools/fetch-engines fetches it)")

MODELS = ["lstm_step", "lstm_series", "gru_step", "mlp", "cnn", "transformer", "two_tower"]
SIZES = {"n": 3, "length": 7, "steps": 9}
LARGEST = {"words": 50, "user": 20, "item": 30}  # what numbers stand for


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    for name in MODELS:
        getattr(onnx_models, name)(str(folder / f"{name}.onnx"))
    return folder


@pytest.fixture(scope="module")
def server(folder):
    library = {} if os.environ.get("PHOENIX_ONNXRUNTIME") else {"PHOENIX_ONNXRUNTIME": str(onnx_nodes.LIBRARY)}
    with Server(*(f"{name}={folder / name}.onnx" for name in MODELS), env=library) as server:
        yield server


def make_inputs(session, seed):
    random = np.random.default_rng(seed)
    inputs = {}
    for spec in session.get_inputs():
        shape = [SIZES.get(size, size) for size in spec.shape]
        if spec.type == "tensor(int64)":
            inputs[spec.name] = random.integers(1, LARGEST[spec.name], shape)
        else:
            inputs[spec.name] = random.normal(size=shape).astype(np.float32)
    if "words" in inputs:
        inputs["words"][1, 4:] = 0  # padding
    return inputs


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("client, binary", [(over_http, True), (over_http, False), (over_grpc, None)])
def test_a_network_answers_as_onnxruntime_does(server, folder, client, binary, name):
    session = onnxruntime.InferenceSession(str(folder / f"{name}.onnx"))
    names = [output.name for output in session.get_outputs()]
    with client.InferenceServerClient(f"127.0.0.1:{server.port}") as connection:
        for seed in range(3):
            inputs, tensors = make_inputs(session, seed), []
            for key, array in inputs.items():
                kind = "INT64" if array.dtype == np.int64 else "FP32"
                tensor = client.InferInput(key, array.shape, kind)
                tensor.set_data_from_numpy(array, **({} if binary is None else {"binary_data": binary}))
                tensors.append(tensor)
            reply = connection.infer(name, tensors)
            for output, want in zip(names, session.run(names, inputs)):
                np.testing.assert_allclose(reply.as_numpy(output), want, rtol=1e-5, atol=1e-6)


def test_padding_does_not_change_what_the_transformer_says(server, folder):
    session = onnxruntime.InferenceSession(str(folder / "transformer.onnx"))
    words = np.array([[3, 9, 27, 0, 0, 0]], np.int64)
    with over_http.InferenceServerClient(f"127.0.0.1:{server.port}") as connection:
        answers = []
        for length in (3, 6):
            tensor = over_http.InferInput("words", [1, length], "INT64")
            tensor.set_data_from_numpy(np.ascontiguousarray(words[:, :length]))
            answers.append(connection.infer("transformer", [tensor]).as_numpy("probabilities"))
    np.testing.assert_allclose(answers[0], answers[1], rtol=1e-5)
    np.testing.assert_allclose(answers[0], session.run(None, {"words": words[:, :3]})[0], rtol=1e-5)
