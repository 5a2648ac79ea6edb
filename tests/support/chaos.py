# SPDX-License-Identifier: Apache-2.0
"""What the tests of chaos share: clients that count every answer, and what must hold of a server whatever was done to it.

A request gets exactly one answer, which is right, or a refusal that says why; or its connection ends in the one case in which HTTP
lets a client ask again: before any byte of a reply, on a connection that was used before.
"""

import collections
import contextlib
import json
import os
import resource
import socket
import threading
import time

import numpy as np
import pytest
from command import SANITIZED

FULL = os.environ.get("CHAOS") == "full"
ROUNDS = 10 if FULL else 1  # how often a scenario is repeated
GROWTH_MAX = 32 << 20  # bytes of resident memory that may stay
PATIENCE_S = int(os.environ.get("CHAOS_PATIENCE_S", 120))  # ends a test that hangs; nothing is that slow

full_only = pytest.mark.skipif(not FULL, reason="runs in `make chaos` only")


class Question:
    """An inference request to a model, and the outputs that are right: {name: values}, or None for whatever it answers first."""

    def __init__(self, model, inputs, expected=None, timeout_ms=None, headers=""):
        self.path = f"/v2/models/{model}/infer"
        self.expected, self.headers = expected, headers
        self._body = {"inputs": [describe(name, np.asarray(value)) for name, value in inputs.items()]}
        if timeout_ms:
            self._body["parameters"] = {"timeout": timeout_ms * 1000}

    def body(self, number):
        return json.dumps({**self._body, "id": number}).encode()

    def learn(self, server):
        """Takes what the server answers now for right."""
        self.expected = None
        with Client(server.port) as client:
            client.ask(self)
            assert client.tally == {200: 1} and not client.faults, client.faults or client.tally
        return self

    def fault_of(self, reply):
        """What is wrong with a reply of status 200, or None."""
        got = {output["name"]: output["data"] for output in reply["outputs"]}
        if self.expected is None:
            self.expected = got
        for name, values in self.expected.items():
            if name not in got or not np.allclose(got[name], values, rtol=1e-4, atol=1e-6, equal_nan=True):
                return f"expected {name} {values}, got {got}"
        return None


def describe(name, value):
    datatype = {"float32": "FP32", "float64": "FP64", "int64": "INT64"}[str(value.dtype)]
    return {"name": name, "shape": list(value.shape), "datatype": datatype, "data": value.ravel().tolist()}


class Ended(Exception):
    """The connection ended; `clean` when not a byte of a reply had come."""

    def __init__(self, clean, why):
        super().__init__(why)
        self.clean = clean


class Client:
    """HTTP/1.1 over one connection at a time, which is kept. Not for two threads.

    tally    how often each status came; "closed" counts the ends that HTTP allows
    faults   what should never be
    """

    numbers = iter(range(1 << 60))

    def __init__(self, port, allowed=(200,), keeps=True):
        self.port, self.allowed, self.keeps = port, set(allowed), keeps
        self.tally, self.faults, self.reasons = collections.Counter(), [], collections.Counter()
        self._link, self._file = None, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.leave()

    def leave(self):
        """Closes the connection; nothing may have come that no request asked for."""
        if self._link:
            self._link.setblocking(False)
            with contextlib.suppress(BlockingIOError, ConnectionError):
                if more := self._link.recv(1000):
                    self.faults.append(f"a second answer: {more!r}")
            self._file.close()
            self._link.close()
        self._link = None

    def _connect(self):
        self._link = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
        self._link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._link.makefile("rb")

    def _read(self):
        """(status, headers, body) of the next reply."""
        try:
            line = self._file.readline()
        except ConnectionError as error:
            raise Ended(True, repr(error)) from error
        if not line:
            raise Ended(True, "closed")
        try:
            headers = {}
            while (field := self._file.readline().strip()):
                name, _, value = field.decode().partition(":")
                headers[name.lower()] = value.strip()
            length = int(headers.get("content-length", 0))
            body = self._file.read(length)
        except ConnectionError as error:
            raise Ended(False, f"{error!r} after {line!r}") from error
        if len(body) < length:
            raise Ended(False, f"{len(body)} of {length} bytes of a body after {line!r}")
        return int(line.split()[1]), headers, body

    def request(self, method, path, body=b"", headers=""):
        """Sends one request; (status, headers, body), or None when the connection ended as HTTP allows."""
        used = self._link is not None
        try:
            if not used:
                self._connect()
            head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n{headers}"
            head += "" if self.keeps else "Connection: close\r\n"
            try:
                self._link.sendall(f"{head}\r\n".encode() + body)
            except ConnectionError:
                pass  # a refusal may have come before everything was sent
            status, fields, text = self._read()
        except Ended as ended:
            self._drop()
            if used and ended.clean:
                self.tally["closed"] += 1
                return None
            raise
        if fields.get("connection", "").lower() == "close":
            self._drop()
        return status, fields, text

    def _drop(self):
        self._file.close()
        self._link.close()
        self._link = None

    def ask(self, question):
        """Asks, and checks the answer; returns its status, or None."""
        number = f"n{next(self.numbers)}"
        try:
            answer = self.request("POST", question.path, question.body(number), question.headers)
            if not answer:
                return None
            status, headers, body = answer
            self.tally[status] += 1
            fault = self._fault_of_good(question, number, body) if status == 200 else self._fault_of_refusal(answer)
        except (Ended, OSError, ValueError, KeyError) as error:
            status, fault = None, f"{question.path}: {error!r}"
        if fault:
            self.faults.append(fault)
        return status

    @staticmethod
    def _fault_of_good(question, number, body):
        reply = json.loads(body)
        if reply.get("id") != number:
            return f"the answer to {reply.get('id')} came for {number}"
        return question.fault_of(reply)

    def _fault_of_refusal(self, answer):
        status, _, body = answer
        fault = refusal_fault(*answer)
        with contextlib.suppress(ValueError):
            self.reasons[f"{status} {reason_of(body)}"] += 1
        if not fault and status not in self.allowed:
            fault = f"status {status} is not one of {sorted(self.allowed)}: {body[:300]!r}"
        return fault


