# SPDX-License-Identifier: Apache-2.0
"""Predictions per second of 64-row requests with binary tensors over HTTP, wrk and the server on the same cores.

The target that users set: 1,000,000 predictions/s with p99 under 5 ms. The engine alone, one call after the other in
one thread, is measured beside it through libphoenix; and the time that the server adds to one request at a time: the client's
p50 over one connection less the engine's call.
"""
import ctypes
import json
import os
import statistics
import subprocess
import time

import common

CONNECTIONS = (1, 2, 4, 8, 16, 32)
ROWS = (1, 64)


def binary_request(rows, name="input", output="predictions"):
    head = json.dumps({"inputs": [{"name": name, "shape": list(rows.shape), "datatype": "FP32",
                                   "parameters": {"binary_data_size": rows.nbytes}}],
                       "outputs": [{"name": output, "parameters": {"binary_data": True}}]},
                      separators=(",", ":")).encode()
    return head, head + rows.tobytes()


def wrk(port, connections, seconds, body, head_length, path="/v2/models/m/infer"):
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", common.ROOT / "benchmarks" / "binary.lua",
         f"http://127.0.0.1:{port}{path}"],
        capture_output=True, text=True, check=True,
        env={**os.environ, "BODY": str(body), "HEAD_LENGTH": str(head_length)})
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    result = json.loads(line[len("RESULT "):])
    if result["errors"]:
        raise SystemExit(f"binary_rows: {result['errors']} requests failed")
    return result


def engine_call_us(model, rows, calls=4000):
    """Median of one call of the engine with these rows, one thread, through the C library."""
    library = ctypes.CDLL(str(common.ROOT / "build" / "libphoenix.so"))
    library.phx_model_open.restype = ctypes.c_void_p
    message = ctypes.create_string_buffer(500)
    handle = ctypes.c_void_p(library.phx_model_open(str(model).encode(), message, ctypes.c_size_t(500)))
    out = (ctypes.c_float * len(rows))()
    arguments = (handle, rows.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(len(rows)),
                 ctypes.c_size_t(rows.shape[1]), out, ctypes.c_uint(0))
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        library.phx_model_predict_f32(*arguments)
        times.append(time.perf_counter() - started)
    library.phx_model_close(handle)
    return statistics.median(times) * 1e6


def run(folder, quick):
    rounds, seconds = (2, 1) if quick else (5, 3)
    model = common.make_model(folder)
    results, engine = [], {}
    with common.phoenix_server(model, common.free_port()) as server:
        for n in ROWS:
            rows = common.make_rows(n)
            head, request = binary_request(rows)
            body = folder / f"body-{n}"
            body.write_bytes(request)
            engine[str(n)] = engine_call_us(model, rows)
            for connections in CONNECTIONS:
                wrk(server.port, connections, 1, body, len(head))
                turns = [wrk(server.port, connections, seconds, body, len(head)) for _ in range(rounds)]
                results.append({"rows": n, "connections": connections,
                                "predictions_per_s": common.spread([turn["requests_per_s"] * n for turn in turns]),
                                "p50_us": common.spread([turn["p50_us"] for turn in turns]),
                                "p99_us": common.spread([turn["p99_us"] for turn in turns])})
                print(f"  {n} rows, {connections} connections: "
                      f"{common.show(results[-1]['predictions_per_s'])} predictions/s", flush=True)
    return {"rounds": rounds, "seconds": seconds, "engine_us": engine, "results": results}


def report(result):
    rows = [[entry["rows"], entry["connections"], common.show(entry["predictions_per_s"]),
             common.show(entry["p50_us"]), common.show(entry["p99_us"])] for entry in result["results"]]
    added = [f"{n} row{'s' if int(n) > 1 else ''}: engine {result['engine_us'][n]:.1f} µs, request "
             + f"{next(e for e in result['results'] if str(e['rows']) == n and e['connections'] == 1)['p50_us']['median']:.1f} µs"
             for n in result["engine_us"]]
    return (f"{common.N_TREES} trees of depth {common.DEPTH} over {common.N_FEATURES} features, {result['rounds']} rounds of "
            f"{result['seconds']} s, wrk with one thread.\n\n"
            + common.table(["rows a request", "connections", "predictions/s", "p50 µs", "p99 µs"], rows)
            + "\nOne request at a time, p50 at the client (which includes wrk and the loopback) beside one call of the "
              "engine (which includes ctypes): " + "; ".join(added) + ".\n")
