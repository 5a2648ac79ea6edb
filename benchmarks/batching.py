# SPDX-License-Identifier: Apache-2.0
"""What queue batching gains: an LSTM and a transformer under concurrent clients, batching on against off, in one server.

Both packages hold the same network, which ONNX Runtime computes with one thread, one instance each; one row a request as binary tensors. "On"
is what a model gets without any setting: no delay, batches of what came while the instance was busy. At one connection there is
nothing to put together, which shows what batching costs. The answers are compared with each other first.
"""
import json
import os
import urllib.request

import binary_rows
import common
import http_nginx
import numpy as np
import onnx
import onnx_models
from onnx import TensorProto, helper, numpy_helper

STEPS, FEATURES, HIDDEN = 16, 32, 256
LENGTH, WIDTH = 8, 128
CONNECTIONS = (1, 8, 32)
TOLERANCE = 1e-5


class Network:
    """Collects nodes and seeded weights."""

    def __init__(self, seed):
        self.random, self.nodes, self.weights = np.random.default_rng(seed), [], []

    def constant(self, array):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weight(self, *shape):
        return self.constant((self.random.normal(size=shape) / np.sqrt(shape[-1])).astype(np.float32))

    def add(self, kind, *inputs, outputs=None, **attributes):
        outputs = outputs or [f"v{len(self.nodes)}"]
        self.nodes.append(helper.make_node(kind, list(inputs), outputs, **attributes))
        return outputs[0]

    def save(self, path, shape, n_outputs):
        graph = helper.make_graph(
            self.nodes, "network", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *shape])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", n_outputs])], self.weights)
        onnx.save_model(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)


def lstm(path):
    """A series of STEPS steps a row; the last state through a dense layer."""
    g = Network(1)
    series = g.add("Transpose", "x", perm=[1, 0, 2])
    g.add("LSTM", series, g.weight(1, 4 * HIDDEN, FEATURES), g.weight(1, 4 * HIDDEN, HIDDEN), g.weight(1, 8 * HIDDEN),
          outputs=["", "last"], hidden_size=HIDDEN)
    last = g.add("Squeeze", "last", g.constant(np.array([0], np.int64)))
    g.add("Gemm", last, g.weight(HIDDEN, 4), g.weight(4), outputs=["y"])
    g.save(path, (STEPS, FEATURES), 4)


def transformer(path):
    """Two layers of attention with one head over LENGTH embedded words, then their mean."""
    g, x = Network(2), "x"
    for _ in range(2):
        q, k, v = (g.add("MatMul", x, g.weight(WIDTH, WIDTH)) for _ in range(3))
        scores = g.add("Div", g.add("MatMul", q, g.add("Transpose", k, perm=[0, 2, 1])),
                       g.constant(np.array(WIDTH**0.5, np.float32)))
        x = g.add("Add", x, g.add("MatMul", g.add("Softmax", scores, axis=2), v))
        x = g.add("LayerNormalization", x, g.weight(WIDTH), g.weight(WIDTH), axis=-1)
        hidden = g.add("Relu", g.add("MatMul", x, g.weight(WIDTH, 4 * WIDTH)))
        x = g.add("Add", x, g.add("MatMul", hidden, g.weight(4 * WIDTH, WIDTH)))
    mean = g.add("ReduceMean", x, axes=[1], keepdims=0)
    g.add("Gemm", mean, g.weight(WIDTH, 4), g.weight(4), outputs=["y"])
    g.save(path, (LENGTH, WIDTH), 4)


NETWORKS = (("LSTM, 16 steps of 32, state 256", lstm, (STEPS, FEATURES)),
            ("transformer, 8 words, width 128, 2 layers", transformer, (LENGTH, WIDTH)))


