# SPDX-License-Identifier: Apache-2.0
"""Another process takes over from a running one (SIGUSR2), and sockets that a service manager has opened."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import models
import pytest
import raw_http2
from command import PHOENIX
from server import Server


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "risk.json"
    models.xgboost_model(path)
    return path


def wait_for_log(server, text, seconds=60):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if text in server.log():
            return
        time.sleep(0.02)
    raise AssertionError(f"{text!r} is not in the log:\n{server.log()}")


@contextlib.contextmanager
def upgraded(server):
    """Lets another process take over; yields its number and ends it."""
    server.signal(signal.SIGUSR2)
    assert server.wait() == 0, server.log()
    pid = int(re.findall(r"event=upgrade.done pid=(\d+)", server.log())[-1])
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + 60
        while os.path.exists(f"/proc/{pid}") and time.monotonic() < until:
            if open(f"/proc/{pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()[0] == "Z":
                break
            time.sleep(0.02)


BODY = json.dumps({"instances": [dict.fromkeys(models.NAMES, 1.0)]})
PATH = "/v1/models/risk:predict"


class Load:
    """Threads that ask again and again; `failures` is what went wrong, `answers` how many went well."""

    def __init__(self, *clients):
        self.failures, self.answers, self.stopping = [], 0, False
        self.threads = [threading.Thread(target=self._run, args=(client,)) for client in clients]

    def _run(self, client):
        try:
            while not self.stopping:
                for score in client():
                    self.answers += 1
                    if score != 200:
                        self.failures.append(score)
        except Exception as error:  # whatever it is, it is a request that failed
            self.failures.append(repr(error))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join(60)


def keeping_alive(open_connection):
    """A client that keeps its connection as long as the server lets it."""
    state = {}

    def ask():
        connection = state.get("c") or open_connection()
        connection.request("POST", PATH, BODY, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        reply.read()
        state["c"] = None if reply.will_close else connection
        if reply.will_close:
            connection.close()
        yield reply.status

    return ask


def one_by_one(open_connection):
    """A client with a connection for each request."""

    def ask():
        connection = open_connection()
        connection.request("POST", PATH, BODY, {"Content-Type": "application/json", "Connection": "close"})
        reply = connection.getresponse()
        reply.read()
        connection.close()
        yield reply.status

    return ask


def plain(server):
    return lambda: http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)


def test_no_request_fails_while_a_new_process_takes_over(model):
    with Server(model, "--threads", "2") as server:
        clients = [keeping_alive(plain(server)), keeping_alive(plain(server)), one_by_one(plain(server)), Http2Client(server)]
        with Load(*clients) as load:
            while load.answers < 200 and not load.failures:
                time.sleep(0.01)
            with upgraded(server) as pid:
                assert pid != server.process.pid
                after = load.answers
                until = time.monotonic() + 60
                while load.answers < after + 500 and time.monotonic() < until:
                    time.sleep(0.01)
                load.stopping = True
                for thread in load.threads:
                    thread.join(60)
                assert load.answers >= after + 500
        assert load.failures == []


def test_upgrades_in_a_row(model):
    with Server(model, "--threads", "2") as server, Load(one_by_one(plain(server))) as load:
        pids = [server.process.pid]
        for n in range(1, 4):
            os.kill(pids[-1], signal.SIGUSR2)
            until = time.monotonic() + 60
            while len(found := re.findall(r"event=upgrade.done pid=(\d+)", server.log())) < n:
                assert time.monotonic() < until, server.log()
                time.sleep(0.02)
            pids.append(int(found[-1]))
        load.stopping = True
        for thread in load.threads:
            thread.join(60)
        os.kill(pids[-1], signal.SIGTERM)
        assert load.failures == [] and load.answers > 0
        assert len(set(pids)) == 4


class Http2Client:
    """HTTP/2, several requests at a time on one connection; goes to a new one when the server says that it leaves."""

    AT_ONCE = 4

    def __init__(self, server):
        self.server, self.socket = server, None

    def open(self):
        self.socket = socket.create_connection(("127.0.0.1", self.server.port), timeout=60)
        window = raw_http2.frame(raw_http2.WINDOW_UPDATE, 0, 0, (1 << 30).to_bytes(4, "big"))
        self.socket.sendall(raw_http2.opening() + window)
        self.next = 1

    def __call__(self):
        if not self.socket:
            self.open()
        streams = set(range(self.next, self.next + 2 * self.AT_ONCE, 2))
        self.next += 2 * self.AT_ONCE
        kind = {"content_type": "application/json"}
        self.socket.sendall(b"".join(raw_http2.post(PATH, BODY.encode(), n, **kind) for n in sorted(streams)))
        leaves = False
        while streams:
            kind, flags, number, payload = raw_http2.read_frame(self.socket.recv)
            if kind == raw_http2.GOAWAY:
                leaves = True
                last = int.from_bytes(payload[:4], "big")
                streams = {n for n in streams if n <= last}  # the others may be asked elsewhere: not processed
            elif kind == raw_http2.PING and not flags & raw_http2.ACK:
                self.socket.sendall(raw_http2.frame(raw_http2.PING, raw_http2.ACK, 0, payload))
            elif kind == raw_http2.HEADERS:
                yield 200 if payload[0] == raw_http2.STATUS_200 else payload
            if kind in (raw_http2.HEADERS, raw_http2.DATA) and flags & raw_http2.END_STREAM:
                streams.discard(number)
        if leaves:
            self.socket.close()
            self.socket = None


class Stubborn:
    """An HTTP/2 client whose requests are always on their way: it goes on opening streams until the server names the last one."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        window = raw_http2.frame(raw_http2.WINDOW_UPDATE, 0, 0, (1 << 30).to_bytes(4, "big"))
        self.socket.sendall(raw_http2.opening() + window)
        self.opened, self.goaways, self.statuses, self.ended = [], [], {}, set()

    def open_streams(self, n=4):
        numbers = range(2 * len(self.opened) + 1, 2 * (len(self.opened) + n), 2)
        self.opened += numbers
        kind = {"content_type": "application/json"}
        self.socket.sendall(b"".join(raw_http2.post(PATH, BODY.encode(), number, **kind) for number in numbers))

    def read(self):
        """One frame; False at the end of the connection."""
        try:
            kind, flags, number, payload = raw_http2.read_frame(self.socket.recv)
        except (EOFError, ConnectionError):
            return False
        if kind == raw_http2.GOAWAY:
            self.goaways.append((int.from_bytes(payload[:4], "big"), int.from_bytes(payload[4:8], "big"), len(self.opened)))
        elif kind == raw_http2.PING and not flags & raw_http2.ACK:
            self.socket.sendall(raw_http2.frame(raw_http2.PING, raw_http2.ACK, 0, payload))
        elif kind == raw_http2.HEADERS:
            self.statuses[number] = payload[0]
        if kind in (raw_http2.HEADERS, raw_http2.DATA) and flags & raw_http2.END_STREAM:
            self.ended.add(number)
        return True

    def run(self, begin_leaving):
        """Asks until the second GOAWAY, then reads to the end."""
        while len(self.ended) < 20:
            self.open_streams()
            while len(self.ended) < len(self.opened):
                assert self.read()
        begin_leaving()
        while len(self.goaways) < 2:
            self.open_streams()
            while len(self.ended) < len(self.opened) and len(self.goaways) < 2:
                assert self.read(), f"the connection ended after {self.goaways}"
            time.sleep(0.005)
        while self.read():
            pass
        self.socket.close()


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTERM], ids=["upgrade", "stop"])
def test_streams_that_are_opened_after_the_first_goaway_are_answered(model, tmp_path, number):
    """RFC 9113, 6.8: the first one names no stream, the second the last that was taken; every one up to that has its answer."""
    config = tmp_path / "phoenix.yaml"
    config.write_text("server:\n  drain_timeout_ms: 2000\n")
    with Server(model, "--config", config, "--threads", "2") as server:
        client = Stubborn(server.port)
        client.run(lambda: server.signal(number))
        (notice, notice_error, opened_before), (last, error, _) = client.goaways
        assert (notice, notice_error, error) == (2**31 - 1, 0, 0)
        late = [stream for stream in client.opened[opened_before:] if stream <= last]
        assert len(late) >= 4, client.goaways  # so the time between the two was used
        taken = {stream for stream in client.opened if stream <= last}
        assert client.ended == taken and set(client.statuses) == taken
        assert set(client.statuses.values()) == {raw_http2.STATUS_200}
        assert server.wait() == 0
        for pid in re.findall(r"upgrade.done pid=(\d+)", server.log()):
            os.kill(int(pid), signal.SIGTERM)


