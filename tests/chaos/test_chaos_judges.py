# SPDX-License-Identifier: Apache-2.0
"""Who judges the judges? Servers that do what none may, each of which the clients of these tests must notice."""

import contextlib
import json
import socket
import threading

import chaos_models
import numpy as np
import pytest
from chaos import Load, Question, refusal_fault, unharmed
from command import SANITIZED
from server import Server

QUESTION = ("m", {"x": np.zeros((1, 1), np.float32)}, {"y": [1.0]})
ENDS = b"..."


class Actor:
    """A server of one connection after the other that answers each request with what `play(number of the request, its id)` says.

    None ends the connection, and so does what ends with ENDS.
    """

    def __init__(self, play):
        self._play, self._listener = play, socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                link, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link):
        with contextlib.suppress(OSError, ValueError), link, link.makefile("rb") as file:
            for turn in range(1000):
                length = 0
                while (line := file.readline().strip()):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                number = json.loads(file.read(length))["id"]
                said = self._play(turn, number)
                link.sendall(said or b"")
                if said is None or said.endswith(ENDS):
                    return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()


def reply(status, body, headers=""):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status} X\r\n{headers}Content-Length: {len(text)}\r\n\r\n".encode() + text


def good(number, value=1.0):
    return reply(200, {"id": number, "outputs": [{"name": "y", "data": [value]}]})


WRONG = {
    "another number": (lambda turn, number: good(number, 2.0), "expected y"),
    "the answer to another request": (lambda turn, number: good("n0x"), "came for"),
    "no output of that name": (lambda turn, number: reply(200, {"id": number, "outputs": []}), "expected y"),
    "no JSON": (lambda turn, number: reply(200, b"{"), "JSONDecodeError"),
    "two answers": (lambda turn, number: good(number) + good(number), "a second answer|came for"),
    "half a body": (lambda turn, number: good(number)[:-9] + ENDS, "of .* bytes of a body"),
    "the end of a connection before its first reply": (lambda turn, number: None, "closed"),
    "an error that may not be": (lambda turn, number: reply(500, {"error": "something went wrong"}), "status 500 is not one of"),
    "no reason": (lambda turn, number: reply(400, {"error": ""}), "without a reason"),
    "a refusal that is a page": (lambda turn, number: reply(503, b"<html>", "Retry-After: 1\r\n"), "no JSON object"),
    "no time to ask again": (lambda turn, number: reply(503, {"error": "there is too much to do"}), "without Retry-After"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_may_not_be_is_seen(what):
    play, told = WRONG[what]
    with Actor(play) as actor, pytest.raises(AssertionError, match=told):
        with Load(actor, Question(*QUESTION), clients=1, allowed=(200, 503)) as load:
            load.wait_for(1000)


def test_what_may_be_is_none():
    """Refusals with a reason, and the end of a connection that was used before."""
    refusal = reply(503, {"error": "there is too much to do"}, "Retry-After: 1\r\n")
    plays = [lambda number: good(number), lambda number: refusal, lambda number: None]
    with Actor(lambda turn, number: plays[turn](number)) as actor:
        with Load(actor, Question(*QUESTION), clients=2, allowed=(200, 503)) as load:
            load.wait_for(20)
    assert load.tally[503] and load.tally["closed"], load.tally


def test_a_request_that_is_never_answered_is_lost(monkeypatch):
    monkeypatch.setattr("chaos.PATIENCE_S", 1)
    with Actor(lambda turn, number: b"") as actor:
        with pytest.raises(AssertionError, match="more of|timed out|never answered"):
            with Load(actor, Question(*QUESTION), clients=1) as load:
                load.wait_for(1)


@pytest.mark.parametrize("status, headers, body, told", [
    (503, {}, b'{"error": "there is too much to do"}', "Retry-After"), (429, {}, b'{"error": "there is too much to do"}', "Retry-After"),
    (404, {}, b'{"error": "no"}', "without a reason"), (404, {}, b'{"error": null}', "without a reason"), (404, {}, b"[]", "no JSON"),
    (404, {}, b"", "no JSON")])
def test_a_refusal_that_does_not_explain_itself(status, headers, body, told):
    assert told in refusal_fault(status, headers, body)


@pytest.fixture
def forest(tmp_path, monkeypatch):
    """A server that really serves, its question, and little patience with it."""
    question = chaos_models.forest(tmp_path / "near")
    server = Server(tmp_path / "near", "--threads", "1")
    try:
        with unharmed(server, question):
            pass
        monkeypatch.setattr("chaos.PATIENCE_S", 1)
        yield server, question
    finally:
        server.process.kill()
        server.process.wait()
        server.process.stdout.close()


def test_a_server_that_has_ended_is_harmed(forest):
    server, question = forest
    with pytest.raises(AssertionError, match="the server ended with -9"), unharmed(server, question):
        server.process.kill()
        server.process.wait()


def test_descriptors_that_stay_are_harm(forest):
    server, question = forest
    with contextlib.ExitStack() as held, pytest.raises(AssertionError, match="descriptors became"), unharmed(server, question):
        for _ in range(3):
            held.enter_context(socket.create_connection(("127.0.0.1", server.port)))


def test_other_answers_than_before_are_harm(forest):
    server, question = forest
    with pytest.raises(AssertionError, match="expected predictions"), unharmed(server, question):
        question.expected = {"predictions": [0.0, 0.0, 0.0]}


@pytest.mark.skipif(SANITIZED, reason="memory is not judged under a sanitizer")
def test_memory_that_stays_is_harm(forest):
    server, question = forest
    with pytest.raises(AssertionError, match="bytes were not given back"), unharmed(server, question, growth_max=-(1 << 30)):
        pass
