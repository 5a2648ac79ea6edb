# SPDX-License-Identifier: Apache-2.0
"""Tensors in shared memory over gRPC, as NVIDIA's own client registers and uses it."""

import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.utils.shared_memory as shm
from models import rows, xgboost_scores
from tritonclient.utils import InferenceServerException


@pytest.fixture
def client(rest):
    server, _ = rest
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        yield client
        client.unregister_system_shared_memory()


@pytest.fixture
def region():
    handle = shm.create_shared_memory_region("grpc_io", "/phoenix_grpc_io", 4096)
    yield handle
    shm.destroy_shared_memory_region(handle)


def status_of(call):
    with pytest.raises(InferenceServerException) as caught:
        call()
    return caught.value.status(), caught.value.message()


def test_inputs_and_outputs_in_shared_memory(client, rest, region):
    _, boosters = rest
    x = rows(5).astype(np.float32)
    shm.set_shared_memory_region(region, [x])
    client.register_system_shared_memory("io", "/phoenix_grpc_io", 4096)
    status = client.get_system_shared_memory_status()
    assert status.regions["io"].byte_size == 4096 and status.regions["io"].key == "/phoenix_grpc_io"
    sent = triton.InferInput("input", list(x.shape), "FP32")
    sent.set_shared_memory("io", x.nbytes)
    asked = triton.InferRequestedOutput("predictions")
    asked.set_shared_memory("io", 5 * 4, offset=1024)
    result = client.infer("named", [sent], outputs=[asked])
    output = result.get_output("predictions")
    assert output.parameters["shared_memory_region"].string_param == "io"
    assert output.parameters["shared_memory_offset"].int64_param == 1024
    assert output.parameters["shared_memory_byte_size"].int64_param == 20
    got = shm.get_contents_as_numpy(region, np.float32, [5, 1], offset=1024)
    want = np.asarray(xgboost_scores(boosters["named"], rows(5)))
    assert np.array_equal(got.ravel().view(np.uint32), want.ravel().view(np.uint32))


def test_errors_name_the_region(client, region):
    sent = triton.InferInput("input", [1, 4], "FP32")
    sent.set_shared_memory("nowhere", 16)
    status, text = status_of(lambda: client.infer("named", [sent]))
    assert status == "StatusCode.NOT_FOUND" and "nowhere" in text
    client.register_system_shared_memory("io", "/phoenix_grpc_io", 4096)
    status, _ = status_of(
        lambda: client.register_system_shared_memory("io", "/phoenix_grpc_io", 4096))
    assert status == "StatusCode.ALREADY_EXISTS"
    sent.set_shared_memory("io", 16, offset=4090)
    status, _ = status_of(lambda: client.infer("named", [sent]))
    assert status == "StatusCode.INVALID_ARGUMENT"
    client.unregister_system_shared_memory("io")
    status, _ = status_of(lambda: client.get_system_shared_memory_status("io"))
    assert status == "StatusCode.NOT_FOUND"


def test_cuda_shared_memory_is_unavailable(client):
    assert not client.get_cuda_shared_memory_status().regions
    status, text = status_of(lambda: client.register_cuda_shared_memory("gpu", b"AAAA", 0, 64))
    assert status == "StatusCode.UNAVAILABLE" and "CUDA" in text
    client.unregister_cuda_shared_memory()
