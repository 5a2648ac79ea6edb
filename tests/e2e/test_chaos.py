# SPDX-License-Identifier: Apache-2.0
"""Chaos at the socket: what clients and networks do to a server that goes on answering, and gives back what it took."""

import http.client
import json
import os
import re
import resource
import socket
import ssl
import struct
import subprocess
import threading
import time

import numpy as np
import pytest
import raw_http2
from command import SANITIZED
from models import rows, xgboost_model, xgboost_scores
from server import Server

CONNECTIONS = 10_000
SPARE_DESCRIPTORS = 600  # of this process and of the server
RESETS = 150
SLOW_READERS = 8
GROWTH_MAX = 24 << 20  # bytes of resident memory that may stay after chaos
PATH = "/v2/models/m/infer"
X = np.nan_to_num(rows(3, seed=4)).astype(np.float32)


def infer_body(x):
    return json.dumps({"inputs": [{"name": "input", "shape": list(x.shape), "datatype": "FP32",
                                   "data": x.ravel().tolist()}]}).encode()


SMALL = infer_body(X)
POST = (f"POST {PATH} HTTP/1.1\r\nHost: any\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(SMALL)}\r\n\r\n").encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """(folder of a model and a certificate, booster); this process gets as many descriptors as the system gives."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    folder = tmp_path_factory.mktemp("chaos")
    booster = xgboost_model(folder / "m.json")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", folder / "key.pem", "-out", folder / "certificate.pem", "-days", "2",
                    "-subj", "/CN=localhost"], check=True, capture_output=True)
    return folder, booster


def serve(folder, booster, **limits):
    """A server over TCP and TLS."""
    config = folder / "phoenix.yaml"
    lines = [f"  {name}: {value}" for name, value in limits.items()]
    config.write_text("\n".join([
        "server:", "  listen: http://127.0.0.1:0, https://127.0.0.1:0", f"  connections_max: {2 * CONNECTIONS}", *lines,
        "tls:", f"  certificate_file: {folder}/certificate.pem", f"  key_file: {folder}/key.pem", ""]))
    server = Server(folder / "m.json", "--config", config)
    server.tls_port = int(re.search(r"https://127\.0\.0\.1:(\d+)", server.banner).group(1))
    server.booster = booster
    return server


@pytest.fixture(scope="module")
def patient(folder):
    """A server that ends nothing while a slow machine is at its thousands of connections."""
    with serve(*folder, idle_timeout_ms=3_600_000) as server:
        yield server


@pytest.fixture(scope="module")
def hasty(folder):
    """A server that ends at once what does not go on."""
    limits = dict.fromkeys(["header_timeout_ms", "body_timeout_ms", "idle_timeout_ms"], 500)
    with serve(*folder, **limits) as server:
        yield server


def descriptors(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def memory(server):
    with open(f"/proc/{server.process.pid}/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def check_scores(server, body, x=X):
    scores = json.loads(body)["outputs"][0]["data"]
    assert np.array_equal(np.float32(scores), xgboost_scores(server.booster, x))


def ask(server):
    """A request over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", PATH, SMALL, {"Content-Type": "application/json"})
    check_scores(server, connection.getresponse().read())
    connection.close()


def wait_until(holds, what):
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until, what()
        time.sleep(0.05)


def end_as_before(server, before):
    """The server answers, and has closed what it had open for the clients that are gone."""
    ask(server)
    wait_until(lambda: descriptors(server) <= before,
               lambda: f"{before} descriptors became {descriptors(server)}")


@pytest.fixture
def server(patient):
    """The server, which must answer afterwards, with the descriptors and about the memory that it had."""
    ask(patient)
    before, size = descriptors(patient), memory(patient)
    yield patient
    end_as_before(patient, before)
    check_growth(memory(patient) - size)


def check_growth(bytes):
    assert SANITIZED or bytes <= GROWTH_MAX, f"{bytes} bytes were not given back"


