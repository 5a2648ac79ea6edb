# SPDX-License-Identifier: Apache-2.0
"""/api/v1/stats/stream of a real server: both versions of HTTP, clients that leave, and the end of the server."""

import http.client
import json
import socket
import time

import models
import pytest
import raw_http2
from server import Server

PATH = "/api/v1/stats/stream"
STREAMS_MAX = 64


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "risk.json"
    models.xgboost_model(path)
    return path


class Http1:
    """A stream over HTTP/1.1; `status`, `events()`."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self.connection.request("GET", PATH)
        self.reply = self.connection.getresponse()
        self.status = self.reply.status

    def lines(self):
        return iter(self.reply.readline, b"")

    def close(self):
        self.reply.close()
        self.connection.close()


class Http2:
    """The same over HTTP/2, from its first bytes on."""

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        self.socket.sendall(raw_http2.opening() + raw_http2.headers("GET", PATH, end=True))
        self.status = 200  # read_response checks it

    def lines(self):
        rest = b""
        for piece in self._pieces():
            *lines, rest = (rest + piece).split(b"\n")
            yield from (line + b"\n" for line in lines)

    def _pieces(self):
        while True:
            kind, flags, stream, payload = raw_http2.read_frame(self.socket.recv)
            if stream == 1 and kind == raw_http2.DATA:
                yield payload
            if stream == 1 and flags & raw_http2.END_STREAM:
                return

    def close(self):
        self.socket.close()


def events(client):
    for line in client.lines():
        if line.startswith(b"data: "):
            yield json.loads(line[len(b"data: ") :])


@pytest.mark.parametrize("client_of", [Http1, Http2])
def test_events_follow_the_numbers_and_a_drain_ends_them(model, client_of):
    with Server(model) as server:
        client = client_of(server)
        coming = events(client)
        first = next(coming)
        assert first.keys() == server.request("/api/v1/stats")[1].keys()
        server.predict("risk", [{}, {}, {}])
        later = next(coming)
        while later["models"][0]["rows"] < 3:
            later = next(coming)
        assert later["uptime_s"] > first["uptime_s"] and not later["draining"]
        server.signal()
        *_, last = coming  # to the end of the response, which is whole
        assert last["draining"] and not last["ready"]
        client.close()
        assert server.wait() == 0
        assert "reason=drained" in server.log()


def test_clients_that_left_make_room_and_one_too_many_is_told(model):
    with Server(model) as server:
        for _ in range(2):
            clients = [Http1(server) for _ in range(STREAMS_MAX - 1)] + [Http2(server)]
            assert next(events(clients[-1]))["ready"]
            assert [client.status for client in clients] == [200] * STREAMS_MAX
            status, reply = server.request(PATH)
            assert status == 503 and "64 streams" in reply["detail"] and "hint" in reply
            for client in clients:
                client.close()
            while server.request("/api/v1/stats")[1]["connections"] > 1:
                time.sleep(0.05)


def test_one_that_reads_nothing_holds_up_nobody(model):
    with Server(model) as server:
        with socket.socket() as silent:
            silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            silent.connect(("127.0.0.1", server.port))
            silent.sendall(f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            client = Http1(server)
            coming = events(client)
            for _ in range(3):
                assert next(coming)["ready"]
            server.signal()
            *_, last = coming
            assert last["draining"]
            client.close()
            assert server.wait() == 0