def test_unix_sockets_and_tls_are_handed_over(model, tmp_path):
    key, certificate = tmp_path / "k.pem", tmp_path / "c.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    path = tmp_path / "socket"
    config = tmp_path / "phoenix.yaml"
    config.write_text(
        f"server:\n  listen: http://127.0.0.1:0, https://127.0.0.1:0, unix:{path}\n"
        f"tls:\n  certificate_file: {certificate}\n  key_file: {key}\n")
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False

    class Unix(http.client.HTTPConnection):
        def connect(self):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(60)
            self.sock.connect(str(path))

    with Server(model, "--config", config, "--threads", "2") as server:
        port = int(re.search(r"https://[^ \n]*:(\d+)", server.banner).group(1))

        def tls():
            return http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=context)

        makers = [plain(server), tls, lambda: Unix("localhost")]
        with Load(*[form(maker) for maker in makers for form in (keeping_alive, one_by_one)]) as load:
            while load.answers < 100 and not load.failures:
                time.sleep(0.01)
            with upgraded(server):
                after = load.answers
                until = time.monotonic() + 60
                while load.answers < after + 200 and time.monotonic() < until:
                    time.sleep(0.01)
                load.stopping = True
                for thread in load.threads:
                    thread.join(60)
        assert load.failures == []
        assert load.answers > after


