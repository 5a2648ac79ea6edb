# SPDX-License-Identifier: Apache-2.0
"""The time that the server adds to a bare call of the engine: one connection, one request after the other.

    added = p50 of the request at the client - p50 of the floor - one bare call of the engine

The floor is an epoll loop that counts the request's bytes and answers with the bytes of Phoenix's reply (socket_timer.c): what
the client, the kernel's sockets and the waking of two processes cost without any server. All three are measured in each round.
The server's own statistics of the same requests are the second view.
"""
import contextlib
import ctypes
import dataclasses
import json
import os
import socket
import subprocess
import urllib.request

import binary_rows
import common
import forest_peers
import numpy as np
import onnx_models

PATH = "/v2/models/m/infer"
CLIENTS = {"sleep": "sleeps", "spin": "spins"}
ENGINE_BUDGET_NS = 100e6
PARTS = {"total": "success", "queue": "queue", "compute": "compute_infer"}


@dataclasses.dataclass
class Case:
    title: str
    target_us: float
    model: object  # path
    rows: object
    names: tuple  # of the input and of the output
    bare_us: object  # function: one bare call of the engine


def forest_case(folder):
    """100 trees; the bare call is phx_model_predict_f32, timed in C, the least of many."""
    model, rows = common.make_model(folder), common.make_rows(1)
    library = ctypes.CDLL(str(common.PHOENIX.parent / "libphoenix.so"))
    library.phx_model_open.restype = ctypes.c_void_p
    message = ctypes.create_string_buffer(512)
    handle = ctypes.c_void_p(library.phx_model_open(str(model).encode(), message, 512))
    if not handle:
        raise SystemExit(f"server_added: {message.value.decode()}")
    timer, out = forest_peers.build_timer(folder), np.zeros(1, np.float32)
    batches = forest_peers.Batches(rows.ctypes.data, 1, rows.shape[1], rows.strides[0], 1, ENGINE_BUDGET_NS,
                                   out.ctypes.data)

    def bare_us(_n):
        return timer.time_phoenix(ctypes.byref(batches), forest_peers.address(library.phx_model_predict_f32),
                                  handle) / 1000
    return Case(f"{common.N_TREES} trees, 1 row × {common.N_FEATURES}", 30, model, rows, ("input", "predictions"), bare_us)


def onnx_case(folder):
    """A tiny network; the bare call is ONNX Runtime's Run with its input's value made once (onnx_timer.c)."""
    model = onnx_models.write(onnx_models.TINY, folder / "tiny.onnx")
    timer = common.PHOENIX.parent / "tests" / "onnx_timer"

    def bare_us(n):
        lines = subprocess.run([timer, model, str(n), str(onnx_models.TINY.shape[0])], env=os.environ | onnx_models.environment(),
                               check=True, capture_output=True, text=True).stdout.splitlines()
        return int(next(line for line in lines if line.startswith("bare ")).split()[1]) / 1000
    return Case(f"ONNX, {onnx_models.TINY.title}, 1 row", 15, model, onnx_models.make_rows(onnx_models.TINY, 1),
                ("x", "y"), bare_us)


def http_request(rows, names, binary):
    """The bytes of a request."""
    if binary:
        head, body = binary_rows.binary_request(rows, *names)
        fields = f"Content-Type: application/octet-stream\r\nInference-Header-Content-Length: {len(head)}\r\n"
    else:
        body = json.dumps({"inputs": [{"name": names[0], "shape": list(rows.shape), "datatype": "FP32",
                                       "data": rows.ravel().tolist()}]}, separators=(",", ":")).encode()
        fields = "Content-Type: application/json\r\n"
    return f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body


def reply_to(port, request):
    """The bytes of the reply, whose length is the same each time."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
        link.sendall(request)
        reply = b""
        while True:
            head, end, body = reply.partition(b"\r\n\r\n")
            length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
                           if line.startswith(b"content-length:")), 0)
            if end and len(body) >= length:
                break
            reply += link.recv(1 << 16)
    if not reply.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"server_added: {reply[:300]}")
    return reply


def statistics_of(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/models/m/stats", timeout=10) as reply:
        of = json.loads(reply.read())["model_stats"][0]["inference_stats"]
    return {part: (of[name]["ns"], of[name]["count"]) for part, name in PARTS.items()}


def time_requests(tool, port, request, reply_bytes, n, client):
    """p50, p99 and mean in microseconds."""
    line = subprocess.run([tool, "time", str(port), request, str(reply_bytes), str(n), client], check=True,
                          capture_output=True, text=True).stdout
    return [int(word) / 1000 for word in line.split()]


def own_view(before, after):
    """Means in microseconds of the requests between two readings of the server's statistics."""
    return {part: (after[part][0] - before[part][0]) / max(after[part][1] - before[part][1], 1) / 1000 for part in PARTS}


