# SPDX-License-Identifier: Apache-2.0
"""Descriptors and memory: said at the start, told in time, and nothing breaks when they run out."""

import resource
import socket
import time

import models
import pytest
from command import SANITIZED
from server import Server


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "risk.json"
    models.xgboost_model(path)
    return path


def limit(server, what, soft, hard=None):
    resource.prlimit(server.process.pid, what, (soft, hard or soft))


def wait_for_log(server, text, seconds=20):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if text in server.log():
            return
        time.sleep(0.02)
    raise AssertionError(f"{text!r} is not in the log:\n{server.log()}")


def test_the_soft_limit_is_raised_and_a_short_hard_one_told(model):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        with Server(model, "--threads", "1") as server:
            assert server.metric("phoenix_open_files_max") > 256 or hard <= 256
            shown = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
            assert shown[0] == min(hard, 1 << 20)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_settings_that_ask_for_more_than_there_is_are_told_at_the_start(model, tmp_path):
    config = tmp_path / "phoenix.yaml"
    config.write_text("server:\n  connections_max: 1000000\n")
    with Server(model, "--config", config, "--threads", "2") as server:
        line = next(line for line in server.log().splitlines() if "process.files_short" in line)
        assert "server.connections_max to" in line and "LimitNOFILE" in line
    config.write_text("server:\n  connections_max: 100\n")
    with Server(model, "--config", config, "--threads", "2") as server:
        assert "process.files_short" not in server.log()


def test_descriptors_are_told_before_they_run_out_and_clients_wait_when_they_have(model):
    with Server(model, "--threads", "1") as server:
        used = int(server.metric("phoenix_open_files"))
        limit(server, resource.RLIMIT_NOFILE, used + 40)
        held = []
        try:
            while len(held) < 36:
                held.append(socket.create_connection(("127.0.0.1", server.port), timeout=20))
            wait_for_log(server, "process.files_high")
            while len(held) < 60:
                held.append(socket.create_connection(("127.0.0.1", server.port), timeout=20))
            wait_for_log(server, "net.accept_paused")
            wait_for_log(server, "process.files_critical")
            before = resource_seconds(server)
            time.sleep(1)
            assert resource_seconds(server) - before < 0.5, "accepting spins"
        finally:
            for s in held:
                s.close()
        assert server.request("/readyz")[0] == 200
        wait_for_log(server, "process.files_low")
        for event in ("process.files_high ", "process.files_low "):
            assert server.log().count(f"event={event}") <= 2


def resource_seconds(server):
    """CPU time of the server so far."""
    with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.skipif(SANITIZED, reason="sanitizers reserve most of the address space")
def test_near_the_limit_of_memory_loads_are_refused_with_the_reason(model):
    with Server(model, "--threads", "1") as server:
        def load():
            return server.request("/v2/repository/models/risk/load", body=b"", method="POST")

        assert server.request("/readyz")[0] == 200  # all threads have started
        size = int(open(f"/proc/{server.process.pid}/statm", encoding="ascii").read().split()[0]) * 4096
        limit(server, resource.RLIMIT_AS, int(size * 1.01), resource.RLIM_INFINITY)
        wait_for_log(server, "process.memory_critical")
        status, reply = load()
        assert status == 503 and "RLIMIT_AS" in str(reply)
        assert server.metric("phoenix_memory_max_bytes") == int(size * 1.01)
        limit(server, resource.RLIMIT_AS, resource.RLIM_INFINITY)
        wait_for_log(server, "process.memory_low")
        assert "is refused" not in str(load())
