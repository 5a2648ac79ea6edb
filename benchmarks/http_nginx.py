# SPDX-License-Identifier: Apache-2.0
"""One row a request over HTTP, JSON, against nginx returning a static reply of the same size.

nginx does not read the row, look up a model, score or format; it is the floor under any HTTP
server here, and the budget (1.0x) asks Phoenix to stay on it. wrk shares the cores with the server.
"""
import json
import os
import subprocess
import urllib.request

import common

CONNECTIONS = (1, 16, 64, 256)
MEASURES = (("requests_per_s", "requests/s"), ("p50_us", "p50 µs"), ("p99_us", "p99 µs"))


def body_of(row):
    return json.dumps({"inputs": [{"name": "input", "shape": [1, common.N_FEATURES],
                                   "datatype": "FP32", "data": [float(v) for v in row]}]},
                      separators=(",", ":"))


def post(port, body):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v2/models/m/infer", body.encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as reply:
        return reply.read().decode()


def wrk(port, connections, seconds, bodies, path="/v2/models/m/infer"):
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s",
         common.ROOT / "benchmarks" / "infer.lua", f"http://127.0.0.1:{port}{path}"],
        capture_output=True, text=True, check=True, env={**os.environ, "BODIES": str(bodies)})
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    result = json.loads(line[len("RESULT "):])
    if result["errors"]:
        raise SystemExit(f"http_nginx: {result['errors']} requests failed on port {port}")
    return result


def run(folder, quick):
    rounds, seconds = (2, 1) if quick else (5, 4)
    bodies = folder / "bodies"
    requests = [body_of(row) for row in common.make_rows(64)]
    bodies.write_text("\n".join(requests) + "\n")
    model = common.make_model(folder)
    results = []
    with common.phoenix_server(model, common.free_port()) as phoenix:
        reply = post(phoenix.port, requests[0])
        with common.nginx_server(folder, common.free_port(), reply) as nginx:
            for connections in CONNECTIONS:
                wrk(phoenix.port, connections, 1, bodies)  # warm-up, not counted
                turns = [(wrk(nginx.port, connections, seconds, bodies),
                          wrk(phoenix.port, connections, seconds, bodies)) for _ in range(rounds)]
                results.append({"connections": connections, **summarise(turns)})
                print(f"  {connections} connections: "
                      f"{common.show(results[-1]['ratio'])}x nginx", flush=True)
    return {"rounds": rounds, "seconds": seconds, "request_bytes": len(requests[0]),
            "reply": reply, "results": results}


def summarise(turns):
    summary = {"ratio": common.spread([phoenix["requests_per_s"] / nginx["requests_per_s"]
                                       for nginx, phoenix in turns])}
    for at, server in enumerate(("nginx", "phoenix")):
        summary[server] = {key: common.spread([turn[at][key] for turn in turns])
                           for key, _ in MEASURES}
        summary[server]["bytes_per_reply"] = turns[0][at]["bytes_per_reply"]
    return summary


def report(result):
    rows = []
    for entry in result["results"]:
        for server in ("phoenix", "nginx"):
            rows.append([entry["connections"], server,
                         *[common.show(entry[server][key]) for key, _ in MEASURES],
                         round(entry[server]["bytes_per_reply"]),
                         common.show(entry["ratio"]) if server == "phoenix" else "1"])
    return (f"`POST /v2/models/m/infer`, JSON, 1 row × {common.N_FEATURES} features "
            f"({result['request_bytes']} bytes), {common.N_TREES} trees of depth {common.DEPTH}; "
            f"wrk with one thread, {result['rounds']} rounds of {result['seconds']} s each in "
            "turns. nginx (two workers, reuseport, no log) returns the same body without reading "
            "the request's.\n\n"
            + common.table(["connections", "server", *[name for _, name in MEASURES],
                            "bytes a reply", "ratio of requests/s"], rows))
