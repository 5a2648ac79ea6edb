# SPDX-License-Identifier: Apache-2.0
"""Models that are registered and loaded when they are asked for, under a memory cap."""

import concurrent.futures
import os
import queue
import resource
import shutil
import time

import large_models
import models
import numpy as np
import pytest
from command import SANITIZED
from server import Server

ROW = dict.fromkeys(models.NAMES, 1.0)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "risk.json"
    models.xgboost_model(path)
    return path


@pytest.fixture(scope="module")
def large_file(tmp_path_factory):
    """About 10 MB in memory."""
    path = tmp_path_factory.mktemp("models") / "large.json"
    large_models.xgboost_json(path, trees=200, depth=10)
    return path


def repository(folder, file, names):
    for name in names:
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "1" / file.name).symlink_to(file)
    return folder


def settings(tmp_path, **serving):
    path = tmp_path / "phoenix.yaml"
    path.write_text("serving:\n" + "".join(f"  {key}: {value}\n" for key, value in serving.items()))
    return path


def states(server):
    return {row["name"]: row["state"] for row in server.request("/api/v1/models")[1]["models"]}


def resident_kb(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def test_a_registered_model_is_loaded_by_its_first_request(model_file, tmp_path):
    names = [f"m{i}" for i in range(5)]
    folder = repository(tmp_path / "repo", model_file, names)
    file = settings(tmp_path, load_models="demand")
    with Server(folder, "--config", file) as server:
        assert "knows 5 more" in server.banner
        assert states(server) == dict.fromkeys(names, "REGISTERED")
        assert server.request("/v2/health/ready")[0] == 200
        assert server.request("/v2/models/m1/ready")[0] == 200
        index = server.request("/v2/repository/index", method="POST")[1]
        assert {row["state"] for row in index} == {"UNAVAILABLE"}
        assert len(server.predict("m1", [ROW])) == 1
        assert states(server)["m1"] == "READY" and states(server)["m2"] == "REGISTERED"
        # What describes a model waits for it as well.
        status, metadata = server.request("/v2/models/m2")
        assert status == 200 and metadata["name"] == "m2" and metadata["inputs"]
        assert server.request("/v2/models/m3/config")[0] == 200
        assert server.request("/v1/models/m4/metadata")[0] == 200
        assert server.metric("phoenix_models_resident") == 4
        assert server.metric("phoenix_model_demand_loads_total") == 4
        assert server.metric("phoenix_model_misses_refused_total") == 0
        assert server.metric("phoenix_request_failures_total") == 0
        assert server.request("/v2/models/m9")[0] == 404


def test_requests_that_come_together_share_one_load(large_file, tmp_path):
    folder = repository(tmp_path / "repo", large_file, ["big"])
    file = settings(tmp_path, load_models="demand", load_wait_ms=60000)
    row = {"instances": [[1.0] * large_models.FEATURES]}
    with Server(folder, "--config", file) as server:
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            replies = list(pool.map(lambda _: server.request("/v1/models/big:predict", row), range(20)))
        assert {status for status, _ in replies} == {200}
        assert len({str(reply) for _, reply in replies}) == 1
        assert server.metric("phoenix_model_demand_loads_total") == 1


def test_who_may_not_wait_is_told_to_come_back(large_file, tmp_path):
    folder = repository(tmp_path / "repo", large_file, ["big"])
    file = settings(tmp_path, load_models="demand", load_wait_ms=0)
    row = {"instances": [[1.0] * large_models.FEATURES]}
    with Server(folder, "--config", file) as server:
        status, reply = server.request("/v1/models/big:predict", row)
        assert status == 503 and "is being loaded" in reply["detail"], reply
        until = time.monotonic() + 60
        while status == 503 and time.monotonic() < until:
            time.sleep(0.05)
            status, reply = server.request("/v1/models/big:predict", row)
        assert status == 200, reply


def test_the_least_recently_used_leave_and_their_memory_comes_back(large_file, tmp_path):
    names = [f"m{i}" for i in range(6)]
    folder = repository(tmp_path / "repo", large_file, names)
    row = {"instances": [[1.0] * large_models.FEATURES]}

    def ask(server, name):
        status, reply = server.request(f"/v1/models/{name}:predict", row)
        assert status == 200, reply
        return reply["predictions"]

    free = settings(tmp_path, load_models="demand", load_wait_ms=60000)
    with Server(folder, "--config", free) as server:
        ask(server, "m0")
        one = server.metric("phoenix_models_resident_bytes")
        ask(server, "m1")
        before = resident_kb(server)
        for name in names[2:]:
            ask(server, name)
        grown = resident_kb(server) - before  # by four models
        assert server.metric("phoenix_model_evictions_total") == 0
    assert one > 4 << 20
    capped = settings(
        tmp_path, load_models="demand", load_wait_ms=60000, resident_min_s=0, memory_max=int(one * 2.5)
    )
    with Server(folder, "--config", capped) as server:
        first = ask(server, "m0")
        ask(server, "m1")
        before = resident_kb(server)
        for name in ("m0", "m2", "m0", "m3", "m0", "m4", "m0", "m5", "m0"):
            ask(server, name)
        assert states(server)["m0"] == "READY", "what was used all the time stays"
        assert server.metric("phoenix_models_resident") == 2
        assert server.metric("phoenix_model_evictions_total") == 4
        assert server.metric("phoenix_models_resident_bytes") <= one * 2.5
        assert resident_kb(server) - before < grown / 2
        assert ask(server, "m1") == first  # back again
        assert server.metric("phoenix_model_misses_refused_total") == 0


def test_pinned_models_stay_and_who_finds_no_room_is_told(large_file, tmp_path):
    folder = repository(tmp_path / "repo", large_file, ["a", "b"])
    for name in "ab":
        (folder / name / "1" / large_file.name).unlink()
        shutil.copy(large_file, folder / name / "1" / large_file.name)
    pin = "phoenix: 1\nname: a\nmodel: large.json\nresidency: pinned\n"
    (folder / "a" / "1" / "model.yaml").write_text(pin)
    row = {"instances": [[1.0] * large_models.FEATURES]}
    free = settings(tmp_path, load_models="demand")
    with Server(folder, "--config", free) as server:
        assert states(server) == {"a": "READY", "b": "REGISTERED"}
        one = server.metric("phoenix_models_resident_bytes")
    tight = settings(
        tmp_path, load_models="demand", load_wait_ms=300, memory_max=int(one * 1.3), resident_min_s=0
    )
    with Server(folder, "--config", tight) as server:
        status, reply = server.request("/v1/models/b:predict", row)
        assert status == 503 and "memory_max" in str(reply), reply
        assert server.request("/v1/models/a:predict", row)[0] == 200
        assert server.metric("phoenix_model_loads_put_off_total") >= 1


@pytest.mark.parametrize("pinned", [True, False])
def test_who_finds_only_pinned_models_is_told_at_once_and_the_start_warns(large_file, tmp_path, pinned):
    for name in "ab":
        (tmp_path / "repo" / name / "1").mkdir(parents=True)
        shutil.copy(large_file, tmp_path / "repo" / name / "1" / large_file.name)
    if pinned:
        pin = "phoenix: 1\nname: a\nmodel: large.json\nresidency: pinned\n"
        (tmp_path / "repo" / "a" / "1" / "model.yaml").write_text(pin)
    row = {"instances": [[1.0] * large_models.FEATURES]}
    # So long that the test ends by its own limit when a request waits for it.
    tight = settings(tmp_path, load_models="demand", load_wait_ms=600000, memory_max=1 << 20, resident_min_s=0)
    with Server(tmp_path / "repo", "--config", tight) as server:
        event = "residency.pinned_over_memory_max" if pinned else "residency.memory_max_too_small"
        until = time.monotonic() + 30
        while event not in server.log() and time.monotonic() < until:
            time.sleep(0.02)
        assert server.log().count("event=residency.") == 1 and f"event={event} needed=" in server.log(), server.log()
        for _ in range(3):
            status, reply = server.request("/v1/models/b:predict", row)
            assert status == 503 and "memory_max" in str(reply), reply
            assert ("finds no room" in str(reply)) == pinned, reply
    roomy = settings(tmp_path, load_models="demand", memory_max=1 << 30)
    with Server(tmp_path / "repo", "--config", roomy) as server:
        assert server.request("/v1/models/b:predict", row)[0] == 200
    assert "event=residency." not in server.log(), server.log()


def test_a_model_that_cannot_be_loaded_says_why_and_is_tried_again(model_file, tmp_path):
    folder = repository(tmp_path / "repo", model_file, ["good"])
    (folder / "bad" / "1").mkdir(parents=True)
    (folder / "bad" / "1" / "model.json").write_text("{}")
    file = settings(tmp_path, load_models="demand")
    with Server(folder, "--config", file) as server:
        status, reply = server.request("/v1/models/bad:predict", {"instances": [ROW]})
        assert status == 503 and "failed to load" in reply["detail"], reply
        assert states(server) == {"bad": "FAILED", "good": "REGISTERED"}
        shutil.copy(model_file, folder / "bad" / "1" / "model.json")
        until = time.monotonic() + 30
        while status == 503 and time.monotonic() < until:
            time.sleep(0.1)
            status, reply = server.request("/v1/models/bad:predict", {"instances": [ROW]})
        assert status == 200, reply


def grpc_inputs():
    import tritonclient.grpc as triton

    inputs = []
    for name in models.NAMES:
        inputs.append(triton.InferInput(name, [1, 1], "FP32"))
        inputs[-1].set_data_from_numpy(np.ones((1, 1), np.float32))
    return inputs


def test_grpc_requests_and_streams_wait_for_their_models(model_file, tmp_path):
    import tritonclient.grpc as triton

    folder = repository(tmp_path / "repo", model_file, ["m0", "m1", "m2", "m3"])
    file = settings(tmp_path, load_models="demand", load_wait_ms=60000)
    with Server(folder, "--config", file) as server:
        client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
        assert client.is_model_ready("m0")
        wanted = client.infer("m0", grpc_inputs()).as_numpy("predictions")
        assert client.get_model_metadata("m1").name == "m1"
        answers = queue.Queue()
        client.start_stream(lambda result, error: answers.put((result, error)))
        order = ["m2", "m0", "m3", "m1", "m2"]
        for at, name in enumerate(order):
            client.async_stream_infer(name, grpc_inputs(), request_id=str(at))
        for at in range(len(order)):
            result, error = answers.get(timeout=60)
            assert error is None, error
            assert result.get_response().id == str(at), "answers leave in the order of the requests"
            assert (result.as_numpy("predictions") == wanted).all()
        client.stop_stream()
        client.close()
        assert server.metric("phoenix_models_resident") == 4


def test_a_grpc_client_that_gives_up_is_not_waited_for(large_file, tmp_path):
    import tritonclient.grpc as triton

    folder = repository(tmp_path / "repo", large_file, ["big"])
    file = settings(tmp_path, load_models="demand", load_wait_ms=60000)
    with Server(folder, "--config", file) as server:
        client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
        with pytest.raises(triton.InferenceServerException) as failure:
            client.infer("big", grpc_inputs(), client_timeout=0.002)
        assert "DEADLINE" in str(failure.value).upper()
        assert client.get_model_metadata("big").name == "big"
        client.close()


def test_what_was_in_demand_is_back_before_it_is_asked_for(large_file, tmp_path):
    """A model that many use has to leave for one that needs all the memory, and comes back without a request."""
    folder = repository(tmp_path / "repo", large_file, ["busy", "rare", "huge"])
    (folder / "huge" / "1" / large_file.name).unlink()
    large_models.xgboost_json(folder / "huge" / "1" / "large.json", trees=400, depth=10)
    row = {"instances": [[1.0] * large_models.FEATURES]}

    def ask(server, name):
        status, reply = server.request(f"/v1/models/{name}:predict", row)
        assert status == 200, reply
        return reply["predictions"]

    free = settings(tmp_path, load_models="demand", load_wait_ms=60000, preload_s=0)
    with Server(folder, "--config", free) as server:
        ask(server, "busy")
        one = server.metric("phoenix_models_resident_bytes")
        ask(server, "huge")
        two = server.metric("phoenix_models_resident_bytes") - one
    tight = settings(
        tmp_path,
        load_models="demand",
        load_wait_ms=60000,
        resident_min_s=0,
        memory_max=int(two * 1.2),
        preload_s=1,
    )
    with Server(folder, "--config", tight) as server:
        first = ask(server, "busy")
        for _ in range(40):
            ask(server, "busy")
        ask(server, "huge")
        until = time.monotonic() + 60
        while server.metric("phoenix_model_preloads_total") < 1 and time.monotonic() < until:
            time.sleep(0.05)
        assert states(server) == {"busy": "READY", "huge": "REGISTERED", "rare": "REGISTERED"}
        misses = server.metric("phoenix_model_misses_total")
        assert misses == 2, "each was asked for once while it was not there"
        assert ask(server, "busy") == first
        assert server.metric("phoenix_model_misses_total") == misses
        while server.metric("phoenix_model_preload_hits_total") < 1 and time.monotonic() < until:
            time.sleep(0.05)
        assert server.metric("phoenix_model_preload_hits_total") == 1
        assert server.metric("phoenix_model_preload_unused_total") == 0
        assert server.metric("phoenix_model_demand_loads_total") == 2
        # A request goes before whatever is expected; what then is expected comes back again.
        ask(server, "huge")
        while server.metric("phoenix_model_preloads_total") < 2 and time.monotonic() < until:
            time.sleep(0.05)
        assert states(server)["busy"] == "READY"


def test_nothing_is_preloaded_when_preloading_is_off_or_models_are_loaded_at_the_start(model_file, tmp_path):
    folder = repository(tmp_path / "repo", model_file, ["m0", "m1"])
    for serving in ({"load_models": "demand", "preload_s": 0}, {"load_models": "start", "preload_s": 1}):
        with Server(folder, "--config", settings(tmp_path, **serving)) as server:
            for _ in range(20):
                server.predict("m0", [ROW])
            time.sleep(1.5)
            assert server.metric("phoenix_model_preloads_total") == 0
            assert states(server)["m1"] == ("REGISTERED" if serving["load_models"] == "demand" else "READY")


@pytest.mark.skipif(SANITIZED, reason="sanitizers reserve most of the address space")
def test_the_limit_of_the_system_holds_without_a_cap_of_ones_own(large_file, tmp_path):
    names = [f"m{i}" for i in range(6)]
    folder = repository(tmp_path / "repo", large_file, names)
    row = {"instances": [[1.0] * large_models.FEATURES]}
    file = settings(tmp_path, load_models="demand", load_wait_ms=60000, resident_min_s=0)
    with Server(folder, "--config", file, "--threads", "1") as server:
        assert server.request("/v1/models/m0:predict", row)[0] == 200
        with open(f"/proc/{server.process.pid}/statm", encoding="ascii") as statm:
            used = int(statm.read().split()[0]) * 4096
        most = int((used + 3.5 * os.stat(large_file).st_size) / 0.95)
        resource.prlimit(server.process.pid, resource.RLIMIT_AS, (most, most))
        for name in names[1:] * 2:
            status, reply = server.request(f"/v1/models/{name}:predict", row)
            assert status == 200, reply
        assert server.metric("phoenix_model_evictions_total") > 0
        assert server.metric("phoenix_model_demand_load_failures_total") == 0
