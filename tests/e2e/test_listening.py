# SPDX-License-Identifier: Apache-2.0
"""Several listeners, Unix sockets, and TLS, against the clients of Python's standard library."""

import http.client
import io
import json
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

import models
import pytest
import raw_http2
from command import fail
from server import Server


def run_openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_identity(folder, name, issuer=None):
    """NAME.pem and NAME.key, signed by the issuer of the same folder or by itself."""
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    signed = ["-CA", folder / f"{issuer}.pem", "-CAkey", folder / f"{issuer}.key"] if issuer else []
    run_openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", key, "-out", certificate, "-days", 2, "-subj", f"/CN={name}",
                "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", *signed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("listening")
    models.xgboost_model(folder / "risk.json")
    make_identity(folder, "server")
    make_identity(folder, "client")
    make_identity(folder, "stranger")
    return folder


def write_config(path, folder, listen, **tls):
    lines = ["server:", f"  listen: {listen}", "tls:", f"  certificate_file: {folder}/server.pem",
             f"  key_file: {folder}/server.key"]
    path.write_text("\n".join(lines + [f"  {key}: {value}" for key, value in tls.items()]) + "\n")
    return path


def serve(folder, config):
    return Server(f"risk={folder / 'risk.json'}", "--config", config)


def https_port(server):
    return int(re.search(r"https://[^ \n,]*:(\d+)", server.banner).group(1))


def connect(server, folder, identity=None, **limits):
    context = ssl.create_default_context(cafile=folder / "server.pem")
    for key, value in limits.items():
        setattr(context, key, value)
    if identity:
        context.load_cert_chain(folder / f"{identity}.pem", folder / f"{identity}.key")
    return http.client.HTTPSConnection("localhost", https_port(server), context=context, timeout=20)


def get(connection, path="/v2/models/risk/ready"):
    connection.request("GET", path)
    reply = connection.getresponse()
    return reply.status, reply.read()


LISTEN = "http://127.0.0.1:0, https://127.0.0.1:0"


def test_every_listener_serves_the_same(folder, tmp_path):
    path = tmp_path / "p.sock"
    config = write_config(tmp_path / "p.yaml", folder, f"{LISTEN}, unix:{path}")
    with serve(folder, config) as server:
        _, over_http = server.request("/v2/models/risk")
        status, over_https = get(connect(server, folder), "/v2/models/risk")
        assert status == 200 and json.loads(over_https) == over_http
        curl = subprocess.run(["curl", "-s", "--unix-socket", path, "http://x/v2/models/risk"],
                              capture_output=True, check=True)
        assert json.loads(curl.stdout) == over_http
        assert path.stat().st_mode & 0o777 == 0o660
    assert not path.exists()


def test_the_unix_socket_of_a_server_that_died_is_taken_over(folder, tmp_path):
    path = tmp_path / "p.sock"
    config = write_config(tmp_path / "p.yaml", folder, f"{LISTEN}, unix:{path}")
    first = serve(folder, config)
    text = fail("serve", folder / "risk.json", "--config", config)
    assert "another program listens there" in text
    first.process.kill()
    first.wait()
    assert path.exists()
    with serve(folder, config):
        assert path.is_socket()


def test_a_file_that_is_no_socket_is_not_removed(folder, tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    config = write_config(tmp_path / "p.yaml", folder, f"https://127.0.0.1:0, unix:{path}")
    assert "what is there is no socket" in fail("serve", folder / "risk.json", "--config", config)
    assert path.read_text() == "data"


def test_large_bodies_both_ways_over_tls(folder, tmp_path):
    config = write_config(tmp_path / "p.yaml", folder, LISTEN)
    row = [0.25] * len(models.NAMES)
    body = json.dumps({"instances": [row] * 20_000})
    with serve(folder, config) as server:
        connection = connect(server, folder)
        for _ in range(3):
            connection.request("POST", "/v1/models/risk:predict", body)
            reply = connection.getresponse()
            predictions = json.loads(reply.read())["predictions"]
            assert reply.status == 200 and len(predictions) == 20_000
        assert predictions == server.predict("risk", [row]) * 20_000


def test_pipelined_requests_in_one_record_are_all_answered(folder, tmp_path):
    config = write_config(tmp_path / "p.yaml", folder, LISTEN)
    with serve(folder, config) as server:
        connection = connect(server, folder)
        connection.connect()
        n = 200
        connection.sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * n)
        seen = b""
        while seen.count(b"HTTP/1.1 200 OK") < n:
            part = connection.sock.recv(65536)
            assert part, "closed early"
            seen += part


