# SPDX-License-Identifier: Apache-2.0
"""One XGBoost model behind the servers that people would pick, and behind Phoenix: JSON over HTTP, batches of 1 and 64.

Each peer is installed with pinned packages into a virtual environment of its own (.venv-peers/NAME, or $PEERS/NAME, 70 MB to 1.3 GB,
several minutes in all at the first run) and is started as its documentation says, with two workers where it has workers. wrk
shares the two cores with the server. All answer the same rows; the first answers are compared with each other.
"""
import dataclasses
import json
import os
import pathlib
import subprocess
import urllib.request

import common
import http_nginx

HERE = common.ROOT / "benchmarks" / "peers"
VENVS = pathlib.Path(os.environ.get("PEERS", common.ROOT / ".venv-peers"))
LOADS = ((1, 1), (1, 16), (1, 64), (64, 16))  # rows a request, connections
TOLERANCE = 1e-6


def instances(rows):
    return {"instances": rows.tolist()}


def open_inference(name):
    def body(rows):
        return {"inputs": [{"name": name, "shape": list(rows.shape), "datatype": "FP32",
                            "data": rows.ravel().tolist()}]}
    return body


@dataclasses.dataclass
class Peer:
    name: str
    title: str
    command: tuple
    body: object
    path: str = "/predict"
    ready: str = "/predict"  # answers anything but a refused connection when it is up
    python: str = "python3"


PEERS = (
    Peer("fastapi", "FastAPI + uvicorn, 2 workers",
         ("{venv}/bin/uvicorn", "fastapi_server:app", "--app-dir", HERE, "--host", "127.0.0.1", "--port",
          "{port}", "--workers", "2", "--log-level", "warning", "--no-access-log"), instances),
    Peer("litserve", "LitServe, 1 worker", ("{venv}/bin/python", HERE / "litserve_server.py"), instances),
    Peer("bentoml", "BentoML, 2 workers",
         ("{venv}/bin/bentoml", "serve", "bentoml_server:Predictor", "--working-dir", HERE, "--host",
          "127.0.0.1", "--port", "{port}"), instances),
    Peer("mlserver", "MLServer, 1 process", ("{venv}/bin/mlserver", "start", "{folder}"),
         open_inference("predict"), "/v2/models/m/infer"),
    Peer("ray", "Ray Serve, 2 replicas", ("{venv}/bin/python", HERE / "ray_server.py"), instances),
    Peer("triton", "Triton through pytriton, batching on",
         ("{venv}/bin/python", HERE / "triton_server.py"), open_inference("input"), "/v2/models/m/infer",
         python="/usr/bin/python3"),
)


def install(peer):
    venv = VENVS / peer.name
    if not (venv / "installed").exists():
        print(f"  installing {peer.title}", flush=True)
        subprocess.run([peer.python, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin" / "pip", "install", "-q", "-r", HERE / f"{peer.name}.txt"], check=True)
        (venv / "installed").touch()
    return venv


def write_mlserver_settings(folder, model, port, implementation="mlserver_xgboost.XGBoostModel"):
    common.write_json(folder / "settings.json", {
        "http_port": port, "grpc_port": common.free_port(), "metrics_port": common.free_port(),
        "host": "127.0.0.1", "parallel_workers": 0, "debug": False})
    common.write_json(folder / "model-settings.json", {
        "name": "m", "implementation": implementation,
        "parameters": {"uri": str(model)}})


def start(peer, folder, model):
    venv, port = install(peer), common.free_port()
    write_mlserver_settings(folder, model, port)
    words = [str(word).format(venv=venv, port=port, folder=folder) for word in peer.command]
    environment = {"MODEL": str(model), "PORT": str(port), "BENTOML_DO_NOT_TRACK": "True",
                   "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    return common.Server(words, port, peer.ready, environment=environment, any_answer=True, patience_s=90)


def post(port, path, body):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as reply:
        return json.loads(reply.read())


def scores_of(reply):
    return reply["outputs"][0]["data"] if "outputs" in reply else reply["predictions"]


def wait_until_it_scores(server, path, body):
    """The port may be open before the model is loaded."""
    for _ in range(60):
        try:
            return scores_of(post(server.port, path, body))
        except OSError:
            common.time.sleep(1)
    raise SystemExit(f"serving_peers: {path} does not answer")


def measure(server, path, body, folder, seconds, rounds):
    """[(rows, connections, [result of a round, ...]), ...]"""
    results = []
    for rows, connections in LOADS:
        bodies = folder / f"bodies-{rows}"
        bodies.write_text("\n".join(json.dumps(body(common.make_rows(rows, seed)), separators=(",", ":"))
                                    for seed in range(16)) + "\n")
        http_nginx.wrk(server.port, connections, 1, bodies, path)  # warm-up, not counted
        results.append((rows, connections, [http_nginx.wrk(server.port, connections, seconds, bodies, path)
                                            for _ in range(rounds)]))
    return results


def summarise(results):
    return [{"rows": rows, "connections": connections,
             **{key: common.spread([turn[key] for turn in turns]) for key, _ in http_nginx.MEASURES},
             "rows_per_s": common.spread([turn["requests_per_s"] * rows for turn in turns])}
            for rows, connections, turns in results]


def run(folder, quick):
    rounds, seconds = (1, 1) if quick else (3, 3)
    model = common.make_model(folder)
    probe = common.make_rows(3, seed=5)
    with common.phoenix_server(model, common.free_port()) as server:
        body, path = open_inference("input"), "/v2/models/m/infer"
        expected = scores_of(post(server.port, path, body(probe)))
        servers = [{"name": "Phoenix", "loads": summarise(measure(server, path, body, folder, seconds, rounds))}]
    for peer in PEERS:
        with start(peer, folder, model) as server:
            got = wait_until_it_scores(server, peer.path, peer.body(probe))
            if max(abs(a - b) for a, b in zip(got, expected, strict=True)) > TOLERANCE:
                raise SystemExit(f"serving_peers: {peer.title} gives {got}, expected {expected}")
            loads = summarise(measure(server, peer.path, peer.body, folder, seconds, rounds))
        servers.append({"name": peer.title, "packages": (HERE / f"{peer.name}.txt").read_text().split(),
                        "loads": loads})
        print(f"  {peer.title}: {loads[1]['requests_per_s']['median']:,.0f} requests/s at 16 connections",
              flush=True)
    return {"rounds": rounds, "seconds": seconds, "servers": servers}


def report(result):
    ours = result["servers"][0]["loads"]
    rows = []
    for server in result["servers"]:
        for load, mine in zip(server["loads"], ours, strict=True):
            ratio = mine["requests_per_s"]["median"] / max(load["requests_per_s"]["median"], 1e-9)
            rows.append([server["name"], load["rows"], load["connections"],
                         *[common.show(load[key]) for key, _ in http_nginx.MEASURES],
                         common.show(load["rows_per_s"]["median"]),
                         "" if load is mine else f"{ratio:,.0f}x"])
    return (f"100 trees of depth 6 over 30 features, trained once. {result['rounds']} rounds of "
            f"{result['seconds']} s for each load, server after server. The last column is how many times as many "
            "requests Phoenix answers.\n\n"
            + common.table(["server", "rows a request", "connections",
                            *[title for _, title in http_nginx.MEASURES], "rows/s", "Phoenix"], rows))
