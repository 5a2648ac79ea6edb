# SPDX-License-Identifier: Apache-2.0
"""A large model is loaded again and unloaded: its memory comes back, and the work is done by a thread that stands back for others."""

import os
import time

import large_models
import pytest
from server import Server

RELOADS = 5
MIB = 1 << 20
ROW = {"instances": [[1.0] * large_models.FEATURES]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One model of about 45 MB in memory."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "big" / "1").mkdir(parents=True)
    large_models.xgboost_json(folder / "big" / "1" / "model.json", trees=400, depth=10)
    return folder


def resident(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) << 10


def settled(server, at_most):
    """Resident bytes, as soon as they are few enough: what a load or an unload leaves is given back after its answer."""
    until = time.monotonic() + 20
    while resident(server) > at_most and time.monotonic() < until:
        time.sleep(0.05)
    return resident(server)


def change(server, what):
    status, reply = server.request(f"/v2/repository/models/big/{what}", {})
    assert status == 200, reply


def test_memory_comes_back_after_every_reload_and_unload(folder):
    with Server(folder) as server:
        assert server.request("/v1/models/big:predict", ROW)[0] == 200
        loaded = resident(server)
        model = server.metric("phoenix_models_resident_bytes")
        assert model > 25 * MIB
        for _ in range(RELOADS):
            change(server, "load")
            assert server.request("/v1/models/big:predict", ROW)[0] == 200
        assert settled(server, loaded + model / 4) <= loaded + model / 4
        change(server, "unload")
        empty = loaded - model + model / 4
        assert settled(server, empty) <= empty
        for _ in range(RELOADS):
            change(server, "load")
            change(server, "unload")
        assert settled(server, empty) <= empty


def cpu_ticks(path):
    """User and system time."""
    with open(path, encoding="ascii") as stat:
        return sum(map(int, stat.read().rpartition(")")[2].split()[11:13]))


def thread_of(server, name):
    tasks = f"/proc/{server.process.pid}/task"
    for thread in os.listdir(tasks):
        with open(f"{tasks}/{thread}/comm", encoding="ascii") as comm:
            if comm.read().strip() == name:
                return f"{tasks}/{thread}/stat"
    raise AssertionError(name)


def test_what_a_reload_takes_the_processor_for_stands_back_for_requests(folder):
    with Server(folder) as server:
        change(server, "load")  # by now its threads have their names
        loader, all_threads = thread_of(server, "px-loader"), f"/proc/{server.process.pid}/stat"
        before = cpu_ticks(loader), cpu_ticks(all_threads)
        for _ in range(RELOADS):
            change(server, "load")
        own, total = cpu_ticks(loader) - before[0], cpu_ticks(all_threads) - before[1]
        assert total > 20, "so many ticks that a share can be told"
        assert own <= total / 10, "the loader itself has the priority of those that answer"
