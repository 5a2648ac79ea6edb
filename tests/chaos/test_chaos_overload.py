# SPDX-License-Identifier: Apache-2.0
"""More is asked than can be answered: open loops of twice and ten times the capacity, with deadlines; clients that read nothing."""

import json
import select
import socket
import threading
import time

import chaos_models
import pytest
import raw_http2
from chaos import FULL, ROUNDS, Client, Load, Question, unharmed, wait_until
from server import Server

PAUSE_S = 0.02  # of a run, so that the capacity is about 50 a second on any machine
CAPACITY = 1 / PAUSE_S
SECONDS = 10 if FULL else 1.5
REFUSED = (200, 429, 503, 504)


class OpenLoop:
    """Requests at even distances, whatever became of the ones before; each on a connection of its own, so none waits for another.

    work    looks at the engine from when the queue is full until the last request is sent
    """

    def __init__(self, server, question, rate, seconds, work):
        self._port, self._question, self._threads = server.port, question, []
        self.clients = []
        started, n = time.monotonic(), int(rate * seconds)
        for i in range(n):
            time.sleep(max(0, started + i / rate - time.monotonic()))
            if i == n // 4:
                work.__enter__()
            self._threads.append(threading.Thread(target=self._ask, daemon=True))
            self._threads[-1].start()
        work.__exit__()
        for thread in self._threads:
            thread.join(120)
        assert not any(thread.is_alive() for thread in self._threads), "a request was never answered"
        self.faults = [fault for client in self.clients for fault in client.faults]
        self.tally = sum((client.tally for client in self.clients), type(self.clients[0].tally)())
        assert not self.faults, self.faults[:3]
        assert sum(self.tally.values()) == n, f"{n} requests, {self.tally}"

    def _ask(self):
        with Client(self._port, allowed=REFUSED) as client:
            self.clients.append(client)
            client.ask(self._question)


class Work:
    """What the engine of a model has done while the block ran, by the server's own counters."""

    def __init__(self, server, model):
        self._server, self._path = server, f"/v2/models/{model}/stats"

    def _count(self):
        status, reply = self._server.request(self._path)
        assert status == 200, reply
        stats = reply["model_stats"][0]
        infer = stats["inference_stats"]["compute_infer"]
        return stats["execution_count"], infer["ns"] / 1e9, time.monotonic()

    def __enter__(self):
        self._before = self._count()
        return self

    def __exit__(self, *_):
        self.runs, self.busy_s, self.seconds = (after - before for after, before in zip(self._count(), self._before))

    @property
    def busy(self):
        """The share of the time in which the engine computed."""
        return self.busy_s / self.seconds


GOODPUT_MIN = 0.7  # of the peak; a quiet machine shows 0.95 and more, the rest is for those with other things to do
ATTEMPTS = 5  # of which one must do: a machine that stands still for a moment is no loss of goodput, one that is lost stays lost


@pytest.mark.parametrize("times", [2, 10])
def test_more_is_asked_than_can_be_answered(tmp_path, times):
    """Every request is answered or refused; other models are not touched; and as much is answered in time as ever could be.

    The last is two shares, of the peak that was measured just before: the engine computes as much of the time (nobody stands in its
    way), and what it computes is answered with 200 (nothing is computed for those whose time is over).
    """
    far = chaos_models.worker(tmp_path / "slow", "queue_max: 20\n", pause_s=PAUSE_S, timeout_ms=300)
    near = chaos_models.forest(tmp_path / "near")
    with Server(tmp_path / "slow", tmp_path / "near", "--threads", "2") as server:
        with unharmed(server, far, near):
            goodputs = []
            while len(goodputs) < ATTEMPTS and max(goodputs, default=0) < GOODPUT_MIN:
                goodputs.append(goodput(server, far, near, times))
            assert max(goodputs) >= GOODPUT_MIN, f"goodput at {times} times the capacity, as shares of the peak: {goodputs}"


def goodput(server, far, near, times):
    """At so many times the capacity, as a share of the peak."""
    with Load(server, far, clients=4, allowed=REFUSED) as load, Work(server, "slow") as peak:
        load.wait_for(int(CAPACITY * SECONDS))
    with Load(server, near, clients=1) as others, Work(server, "slow") as whole:
        loop = OpenLoop(server, far, times * CAPACITY, SECONDS, work := Work(server, "slow"))
        others.wait_for(20)
    assert loop.tally[200] > 0, loop.tally
    assert loop.tally[200] < sum(loop.tally.values()), f"nothing was refused: {loop.tally}"
    assert loop.tally[200] <= whole.runs, f"{whole.runs} runs made {loop.tally}"
    return min(work.busy / peak.busy, 1) * loop.tally[200] / whole.runs


