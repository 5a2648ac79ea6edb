# SPDX-License-Identifier: Apache-2.0
"""Starts and stops `phoenix serve` for a test."""

import json
import os
import re
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request

from command import PHOENIX


class Server:
    """A serving process on a free port of the loopback, or on `port`; use it with `with`.

    url, port   where it listens
    banner      what it printed before it was ready
    stderr      a file for its log, which `log` shows unless one is given
    """

    def __init__(self, *arguments, env=None, drain_delay_ms=0, port=0, stderr=None):
        self._log = tempfile.TemporaryFile()
        command = [PHOENIX, "serve", *map(str, arguments), "--port", str(port)]
        command += ["--drain-delay-ms", str(drain_delay_ms)]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=stderr or self._log,
            text=True,
            env={**os.environ, **(env or {})},
        )
        self.banner = self._read_banner()
        self.port = int(re.search(r"http://[^ \n]*:(\d+)", self.banner).group(1))
        self.url = f"http://127.0.0.1:{self.port}"

    def _read_banner(self):
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line.startswith("Dashboard "):
                return "".join(lines)
        self.process.wait()
        raise AssertionError(f"phoenix serve did not start:\n{''.join(lines)}{self.log()}")

    def log(self):
        """What it wrote to standard error so far. Reading must not move the place that the server writes to."""
        return os.pread(self._log.fileno(), 1 << 30, 0).decode(errors="replace")

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self, timeout=60):
        """Waits for its end; returns the exit status."""
        return self.process.wait(timeout)

    def stop(self):
        """Ends it politely; returns the exit status."""
        if self.process.poll() is None:
            self.signal()
        try:
            return self.wait()
        finally:
            self.process.stdout.close()
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        status = self.stop()
        if kind is None:
            assert status == 0, f"status {status}\n{self.log()}"

    def request(self, path, body=None, headers=None, method=None):
        """(status, body) of one request; a dict or list is sent as JSON, JSON comes back parsed."""
        data = body
        if isinstance(body, (dict, list)):
            data = json.dumps(body).encode()
        elif isinstance(body, str):
            data = body.encode()
        request = urllib.request.Request(
            self.url + path, data=data, headers=headers or {}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                status, kind, text = reply.status, reply.headers["Content-Type"], reply.read()
        except urllib.error.HTTPError as reply:
            status, kind, text = reply.code, reply.headers["Content-Type"], reply.read()
        is_json = kind and "json" in kind
        return status, json.loads(text) if is_json and text else text.decode()

    def predict(self, model, instances, **members):
        """The predictions of /v1/models/MODEL:predict."""
        status, reply = self.request(
            f"/v1/models/{model}:predict", {"instances": instances, **members}
        )
        assert status == 200, reply
        return reply["predictions"]

    def metric(self, name, **labels):
        """Sum of the samples of a metric whose labels contain these."""
        _, text = self.request("/metrics")
        total = 0.0
        for line in text.splitlines():
            match = re.match(rf"{re.escape(name)}(\{{.*\}})? (\S+)$", line)
            wanted = all(f'{k}="{v}"' in line for k, v in labels.items())
            if match and wanted:
                total += float(match.group(2))
        return total