def measure(case, tool, folder, binary, n, rounds):
    """{client: [a round, ...]}"""
    request, reply = folder / "request", folder / "reply"
    request.write_bytes(http_request(case.rows, case.names, binary))
    with contextlib.ExitStack() as stack:
        phoenix = stack.enter_context(common.phoenix_server(case.model, common.free_port()))
        reply.write_bytes(reply_to(phoenix.port, request.read_bytes()))
        sizes = request.stat().st_size, reply.stat().st_size
        port = common.free_port()
        stack.enter_context(common.Server([tool, "echo", port, sizes[0], reply], port, None))
        turns = {client: [] for client in CLIENTS}
        for _ in range(rounds):
            for client, got in turns.items():
                floor = time_requests(tool, port, request, sizes[1], n, client)
                before = statistics_of(phoenix.port)
                ours = time_requests(tool, phoenix.port, request, sizes[1], n, client)
                own = own_view(before, statistics_of(phoenix.port))
                got.append({"floor": floor[0], "p50": ours[0], "p99": ours[1], "bare": case.bare_us(n), **own})
    return sizes, turns


def summarise(case, binary, sizes, client, turns):
    keys = {key: common.spread([turn[key] for turn in turns]) for key in turns[0]}
    added = [turn["p50"] - turn["floor"] - turn["bare"] for turn in turns]
    return {"case": case.title, "target_us": case.target_us, "encoding": "binary" if binary else "JSON", "client": client,
            "request_bytes": sizes[0], "reply_bytes": sizes[1], **keys, "added": common.spread(added)}


def run(folder, quick):
    n, rounds = (1_000, 2) if quick else (20_000, 5)
    subprocess.run([common.ROOT / "tools" / "build", "release", "onnx_timer"], check=True,
                   stdout=subprocess.DEVNULL)
    os.environ.update(onnx_models.environment())
    tool = folder / "socket_timer"
    subprocess.run(["cc", "-O2", common.ROOT / "benchmarks" / "socket_timer.c", "-o", tool], check=True)
    results = []
    for case in (forest_case(folder), onnx_case(folder)):
        for binary in (False, True):
            sizes, turns = measure(case, tool, folder, binary, n, rounds)
            results += [summarise(case, binary, sizes, client, got) for client, got in turns.items()]
            print(f"  {case.title}, {results[-1]['encoding']}: "
                  + ", ".join(f"{common.show(entry['added'])} µs (client {CLIENTS[entry['client']]})"
                              for entry in results[-2:]), flush=True)
    return {"rounds": rounds, "requests": n, "results": results}


def report(result):
    rows = [[entry["case"], entry["encoding"], CLIENTS[entry["client"]],
             *[common.show(entry[key]) for key in ("p50", "p99", "floor", "bare", "added")], f"≤ {entry['target_us']:g}"]
            for entry in result["results"]]
    own = [[entry["case"], entry["encoding"], CLIENTS[entry["client"]],
            *[common.show(entry[part]) for part in PARTS]] for entry in result["results"]]
    return (f"One connection, one request after the other, {result['rounds']} rounds of {result['requests']:,} requests; a C client. "
            "*Added* is the request's p50 less the floor's p50 (an epoll loop that answers the same bytes to the same bytes) less one bare "
            "call of the engine, round by round. A client that sleeps is woken by the kernel in both; one that spins is not, and "
            "leaves the server one core of two.\n\n"
            + common.table(["model", "request", "client", "p50 µs", "p99 µs", "floor, p50 µs", "bare engine, µs", "**added, µs**",
                            "target"], rows)
            + "\nThe same requests by the server's own statistics (`/v2/models/m/stats`), means in µs: total is from the request's "
              "bytes to its reply's, queue until a thread takes it.\n\n"
            + common.table(["model", "request", "client", *PARTS], own))