def connect(server, tls=False, receive_buffer=None):
    connection = socket.socket()
    connection.settimeout(60)
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.connect(("127.0.0.1", server.tls_port if tls else server.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def reset(connection):
    """Ends a connection with RST instead of FIN, so that nothing of it stays here either."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def read_http1(receive):
    """The body of the next response; it must be 200 and have a length."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = receive(65536)
        assert part, f"the connection ended after {data!r}"
        data += part
    head, body = data.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200"), head
    length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
    while len(body) < length:
        part = receive(min(65536, length - len(body)))
        assert part, "the connection ended in a body"
        body += part
    return body


def tls_context(*protocols):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(list(protocols))
    return context


class DrippingTls:
    """TLS whose records leave one byte at a time; `kept` bytes of what is sent last stay here."""

    def __init__(self, connection, *protocols):
        self.connection, self.arrived, self.leaving = connection, ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = tls_context(*protocols).wrap_bio(self.arrived, self.leaving)
        self._until_done(self.tls.do_handshake)

    def _drip(self, kept=0):
        data = self.leaving.read()
        for byte in data[: len(data) - kept]:
            self.connection.sendall(bytes([byte]))

    def _until_done(self, step):
        while True:
            try:
                result = step()
                self._drip()
                return result
            except ssl.SSLWantReadError:
                self._drip()
                part = self.connection.recv(65536)
                assert part, "the connection ended"
                self.arrived.write(part)

    def send(self, data, kept=0):
        self.tls.write(data)
        self._drip(kept)

    def receive(self, n):
        return self._until_done(lambda: self.tls.read(n))


def drip(connection, data):
    for byte in data:
        connection.sendall(bytes([byte]))


def test_http1_one_byte_at_a_time(server):
    with connect(server) as connection:
        for _ in range(2):
            drip(connection, POST + SMALL)
            check_scores(server, read_http1(connection.recv))


def test_http2_one_byte_at_a_time(server):
    """The preface, the settings and every frame."""
    with connect(server) as connection:
        drip(connection, raw_http2.opening())
        for stream in (1, 3):
            drip(connection, raw_http2.post(PATH, SMALL, stream, piece=7, content_type="application/json"))
            check_scores(server, raw_http2.read_response(connection.recv, stream))


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_tls_records_one_byte_at_a_time(server, protocol):
    with connect(server, tls=True) as connection:
        tls = DrippingTls(connection, protocol)
        assert tls.tls.selected_alpn_protocol() == protocol
        if protocol == "h2":
            tls.send(raw_http2.opening() + raw_http2.post(PATH, SMALL))
            check_scores(server, raw_http2.read_response(tls.receive))
        else:
            tls.send(POST + SMALL)
            check_scores(server, read_http1(tls.receive))


def test_a_client_that_has_ended_sending_is_answered(server):
    with connect(server) as connection:
        connection.sendall(POST + SMALL)
        connection.shutdown(socket.SHUT_WR)
        check_scores(server, read_http1(connection.recv))
    with connect(server) as connection:
        connection.sendall(raw_http2.opening() + raw_http2.post(PATH, SMALL))
        connection.shutdown(socket.SHUT_WR)
        check_scores(server, raw_http2.read_response(connection.recv))


BEGINNINGS = {
    "nothing": b"",
    "half a head": POST[:40],
    "half a body": POST + SMALL[:50],
    "half a chunk": POST.replace(b"Content-Length: %d" % len(SMALL), b"Transfer-Encoding: chunked") + b"ff\r\nabc",
    "half a preface": raw_http2.PREFACE[:10],
    "half a settings frame": raw_http2.opening()[:-3],
    "half a frame of headers": raw_http2.opening() + raw_http2.headers("POST", PATH)[:-5],
    "half a request": raw_http2.opening() + raw_http2.headers("POST", PATH) + raw_http2.frame(0, 0, 1, SMALL[:50]),
    "half a frame of data": raw_http2.opening() + raw_http2.headers("POST", PATH) + b"\0\0\xff\0\0\0\0\0\1abc",
}


@pytest.mark.parametrize("begun", BEGINNINGS)
def test_resets_in_the_middle(server, begun):
    """Half of the connections reset at once, the others after the server has had time to read what came."""
    connections = [connect(server) for _ in range(RESETS)]
    for connection in connections:
        connection.sendall(BEGINNINGS[begun])
    for connection in connections[::2]:
        reset(connection)
    ask(server)
    for connection in connections[1::2]:
        reset(connection)


@pytest.mark.parametrize("begun", BEGINNINGS)
@pytest.mark.parametrize("says_end", [False, True], ids=["silent", "half-closed"])
def test_half_open_connections_are_ended(hasty, begun, says_end):
    """These clients go silent; some of them have said that they will send no more."""
    ask(hasty)
    before = descriptors(hasty)
    held = [connect(hasty) for _ in range(20)]
    for connection in held:
        connection.sendall(BEGINNINGS[begun])
        if says_end:
            connection.shutdown(socket.SHUT_WR)
    ask(hasty)
    for connection in held:
        while connection.recv(65536):
            pass
        connection.close()
    end_as_before(hasty, before)


@pytest.mark.parametrize("kept", [1, 30, 200])
def test_resets_in_a_tls_record(server, kept):
    for _ in range(10):
        connection = connect(server, tls=True)
        DrippingTls(connection, "http/1.1").send(POST + SMALL, kept)
        reset(connection)


def test_resets_in_a_tls_handshake(server):
    for length in range(1, 200, 4):
        leaving = ssl.MemoryBIO()
        tls = tls_context("h2").wrap_bio(ssl.MemoryBIO(), leaving)
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        connection = connect(server, tls=True)
        connection.sendall(leaving.read()[:length])
        reset(connection)


def large_request():
    """A binary request of many rows and how it is announced; its reply is JSON of about a megabyte."""
    x = np.tile(X, (20_000, 1))
    head = json.dumps({"inputs": [{"name": "input", "shape": list(x.shape), "datatype": "FP32",
                                   "parameters": {"binary_data_size": x.nbytes}}]}).encode()
    text = (f"POST {PATH} HTTP/1.1\r\nHost: any\r\nInference-Header-Content-Length: {len(head)}\r\n"
            f"Content-Length: {len(head) + x.nbytes}\r\n\r\n")
    return x, text.encode() + head + x.tobytes()


def test_resets_in_the_middle_of_a_large_response(server):
    _, request = large_request()
    for _ in range(10):
        connection = connect(server, receive_buffer=4096)
        connection.sendall(request)
        connection.recv(100)
        reset(connection)


def slowly(receive):
    """At most 8 KiB at a time, with a pause after every 64 KiB."""
    total = 0

    def receive_some(n):
        nonlocal total
        part = receive(min(n, 8192))
        if (total + len(part)) >> 16 != total >> 16:
            time.sleep(0.02)
        total += len(part)
        return part

    return receive_some


def read_large_over_http1(server, tls):
    x, request = large_request()
    with connect(server, tls, receive_buffer=8192) as connection:
        if tls:
            connection = tls_context("http/1.1").wrap_socket(connection)
        connection.sendall(request)
        check_scores(server, read_http1(slowly(connection.recv)), x)
        connection.close()


def read_large_over_http2(server):
    """Asks for a large page in a window of 1000 bytes, which is opened again by what was read."""
    want = server.request("/openapi.json")[1]
    with connect(server, receive_buffer=8192) as connection:
        def open_windows(n):
            for stream in (0, 1):
                connection.sendall(raw_http2.frame(raw_http2.WINDOW_UPDATE, 0, stream, struct.pack(">I", n)))

        small = raw_http2.frame(raw_http2.SETTINGS, 0, 0, struct.pack(">HI", 4, 1000))
        connection.sendall(raw_http2.PREFACE + small + raw_http2.headers("GET", "/openapi.json", end=True))
        assert json.loads(raw_http2.read_response(connection.recv, on_data=open_windows)) == want


def test_slow_readers_of_large_responses_get_them_whole(server):
    readers = [(read_large_over_http1, False), (read_large_over_http1, True), (read_large_over_http2,)]
    problems = []

    def read(call, *options):
        try:
            call(server, *options)
        except Exception as problem:  # of any kind: the thread has nobody else to tell
            problems.append(problem)

    threads = [threading.Thread(target=read, args=readers[i % len(readers)]) for i in range(SLOW_READERS)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        ask(server)
    assert not problems, problems


def greet(connection, kind):
    """What a held connection has done before it is silent."""
    if kind == "answered":
        connection.sendall(POST + SMALL)
    elif kind == "http2":
        connection.sendall(raw_http2.opening())


def talk_again(server, connection, kind):
    if kind == "http2":
        connection.sendall(raw_http2.post(PATH, SMALL))
        check_scores(server, raw_http2.read_response(connection.recv))
    else:
        connection.sendall(POST + SMALL)
        check_scores(server, read_http1(connection.recv))


def hold(server, n):
    """Holds n connections while requests are answered on others, and on some of them."""
    kinds = ["silent", "answered", "silent", "http2"]
    held = []
    try:
        for i in range(n):
            held.append((connect(server), kinds[i % len(kinds)]))
            greet(*held[-1])
            if i % 500 == 0:
                ask(server)
        for connection, kind in held:
            if kind == "answered":
                check_scores(server, read_http1(connection.recv))
        assert descriptors(server) >= n
        for i in range(0, n, 97):
            ask(server)
            talk_again(server, *held[i])
    finally:
        for connection, _ in held:
            reset(connection)


def test_ten_thousand_connections_are_held_while_others_are_answered(patient):
    """Twice more, as the allocator keeps the memory of ended sessions for the next ones: it must be enough for them."""
    n = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_DESCRIPTORS, CONNECTIONS)
    if n < CONNECTIONS:
        pytest.skip(f"only {n} connections, as no more descriptors are allowed (ulimit -n)")
    ask(patient)
    before, sizes = descriptors(patient), []
    for _ in range(3):
        hold(patient, n)
        end_as_before(patient, before)
        sizes.append(memory(patient))
    check_growth(sizes[-1] - sizes[0])
