# SPDX-License-Identifier: Apache-2.0
"""Models of a second Phoenix behind the remote engine, over HTTP and gRPC: shapes that are hard to tell, and sequences."""

import shutil

import numpy as np
import pytest
import sequence_packages
import tritonclient.http
from command import ROOT
from server import Server

MODELS = ROOT / "tests" / "golden" / "onnxruntime"


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("peer")
    (folder / "scalars").mkdir()
    shutil.copy(MODELS / "scalars.onnx", folder / "scalars" / "model.onnx")
    (folder / "scalars" / "model.yaml").write_text("phoenix: 1\nmodel: model.onnx\n")
    sequence_packages.lstm(folder / "lstm")
    with Server(folder) as server:
        yield server


@pytest.fixture(scope="module", params=["http", "grpc"])
def front(request, peer, tmp_path_factory):
    """A Phoenix that serves the peer's models under their names."""
    folder = tmp_path_factory.mktemp(f"front-{request.param}")
    for name in ("scalars", "lstm"):
        (folder / name).mkdir()
        (folder / name / "model.yaml").write_text(
            f"phoenix: 1\nname: {name}\nengine: {{name: remote, model: {name}, urls: '{request.param}://127.0.0.1:{peer.port}'}}\n")
    with Server(folder) as server:
        yield server


def infer(server, model, inputs, **options):
    client = tritonclient.http.InferenceServerClient(f"127.0.0.1:{server.port}")
    tensors = []
    for name, value in inputs.items():
        tensors.append(tritonclient.http.InferInput(name, list(value.shape), "FP32"))
        tensors[-1].set_data_from_numpy(value)
    return client.infer(model, tensors, **options)


def test_what_metadata_says_of_scalars_and_of_any_rank(peer, front):
    for server in (peer, front):
        metadata = tritonclient.http.InferenceServerClient(f"127.0.0.1:{server.port}").get_model_metadata("scalars")
        tensors = {tensor["name"]: tensor for tensor in metadata["inputs"] + metadata["outputs"]}
        assert tensors["x"]["shape"] == tensors["y"]["shape"] == [-1]
        assert tensors["x"]["parameters"] == tensors["y"]["parameters"] == {"unknown_rank": True}
        if server is peer:
            assert tensors["a"]["shape"] == tensors["sum"]["shape"] == [] and "parameters" not in tensors["a"]


def test_scalars_and_any_rank_pass_through(front):
    for shape in ((), (3,), (2, 3), (1, 2, 3, 1)):
        x = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
        result = infer(front, "scalars", {"a": np.array(2, np.float32), "b": np.array(3, np.float32), "x": x})
        assert result.as_numpy("sum").shape == () and result.as_numpy("sum") == 5
        np.testing.assert_array_equal(result.as_numpy("y"), x)


def test_a_model_that_keeps_state_is_warm(front):
    """The warm-up is a run like any other; one that failed would say so in the log."""
    assert "model.cold" not in front.log()


@pytest.mark.parametrize("sequence", [1, 2**63 - 1, 2**63, 2**64 - 1, "order-7"])
def test_every_id_of_a_sequence_goes_through(peer, front, sequence):
    rows = np.random.default_rng(1).normal(size=(3, 1, 4)).astype(np.float32)
    direct, through = [], []
    for server, results in ((peer, direct), (front, through)):
        for i, row in enumerate(rows):
            result = infer(server, "lstm", {"x": row}, sequence_id=sequence, sequence_start=i == 0, sequence_end=i == 2)
            results.append(result.as_numpy("y"))
    np.testing.assert_array_equal(direct, through)


@pytest.mark.parametrize("sequence", [2**63, 2**64 - 1])
def test_large_ids_of_a_sequence_over_rest(front, sequence):
    client = tritonclient.http.InferenceServerClient(f"127.0.0.1:{front.port}")
    tensor = tritonclient.http.InferInput("x", [1, 4], "FP32")
    for binary in (True, False):
        tensor.set_data_from_numpy(np.ones((1, 4), np.float32), binary_data=binary)
        for start, end in ((True, False), (False, True)):
            client.infer("lstm", [tensor], sequence_id=sequence, sequence_start=start, sequence_end=end)
