# SPDX-License-Identifier: Apache-2.0
"""The remote engine against a second Phoenix, over HTTP and gRPC, alone and together, while servers come and go."""

import contextlib
import socket
import subprocess
import threading

import numpy as np
import pytest
from command import PHOENIX
from models import rows, xgboost_model
from remote import Remote, RemoteError
from server import Server


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("remote")
    xgboost_model(folder / "named.json")
    return folder / "named.json"


@pytest.fixture(scope="module")
def served(model):
    with Server(model) as server:
        yield server


def request(server, n=5):
    """Inputs for the model as the server describes it, as features by name or one matrix."""
    table = np.nan_to_num(rows(n, seed=3)).astype(np.float32)
    with Remote(urls=[server.url], model="named") as remote:
        if len(remote.takes) == 1:
            return {next(iter(remote.takes)): table}
        return {name: np.ascontiguousarray(table[:, i:i + 1]).astype(np.float32)
                for i, name in enumerate(remote.takes)}


def test_http_and_grpc_give_the_same_bytes(served):
    inputs = request(served)
    with Remote(urls=[served.url], model="named") as http, \
         Remote(urls=[f"grpc://127.0.0.1:{served.port}"], model="named") as grpc:
        assert http.takes == grpc.takes and http.gives == grpc.gives
        for _ in range(20):
            over_http, over_grpc = http.run(inputs), grpc.run(inputs)
            assert over_http and over_http.keys() == over_grpc.keys()
            for name, values in over_http.items():
                np.testing.assert_array_equal(values, over_grpc[name])
    assert http.facts["answered"] == grpc.facts["answered"] == 20
    assert http.facts["failed"] == grpc.facts["failed"] == 0


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_large_tensors(served, scheme):
    inputs = request(served, n=20000)
    with Remote(urls=[f"{scheme}://127.0.0.1:{served.port}"], model="named") as remote:
        results = [remote.run(inputs) for _ in range(6)]
    for result in results[1:]:
        for name, values in result.items():
            np.testing.assert_array_equal(values, results[0][name])
    assert all(peer["requests"] > 0 for peer in remote.facts["peers"])


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_errors_of_the_peer_are_passed_on(served, scheme):
    url = f"{scheme}://127.0.0.1:{served.port}"
    with pytest.raises(RemoteError, match="nosuch") as failed:
        Remote(urls=[url], model="nosuch")
    assert failed.value.code == "NOT_FOUND"


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_server_that_ends_and_starts_again_costs_no_request(model, scheme):
    """Two servers; one ends and comes back: its requests go to the other, on connections that were idle as well."""
    with Server(model) as stays:
        goes = Server(model)
        inputs = request(stays)
        urls = [f"{scheme}://127.0.0.1:{server.port}" for server in (goes, stays)]
        with Remote(urls=urls, model="named", health={"interval_ms": 50}, retries={"budget_percent": 100},
                    breaker={"open": "50ms", "open_max": "100ms"}) as remote:
            for _ in range(10):
                remote.run(inputs)
            port = goes.port
            goes.stop()
            for _ in range(30):
                remote.run(inputs)
            with Server(model, port=port):
                for _ in range(2000):
                    remote.run(inputs)
        facts = remote.facts
        assert facts["failed"] == 0 and facts["late"] == 0
        assert facts["peers"][0]["requests"] > 10 and facts["peers"][0]["healthy"]


class Dropper:
    """Passes bytes on to a server; once `drop` is set, the connection of the next reply ends before its first byte."""

    def __init__(self, port):
        self.drop, self.port = threading.Event(), port
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            for ends in ((client, server, False), (server, client, True)):
                threading.Thread(target=self.copy, args=ends, daemon=True).start()

    def copy(self, source, target, replies):
        try:
            while data := source.recv(65536):
                if replies and self.drop.is_set():
                    self.drop.clear()
                    break
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class Swallower(Dropper):
    """Passes bytes on; what comes back over the connections that are there when `swallow` is called goes nowhere."""

    def __init__(self, port):
        self.open, self.deaf = set(), set()
        super().__init__(port)

    def swallow(self):
        self.deaf |= self.open

    def copy(self, source, target, replies):
        self.open.add(source)
        try:
            while data := source.recv(65536):
                if not (replies and source in self.deaf):
                    target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_connection_over_which_no_answer_comes_is_not_used_again(served, scheme):
    inputs, proxy = request(served), Swallower(served.port)
    url = f"{scheme}://127.0.0.1:{proxy.listener.getsockname()[1]}"
    with Remote(urls=[url], model="named", health={"interval_ms": 0}) as remote:
        for _ in range(3):
            remote.run(inputs)
            proxy.swallow()
            with pytest.raises(RemoteError, match="no answer within"):
                remote.run(inputs, timeout_ms=200)
            remote.run(inputs, timeout_ms=20000)
    assert remote.facts["late"] == 3 and remote.facts["answered"] == 6


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_kept_connection_that_breaks_before_the_reply_costs_a_retry(served, scheme):
    inputs, dropper = request(served), Dropper(served.port)
    url = f"{scheme}://127.0.0.1:{dropper.listener.getsockname()[1]}"
    with dropper.listener, Remote(urls=[url], model="named", health={"interval_ms": 0}) as remote:
        for _ in range(3):
            assert remote.run(inputs)
            dropper.drop.set()
            assert remote.run(inputs)
            assert not dropper.drop.is_set()
    assert remote.facts["failed"] == 0 and remote.facts["retries"] == 3


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_what_does_not_speak_the_protocol_is_named(scheme):
    """A server that answers everything with garbage."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            for _ in range(8):
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"\x00\x01garbage\r\n\r\n" * 20)

        threading.Thread(target=answer, daemon=True).start()
        url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(RemoteError, match=url):
            Remote(urls=[url], model="m")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", folder / "key.pem",
                    "-out", folder / "cert.pem"], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("scheme", ["https", "grpcs"])
def test_tls(model, served, certificate, scheme):
    settings = certificate / "phoenix.yaml"
    settings.write_text(f"tls:\n  certificate_file: {certificate}/cert.pem\n  key_file: {certificate}/key.pem\n")
    inputs = request(served)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen([PHOENIX, "serve", model, "--config", settings, "--listen",
                                f"https://127.0.0.1:{port}", "--drain-delay-ms", "0"],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for line in process.stdout:
            if line.startswith("Dashboard ") or f":{port}" in line:
                break
        else:
            pytest.fail("the server did not start")
        url = f"{scheme}://127.0.0.1:{port}"
        with Remote(urls=[url], model="named", tls={"ca": f"{certificate}/cert.pem"}) as remote:
            for _ in range(5):
                assert remote.run(inputs)
        assert remote.facts["failed"] == 0
        with pytest.raises(RemoteError, match="certificate"):
            Remote(urls=[url], model="named")
    finally:
        process.terminate()
        process.wait(30)
