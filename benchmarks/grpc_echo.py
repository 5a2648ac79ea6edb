# SPDX-License-Identifier: Apache-2.0
"""gRPC ModelInfer of one row against a bare nghttp2 server that answers with as many bytes and reads nothing.

h2load makes the load, with one thread, and shares the cores with the server. The peer (http2_echo.c) has as many threads as
Phoenix has loops. It frames no messages, sends no trailers, and knows no model: it is the floor under HTTP/2 here.
"""
import re
import struct
import subprocess

import common

HERE = common.ROOT / "benchmarks"
LOADS = ((1, 1), (1, 32), (16, 1), (16, 32), (64, 1), (64, 32))  # connections, streams
PATH = "/inference.GRPCInferenceService/ModelInfer"


def field(number, payload):
    """A length-delimited field of protobuf."""
    return bytes([number << 3 | 2, *varint(len(payload))]) + payload


def varint(value):
    while value > 127:
        yield value & 127 | 128
        value >>= 7
    yield value


def make_request(rows):
    shape = bytes(byte for size in rows.shape for byte in varint(size))
    tensor = field(1, b"input") + field(2, b"FP32") + field(3, shape)
    message = field(1, b"m") + field(5, tensor) + field(7, rows.tobytes())
    return struct.pack(">BI", 0, len(message)) + message


def build_echo(folder):
    binary = folder / "http2_echo"
    subprocess.run(["cc", "-O2", "-o", binary, HERE / "http2_echo.c", "-lnghttp2", "-lpthread"], check=True)
    return binary


def h2load(port, connections, streams, seconds, body):
    done = subprocess.run(
        ["h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{seconds}", "--warm-up-time=1", "-d", body,
         "-H", "content-type: application/grpc", "-H", "te: trailers", f"http://127.0.0.1:{port}{PATH}"],
        capture_output=True, text=True, check=True)
    text = done.stdout
    rate = float(re.search(r"finished in [^,]*, ([0-9.]+) req/s", text).group(1))
    failed = re.search(r"(\d+) failed, (\d+) errored, (\d+) timeout", text)
    if any(int(number) for number in failed.groups()):
        raise SystemExit(f"grpc_echo: {failed.group(0)} on port {port}\n{text}")
    return rate


def run(folder, quick):
    rounds, seconds = (2, 1) if quick else (5, 2)
    model = common.make_model(folder)
    body = folder / "request"
    body.write_bytes(make_request(common.make_rows(1)))
    echo_port = common.free_port()
    results = []
    with common.phoenix_server(model, common.free_port()) as phoenix, \
            common.Server([build_echo(folder), echo_port, 60, common.describe_machine()["cores"]], echo_port,
                          None) as echo:
        for connections, streams in LOADS:
            turns = [tuple(h2load(server.port, connections, streams, seconds, body)
                           for server in (echo, phoenix)) for _ in range(rounds)]
            results.append({"connections": connections, "streams": streams,
                            "ratio": common.spread([ours / bare for bare, ours in turns]),
                            "echo": common.spread([bare for bare, _ in turns]),
                            "phoenix": common.spread([ours for _, ours in turns])})
            print(f"  {connections} x {streams}: {common.show(results[-1]['ratio'])}x the bare server", flush=True)
    return {"rounds": rounds, "seconds": seconds, "results": results}


def report(result):
    rows = [[entry["connections"], entry["streams"], common.show(entry["phoenix"]), common.show(entry["echo"]),
             common.show(entry["ratio"])] for entry in result["results"]]
    return (f"One row of {common.N_FEATURES} FP32 values in raw_input_contents, {common.N_TREES} trees of depth "
            f"{common.DEPTH}; {result['rounds']} rounds of {result['seconds']} s in turns, h2load with one thread.\n\n"
            + common.table(["connections", "streams", "Phoenix, calls/s", "bare nghttp2, requests/s", "ratio"],
                           rows))
