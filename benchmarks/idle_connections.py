# SPDX-License-Identifier: Apache-2.0
"""Memory of a connection that is open and idle, over HTTP/1.1 and HTTP/2, plain and with TLS; nginx as a yardstick.

Each connection has had one request answered, so it is what a client's pool keeps. Resident memory of the server with the
connections, less that of the same server after a few of them have come and gone, divided by their number; the
kernel's buffers are not in it.
"""
import contextlib
import functools
import pathlib
import socket
import ssl
import subprocess
import sys
import time

import common

sys.path.insert(0, str(common.ROOT / "tests" / "support"))
import raw_http2  # noqa: E402  (a path of its own)

WARM = 32
KINDS = {"HTTP/1.1": (False, False), "HTTP/2": (False, True), "HTTP/1.1 over TLS": (True, False),
         "HTTP/2 over TLS": (True, True)}


def make_certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", folder / "key.pem", "-out", folder / "certificate.pem", "-days", "2",
                    "-subj", "/CN=localhost"], check=True, capture_output=True)


def phoenix(folder, model, plain, tls):
    (folder / "phoenix.yaml").write_text(
        f"server:\n  listen: 127.0.0.1:{plain}, https://127.0.0.1:{tls}\n  idle_timeout_ms: 600000\n"
        f"tls:\n  certificate_file: {folder}/certificate.pem\n  key_file: {folder}/key.pem\n")
    command = [common.PHOENIX, "serve", f"m={model}", "--config", folder / "phoenix.yaml", "--drain-delay-ms", 0]
    return common.Server(command, plain, "/healthz")


def nginx(folder, plain, tls):
    """nginx of the same two cores; HTTP/2 is a matter of the listener there, so it gets the TLS one."""
    (folder / "nginx.conf").write_text(f"""
daemon off; worker_processes 2; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 16384; }}
http {{
    access_log off; keepalive_timeout 600s; default_type application/json;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    ssl_certificate {folder}/certificate.pem; ssl_certificate_key {folder}/key.pem;
    server {{ listen 127.0.0.1:{plain}; listen 127.0.0.1:{tls} ssl http2; location / {{ return 200 '{{}}'; }} }}
}}
""")
    return common.Server(["/usr/sbin/nginx", "-p", folder, "-c", folder / "nginx.conf"], plain, "/healthz")


@functools.cache
def tls_context(is_h2):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"] if is_h2 else ["http/1.1"])
    return context


def connect(port, has_tls, is_h2):
    """A connection on which /healthz has been answered."""
    link = socket.create_connection(("127.0.0.1", port), timeout=30)
    if has_tls:
        link = tls_context(is_h2).wrap_socket(link)
    if is_h2:
        scheme = "https" if has_tls else "http"
        link.sendall(raw_http2.opening() + raw_http2.headers("GET", "/healthz", end=True, scheme=scheme))
        raw_http2.read_response(link.recv)
    else:
        link.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert link.recv(4096).startswith(b"HTTP/1.1 200")
    return link


def open_many(n, *how):
    with contextlib.ExitStack() as stack:
        for _ in range(n):
            stack.enter_context(contextlib.closing(connect(*how)))
        return stack.pop_all()


def measure(make_server, n, kind, rounds):
    """KiB for each connection."""
    has_tls, is_h2 = KINDS[kind]
    costs = []
    for _ in range(rounds):
        plain, tls = common.free_port(), common.free_port()
        with make_server(plain, tls) as server:
            port = tls if has_tls else plain
            with open_many(WARM, port, has_tls, is_h2):
                pass
            time.sleep(0.3)
            before = server.resident_bytes()
            with open_many(n, port, has_tls, is_h2):
                time.sleep(0.5)
                costs.append((server.resident_bytes() - before) / n / 1024)
    return common.spread(costs)


def run(folder, quick):
    n, rounds = (200, 1) if quick else (500, 5)
    folder = pathlib.Path(folder)
    model = common.make_model(folder)
    make_certificate(folder)
    servers = {"phoenix": lambda *ports: phoenix(folder, model, *ports), "nginx": lambda *ports: nginx(folder, *ports)}
    result = {"connections": n, "rounds": rounds, "kib": {}}
    for kind in KINDS:
        result["kib"][kind] = {}
        for name, make_server in servers.items():
            if name == "nginx" and kind == "HTTP/2":
                continue
            result["kib"][kind][name] = measure(make_server, n, kind, rounds)
            print(f"  {kind}, {name}: {common.show(result['kib'][kind][name])} KiB", flush=True)
    return result


def report(result):
    rows = [[kind, common.show(costs["phoenix"]), common.show(costs["nginx"]) if "nginx" in costs else ""]
            for kind, costs in result["kib"].items()]
    return (f"{result['connections']} connections that have had one answer and rest, {result['rounds']} starts of the server "
            "for each row; growth of resident memory in user space, without the kernel's buffers.\n\n"
            + common.table(["protocol", "Phoenix, KiB each", "nginx, KiB each"], rows))
