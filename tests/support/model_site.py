# SPDX-License-Identifier: Apache-2.0
"""A web server for a folder of models that does what web servers do on bad days.

    with Site(folder) as site:
        site.url                      http://127.0.0.1:PORT
        site.rules["model.json"] = dict(status=500)

A rule is for paths that end with its key; it may have
    status      answer with it and nothing else
    cut         close the connection after as many bytes of the body
    rate        bytes per second
    change      a function from the bytes of the file to those that are sent
    hold        a threading.Event to wait for before the body
    redirect    where to send the client instead
    no_range    ignore Range
and `times`: for so many requests only.
"""

import email.utils
import hashlib
import http.server
import pathlib
import re
import ssl
import threading
import time


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):  # noqa: N802 (the name is the library's)
        site = self.server.site
        rule = site.rule_for(self.path)
        path = site.folder / self.path.lstrip("/")
        if "redirect" in rule:
            self._plain(302, {"Location": rule["redirect"]})
        elif "status" in rule:
            self._plain(rule["status"])
        elif site.token and self.headers.get("Authorization") != f"Bearer {site.token}":
            self._plain(401)
        elif not path.is_file():
            self._plain(404)
        else:
            self._file(path, rule)
        site.note(self)

    def _plain(self, status, headers=None):
        self.sent = (status, 0)
        body = b"the server says something about it"
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _file(self, path, rule):
        data = path.read_bytes()
        tag = f'"{hashlib.md5(data).hexdigest()}"'
        data = rule.get("change", lambda text: text)(data)
        if self.headers.get("If-None-Match") == tag:
            self.sent = (304, 0)
            self.send_response(304)
            self.send_header("ETag", tag)
            self.end_headers()
            return
        first, status = 0, 200
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if match and not rule.get("no_range") and self.headers.get("If-Range", tag) == tag:
            first, status = int(match.group(1)), 206
        if first >= len(data) > 0:
            self._plain(416, {"Content-Range": f"bytes */{len(data)}"})
            return
        self.send_response(status)
        self.send_header("ETag", tag)
        self.send_header("Last-Modified", email.utils.formatdate(path.stat().st_mtime, usegmt=True))
        self.send_header("Content-Length", str(len(data) - first))
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        self.sent = (status, 0)
        self._body(data[first:], rule)

    def _body(self, data, rule):
        if "hold" in rule:
            rule["hold"].wait(60)
        end = min(len(data), rule.get("cut", len(data)))
        piece = max(1, rule["rate"] // 20) if "rate" in rule else 1 << 20
        for at in range(0, end, piece):
            if self.server.site.stopping:
                break
            part = data[at : min(at + piece, end)]
            try:
                self.wfile.write(part)
            except OSError:
                self.close_connection = True
                return
            self.sent = (self.sent[0], self.sent[1] + len(part))
            if "rate" in rule:
                time.sleep(0.05)
        if self.sent[1] < len(data):
            self.close_connection = True


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


class Site:
    """`requests` lists (path, status, bytes of the body that were sent, headers), the oldest first."""

    def __init__(self, folder, token=None, certificate=None, port=0):
        self.folder, self.token, self.certificate = pathlib.Path(folder), token, certificate
        self.rules, self.requests = {}, []
        self._port, self._lock = port, threading.Lock()
        self.start()

    def start(self):
        """Begins, or begins again on the port that it had."""
        self.stopping = False
        self._server = _Server(("127.0.0.1", self._port), _Handler)
        self._server.site = self
        self._port = self._server.server_address[1]
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        scheme = "https" if self.certificate else "http"
        self.url = f"{scheme}://127.0.0.1:{self._port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self):
        """As if it had been killed: nothing is answered any more."""
        self.stopping = True
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def rule_for(self, path):
        with self._lock:
            for end, rule in self.rules.items():
                if path.endswith(end) and rule.get("times", 1) > 0:
                    if "times" in rule:
                        rule["times"] -= 1
                    return rule
        return {}

    def note(self, handler):
        status, sent = getattr(handler, "sent", (0, 0))
        with self._lock:
            self.requests.append((handler.path, status, sent, dict(handler.headers)))

    def sent(self, end):
        """Bytes of the bodies of all answers for paths that end so."""
        with self._lock:
            return sum(n for path, _, n, _ in self.requests if path.endswith(end))

    def count(self, end):
        with self._lock:
            return sum(path.endswith(end) for path, _, _, _ in self.requests)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()