def test_old_versions_are_refused(folder, tmp_path):
    config = write_config(tmp_path / "p.yaml", folder, LISTEN, only_13="true")
    with serve(folder, config) as server:
        assert get(connect(server, folder))[0] == 200
        with pytest.raises(ssl.SSLError):
            get(connect(server, folder, maximum_version=ssl.TLSVersion.TLSv1_2))


@pytest.mark.parametrize("text", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"D",
                                  raw_http2.opening(), b"POST / HTTP/1.1\r\nHost: x\r\n" + bytes(200_000)])
def test_plain_http_to_an_https_port_is_told_so(folder, tmp_path, text):
    config = write_config(tmp_path / "p.yaml", folder, LISTEN)
    with serve(folder, config) as server:
        address = ("127.0.0.1", https_port(server))
        with socket.create_connection(address, timeout=20) as plain, plain.makefile("rb") as reader:
            plain.sendall(text)
            reply = reader.read()
        head, _, body = reply.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ") and b"Connection: close" in head
        assert "this port speaks TLS; use https://" in json.loads(body)["detail"]
        assert get(connect(server, folder))[0] == 200


def begin(server, folder, offer, text):
    """What the server sends to a client that offers these protocols and begins with this text, until it closes."""
    context = ssl.create_default_context(cafile=folder / "server.pem")
    context.set_alpn_protocols(offer)
    with socket.create_connection(("127.0.0.1", https_port(server)), timeout=20) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as connection:
            connection.sendall(text)
            with connection.makefile("rb") as reader:
                return reader.read()


GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("offer", [["h2"], ["h2", "http/1.1"]])
@pytest.mark.parametrize("text", [GET, b"G", raw_http2.PREFACE[:10] + b"x" * 14])
def test_who_agreed_on_http2_may_speak_nothing_else(folder, tmp_path, offer, text):
    with serve(folder, write_config(tmp_path / "p.yaml", folder, LISTEN)) as server:
        receive = io.BytesIO(begin(server, folder, offer, text)).read
        kind, last = None, b""
        while kind != raw_http2.GOAWAY:
            kind, _, _, last = raw_http2.read_frame(receive)
        assert last[:8] == bytes(4) + bytes([0, 0, 0, raw_http2.PROTOCOL_ERROR])
        assert receive() == b""


def test_half_a_preface_of_http2_is_not_answered_in_http1(folder, tmp_path):
    config = write_config(tmp_path / "p.yaml", folder, LISTEN)
    config.write_text(config.read_text().replace("server:", "server:\n  header_timeout_ms: 300"))
    with serve(folder, config) as server:
        assert begin(server, folder, ["h2"], raw_http2.PREFACE[:10]) == b""
        assert begin(server, folder, [], raw_http2.PREFACE[:10]).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("text", [raw_http2.opening(), raw_http2.PREFACE[:16]])
def test_who_agreed_on_http11_may_not_send_the_preface(folder, tmp_path, text):
    with serve(folder, write_config(tmp_path / "p.yaml", folder, LISTEN)) as server:
        assert begin(server, folder, ["http/1.1"], text).startswith(b"HTTP/1.1 505 ")
        assert begin(server, folder, ["http/1.1"], GET).startswith(b"HTTP/1.1 200 ")


def test_without_alpn_the_first_bytes_decide(folder, tmp_path):
    with serve(folder, write_config(tmp_path / "p.yaml", folder, LISTEN)) as server:
        assert begin(server, folder, [], GET).startswith(b"HTTP/1.1 200 ")
        goaway = raw_http2.frame(raw_http2.GOAWAY, payload=bytes(8)) # so that the server closes
        receive = io.BytesIO(begin(server, folder, [], raw_http2.opening() + goaway)).read
        assert raw_http2.read_frame(receive)[0] == raw_http2.SETTINGS