def test_a_network_is_asked_by_many_with_little_time(tmp_path):
    """Deadlines that pass in the queue, in a batch and before either."""
    net = chaos_models.network(tmp_path / "net", "queue_max: 8\nbatching: {max_rows: 4}\n")
    with Server(tmp_path / "net", "--threads", "2") as server:
        net.learn(server)
        hasty = [Question("net", {"x": chaos_models.ROW}, net.expected, timeout_ms=ms) for ms in (1, 5, 20)]
        with unharmed(server, net):
            with Load(server, net, *hasty, clients=24, allowed=REFUSED) as load:
                load.wait_for(500 * ROUNDS, *REFUSED)


def large_body(rows=20_000):
    return json.dumps({"inputs": [{"name": "input", "shape": [rows, 4], "datatype": "FP32", "data": [1, 2, 3, 4] * rows}]}).encode()


def test_clients_that_never_read_are_cut_off(tmp_path):
    """They ask for large answers again and again on one connection; the server keeps neither them nor their answers."""
    near = chaos_models.forest(tmp_path / "near")
    config = tmp_path / "phoenix.yaml"
    config.write_text("server:\n  write_timeout_ms: 500\n")
    body = large_body()
    head = f"POST {near.path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with Server(tmp_path / "near", "--config", config, "--threads", "2") as server:
        with unharmed(server, near, growth_max=64 << 20):
            with Load(server, near, clients=2) as load:
                for _ in range(ROUNDS):
                    deaf = [Deaf(server.port, head + body) for _ in range(16 if FULL else 6)]
                    wait_until(lambda: all(client.send() for client in deaf), lambda: "some were not cut off")
                    load.wait_for(20)


class Deaf:
    """A client that sends and never reads, over a small window."""

    def __init__(self, port, request):
        self._link = socket.socket()
        self._link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._link.connect(("127.0.0.1", port))
        self._link.setblocking(False)
        self._request, self._at, self.is_cut_off = request, 0, False

    def send(self):
        """Sends what can be sent; whether the server has ended the connection."""
        try:
            while not self.is_cut_off and select.select([], [self._link], [], 0)[1]:
                sent = self._link.send(self._request[self._at:self._at + 65536])
                self._at = (self._at + sent) % len(self._request)
        except BlockingIOError:
            pass
        except ConnectionError:
            self.is_cut_off = True
            self._link.close()
        return self.is_cut_off


def test_http2_clients_that_open_no_window_are_cut_off(tmp_path):
    """They ask on many streams for answers that they let nobody send: the streams are ended, and then the idle connection."""
    near = chaos_models.forest(tmp_path / "near")
    config = tmp_path / "phoenix.yaml"
    config.write_text("server:\n  write_timeout_ms: 500\n  idle_timeout_ms: 500\n")
    nothing = raw_http2.frame(raw_http2.SETTINGS, 0, 0, b"\0\4\0\0\0\0")  # windows of no byte
    asked = b"".join(raw_http2.headers("GET", "/openapi.json", stream, end=True) for stream in range(1, 200, 2))
    with Server(tmp_path / "near", "--config", config, "--threads", "2") as server:
        with unharmed(server, near, growth_max=64 << 20):
            with Load(server, near, clients=2) as load:
                for _ in range(ROUNDS):
                    links = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in range(8)]
                    for link in links:
                        link.sendall(raw_http2.PREFACE + nothing + asked)
                    for link in links:
                        while read(link):
                            pass
                        link.close()
                    load.wait_for(20)


def read(link):
    try:
        return link.recv(65536)
    except ConnectionError:
        return b""


def test_requests_that_drip(tmp_path):
    """Hundreds of clients send a byte now and then; those that are too slow are told so (408), the others answered."""
    near = chaos_models.forest(tmp_path / "near")
    config = tmp_path / "phoenix.yaml"
    config.write_text("server:\n  header_timeout_ms: 800\n  body_timeout_ms: 800\n")
    request = f"POST {near.path} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n".encode()
    with Server(tmp_path / "near", "--config", config, "--threads", "2") as server:
        with unharmed(server, near):
            with Load(server, near, clients=2) as load:
                for _ in range(ROUNDS):
                    links = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in range(200)]
                    for i, link in enumerate(links):
                        link.sendall(request[:1 + i % (len(request) + 5)])
                    for link in links:
                        reply = read(link)
                        assert not reply or reply.startswith((b"HTTP/1.1 408", b"HTTP/1.1 400")), reply
                        link.close()
                    load.wait_for(20)
