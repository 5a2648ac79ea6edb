# SPDX-License-Identifier: Apache-2.0
"""What the machine gives runs out under load: disk, memory, descriptors, processes. Requests are answered or refused with the reason."""

import base64
import contextlib
import json
import os
import random
import re
import resource
import socket

import chaos_models
import numpy as np
import pytest
from chaos import ROUNDS, Client, Load, Question, descriptors, refusal_fault, unharmed, wait_until
from command import SANITIZED, fail, succeed
from models import xgboost_model
from server import Server

whole_address_space = pytest.mark.skipif(SANITIZED, reason="sanitizers reserve most of the address space")


def limit(server, what, soft):
    """Sets a limit of the running process; the hard one stays, so that it can be lifted again. Returns what lifts it."""
    before = resource.prlimit(server.process.pid, what)
    resource.prlimit(server.process.pid, what, (soft, before[1]))
    return lambda: resource.prlimit(server.process.pid, what, before)


def trace_everything(server):
    status, reply = server.request("/v2/trace/setting", {"trace_level": ["TIMESTAMPS"], "trace_rate": "1", "log_frequency": "1"})
    assert status == 200, reply


ROOM = ["the limit of a file", "a file system that is full"]


@pytest.mark.parametrize("kind", ROOM)
def test_there_is_no_room_for_traces(tmp_path, kind):
    """Traces are lost and counted; answers are not."""
    place = tmp_path if kind == "the limit of a file" else small_file_system(tmp_path)
    question = chaos_models.forest(tmp_path / "near")
    config = tmp_path / "phoenix.yaml"
    config.write_text(f"trace:\n  file: {place}/traces\n")
    with Server(tmp_path / "near", "--config", config, "--threads", "2") as server:
        if kind == "the limit of a file":
            limit(server, resource.RLIMIT_FSIZE, 65536)
        trace_everything(server)
        with unharmed(server, question):
            with Load(server, question) as load:
                load.wait_for(500 * ROUNDS)
                wait_until(lambda: server.metric("phoenix_traces_dropped_total") > 0, lambda: "no trace was counted as lost")


def small_file_system(tmp_path):
    """A file system of 64 KiB, where this process may mount one."""
    place = tmp_path / "small"
    place.mkdir()
    mount_small(place)
    return place


def mount_small(place, size="64k"):
    if os.system(f"mount -t tmpfs -o size={size} tmpfs '{place}' 2>/dev/null") != 0:
        pytest.skip("may not mount a file system (needs CAP_SYS_ADMIN)")


@pytest.fixture(autouse=True)
def unmounted(tmp_path):
    yield
    if os.path.ismount(tmp_path / "small"):
        os.system(f"umount -l '{tmp_path / 'small'}'")


def send_model(client, content):
    """Loads the model "near" from the bytes of a file; the answer."""
    file = base64.b64encode(content).decode()
    body = json.dumps({"parameters": {"config": "{}", "file:1/model.json": file}}).encode()
    return client.request("POST", "/v2/repository/models/near/load", body, "Content-Type: application/json\r\n")


@pytest.mark.parametrize("kind", ROOM)
def test_there_is_no_room_for_models_that_are_sent(tmp_path, kind):
    """Who sends one is told why it cannot be kept; the old one answers, and nothing half is left behind. With room it is taken."""
    place = tmp_path / "small" if kind != "the limit of a file" else tmp_path / "sent"
    place.mkdir()
    if kind != "the limit of a file":
        mount_small(place)
    question = chaos_models.forest(tmp_path / "near", rounds=100)
    content = (tmp_path / "near" / "model.json").read_bytes()
    assert len(content) > 65536
    with Server(tmp_path / "near", "--threads", "2", env={"TMPDIR": str(place)}) as server:
        with unharmed(server, question):
            with Load(server, question, clients=2) as load, Client(server.port) as client:
                lift = limit(server, resource.RLIMIT_FSIZE, 65536) if kind == "the limit of a file" else lambda: None
                for _ in range(3 * ROUNDS):
                    answer = send_model(client, content)
                    assert answer[0] != 200 and not refusal_fault(*answer), answer
                    assert list(place.iterdir()) == [], "the files of a model that was refused are still there"
                    load.wait_for(20)
                lift()
                if os.path.ismount(place):
                    os.system(f"mount -o remount,size=16m '{place}'")
                answer = send_model(client, content)
                assert answer[0] == 200, answer
                load.wait_for(20)


def test_there_is_no_room_to_publish(tmp_path):
    """What does not fit into a repository is not in it at all; the server that looks there serves on."""
    place = tmp_path / "small"
    place.mkdir()
    mount_small(place, "400k")
    question = chaos_models.forest(tmp_path / "near", rounds=2)
    large = tmp_path / "large.json"
    xgboost_model(large, rounds=800)
    succeed("publish", tmp_path / "near" / "model.json", place / "near")
    with Server(place, "--poll", "1", "--threads", "2") as server:
        with unharmed(server, question):
            with Load(server, question, clients=2) as load:
                before = sorted(place.rglob("*"))
                for _ in range(2 * ROUNDS):
                    assert "No space left" in fail("publish", large, place / "near")
                    assert sorted(place.rglob("*")) == before
                    load.wait_for(100)


