# SPDX-License-Identifier: Apache-2.0
"""ONNX networks behind Phoenix, and behind ONNX Runtime in Python in the servers that people would pick: requests/s at saturation.

JSON and binary tensors, 1 and 64 rows a request, 16 and 64 connections. All run ONNX Runtime with one thread per run; Phoenix with two
instances, FastAPI with two workers. The first answers are compared with each other. Each peer is installed with pinned packages into
an environment of its own, as for serving_peers, of which this uses much. What the server adds to one request: server_added.
"""
import dataclasses
import json
import os
import urllib.request

import binary_rows
import common
import http_nginx
import numpy as np
import onnx_models
import serving_peers

TINY, MLP, CNN = onnx_models.TINY, onnx_models.MLP, onnx_models.CNN
LOADS = ((TINY, 1, 16), (TINY, 1, 64), (TINY, 64, 16), (MLP, 1, 16), (MLP, 1, 64), (MLP, 64, 16), (CNN, 1, 16))
INFER = "/v2/models/m/infer"
TOLERANCE = 1e-5
HERE = serving_peers.HERE


def open_inference(rows):
    return {"inputs": [{"name": "x", "shape": list(rows.shape), "datatype": "FP32", "data": rows.ravel().tolist()}]}


def nested(rows):
    return {"instances": rows.tolist()}


def tensors(rows):
    """The body of a request with binary tensors, and how many of its bytes are JSON."""
    head, body = binary_rows.binary_request(rows, "x", "y")
    return body, len(head)


def bare_bytes(rows):
    return rows.tobytes(), 0


@dataclasses.dataclass
class Encoding:
    name: str
    path: str
    body: object


@dataclasses.dataclass
class Server:
    title: str
    peer: object  # of serving_peers; None: Phoenix
    encodings: tuple


V2_JSON = Encoding("JSON", INFER, open_inference)
V2_BINARY = Encoding("binary", INFER, tensors)
SERVERS = (
    Server("Phoenix", None, (V2_JSON, V2_BINARY)),
    Server("FastAPI + uvicorn, 2 workers", serving_peers.Peer(
        "onnx_fastapi", "FastAPI",
        ("{venv}/bin/uvicorn", "onnx_fastapi_server:app", "--app-dir", HERE, "--host", "127.0.0.1", "--port",
         "{port}", "--workers", "2", "--log-level", "warning", "--no-access-log"), None, ready="/ready"),
           (Encoding("JSON", "/predict", nested), Encoding("binary", "/bytes", bare_bytes))),
    Server("MLServer, 1 process", serving_peers.Peer(
        "onnx_mlserver", "MLServer", ("{venv}/bin/mlserver", "start", "{folder}"), None, ready="/v2/health/ready"), (V2_JSON,)),
    Server("Triton through pytriton, batching on", serving_peers.Peer(
        "onnx_triton", "Triton", ("{venv}/bin/python", HERE / "onnx_triton_server.py"), None, ready="/v2/health/ready",
        python="/usr/bin/python3"), (V2_JSON, V2_BINARY)),
)


def start_phoenix(folder, model_path):
    package = folder / "package"
    package.mkdir(exist_ok=True)
    (package / "model.onnx").write_bytes(model_path.read_bytes())
    (package / "model.yaml").write_text("phoenix: 1\nname: m\nmodel: model.onnx\ninstances: 2\n"
                                        "engine: {name: onnxruntime, threads: 1}\n")
    return common.phoenix_server(package, common.free_port())


def start_peer(peer, folder, model_path):
    venv, port = serving_peers.install(peer), common.free_port()
    serving_peers.write_mlserver_settings(folder, model_path, port, "onnx_mlserver_model.Network")
    words = [str(word).format(venv=venv, port=port, folder=folder) for word in peer.command]
    environment = {"MODEL": str(model_path), "PORT": str(port), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE),
                   "PYTHONDONTWRITEBYTECODE": "1"}
    return common.Server(words, port, peer.ready, environment=environment, patience_s=90)


def ask(port, encoding, rows):
    """The scores of one request, in either encoding."""
    fields = {"Content-Type": "application/json"}
    body = encoding.body(rows)
    if encoding.name == "binary":
        body, head = body
        fields = {"Content-Type": "application/octet-stream"} | ({"Inference-Header-Content-Length": str(head)} if head else {})
    else:
        body = json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{encoding.path}", body, fields),
                                timeout=20) as reply:
        answer, head = reply.read(), int(reply.headers.get("Inference-Header-Content-Length") or 0)
    if encoding.name == "binary":
        return np.frombuffer(answer[head:], np.float32)
    return np.ravel(serving_peers.scores_of(json.loads(answer)))


