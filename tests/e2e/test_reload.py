# SPDX-License-Identifier: Apache-2.0
"""A running server whose configuration file changes: SIGHUP and POST /api/v1/config/reload."""

import http.client
import os
import signal
import socket
import threading
import time

import models
import pytest
from server import Server


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "risk.json"
    models.xgboost_model(path)
    return path


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "phoenix.yaml"
    path.write_text("")
    return path


def settings(server):
    status, reply = server.request("/api/v1/config")
    assert status == 200, reply
    return {row["key"]: row for row in reply["settings"]}


def reload(server):
    return server.request("/api/v1/config/reload", method="POST")


def wait_for_log(server, text, seconds=20):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if text in server.log():
            return
        time.sleep(0.02)
    raise AssertionError(f"{text!r} is not in the log:\n{server.log()}")


def test_what_holds_is_shown_with_where_it_came_from(model, file):
    file.write_text("serving:\n  request_rows_max: 50\n")
    with Server(model, "--config", file, env={"AIP_PREDICT_ROUTE": "/vertex"}) as server:
        shown = settings(server)
        row = shown["serving.request_rows_max"]
        assert (row["value"], row["origin"], row["default"], row["live"]) == ("50", "file", "100000", True)
        assert shown["server.port"]["origin"] == "option"
        assert shown["vertex.predict_route"]["origin"] == "environment"
        assert shown["log.level"]["origin"] == "default"
        assert not shown["server.port"]["live"]


def test_limits_change_for_the_next_request(model, file):
    row = dict.fromkeys(models.NAMES, 1.0)
    with Server(model, "--config", file) as server:
        server.predict("risk", [row] * 3)
        file.write_text("serving:\n  request_rows_max: 2\n")
        status, reply = reload(server)
        assert (status, reply["file"]) == (200, str(file))
        assert reply["changes"] == [{"key": "serving.request_rows_max", "from": "100000", "to": "2"}]
        status, problem = server.request("/v1/models/risk:predict", {"instances": [row] * 3})
        assert status == 413, problem
        assert "config.changed" in server.log()
        assert reload(server)[1]["changes"] == []


def test_sighup_reads_the_file_and_the_log_tells(model, file):
    with Server(model, "--config", file) as server:
        file.write_text("log:\n  level: debug\n  format: json\nserver:\n  idle_timeout_ms: 50\n")
        server.signal(signal.SIGHUP)
        wait_for_log(server, '"event":"config.reloaded"')
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as s:
            s.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while s.recv(65536):  # ends when the server closes the idle connection
                pass


def test_a_shorter_timeout_holds_for_connections_that_are_open(model, file):
    with Server(model, "--config", file) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as s:
            s.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert s.recv(65536).startswith(b"HTTP/1.1 200")
            file.write_text("server:\n  idle_timeout_ms: 50\n")
            assert reload(server)[0] == 200
            assert s.recv(65536) == b""


def test_pages_of_an_origin_are_allowed_and_forbidden(model, file):
    def allowed(server):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.request("GET", "/readyz", headers={"Origin": "https://a.example"})
        reply = connection.getresponse()
        reply.read()
        connection.close()
        return reply.headers["Access-Control-Allow-Origin"]

    with Server(model, "--config", file) as server:
        for origins, wanted in (("https://a.example", "https://a.example"), ("'*'", "*"), ("https://b.example", None)):
            file.write_text(f"server:\n  cors_origins: {origins}\n")
            assert reload(server)[0] == 200
            assert allowed(server) == wanted


@pytest.mark.parametrize(
    "text, status, said",
    [
        ("server:\n  idle_timeout_ms: soon\n", 400, "idle_timeout_ms"),
        ("server:\n  cors_origins: nonsense\n  idle_timeout_ms: 77\n", 400, "cors_origins"),
        ("serving:\n  request_rows_max: 2\n  batch_rows_max: 7\n", 409, "serving.batch_rows_max"),
        ("server:\n  trheads: 2\n", 400, "server.threads"),
        ("serving:\n  version_labels: ghost:a=1\nserver:\n  idle_timeout_ms: 77\n", 200, ""),
    ],
)
def test_a_wrong_file_changes_nothing(model, file, text, status, said):
    with Server(model, "--config", file) as server:
        before = settings(server)
        file.write_text(text)
        got, reply = reload(server)
        assert got == status, reply
        if status != 200:
            assert said in str(reply)
            assert settings(server) == before
            server.signal(signal.SIGHUP)
            wait_for_log(server, "config.reload_failed")
        if status == 409:
            wait_for_log(server, "config.refused key=serving.batch_rows_max from=4096 to=7")


def test_without_a_file_there_is_nothing_to_reload(model):
    with Server(model) as server:
        status, reply = reload(server)
        assert status == 409 and "--config" in str(reply)
        server.signal(signal.SIGHUP)
        assert server.request("/api/v1/config")[1]["file"] is None


def test_a_quieter_log_tells_that_it_becomes_quieter(model, file):
    with Server(model, "--config", file) as server:
        file.write_text("log:\n  level: error\n")
        assert reload(server)[0] == 200
        assert "config.changed key=log.level from=info to=error" in server.log()


def test_a_pipe_is_not_read_again(model, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("serving:\n  request_rows_max: 2\n",))
    writer.start()
    with Server(model, "--config", pipe) as server:
        writer.join()
        server.signal(signal.SIGHUP)
        wait_for_log(server, "it cannot be read again")
        assert reload(server)[0] == 409
        assert server.request("/v1/models/risk:predict", {"instances": [dict.fromkeys(models.NAMES, 1.0)] * 3})[0] == 413


def test_strangers_reload_nothing_and_see_no_paths(model, file, tmp_path):
    file.write_text(f"serving:\n  model_control: none\ntrace:\n  file: {tmp_path}/t.json\n")
    with Server(model, "--config", file) as server:
        status, reply = reload(server)
        assert status == 503 and "model_control" in str(reply)
        reply = server.request("/api/v1/config")[1]
        assert reply["file"] is None
        shown = {row["key"]: row["value"] for row in reply["settings"]}
        assert shown["trace.file"] == "(hidden)"


def test_pages_of_other_origins_may_not_reload(model, file):
    with Server(model, "--config", file) as server:
        path = "/api/v1/config/reload"
        status, _ = server.request(path, method="POST", headers={"Origin": "https://evil.example"})
        assert status == 403