def test_there_is_no_room_for_the_log(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    question = chaos_models.forest(tmp_path / "near")
    config = tmp_path / "phoenix.yaml"
    config.write_text("log:\n  level: debug\n")
    with open("/dev/full", "w") as full, Server(tmp_path / "near", "--config", config, "--threads", "2", stderr=full) as server:
        with unharmed(server, question):
            with Load(server, question, keeps=False) as load:
                load.wait_for(300 * ROUNDS)


def address_space(server):
    with open(f"/proc/{server.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


class Mixture(Question):
    """Requests of all sizes, from one row to more than there is memory for."""

    def __init__(self, question, rows_max):
        self.__dict__.update(question.__dict__)
        self.chance, self.rows_max = random.Random(5), rows_max

    def body(self, number):
        rows = int(self.rows_max ** self.chance.random())
        tensor = {"name": "input", "shape": [rows, 4], "datatype": "FP32", "data": [1, 2, 3, 4] * rows}
        return json.dumps({"id": number, "inputs": [tensor]}).encode()

    def fault_of(self, reply):
        values = reply["outputs"][0]["data"]
        return None if np.all(np.asarray(values) == values[0]) else "equal rows have different scores"


@whole_address_space
@pytest.mark.parametrize("kind", ["forest", "network"])
def test_there_is_no_memory(tmp_path, kind):
    """From plenty down to none, and back: requests and loads that do not fit are refused, the others answered."""
    question = getattr(chaos_models, kind)(tmp_path / kind)
    asked = [question, Mixture(question, 50_000)] if kind == "forest" else [question]
    config = tmp_path / "phoenix.yaml"
    config.write_text("serving:\n  batch_threads: 1\n")
    with Server(tmp_path / kind, "--config", config, "--threads", "2") as server:
        question.learn(server)
        with unharmed(server, question, growth_max=96 << 20):
            for _ in range(ROUNDS):
                with Load(server, *asked, clients=6, allowed=(200, 413, 503, 500)) as load:
                    load.wait_for(50)
                    for spare in (16 << 20, 4 << 20, 1 << 20, 0):
                        lift = limit(server, resource.RLIMIT_AS, address_space(server) + spare)
                        try:
                            load.wait_for(30, 200, 413, 503, 500)
                            check_control(server, kind)
                        finally:
                            lift()
                    load.wait_for(50)


class ControlGroup:
    """A group of processes whose memory can be limited, beside or below the one that this process is in; a skip where none can be made.

    Version 2 with the memory controller, and a folder that may be written: as root, or where a group was delegated.
    """

    ROOT = "/sys/fs/cgroup"

    def __init__(self):
        with open("/proc/self/cgroup", encoding="ascii") as file:
            own = next((line.strip()[3:] for line in file if line.startswith("0::")), None)
        if own is None or not os.path.exists(f"{self.ROOT}/cgroup.controllers"):
            pytest.skip("needs control groups of version 2")
        self.own = self.ROOT + own.rstrip("/")
        if not any(self._make(place) for place in dict.fromkeys((os.path.dirname(self.own), self.own))):
            pytest.skip("may not make a control group that limits memory")

    def _make(self, place):
        """A group with processes cannot limit memory below it, but for the root; so it is made beside the own one if it may be."""
        self.path = f"{place}/phoenix-test-{os.getpid()}"
        if not place.startswith(self.ROOT):
            return False
        try:
            os.mkdir(self.path)
            if os.path.exists(f"{self.path}/memory.max"):
                with self:
                    return True
        except OSError:
            pass
        with contextlib.suppress(OSError):
            os.rmdir(self.path)
        return False

    def read(self, name):
        with open(f"{self.path}/{name}", encoding="ascii") as file:
            return file.read()

    def write(self, name, value):
        with open(f"{self.path}/{name}", "w", encoding="ascii") as file:
            file.write(str(value))

    def used(self):
        """Bytes, less those that the kernel would give back by itself."""
        stat = dict(line.split() for line in self.read("memory.stat").splitlines())
        return int(self.read("memory.current")) - int(stat["inactive_file"])

    def __enter__(self):
        """What is started now is in the group."""
        self.write("cgroup.procs", os.getpid())
        return self

    def __exit__(self, *_):
        with open(f"{self.own}/cgroup.procs", "w", encoding="ascii") as file:
            file.write(str(os.getpid()))

    def remove(self):
        wait_until(lambda: not self.read("cgroup.procs").strip(), lambda: "the group is not empty")
        os.rmdir(self.path)


BALLAST = """
def load(settings):
    global ballast
    ballast = b"x" * (200 << 20)
def predict(inputs):
    return {"y": inputs["x"]}
"""


def check_nearly_used_up(server, near, name, used, set_to):
    """With 4 % left; set_to(None) lifts the limit."""
    def level():
        return re.findall(r"event=process.memory_(\w+)", server.log())[-1:]

    with Load(server, near, clients=4) as load, Client(server.port) as client:
        set_to(int(used() / 0.96))
        wait_until(lambda: level() == ["critical"], server.log)
        answer = client.request("POST", "/v2/repository/models/near/load")
        assert answer[0] == 503 and name in answer[2].decode() and not refusal_fault(*answer), answer
        load.wait_for(200)
        set_to(None)
        wait_until(lambda: level() == ["low"], server.log)
        assert client.request("POST", "/v2/repository/models/near/load")[0] == 200


@whole_address_space
def test_addresses_are_nearly_used_up(tmp_path):
    """Long before there is none: loads are refused and say which limit is near, and requests are answered as ever."""
    near = chaos_models.forest(tmp_path / "near")
    with Server(tmp_path / "near", "--threads", "2") as server:
        with unharmed(server, near):
            for _ in range(ROUNDS):
                check_nearly_used_up(server, near, "RLIMIT_AS", lambda: address_space(server), lambda most: resource.prlimit(
                    server.process.pid, resource.RLIMIT_AS, (most or resource.RLIM_INFINITY, resource.RLIM_INFINITY)))


@whole_address_space
def test_a_control_group_is_nearly_used_up(tmp_path):
    """The same before the kernel would end a process of it. A worker has most of the memory, so that a few per cent are some megabytes."""
    near, ballast = chaos_models.forest(tmp_path / "near"), chaos_models.worker(tmp_path / "ballast")
    (tmp_path / "ballast" / "model.py").write_text(BALLAST)
    group = ControlGroup()
    try:
        with group:
            server = Server(tmp_path / "near", tmp_path / "ballast", "--threads", "2")
        with server, unharmed(server, near, ballast):
            for _ in range(ROUNDS):
                check_nearly_used_up(server, near, "cgroup memory.max", group.used,
                                     lambda most: group.write("memory.max", most or "max"))
            assert re.search(r"^oom_kill 0$", group.read("memory.events"), re.M), group.read("memory.events")
    finally:
        group.remove()


def check_control(server, model):
    """A load, which answers 200 or why not. Nothing at all may come only where there is no memory for a connection."""
    with Client(server.port) as client:
        answer = client.request("POST", f"/v2/repository/models/{model}/load")
    if answer[0] != 200:
        assert not refusal_fault(*answer), refusal_fault(*answer)


def test_there_are_no_descriptors(tmp_path):
    """Who is connected is answered; who connects waits until a descriptor is free; models that cannot be loaded say why."""
    near, echo = chaos_models.forest(tmp_path / "near"), chaos_models.worker(tmp_path / "echo")
    with Server(tmp_path / "near", tmp_path / "echo", "--threads", "2") as server:
        with unharmed(server, near, echo):
            for _ in range(ROUNDS):
                with Load(server, near, echo, clients=4) as stays:
                    stays.wait_for(40)
                    lift = limit(server, resource.RLIMIT_NOFILE, descriptors(server.process.pid) + 3)
                    held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
                    try:
                        stays.wait_for(100)
                        held[-1].sendall(b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    finally:
                        lift()
                    held[-1].settimeout(60)
                    assert held[-1].recv(1000).startswith(b"HTTP/1.1 200")
                    for link in held:
                        link.close()
                    stays.wait_for(40)


def test_loads_without_descriptors_say_why(tmp_path):
    near, echo = chaos_models.forest(tmp_path / "near"), chaos_models.worker(tmp_path / "echo")
    with Server(tmp_path / "near", tmp_path / "echo", "--threads", "2") as server:
        with unharmed(server, near, echo):
            with Load(server, near, clients=2) as load, Client(server.port) as client:
                assert client.request("GET", "/readyz")[0] == 200  # it is connected
                load.wait_for(20)
                for spare in range(8):
                    lift = limit(server, resource.RLIMIT_NOFILE, descriptors(server.process.pid) + spare)
                    try:
                        for model in ("near", "echo"):
                            answer = client.request("POST", f"/v2/repository/models/{model}/load")
                            assert answer[0] == 200 or not refusal_fault(*answer), refusal_fault(*answer)
                        load.wait_for(10)
                    finally:
                        lift()
            for model in ("near", "echo"):
                assert server.request(f"/v2/repository/models/{model}/load", b"", method="POST")[0] == 200


def test_workers_cannot_be_started_again_for_a_while(tmp_path):
    """The worker dies when there are no descriptors for another one; it comes back when there are."""
    question = chaos_models.worker(tmp_path / "echo", "breaker: off\n")
    with Server(tmp_path / "echo", "--threads", "2") as server:
        with unharmed(server, question):
            with Load(server, question, allowed=(200, 503)) as load:
                load.wait_for(20)
                lift = limit(server, resource.RLIMIT_NOFILE, descriptors(server.process.pid) - 2)
                try:
                    os.system(f"kill -9 $(cat /proc/{server.process.pid}/task/*/children)")
                    load.wait_for(20, 503)
                finally:
                    lift()
                load.wait_for(20)