def must_agree(server, got, expected):
    if len(got) != len(expected) or np.abs(got - expected).max() > TOLERANCE:
        raise SystemExit(f"onnx_serving: {server.title} gives {got}, expected {expected}")


def when_it_scores(port, encoding, rows):
    """The port may be open before the model is loaded."""
    for _ in range(60):
        try:
            return ask(port, encoding, rows)
        except OSError:
            common.time.sleep(1)
    raise SystemExit(f"onnx_serving: {encoding.path} does not answer")


def wrk(port, encoding, model, rows, connections, seconds, folder):
    """One round; the same 16 requests again and again in JSON, one in binary."""
    bodies = folder / f"{model.name}-{rows}"
    if encoding.name == "binary":
        body, head = encoding.body(onnx_models.make_rows(model, rows))
        bodies.write_bytes(body)
        return binary_rows.wrk(port, connections, seconds, bodies, head, encoding.path)
    bodies.write_text("\n".join(json.dumps(encoding.body(onnx_models.make_rows(model, rows, seed)), separators=(",", ":"))
                                for seed in range(16)) + "\n")
    return http_nginx.wrk(port, connections, seconds, bodies, encoding.path)


def measure(server, port, model, folder, seconds, rounds):
    loads = []
    for _, rows, connections in (load for load in LOADS if load[0] is model):
        for encoding in server.encodings:
            arguments = (port, encoding, model, rows, connections)
            wrk(*arguments, 1, folder)  # warm-up, not counted
            turns = [wrk(*arguments, seconds, folder) for _ in range(rounds)]
            loads.append({"server": server.title, "model": model.title, "rows": rows, "connections": connections,
                          "encoding": encoding.name,
                          **{key: common.spread([turn[key] for turn in turns]) for key, _ in http_nginx.MEASURES},
                          "turns": [turn["requests_per_s"] for turn in turns],
                          "rows_per_s": common.spread([turn["requests_per_s"] * rows for turn in turns])})
    return loads


def run(folder, quick):
    rounds, seconds = (1, 1) if quick else (3, 1)
    os.environ.update(onnx_models.environment())
    loads = []
    for model in (TINY,) if quick else (TINY, MLP, CNN):
        path = onnx_models.write(model, folder / f"{model.name}.onnx")
        probe, expected = onnx_models.make_rows(model, 3, seed=5), None
        for server in SERVERS:
            started = start_peer(server.peer, folder, path) if server.peer else start_phoenix(folder, path)
            with started as process:
                when_it_scores(process.port, server.encodings[0], probe)
                for encoding in server.encodings:
                    got = ask(process.port, encoding, probe)
                    expected = got if expected is None else expected
                    must_agree(server, got, expected)
                loads += measure(server, process.port, model, folder, seconds, rounds)
            print(f"  {model.title}, {server.title}: {common.show(loads[-1]['requests_per_s'])} requests/s ({loads[-1]['rows']} rows, "
                  f"{loads[-1]['encoding']})", flush=True)
    packages = {server.peer.title: (HERE / f"{server.peer.name}.txt").read_text().split() for server in SERVERS if server.peer}
    return {"rounds": rounds, "seconds": seconds, "packages": packages, "loads": loads}


def ours(loads, load):
    """Phoenix under the same load."""
    keys = ("model", "rows", "connections", "encoding")
    return next(each for each in loads if each["server"] == "Phoenix" and all(each[key] == load[key] for key in keys))


def report(result):
    rows = []
    for load in sorted(result["loads"], key=lambda load: (load["model"] != TINY.title, load["model"] != MLP.title)):
        mine = ours(result["loads"], load)
        ratio = common.spread([a / max(b, 1e-9) for a, b in zip(mine["turns"], load["turns"], strict=True)])
        rows.append([load["model"], load["server"], load["encoding"], load["rows"], load["connections"],
                     *[common.show(load[key]) for key, _ in http_nginx.MEASURES],
                     common.show(load["rows_per_s"]["median"]), "" if load is mine else common.show(ratio)])
    return (f"{result['rounds']} rounds of {result['seconds']} s for each load, server after server; wrk with one thread shares the cores. "
            "ONNX Runtime with one thread per run everywhere (in Python a newer version than Phoenix's pinned one). Binary: tensors "
            "as the Open Inference Protocol's extension has them; for FastAPI the bare bytes of the rows, which is less than any server "
            "of tensors sends; MLServer has none over HTTP. The last column is how many times as many requests Phoenix answers, round by round.\n\n"
            + common.table(["model", "server", "request", "rows", "connections", *[title for _, title in http_nginx.MEASURES],
                            "rows/s", "Phoenix"], rows))
