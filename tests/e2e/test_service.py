# SPDX-License-Identifier: Apache-2.0
"""The service manager's protocol, with a socket of our own in systemd's place; and cores."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import models
import pytest
from command import fail
from server import Server

UNIT = Path(__file__).resolve().parents[2] / "deployment" / "systemd" / "phoenix.service"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "risk.json"
    models.xgboost_model(path)
    return path


class Manager:
    """Receives what the service notifies."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(20)

    def until(self, text):
        """The next message that contains `text`; the others are returned with it."""
        seen = []
        while True:
            message = self.socket.recv(65536).decode()
            seen.append(message)
            if text in message:
                return message, seen


def test_ready_reloading_stopping(model, tmp_path):
    manager = Manager(tmp_path)
    config = tmp_path / "phoenix.yaml"
    config.write_text("")
    with Server(model, "--config", config, env={"NOTIFY_SOCKET": manager.path}) as server:
        message, _ = manager.until("READY=1")
        assert server.url in message
        server.signal(signal.SIGHUP)
        message, _ = manager.until("RELOADING=1")
        assert "MONOTONIC_USEC=" in message
        manager.until("READY=1")
        server.signal()
        manager.until("STOPPING=1")
        assert server.wait() == 0


def test_the_watchdog_is_fed_while_the_loops_come_round(model, tmp_path):
    manager = Manager(tmp_path)
    env = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"}
    with Server(model, env=env):
        began = time.monotonic()
        for _ in range(6):
            manager.until("WATCHDOG=1")
        assert time.monotonic() - began < 20


def test_an_abstract_socket_is_found(model):
    name = f"phoenix-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind("\0" + name)
        s.settimeout(20)
        with Server(model, env={"NOTIFY_SOCKET": "@" + name}):
            assert b"READY=1" in s.recv(65536)


def test_a_watchdog_that_is_for_another_process_is_not_fed(model, tmp_path):
    manager = Manager(tmp_path)
    env = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}
    with Server(model, env=env) as server:
        manager.until("READY=1")
        time.sleep(0.5)
        server.signal()
        assert server.wait() == 0  # a second signal would end it at once
        _, seen = manager.until("STOPPING=1")
        assert not any("WATCHDOG" in message for message in seen)


def cores_of_loops(server):
    """What each event loop's thread may run on."""
    found = {}
    for task in Path(f"/proc/{server.process.pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        if name.startswith("px-loop-"):
            found[name] = os.sched_getaffinity(int(task.name))
    return found


def wait_for_cores(server, expected):
    """A loop is bound when it begins, and another may answer before."""
    deadline = time.monotonic() + 20
    while cores_of_loops(server) != expected:
        assert time.monotonic() < deadline, cores_of_loops(server)
        time.sleep(0.02)


def test_loops_are_bound_to_cores(model, tmp_path):
    config = tmp_path / "phoenix.yaml"
    allowed = sorted(os.sched_getaffinity(0))
    config.write_text("server:\n  pin: cores\n")
    with Server(model, "--config", config, "--threads", "2") as server:
        wait_for_cores(server, {"px-loop-0": {allowed[0]}, "px-loop-1": {allowed[1 % len(allowed)]}})
    config.write_text(f"server:\n  pin: '{allowed[-1]}'\n")
    with Server(model, "--config", config, "--threads", "2") as server:
        wait_for_cores(server, {"px-loop-0": {allowed[-1]}, "px-loop-1": {allowed[-1]}})


def test_cores_that_are_not_there_are_refused(model, tmp_path):
    config = tmp_path / "phoenix.yaml"
    for pin, text in (("900", "may not run on core 900"), ("first", "expected off, cores or a list")):
        config.write_text(f"server:\n  pin: {pin}\n")
        assert text in fail("serve", model, "--config", config, "--port", 0)
        assert text in fail("config", "check", config)


def test_local_memory_is_taken_or_refused_with_the_reason(model, tmp_path):
    config = tmp_path / "phoenix.yaml"
    config.write_text("server:\n  pin: cores\n  numa: local\n")
    from command import phoenix

    if phoenix("config", "check", config).returncode != 0:
        assert "server.numa" in fail("config", "check", config)
        return
    with Server(model, "--config", config) as server:
        assert server.request("/readyz")[0] == 200
        assert "loop.not_bound" not in server.log()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_the_unit_file_is_right(tmp_path):
    binary = tmp_path / "phoenix"
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    unit = tmp_path / "phoenix.service"
    unit.write_text(UNIT.read_text().replace("/usr/local/bin/phoenix", str(binary)))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Unknown" not in done.stderr and "phoenix.service:" not in done.stderr, done.stderr