def test_what_is_neither_tls_nor_http_is_dropped(folder, tmp_path):
    config = write_config(tmp_path / "p.yaml", folder, LISTEN)
    with serve(folder, config) as server:
        with socket.create_connection(("127.0.0.1", https_port(server)), timeout=20) as stranger:
            stranger.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            try:
                assert b"HTTP" not in stranger.recv(1000)
            except ConnectionResetError:
                pass  # what it sent was not read to the end


@pytest.mark.parametrize("said", [b"", bytes.fromhex("1603010200010001fc0303")])
def test_a_stalled_handshake_is_cut_as_a_slow_head_is(folder, tmp_path, said):
    config = write_config(tmp_path / "p.yaml", folder, LISTEN)
    config.write_text(config.read_text().replace("server:", "server:\n  header_timeout_ms: 300"
                                                 "\n  idle_timeout_ms: 600000"))
    with serve(folder, config) as server:
        kept = connect(server, folder)
        kept.connect() # its handshake is over, so it may be idle
        with socket.create_connection(("127.0.0.1", https_port(server)), timeout=20) as stalled:
            stalled.sendall(said)
            assert stalled.recv(1000) == b""
        assert get(kept)[0] == 200


def test_a_stalled_handshake_does_not_delay_the_end_of_the_server(folder, tmp_path):
    config = write_config(tmp_path / "p.yaml", folder, LISTEN)
    config.write_text(config.read_text().replace("server:", "server:\n  header_timeout_ms: 600000"))
    with serve(folder, config) as server:
        with socket.create_connection(("127.0.0.1", https_port(server)), timeout=20) as stalled:
            stalled.sendall(b"\x16\x03\x01")
            assert server.stop() == 0
        assert "requests were cut off" not in server.log()


@pytest.mark.parametrize("identity, allowed", [(None, False), ("client", True), ("stranger", False)])
def test_required_client_certificates(folder, tmp_path, identity, allowed):
    config = write_config(tmp_path / "p.yaml", folder, LISTEN, clients="required",
                          client_ca_file=folder / "client.pem")
    with serve(folder, config) as server:
        if allowed:
            assert get(connect(server, folder, identity))[0] == 200
        else: # TLS 1.3 tells the client with its first read
            with pytest.raises((ssl.SSLError, ConnectionError)):
                get(connect(server, folder, identity))


def peer_name(connection):
    (((_, name),),) = connection.sock.getpeercert()["subject"]
    return name


def test_who_lacks_a_certificate_is_told_so_every_time(folder, tmp_path):
    config = write_config(tmp_path / "c.yaml", folder, LISTEN, clients="required",
                          client_ca_file=folder / "client.pem")
    with serve(folder, config) as server:
        for _ in range(20):
            with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
                get(connect(server, folder))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("head", [b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                                  b"GET /ping HTTP/1.0\r\n\r\n"])
def test_an_orderly_end_is_told_from_a_loss(folder, tmp_path, version, head):
    config = write_config(tmp_path / "c.yaml", folder, LISTEN)
    context = ssl.create_default_context(cafile=folder / "server.pem")
    context.maximum_version = version
    with serve(folder, config) as server:
        with socket.create_connection(("127.0.0.1", https_port(server)), timeout=20) as plain:
            with context.wrap_socket(plain, server_hostname="localhost",
                                     suppress_ragged_eofs=False) as s:
                s.sendall(head)
                text = b"".join(iter(lambda: s.recv(65536), b""))  # raises without close_notify
    assert text.startswith(b"HTTP/1.1 200"), text