def test_an_idle_connection_may_ask_once_more(model):
    with Server(model) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("GET", "/readyz")
        assert connection.getresponse().read()
        server.signal(signal.SIGUSR2)
        wait_for_log(server, "event=upgrade.done")
        time.sleep(1)  # longer than a process that stops waits
        connection.request("GET", "/readyz")
        reply = connection.getresponse()
        assert reply.status == 200 and reply.will_close
        reply.read()
        assert server.wait() == 0
        os.kill(int(re.findall(r"upgrade.done pid=(\d+)", server.log())[-1]), signal.SIGTERM)


def still_serves(server):
    assert server.process.poll() is None
    assert server.request(PATH, BODY)[0] == 200


def test_a_new_process_that_lacks_a_model_does_not_take_over(model, tmp_path):
    path = tmp_path / "risk.json"
    shutil.copy(model, path)
    with Server(path) as server:
        path.write_text("{")
        server.signal(signal.SIGUSR2)
        wait_for_log(server, "event=upgrade.failed")
        still_serves(server)
        shutil.copy(model, path)
        with upgraded(server):
            still = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            still.request("POST", PATH, BODY)
            assert still.getresponse().status == 200


def test_models_that_are_loaded_on_demand_do_not_hold_it_up(model, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "models" / name / "1").mkdir(parents=True)
        shutil.copy(model, tmp_path / "models" / name / "1" / "model.json")
    config = tmp_path / "phoenix.yaml"
    config.write_text("serving:\n  load_models: demand\n")
    with Server(tmp_path / "models", "--config", config) as server:
        assert server.request("/v1/models/a:predict", BODY)[0] == 200
        with upgraded(server):
            for name in ("a", "b"):
                client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
                client.request("POST", f"/v1/models/{name}:predict", BODY)
                assert client.getresponse().status == 200


def test_of_several_models_each_must_be_there(model, tmp_path):
    other = tmp_path / "churn.json"
    shutil.copy(model, other)
    with Server(model, other) as server:
        other.write_text("{")
        server.signal(signal.SIGUSR2)
        wait_for_log(server, "model churn/1 is ready here, and not in the new process")
        still_serves(server)