def write_packages(folder, write):
    for name, batching in (("on", ""), ("off", "batching: off\n")):
        (folder / name).mkdir(parents=True)
        write(folder / name / "model.onnx")
        (folder / name / "model.yaml").write_text(
            f"phoenix: 1\nname: {name}\nmodel: model.onnx\ninstances: 1\n"
            f"engine: {{name: onnxruntime, threads: 1, batches: true}}\n{batching}")
    port = common.free_port()
    return common.Server([common.PHOENIX, "serve", folder / "on", folder / "off", "--port", port, "--drain-delay-ms", 0],
                         port, "/readyz")


def infer_path(name):
    return f"/v2/models/{name}/infer"


def ask(port, name, body, head):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{infer_path(name)}", body,
                                     {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(head)})
    with urllib.request.urlopen(request, timeout=20) as reply:
        return np.frombuffer(reply.read()[int(reply.headers["Inference-Header-Content-Length"]):], np.float32)


def rows_of_latest(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/models/on/batches", timeout=20) as reply:
        report = json.load(reply)
    latest = report["batches"]
    return sum(batch["rows"] for batch in latest) / len(latest), report["cost"]


def measure(port, body_path, head, seconds, rounds):
    loads = []
    for connections in CONNECTIONS:
        turns = {"on": [], "off": []}
        batch_rows, cost = 0, {}
        for turn in range(rounds + 1):
            for name in turns:
                result = binary_rows.wrk(port, connections, seconds, body_path, head, infer_path(name))
                if name == "on":
                    batch_rows, cost = rows_of_latest(port)
                if turn > 0:  # the first is a warm-up
                    turns[name].append(result)
        ratio = [a["requests_per_s"] / b["requests_per_s"] for a, b in zip(turns["on"], turns["off"], strict=True)]
        loads.append({"connections": connections, "batch_rows": batch_rows, "cost": cost, "ratio": common.spread(ratio),
                      **{name: {key: common.spread([each[key] for each in results]) for key, _ in http_nginx.MEASURES}
                         for name, results in turns.items()}})
    return loads


def run(folder, quick):
    rounds, seconds = (1, 1) if quick else (5, 2)
    os.environ.update(onnx_models.environment())
    networks = []
    for at, (title, write, shape) in enumerate(NETWORKS):
        row = np.random.default_rng(3).normal(size=(1, *shape)).astype(np.float32)
        head, body = binary_rows.binary_request(row, "x", "y")
        body_path = folder / f"body{at}"
        body_path.write_bytes(body)
        with write_packages(folder / f"network{at}", write) as process:
            answers = [ask(process.port, name, body, len(head)) for name in ("on", "off")]
            if np.abs(answers[0] - answers[1]).max() > TOLERANCE:
                raise SystemExit(f"batching: {title} gives {answers}")
            loads = measure(process.port, body_path, len(head), seconds, rounds)
        networks.append({"title": title, "loads": loads})
        print(f"  {title}: {common.show(loads[-1]['ratio'])} times the requests at {loads[-1]['connections']} connections", flush=True)
    return {"rounds": rounds, "seconds": seconds, "networks": networks}


def report(result):
    rows = [[network["title"], load["connections"], name,
             *[common.show(load[name][key]) for key, _ in http_nginx.MEASURES],
             f"{load['batch_rows']:.1f}" if name == "on" else "1", common.show(load["ratio"]) if name == "on" else ""]
            for network in result["networks"] for load in network["loads"] for name in ("on", "off")]
    lines = [f"- {network['title']}: {network['loads'][-1]['cost']['fixed_us']} µs + {network['loads'][-1]['cost']['row_us']} µs a row"
             for network in result["networks"]]
    return (f"{result['rounds']} turns of {result['seconds']} s for each, on and off in turns against the same server; wrk with one thread "
            "shares the cores. Rows: the mean of the latest 64 batches. The last column is how many times as many requests are "
            "answered with batching as without, turn by turn.\n\n"
            + common.table(["network", "connections", "batching", *[title for _, title in http_nginx.MEASURES], "rows", "gain"], rows)
            + "\n\nThe cost lines that the server fitted:\n\n" + "\n".join(lines) + "\n")
