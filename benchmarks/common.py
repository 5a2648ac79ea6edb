# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: the model and its rows, processes, rounds, ratios, the machine.

A benchmark runs Phoenix and its peer in turns (A B A B ...), at least five times each, on the same
machine and the same input, and gives the ratio of each pair of turns: its median, least and most.
"""
import contextlib
import ctypes
import json
import os
import pathlib
import platform
import signal
import socket
import statistics
import subprocess
import time

import numpy as np
import xgboost

ROOT = pathlib.Path(__file__).resolve().parents[1]
PHOENIX = pathlib.Path(os.environ.get("PHOENIX", ROOT / "build" / "phoenix"))
N_FEATURES, N_TREES, DEPTH = 30, 100, 6

PR_SET_CHILD_SUBREAPER = 36


def make_model(folder):
    """Trains the model that every benchmark uses; returns the path of its file."""
    random = np.random.default_rng(7)
    rows = random.normal(size=(20_000, N_FEATURES)).astype(np.float32)
    latent = rows[:, :8].sum(axis=1) + rows[:, 8] * rows[:, 9] + random.normal(size=len(rows))
    labels = (latent > 0).astype(np.float32)
    booster = xgboost.train(
        {"objective": "binary:logistic", "max_depth": DEPTH, "eta": 0.1, "seed": 7, "nthread": 2},
        xgboost.DMatrix(rows, labels), num_boost_round=N_TREES)
    path = folder / "model.json"
    booster.save_model(path)
    return path


def make_rows(n, seed=11):
    return np.random.default_rng(seed).normal(size=(n, N_FEATURES)).astype(np.float32)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(port, path):
    """One GET without a client library, for polling; the status code, or 0 when nobody answers."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as link:
            link.sendall(f"GET {path} HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n".encode())
            return int(link.recv(64).split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def build(*targets):
    """Builds what a benchmark runs, in build/."""
    subprocess.run([ROOT / "tools" / "build", "release", "--quiet", *targets], cwd=ROOT, check=True)


class Terminated(BaseException):
    """SIGTERM came: whoever has started something ends it, as after an interrupt."""


@contextlib.contextmanager
def ending_children():
    """Processes that were started in the block, theirs included, do not outlive it, also when this one is asked to end."""

    def terminate(*_):
        raise Terminated

    # Orphans of orphans become children of this process, so that they are found at the end.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        for pid in descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Server:
    """A server process, which ends with its block.

    It is ready when `path` answers 200, or anything with `any_answer`; without a path, when it takes connections.
    """

    def __init__(self, command, port, path, environment=None, any_answer=False, patience_s=30):
        self.command, self.port, self.path = [str(word) for word in command], port, path
        self.environment = {**os.environ, **(environment or {})}
        self.any_answer, self.patience_s = any_answer, patience_s

    def is_ready(self):
        if self.path is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
            return False
        status = get(self.port, self.path)
        return status != 0 if self.any_answer else status == 200

    def __enter__(self):
        started = time.perf_counter()
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        start_new_session=True, env=self.environment)
        while not self.is_ready():
            if self.process.poll() is not None or time.perf_counter() - started > self.patience_s:
                self.__exit__()
                raise SystemExit(f"did not become ready: {' '.join(self.command)}")
        self.ready_seconds = time.perf_counter() - started
        return self

    def __exit__(self, *_):
        children = descendants(self.process.pid)
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        for pid in children:  # those that left the group and outlived their parent
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def resident_bytes(self):
        """Resident memory of the process and its children."""
        children = subprocess.run(["pgrep", "-g", str(self.process.pid)], capture_output=True,
                                  text=True, check=False).stdout.split()
        return sum(status_bytes(pid, "VmRSS") for pid in children)


def descendants(pid):
    """Process ids of the children of a process, and of theirs."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True,
                           check=False).stdout.split()
    return [int(child) for child in found] + [each for child in found for each in descendants(child)]


def status_bytes(pid, key):
    """A line of /proc/PID/status in bytes (VmRSS: resident, VmHWM: its peak); 0 when it is gone."""
    value = first_match(f"/proc/{pid}/status", key).split()[0]
    return int(value) * 1024 if value.isdigit() else 0


def phoenix_server(model, port):
    return Server([PHOENIX, "serve", f"m={model}", "--port", port, "--drain-delay-ms", 0], port,
                  "/readyz")


def nginx_server(folder, port, body):
    """nginx that returns `body` to everything: the least that any HTTP server could do."""
    config = folder / "nginx.conf"
    quoted = body.replace("\\", "\\\\").replace("'", "\\'")
    config.write_text(f"""
daemon off; worker_processes 2; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 100000000; default_type application/json;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port} reuseport; location / {{ return 200 '{quoted}'; }} }}
}}
""")
    binary = next((path for path in ("/usr/sbin/nginx", "/usr/bin/nginx")
                   if os.path.exists(path)), "nginx")
    return Server([binary, "-p", folder, "-c", config], port, "/")


def spread(values):
    """Median, least and most."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def show(value, digits=3):
    """`1.02 (0.98..1.05)` for a spread, three significant digits."""
    def one(number):
        text = f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.{digits}g}"
        return text
    if isinstance(value, dict):
        return f"{one(value['median'])} ({one(value['min'])}..{one(value['max'])})"
    return one(value)


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def first_match(path, key):
    try:
        for line in pathlib.Path(path).read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    except OSError:
        pass
    return "unknown"


def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT,
                              check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def describe_machine():
    """What a reader needs to judge the numbers; nothing that names a particular computer."""
    os_release = dict(line.partition("=")[::2] for line in
                      pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    memory_kb = first_match("/proc/meminfo", "MemTotal").split()[0]
    return {
        "cpu": first_match("/proc/cpuinfo", "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(memory_kb) / 2**20, 1) if memory_kb.isdigit() else None,
        "system": os_release.get("PRETTY_NAME", "unknown").strip('"'),
        "kernel": platform.release().split("-")[0],
        "compiler": output_of("cc", "--version").split("\n", 1)[0],
        "load_before": os.getloadavg()[0],
        "commit": output_of("git", "rev-parse", "--short", "HEAD"),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")
