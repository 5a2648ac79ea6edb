# SPDX-License-Identifier: Apache-2.0
"""System shared memory as NVIDIA's own client uses it, and what a client may do to its object meanwhile."""

import os

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.utils.shared_memory as shm
from rest_models import rows, xgboost_scores
from tritonclient.utils import InferenceServerException


@pytest.fixture
def client(rest):
    server, _ = rest
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        yield client
        client.unregister_system_shared_memory()


@pytest.fixture
def region():
    made = []

    def make(name, size):
        key = f"/phoenix-test-{os.getpid()}-{name}"
        made.append(shm.create_shared_memory_region(name, key, size))
        return made[-1], key

    yield make
    for handle in made:
        shm.destroy_shared_memory_region(handle)


def shared_input(name, x, region_name, size, offset=0):
    made = triton.InferInput(name, list(x.shape), "FP32")
    made.set_shared_memory(region_name, size, offset=offset)
    return made


def test_tensors_in_and_out(rest, client, region):
    x = rows().astype(np.float32)
    handle_in, key_in = region("in", x.nbytes + 64)
    handle_out, key_out = region("out", len(x) * 4)
    shm.set_shared_memory_region(handle_in, [x], offset=64)
    client.register_system_shared_memory("in", key_in, x.nbytes + 64)
    client.register_system_shared_memory("out", key_out, len(x) * 4)
    wanted = triton.InferRequestedOutput("predictions")
    wanted.set_shared_memory("out", len(x) * 4)
    reply = client.infer("named", [shared_input("input", x, "in", x.nbytes, 64)], outputs=[wanted])
    assert reply.get_output("predictions")["shape"] == [len(x), 1]
    got = shm.get_contents_as_numpy(handle_out, np.float32, [len(x)])
    assert np.array_equal(got.view(np.uint32), xgboost_scores(rest[1]["named"], x).view(np.uint32))


def test_status_and_unregister(client, region):
    _, key = region("r", 64)
    client.register_system_shared_memory("r", key, 32, offset=16)
    want = {"name": "r", "key": key, "offset": 16, "byte_size": 32}
    assert client.get_system_shared_memory_status() == [want]
    assert client.get_system_shared_memory_status("r") == [want]
    client.unregister_system_shared_memory("r")
    client.unregister_system_shared_memory("r")
    assert client.get_system_shared_memory_status() == []
    assert "system_shared_memory" in client.get_server_metadata()["extensions"]


def refused(message, call, *arguments, **options):
    with pytest.raises(InferenceServerException) as caught:
        call(*arguments, **options)
    assert message in caught.value.message()
    return caught.value.status()


def test_errors_reach_the_client(client, region):
    x = rows().astype(np.float32)
    handle, key = region("r", x.nbytes)
    register = client.register_system_shared_memory
    assert refused("cannot open", register, "r", "/phoenix-nobody", 64) == "400"
    assert refused("not inside", register, "r", key, x.nbytes * 2) == "400"
    assert refused("expected a key", register, "r", "/a/b", 64) == "400"
    register("r", key, x.nbytes)
    assert refused("registered already", register, "r", key, 64) == "409"
    assert refused("'s' is not registered", client.infer, "named", [shared_input("input", x, "s", x.nbytes)]) == "404"
    assert refused("unexpected size", client.infer, "named", [shared_input("input", x, "r", 4)]) == "400"
    wanted = triton.InferRequestedOutput("predictions")
    wanted.set_shared_memory("r", 4)
    assert refused("more than the 4", client.infer, "named", [shared_input("input", x, "r", x.nbytes)], outputs=[wanted]) == "400"


def test_an_object_that_shrinks_does_not_stop_the_server(rest, client, region):
    x = rows().astype(np.float32)
    handle, key = region("r", x.nbytes)
    shm.set_shared_memory_region(handle, [x])
    client.register_system_shared_memory("r", key, x.nbytes)
    os.truncate(f"/dev/shm{key}", 0)
    assert refused("smaller now", client.infer, "named", [shared_input("input", x, "r", x.nbytes)]) == "400"
    wanted = triton.InferRequestedOutput("predictions")
    wanted.set_shared_memory("r", 4 * len(x))
    plain = triton.InferInput("input", list(x.shape), "FP32")
    plain.set_data_from_numpy(x)
    assert refused("smaller now", client.infer, "named", [plain], outputs=[wanted]) == "400"
    assert client.is_server_live()


def test_gpu_memory_is_unavailable(client):
    assert client.get_cuda_shared_memory_status() == []
    assert refused("unavailable", client.register_cuda_shared_memory, "g", b"AA==", 0, 64) == "503"
    client.unregister_cuda_shared_memory()
