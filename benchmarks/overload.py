# SPDX-License-Identifier: Apache-2.0
"""What becomes of a server that is asked for more than it can do: offered load against goodput, and the p99 of what is answered.

A network of some milliseconds a request, behind Phoenix with a learned limit (`limits: auto`), Phoenix without one, Triton and FastAPI, each with ONNX
Runtime on one thread per run, two at a time. First the offered rate rises until the server no longer keeps up: the most it answered a second is its peak. Then the client
offers shares and multiples of that. A request that is answered within the limit is goodput; steady is the p99 at half of the load.
"""
import dataclasses
import json
import os
import subprocess

import common
import numpy as np
import onnx
import onnx_models
import onnx_serving
from onnx import TensorProto, helper, numpy_helper

LOADS = (0.5, 0.8, 1, 1.5, 2, 4, 10)
QUICK_LOADS = (0.5, 2)
WIDTHS = (64, 2048, 2048, 2048, 2048, 2048, 10)
LIMIT_MS = 500
TIMEOUT_MS = 5000
CONNECTIONS = 512
MODEL = onnx_models.Model("wide", "MLP 64 → 5 x 2048 → 10", (64,), 10)


@dataclasses.dataclass
class Contender:
    title: str
    server: onnx_serving.Server
    limits: str = "off"


def contenders():
    by_title = {server.title.split()[0]: server for server in onnx_serving.SERVERS}
    return (Contender("Phoenix, limits: auto", by_title["Phoenix"], "auto"), Contender("Phoenix, no limit", by_title["Phoenix"]),
            Contender("Triton through pytriton", by_title["Triton"]), Contender("FastAPI + uvicorn, 2 workers", by_title["FastAPI"]))


def write_model(path):
    nodes, constants = onnx_models.perceptron(np.random.default_rng(3), WIDTHS, "Softmax")
    nodes[-1].output[0] = "y"
    graph = helper.make_graph(
        nodes, MODEL.name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()])
    onnx.save_model(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)]), path)
    return path


def start(contender, folder, model_path):
    if contender.server.peer:
        return onnx_serving.start_peer(contender.server.peer, folder, model_path)
    package = folder / f"package-{contender.limits}"
    package.mkdir(exist_ok=True)
    (package / "model.onnx").write_bytes(model_path.read_bytes())
    (package / "model.yaml").write_text("phoenix: 1\nname: m\nmodel: model.onnx\ninstances: 2\n"
                                        f"engine: {{name: onnxruntime, threads: 1}}\nlimits: {contender.limits}\n")
    return common.phoenix_server(package, common.free_port())


def bench(port, path, body, *options):
    """One run of the open-loop client, as its JSON."""
    done = subprocess.run([common.PHOENIX, "bench", f"http://127.0.0.1:{port}{path}", "--body", body, "--connections", str(CONNECTIONS),
                           "--threads", "1", "--arrivals", "poisson", "--limit-ms", str(LIMIT_MS), "--timeout-ms", str(TIMEOUT_MS), "--json",
                           *map(str, options)], check=False, capture_output=True, text=True)
    return json.loads(done.stdout)


def offer(port, path, body, rate, seconds):
    return bench(port, path, body, "--rate", f"{rate:.1f}", "--duration", seconds)["steps"][0]


def saturation(port, path, body, seconds):
    """The most requests a second that were answered while the offered rate rose."""
    steps = bench(port, path, body, "--start-rate", 50, "--duration", max(1, seconds / 5), "--max-rate", 20_000)["steps"]
    return max(step["achieved_per_s"] for step in steps)


def point(load, peak, step):
    return {"load": load, "offered_per_s": step["offered_per_s"], "goodput_per_s": step["goodput_per_s"],
            "goodput": step["goodput_per_s"] / peak, "answered_per_s": step["achieved_per_s"], "errors": step["errors_by_kind"],
            **{f"{name}_ms": step["latency_us"][name] / 1000 for name in ("p50", "p99")}}


def measure(contender, port, folder, loads, seconds):
    encoding = contender.server.encodings[0]
    body = folder / "body.json"
    body.write_text(json.dumps(encoding.body(onnx_models.make_rows(MODEL, 1)), separators=(",", ":")))
    peak = saturation(port, encoding.path, body, seconds)
    points = [point(load, peak, offer(port, encoding.path, body, load * peak, seconds)) for load in loads]
    return {"server": contender.title, "peak_per_s": peak, "points": points}


def run(folder, quick):
    seconds, loads = (2, QUICK_LOADS) if quick else (5, LOADS)
    os.environ.update(onnx_models.environment())
    model_path, probe = write_model(folder / "wide.onnx"), onnx_models.make_rows(MODEL, 3, seed=5)
    results, expected = [], None
    for contender in contenders()[:2] if quick else contenders():
        with start(contender, folder, model_path) as process:
            got = onnx_serving.when_it_scores(process.port, contender.server.encodings[0], probe)
            expected = got if expected is None else expected
            onnx_serving.must_agree(contender.server, got, expected)
            results.append(measure(contender, process.port, folder, loads, seconds))
        at_most = results[-1]["points"][-1]
        print(f"  {contender.title}: {results[-1]['peak_per_s']:,.0f} requests/s at most, {at_most['goodput'] * 100:.0f} % of it at "
              f"{at_most['load']:g}x", flush=True)
    return {"seconds": seconds, "limit_ms": LIMIT_MS, "model": MODEL.title, "servers": results}


def report(result):
    rows = []
    for server in result["servers"]:
        steady = server["points"][0]["p99_ms"]
        rows += [[server["server"], f"{server['peak_per_s']:,.0f}", f"{point['load']:g}x", f"{point['offered_per_s']:,.0f}",
                  f"{point['goodput_per_s']:,.0f}", f"{point['goodput'] * 100:.0f} %", f"{point['errors']['status']:,}",
                  f"{sum(point['errors'].values()) - point['errors']['status']:,}", common.show(point["p50_ms"]),
                  common.show(point["p99_ms"]), common.show(point["p99_ms"] / max(steady, 1e-6))] for point in server["points"]]
    return (f"{result['model']}, one row a request, JSON; {result['seconds']} s for each load, Poisson arrivals, {CONNECTIONS} connections; the client "
            f"shares the cores, so what it takes to send ten times the load is missing from the server. Goodput: answered within {LIMIT_MS} ms. "
            "Latency is that of answers, and of requests that got none in time, from when a request should have been sent. Refused: answered with a status that is not 2xx. Targets "
            "for Phoenix with a limit: at 2x a goodput of 95 % of the peak, and a p99 of twice the steady one (at 0.5x) at most.\n\n"
            + common.table(["server", "peak/s", "load", "offered/s", "goodput/s", "of the peak", "refused", "failed otherwise", "p50, ms",
                            "p99, ms", "p99 / steady"], rows))