def reason_of(body):
    reply = json.loads(body)
    return reply.get("detail") or reply.get("error")


def refusal_fault(status, headers, body):
    """What a refusal lacks: every one says why, and one that passes also when to ask again."""
    try:
        if len(reason_of(body) or "") < 10:
            return f"status {status} without a reason: {body[:300]!r}"
    except (ValueError, AttributeError):
        return f"status {status} whose body is no JSON object: {body[:300]!r}"
    if status in (429, 503) and "retry-after" not in headers:
        return f"status {status} without Retry-After: {body[:300]!r}"
    return None


class Load:
    """Threads that ask again and again, each a question of its own in turn, until the block ends.

    Afterwards every request was answered: `tally` is of all clients. A fault fails the block.
    """

    def __init__(self, server, *questions, clients=4, allowed=(200,), keeps=True):
        self._questions, self._stopping = questions, threading.Event()
        self.clients = [Client(server.port, allowed, keeps or i % 2) for i in range(clients)]
        self._threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(clients)]

    def _run(self, i):
        client = self.clients[i]
        with client:
            while not self._stopping.is_set() and not client.faults:
                client.ask(self._questions[i % len(self._questions)])
                i += 1

    @property
    def tally(self):
        total = collections.Counter()
        for client in self.clients:
            total += collections.Counter(dict(client.tally))
        return total

    @property
    def faults(self):
        return [fault for client in self.clients for fault in client.faults]

    @property
    def reasons(self):
        return sum((collections.Counter(dict(client.reasons)) for client in self.clients), collections.Counter())

    def wait_for(self, n, *statuses):
        """Until n more answers have one of these statuses (200 unless given)."""
        statuses = statuses or (200,)

        def count():
            return sum(self.tally[status] for status in statuses)

        goal = count() + n
        wait_until(lambda: count() >= goal or self.faults, lambda: f"{n} more of {statuses}: {self.tally} {self.reasons}")
        assert not self.faults, self.faults[:3]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self._stopping.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        if kind is None:
            assert not any(thread.is_alive() for thread in self._threads), "a request was never answered"
            assert not self.faults, self.faults[:3]


def wait_until(holds, what):
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until, what()
        time.sleep(0.02)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def children(pid):
    """{pid: state} of the processes that it started and has not collected."""
    found = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
            for child in map(int, file.read().split()):
                with contextlib.suppress(OSError), open(f"/proc/{child}/stat", encoding="ascii") as stat:
                    found[child] = stat.read().rsplit(")", 1)[1].split()[0]
    return found


def wait_until_answered(server, question):
    """Until the server gives the right answer."""
    def answered():
        with Client(server.port, allowed=(200, 429, 503, 504)) as client:
            status = client.ask(question)
            assert not client.faults, client.faults
            return status == 200

    wait_until(answered, lambda: f"{question.path} is not answered any more\n{server.log()}")


def warm(server, *questions):
    """What is allocated once is there afterwards. On a machine that is busy, questions with little time may come to nothing now and then."""
    with Load(server, *questions, clients=8, allowed=(200, 429, 503, 504)) as load:
        load.wait_for(200)


@contextlib.contextmanager
def unharmed(server, *questions, growth_max=GROWTH_MAX, kept=0):
    """Around chaos: the server lives, answers as before, and has given back descriptors, processes and memory.

    kept: connections to other servers that it may keep for the next requests.
    """
    pid = server.process.pid
    warm(server, *questions)
    wait_until_still(pid)
    before = descriptors(pid) + kept, len(children(pid)), resident(pid)
    yield
    assert server.process.poll() is None, f"the server ended with {server.process.returncode}\n{server.log()}"
    for question in questions:
        wait_until_answered(server, question)
    wait_until(lambda: descriptors(pid) <= before[0], lambda: f"{before[0]} descriptors became {descriptors(pid)}: {targets(pid)}")
    wait_until(lambda: len(children(pid)) <= before[1] and "Z" not in children(pid).values(),
               lambda: f"{before[1]} processes became {children(pid)}")
    growth = resident(pid) - before[2]
    assert SANITIZED or growth <= growth_max, f"{growth} bytes were not given back"


def wait_until_still(pid):
    """Until connections that have just ended are closed on the other side as well."""
    seen = [descriptors(pid)]

    def still():
        seen.append(descriptors(pid))
        return len(seen) > 5 and len(set(seen[-5:])) == 1

    wait_until(still, lambda: f"the number of descriptors goes on changing: {seen[-5:]}")


def targets(pid):
    found = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/{pid}/fd/{number}"))
    return sorted(found)