def test_a_wrong_file_is_told_by_the_old_process(model, tmp_path):
    config = tmp_path / "phoenix.yaml"
    config.write_text("")
    with Server(model, "--config", config) as server:
        config.write_text("server:\n  prot: 1\n")
        server.signal(signal.SIGUSR2)
        wait_for_log(server, "event=upgrade.failed")
        assert "server.prot" in server.log()
        still_serves(server)


def test_a_program_that_is_none_or_hangs_changes_nothing(model, tmp_path, monkeypatch):
    program = tmp_path / "phoenix"
    shutil.copy(PHOENIX, program)
    config = tmp_path / "phoenix.yaml"
    config.write_text("server:\n  upgrade_timeout_ms: 500\n")

    monkeypatch.setattr("server.PHOENIX", str(program))
    with Server(model, "--config", config) as running:
        for text, said in (("#!/bin/sh\nexit 3\n", "ended with status 3"), ("#!/bin/sh\nexec sleep 1000\n", "upgrade_timeout_ms")):
            program.unlink()
            program.write_text(text)
            program.chmod(0o755)
            running.signal(signal.SIGUSR2)
            wait_for_log(running, said)
            still_serves(running)
        program.unlink()
        running.signal(signal.SIGUSR2)
        wait_for_log(running, "No such file or directory")
        still_serves(running)


def test_settings_that_need_a_restart_hold_after_an_upgrade(model, tmp_path):
    config = tmp_path / "phoenix.yaml"
    config.write_text("serving:\n  batch_rows_max: 7\n")
    with Server(model, "--config", config, "--threads", "2") as server:
        config.write_text("serving:\n  batch_rows_max: 9\n")
        assert server.request("/api/v1/config/reload", method="POST")[0] == 409
        with upgraded(server):
            rows = server.request("/api/v1/config")[1]["settings"]
            assert {r["key"]: r["value"] for r in rows}["serving.batch_rows_max"] == "9"


def test_a_stop_during_an_upgrade_ends_both(model, tmp_path):
    with Server(model) as server:
        server.signal(signal.SIGUSR2)
        wait_for_log(server, "event=upgrade.started")
        server.signal()
        assert server.wait() == 0


def test_the_service_manager_is_told_who_goes_on(model, tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(30)
        with Server(model, env={"NOTIFY_SOCKET": path}) as server:
            assert b"READY=1" in s.recv(65536)
            with upgraded(server) as pid:
                said = [s.recv(65536).decode(), s.recv(65536).decode()]
                assert any(f"MAINPID={pid}\n" in text for text in said), said
                assert any("READY=1" in text for text in said)
                assert not any("STOPPING" in text for text in said)


def test_sockets_of_a_socket_unit_are_used(model, tmp_path):
    path = tmp_path / "s"
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        unix.bind(str(path))
        unix.listen()
        port = tcp.getsockname()[1]
        launcher = (
            "import os,sys\n"
            f"os.dup2({tcp.fileno()}, 103); os.dup2({unix.fileno()}, 104)\n"
            "os.dup2(103, 3); os.dup2(104, 4)\n"
            "os.set_inheritable(3, True); os.set_inheritable(4, True)\n"
            "os.environ.update(LISTEN_FDS='2', LISTEN_PID=str(os.getpid()))\n"
            "os.execv(sys.argv[1], sys.argv[1:])\n")
        listen = f"http://127.0.0.1:{port}, unix:{path}"
        process = subprocess.Popen(
            ["python3", "-c", launcher, PHOENIX, "serve", model, "--listen", listen, "--threads", "2", "--drain-delay-ms", "0"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=(tcp.fileno(), unix.fileno()))
        try:
            early = http.client.HTTPConnection("127.0.0.1", port, timeout=60)  # before anything serves
            early.request("POST", PATH, BODY)
            assert early.getresponse().status == 200
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(60)
                s.connect(str(path))
                s.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                assert s.recv(65536).startswith(b"HTTP/1.1 200")
        finally:
            process.terminate()
            _, log = process.communicate(timeout=60)
        assert process.returncode == 0, log
        assert "sockets_unused" not in log
