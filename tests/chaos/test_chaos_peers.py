# SPDX-License-Identifier: Apache-2.0
"""Remote models whose server dies, stalls, or answers nonsense, while requests go on."""

import os
import random
import signal
import socket
import threading

import chaos_models
import pytest
from chaos import ROUNDS, Client, Load, Question, unharmed, wait_until, wait_until_answered
from server import Server

SCHEMES = ["http", "grpc"]
MISSING = (200, 500, 503, 504)  # without the only peer; 500: what came is no reply

KEPT = 16  # connections to peers: as many as there were requests at a time


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """(folder of the peer's model, its question with the right answer)."""
    folder = tmp_path_factory.mktemp("peer") / "net"
    question = chaos_models.network(folder)
    with Server(folder) as server:
        question.learn(server)
    return folder, question


class Peer(Server):
    """A server that can be killed, and started again where it was."""

    def __init__(self, folder, port=0):
        self.folder = folder
        super().__init__(folder, "--threads", "1", port=port)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def again(self):
        return Peer(self.folder, port=self.port)

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()


def front_of(tmp_path, expected, *urls, more=""):
    """A server with the peers' model as "far" and a tree model "near"; both questions."""
    far = chaos_models.remote(tmp_path / "far", urls, more)
    far.expected = expected
    near = chaos_models.forest(tmp_path / "near")
    return Server(tmp_path / "far", tmp_path / "near", "--threads", "2"), far, near


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_only_peer_is_killed_and_comes_back(net, tmp_path, scheme):
    peer = Peer(net[0])
    server, far, near = front_of(tmp_path, net[1].expected, f"{scheme}://127.0.0.1:{peer.port}")
    with server, unharmed(server, far, near, kept=KEPT):
        for _ in range(ROUNDS):
            with Load(server, far, allowed=MISSING) as load, Load(server, near, clients=2) as others:
                load.wait_for(50)
                peer.kill()
                load.wait_for(20, 503, 504, 500)
                others.wait_for(100)
                peer = peer.again()
                load.wait_for(50)
    with peer:
        pass


@pytest.mark.parametrize("scheme", SCHEMES)
def test_of_two_peers_each_is_killed_in_turn(net, tmp_path, scheme):
    """What had no reply goes to the other one: nothing fails but what was cut in the middle of a reply."""
    peers = [Peer(net[0]), Peer(net[0])]
    server, far, near = front_of(tmp_path, net[1].expected, *[f"{scheme}://127.0.0.1:{p.port}" for p in peers],
                                 more=", retries: {max: 5, budget_percent: 100, minimum_per_s: 1000}")
    with server, unharmed(server, far, near, kept=KEPT):
        with Load(server, far, allowed=(200, 503)) as load:
            for turn in range(2 * ROUNDS):
                load.wait_for(50)
                peers[turn % 2].kill()
                load.wait_for(100)
                peers[turn % 2] = peers[turn % 2].again()
                load.wait_for(100)
    for peer in peers:
        with peer:
            pass


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_peer_stalls_and_goes_on(net, tmp_path, scheme):
    """Who set a time is answered by then; nobody else's requests wait."""
    with Peer(net[0]) as peer:
        server, far, near = front_of(tmp_path, net[1].expected, f"{scheme}://127.0.0.1:{peer.port}")
        hasty = Question("far", {"x": chaos_models.ROW}, far.expected, timeout_ms=200)
        with server, unharmed(server, far, near, kept=KEPT):
            for _ in range(ROUNDS):
                with Load(server, hasty, far, allowed=MISSING) as load, Load(server, near, clients=2) as others:
                    load.wait_for(50)
                    peer.process.send_signal(signal.SIGSTOP)
                    load.wait_for(6, 503, 504, 500)
                    others.wait_for(100)
                    peer.process.send_signal(signal.SIGCONT)
                    load.wait_for(50)