@pytest.mark.parametrize("ends", ["idle", "drain"])
def test_the_end_of_an_idle_connection_is_told_from_a_loss(folder, tmp_path, ends):
    config = write_config(tmp_path / "c.yaml", folder, LISTEN)
    config.write_text(config.read_text().replace("server:\n", "server:\n  idle_timeout_ms: 500\n"))
    context = ssl.create_default_context(cafile=folder / "server.pem")
    with serve(folder, config) as server:
        with socket.create_connection(("127.0.0.1", https_port(server)), timeout=20) as plain:
            with context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False) as s:
                s.sendall(b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n")
                assert s.recv(65536).startswith(b"HTTP/1.1 200")
                if ends == "drain":
                    server.signal()
                while s.recv(65536):  # raises without close_notify
                    pass
        if ends == "drain":
            server.wait()


def test_http10_may_be_agreed_on(folder, tmp_path):
    config = write_config(tmp_path / "c.yaml", folder, LISTEN)
    with serve(folder, config) as server:
        done = subprocess.run(["curl", "-sS", "--http1.0", "--cacert", folder / "server.pem",
                               f"https://localhost:{https_port(server)}/ping"],
                              capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_new_certificate_is_used_without_dropping_a_connection(folder, tmp_path):
    for name in ("server", "old", "new"):
        make_identity(tmp_path, name)
    chain = tmp_path / "server.pem"
    bundle = chain.read_text()
    def install(name):
        chain.write_text((tmp_path / f"{name}.pem").read_text())
        (tmp_path / "server.key").write_text((tmp_path / f"{name}.key").read_text())
    install("old")
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    (trusted / "server.pem").write_text(bundle + (tmp_path / "old.pem").read_text() +
                                        (tmp_path / "new.pem").read_text())
    config = write_config(tmp_path / "p.yaml", tmp_path, LISTEN)
    with serve(folder, config) as server:
        kept = connect(server, trusted)
        assert get(kept)[0] == 200
        failures, stop = [], threading.Event()

        def keep_asking():
            while not stop.is_set():
                try:
                    if get(kept)[0] != 200:
                        failures.append("status")
                except OSError as error:
                    failures.append(error)

        thread = threading.Thread(target=keep_asking)
        thread.start()
        try:
            install("new")
            server.signal(signal.SIGHUP)
            until = time.monotonic() + 20
            while True:
                fresh = connect(server, trusted)
                assert get(fresh)[0] == 200
                if peer_name(fresh) == "new":
                    break
                assert time.monotonic() < until
            chain.write_text("no certificate")
            server.signal(signal.SIGHUP)
            while "tls.reload_failed" not in server.log():
                assert time.monotonic() < until
                time.sleep(0.05)
            assert get(connect(server, trusted))[0] == 200
        finally:
            stop.set()
            thread.join()
        assert not failures and peer_name(kept) == "old"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.mark.parametrize("first, second, text", [
    ("http://127.0.0.1", "https://127.0.0.1", "server.listen: endpoint 'https://127.0.0.1:{port}': its address is listed twice"),
    ("0.0.0.0", "127.0.0.1", "both would be there on port {port}"),
    ("127.0.0.1", "0.0.0.0", "both would be there on port {port}"),
    ("127.0.0.1", "localhost", "both would be there on port {port}"),
])
def test_an_address_that_is_listed_twice_is_not_blamed_on_others(folder, first, second, text):
    port = free_port()
    said = fail("serve", folder / "risk.json", "--listen", f"{first}:{port}, unix:{folder}/x, {second}:{port}")
    assert text.replace("{port}", str(port)) in said and "another program" not in said


def test_an_address_of_another_program_is_blamed_on_it(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = fail("serve", folder / "risk.json", "--listen", f"127.0.0.2:{port}, 127.0.0.1:{port}")
        assert "another program listens there" in said


@pytest.mark.parametrize("listen, tls, text", [
    ("ftp://x:1", {}, "unknown scheme"),
    ("https://127.0.0.1:0", {"certificate_file": "/nowhere.pem"}, "/nowhere.pem': No such file"),
    ("https://127.0.0.1:0", {"key_file": "{folder}/client.key"}, "key values mismatch"),
    ("https://127.0.0.1:0", {"clients": "required"}, "CA file"),
    ("https://127.0.0.1:0", {"clients": "some"}, "any|optional|required"),
    ("https://127.0.0.1:0", {"client_ca_file": "{folder}/client.pem"}, "no effect while tls.clients is any"),
    ("http://127.0.0.1:0", {"clients": "required"}, "no endpoint speaks https"),
    ("http://127.0.0.1:0", {}, "no endpoint speaks https"),
])
def test_what_is_wrong_with_the_settings_is_said(folder, tmp_path, listen, tls, text):
    config = tmp_path / "p.yaml"
    settings = {"certificate_file": folder / "server.pem", "key_file": folder / "server.key", **tls}
    lines = [f"  {key}: {str(value).replace('{folder}', str(folder))}" for key, value in settings.items()]
    config.write_text("\n".join(["server:", f"  listen: {listen}", "tls:", *lines]) + "\n")
    assert text in fail("serve", folder / "risk.json", "--config", config)
