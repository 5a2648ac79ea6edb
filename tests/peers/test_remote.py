# SPDX-License-Identifier: Apache-2.0
"""The remote engine against a real MLServer, which takes no binary tensors, and a real Triton, over HTTP and gRPC."""

import numpy as np
import pytest
import xgboost
from conftest import PEERS
from mlserver import MLServer
from remote import Remote, RemoteError
from test_triton import VENV, free_ports, write_regression
from triton import Triton, write_model

SCHEMES = ["http", "grpc"]


def url(server, scheme):
    return f"{scheme}://127.0.0.1:{server.http_port if scheme == 'http' else server.grpc_port}"


@pytest.fixture(scope="module")
def mlserver(tmp_path_factory):
    if not (PEERS / "mlserver" / "bin" / "mlserver").exists():
        pytest.skip(f"no MLServer at {PEERS / 'mlserver'}; see tests/peers/README.md")
    with MLServer(PEERS / "mlserver", tmp_path_factory.mktemp("mlserver"), free_ports(3)) as server:
        yield server


@pytest.fixture(scope="module")
def triton(tmp_path_factory):
    """(server, booster); its model m takes `input` and gives `predictions`"""
    if not (VENV / "bin" / "python").exists():
        pytest.skip(f"no Triton at {VENV}; see tests/peers/README.md")
    folder = tmp_path_factory.mktemp("triton")
    write_regression(folder / "model.json")
    booster = xgboost.Booster(model_file=folder / "model.json")
    write_model(folder / "repository", "m", folder / "model.json", booster.num_features(), 1)
    with Triton(VENV, folder, free_ports(3)) as server:
        yield server, booster


@pytest.mark.parametrize("scheme", SCHEMES)
def test_mlserver_adds(mlserver, scheme):
    x, y = np.arange(8, dtype=np.float32).reshape(4, 2), np.full((4, 2), 0.5, np.float32)
    with Remote(urls=[url(mlserver, scheme)], model="add") as remote:
        assert remote.takes == {"x": ("FP32", [-1, 2]), "y": ("FP32", [-1, 2])}
        for _ in range(10):
            np.testing.assert_array_equal(remote.run({"x": x, "y": y})["sum"], x + y)
        with pytest.raises(RemoteError, match="must not be negative"):
            remote.run({"x": -x - 1, "y": y})
    assert remote.facts["answered"] == 10


@pytest.mark.parametrize("scheme", SCHEMES)
def test_mlserver_echoes_types(mlserver, scheme):
    inputs = {"int64": np.array([1, -2**62, 2**53 + 1]), "fp64": np.array([0.1, 1e300, -0.0]),
              "bytes": ["plain".encode(), "é\n\"".encode(), b""]}
    with Remote(urls=[url(mlserver, scheme)], model="echo") as remote:
        got = remote.run(inputs)
    np.testing.assert_array_equal(got["int64_out"], inputs["int64"])
    np.testing.assert_array_equal(got["fp64_out"], inputs["fp64"])
    assert got["bytes_out"] == inputs["bytes"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_model_that_says_nothing_of_its_tensors_must_be_declared(mlserver, scheme):
    with pytest.raises(RemoteError, match="do not say which inputs"):
        Remote(urls=[url(mlserver, scheme)], model="silent")
    with pytest.raises(RemoteError, match="nosuch"):
        Remote(urls=[url(mlserver, scheme)], model="nosuch")


@pytest.mark.parametrize("schemes", [["http"], ["grpc"], ["http", "grpc"]])
def test_triton_scores(triton, schemes):
    server, booster = triton
    rows = np.random.default_rng(5).normal(size=(50, booster.num_features())).astype(np.float32)
    want = booster.inplace_predict(rows).reshape(-1, 1)
    with Remote(urls=[url(server, scheme) for scheme in schemes], model="m") as remote:
        for _ in range(10):
            np.testing.assert_array_equal(remote.run({"input": rows}, timeout_ms=20000)["predictions"], want)
        with pytest.raises(RemoteError, match="FP64"):
            remote.run({"input": rows.astype(np.float64)})
    assert remote.facts["answered"] == 10 and remote.facts["failed"] == 0
    assert all(peer["healthy"] for peer in remote.facts["peers"])


def test_triton_says_what_is_wrong(triton):
    server, _ = triton
    for scheme in SCHEMES:
        with pytest.raises(RemoteError, match="nosuch"):
            Remote(urls=[url(server, scheme)], model="nosuch")