class Meddler:
    """A proxy to a port of this machine. `spoil(bytes)` makes of a piece of a reply what is sent in its place; None ends the connection.

    Breakers keep requests away from what fails: that pieces were spoiled is known by their count, not by refusals.

    forgets()   from now on nothing comes over the connections that are open, and nobody is told: as behind a firewall that has forgotten them
    """

    def __init__(self, port):
        self.upstream, self.spoil, self.spoiled = port, None, 0
        self.accepted, self._forgotten = 0, 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
                upstream = socket.create_connection(("127.0.0.1", self.upstream))
            except OSError:
                return
            self.accepted += 1
            for a, b, spoils in ((client, upstream, False), (upstream, client, True)):
                a.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pump, args=(a, b, spoils, self.accepted), daemon=True).start()

    def forgets(self):
        self._forgotten = self.accepted

    def _pump(self, a, b, spoils, number):
        try:
            while data := a.recv(65536):
                if number <= self._forgotten:
                    continue
                spoil = self.spoil if spoils else None
                data = spoil(data) if spoil else data
                self.spoiled += spoil is not None
                if data is None:
                    break
                b.sendall(data)
        except OSError:
            pass
        for link in (a, b):
            try:
                link.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def wait_for(self, n, load):
        """Until n more pieces were spoiled."""
        goal = self.spoiled + n
        wait_until(lambda: self.spoiled >= goal or load.faults, lambda: f"{self.spoiled} of {goal}: {load.tally} {load.reasons}")
        assert not load.faults, load.faults[:3]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()


def noise(data):
    return os.urandom(max(64, len(data)))


def half(data):
    return data[:len(data) // 2]


SPOILED = {
    "noise": noise,
    "zeros": lambda data: bytes(len(data)),
    "nothing": lambda data: None,
    "the first byte": lambda data: bytes([data[0] ^ 0x20]) + data[1:],
    "half, then noise": lambda data: half(data) + os.urandom(len(data) - len(data) // 2),
    "twice": lambda data: data + data,
    "a page": lambda data: b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<html>no</html>",
    "no shape": lambda data: data.replace(b'"shape"', b'"shake"'),
    "another type": lambda data: data.replace(b"FP32", b"FP16"),
    "another length": lambda data: data.replace(b"ontent-Length: ", b"ontent-Length: 9").replace(b"ontent-length: ", b"ontent-length: 9"),
    "an endless head": lambda data: b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000,
    "only 100s": lambda data: b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_replies_are_spoiled_on_their_way(net, tmp_path, scheme):
    """In each of the ways above, one after the other. Half a reply with noise may be well-formed with other numbers: not judged then."""
    with Peer(net[0]) as peer, Meddler(peer.port) as meddler:
        server, far, near = front_of(tmp_path, net[1].expected, f"{scheme}://127.0.0.1:{meddler.port}")
        hasty = Question("far", {"x": chaos_models.ROW}, far.expected, timeout_ms=500)
        with server, unharmed(server, far, near, kept=KEPT):
            with Load(server, near, clients=2) as others:
                for way in list(SPOILED) * ROUNDS:
                    asked = Unjudged(hasty) if "noise" in way else hasty
                    with Load(server, asked, allowed=MISSING) as load:
                        meddler.spoil = SPOILED[way]
                        meddler.wait_for(8, load)
                        load.wait_for(8, *MISSING)
                    meddler.spoil = None
                    wait_until_answered(server, far)
                others.wait_for(100)
            assert "breaker.opened" in server.log()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_connections_that_have_died_in_silence_are_given_up_together(net, tmp_path, scheme):
    """One request (and one check) finds out, and waits in vain; not one for each connection that was kept."""
    clients = 12
    with Peer(net[0]) as peer, Meddler(peer.port) as meddler:
        server, far, near = front_of(tmp_path, net[1].expected, f"{scheme}://127.0.0.1:{meddler.port}")
        with server, unharmed(server, far, near, kept=KEPT):
            with Load(server, far, clients=clients) as load:
                load.wait_for(100)
            assert meddler.accepted >= clients // 2  # so many are kept now
            meddler.forgets()
            with Client(server.port, allowed=MISSING) as client:
                while client.tally[200] < 2 * clients:
                    client.ask(far)
                    assert not client.faults, client.faults
            assert client.tally[504] <= 3, client.tally


class Unjudged(Question):
    """A question whose good answers may have any numbers."""

    def __init__(self, question):
        self.__dict__.update(question.__dict__)

    def fault_of(self, reply):
        return None


@pytest.mark.parametrize("scheme", SCHEMES)
def test_replies_end_at_any_byte(net, tmp_path, scheme):
    chance = random.Random(1)

    def cut(data):
        return data[:chance.randrange(len(data))] if chance.random() < 0.7 else None

    with Peer(net[0]) as peer, Meddler(peer.port) as meddler:
        server, far, near = front_of(tmp_path, net[1].expected, f"{scheme}://127.0.0.1:{meddler.port}")
        hasty = Question("far", {"x": chaos_models.ROW}, far.expected, timeout_ms=100)
        with server, unharmed(server, far, near, kept=KEPT):
            with Load(server, hasty, clients=8, allowed=MISSING) as load:
                meddler.spoil = cut
                meddler.wait_for(50 * ROUNDS, load)
                meddler.spoil = None
