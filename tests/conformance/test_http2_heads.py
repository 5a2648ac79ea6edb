# SPDX-License-Identifier: Apache-2.0
"""Heads of HTTP/2 that clients rarely send: Expect, two hosts, other schemes."""

import json
import socket

import models
import pytest
import raw_http2
from server import Server

BODY = json.dumps({"instances": [[0] * len(models.NAMES)]}).encode()
STATUS_100 = b"\x82\x08\x01"  # "100" in HPACK's Huffman code
PATH = "/v1/models/risk:predict"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    path = tmp_path_factory.mktemp("heads") / "risk.json"
    models.xgboost_model(path)
    with Server(f"risk={path}") as server:
        yield server


class Session:
    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        self.socket.sendall(raw_http2.opening())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def read_head(self):
        """The payload of the next HEADERS frame."""
        while True:
            kind, _, _, payload = raw_http2.read_frame(self.socket.recv)
            if kind == raw_http2.HEADERS:
                return payload


def ask(server, **head):
    with Session(server) as session:
        session.socket.sendall(raw_http2.headers("GET", "/ping", end=True, **head))
        return session.read_head()


def test_who_expects_100_is_told_to_go_on(server):
    with Session(server) as session:
        length = str(len(BODY))
        session.socket.sendall(raw_http2.headers("POST", PATH, expect="100-continue",
                                                 content_length=length))
        assert STATUS_100 in session.read_head()
        session.socket.sendall(raw_http2.frame(raw_http2.DATA, raw_http2.END_STREAM, 1, BODY))
        assert session.read_head()[0] == raw_http2.STATUS_200


def test_who_expects_something_else_is_refused(server):
    assert b"417" in ask(server, expect="a-miracle")


def test_a_request_without_a_body_is_answered_at_once(server):
    assert ask(server, expect="100-continue")[0] == raw_http2.STATUS_200


def test_a_body_that_is_too_large_is_not_asked_for(server):
    with Session(server) as session:
        session.socket.sendall(raw_http2.headers("POST", PATH, expect="100-continue",
                                                 content_length=str(1 << 40)))
        assert b"413" in session.read_head()


@pytest.mark.parametrize("host, is_same", [("any", True), ("ANY", True), ("other", False)])
def test_a_second_host_is_refused(server, host, is_same):
    assert (ask(server, host=host)[0] == raw_http2.STATUS_200) is is_same


@pytest.mark.parametrize("scheme, is_known", [("https", True), ("HTTP", True), ("ftp", False)])
def test_another_scheme_is_refused(server, scheme, is_known):
    assert (ask(server, scheme=scheme)[0] == raw_http2.STATUS_200) is is_known
