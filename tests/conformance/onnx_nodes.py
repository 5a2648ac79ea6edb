#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The ONNX project's backend tests, run through a server over HTTP, and the page that lists what passes.

    tests/conformance/onnx_nodes.py --write      rewrites docs/api/onnx_node_tests.md
    tests/conformance/onnx_nodes.py --show       prints why each of the others does not pass

The tests are those of Debian's package libonnx-testdata (ONNX 1.12): a model, inputs and the outputs that are
right. A test passes when every output has the right type and shape, texts and whole numbers are equal, and floats are as near as
the ONNX project's own runner asks (relative 1e-3, absolute 1e-7) or within 1e-6 of the output's largest value, for sums that
cancel. What depends on chance or on the machine is not judged.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from command import built  # noqa: E402
from server import Server  # noqa: E402

DATA = Path("/usr/share/libonnx-testdata/data")
MODELS_AT_ONCE = 150  # each has a thread
GROUPS = ("node", "simple", "pytorch-operator", "pytorch-converted")
PAGE = ROOT / "docs" / "api" / "onnx_node_tests.md"
LIBRARY = ROOT / "build" / "engines" / "libonnxruntime.so"
TOOL = Path(os.environ.get("PHOENIX", ROOT / "build" / "phoenix")).parent / "tests" / "tensor_tool"

TYPES = {
    np.dtype(bool): "BOOL", np.dtype(np.uint8): "UINT8", np.dtype(np.uint16): "UINT16",
    np.dtype(np.uint32): "UINT32", np.dtype(np.uint64): "UINT64", np.dtype(np.int8): "INT8",
    np.dtype(np.int16): "INT16", np.dtype(np.int32): "INT32", np.dtype(np.int64): "INT64",
    np.dtype(np.float16): "FP16", np.dtype(np.float32): "FP32", np.dtype(np.float64): "FP64",
}
ARRAYS = {name: dtype for dtype, name in TYPES.items()} | {"BF16": np.dtype(np.uint16)}


def environment():
    """The library that tools/fetch-engines fetched, unless another is named."""
    named = {} if os.environ.get("PHOENIX_ONNXRUNTIME") else {"PHOENIX_ONNXRUNTIME": str(LIBRARY)}
    return os.environ | named


def to_bytes(array):
    """(datatype, bytes) as the protocol's binary form has them."""
    if array.dtype.kind in "OUS":
        texts = [t if isinstance(t, bytes) else str(t).encode() for t in array.reshape(-1)]
        return "BYTES", b"".join(len(t).to_bytes(4, "little") + t for t in texts)
    return TYPES[array.dtype], np.ascontiguousarray(array).tobytes()


def from_bytes(datatype, shape, data):
    if datatype != "BYTES":
        return np.frombuffer(data, ARRAYS[datatype]).reshape(shape)
    texts, at = [], 0
    while at < len(data):
        n = int.from_bytes(data[at:at + 4], "little")
        texts.append(data[at + 4:at + 4 + n].decode())
        at += 4 + n
    return np.array(texts, object).reshape(shape)


class Refused(Exception):
    """The engine's own error."""


class Tool:
    """A process of tensor_tool, for one model after the other."""

    def __init__(self):
        self.process = subprocess.Popen([built(TOOL)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, env=environment())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()

    def line(self):
        return self.process.stdout.readline().decode(errors="replace").rstrip("\n").split(" ")

    def answer(self):
        words = self.line()
        if words[0] != "ok":
            raise Refused(" ".join(words[1:]))
        return [int(word) for word in words[1:]]

    def send(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def open(self, path):
        """Names of inputs and outputs."""
        self.send(f"open {path}\n".encode())
        n_inputs, n_outputs = self.answer()
        names = [self.line()[0] for _ in range(n_inputs + n_outputs)]
        return names[:n_inputs], names[n_inputs:]

    def run(self, inputs):
        """{name: array} in, the same out."""
        request = [f"run {len(inputs)}\n".encode()]
        for name, array in inputs.items():
            datatype, data = to_bytes(array)
            dims = ",".join(map(str, array.shape)) or "-"
            request += [f"{name} {datatype} {dims} {len(data)}\n".encode(), data]
        self.send(b"".join(request))
        outputs = {}
        for _ in range(self.answer()[0]):
            name, datatype, dims, n_bytes = self.line()
            shape = [] if dims == "-" else [int(dim) for dim in dims.split(",")]
            outputs[name] = from_bytes(datatype, shape, self.process.stdout.read(int(n_bytes)))
        return outputs


class Service:
    """A server of models, asked over HTTP with tensors in binary form; the same calls as Tool."""

    def __init__(self, folder, paths):
        for path in paths:
            (folder / self.name(path) / "1").mkdir(parents=True)
            (folder / self.name(path) / "1" / "model.onnx").symlink_to(path)
        self.server = Server(folder, "--threads", 1, env=environment())
        self.http = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        self.model = None
        index = json.loads(self.ask("POST", "/v2/repository/index", b"{}")[1])
        self.reasons = {model["name"]: model["reason"] for model in index if model["state"] != "READY"}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.close()
        self.server.__exit__(None, None, None)

    @staticmethod
    def name(path):
        return f"{path.parent.parent.name}.{path.parent.name}"

    def ask(self, method, path, body=None, headers=None):
        self.http.request(method, path, body, headers or {})
        reply = self.http.getresponse()
        return reply, reply.read()

    def open(self, path):
        self.model = self.name(path)
        if self.model in self.reasons:
            raise Refused(self.reasons[self.model])
        metadata = json.loads(self.ask("GET", f"/v2/models/{self.model}")[1])
        return tuple([tensor["name"] for tensor in metadata[kind]] for kind in ("inputs", "outputs"))

    def run(self, inputs):
        tensors, parts = [], []
        for name, array in inputs.items():
            datatype, data = to_bytes(array)
            tensors.append({"name": name, "datatype": datatype, "shape": array.shape,
                            "parameters": {"binary_data_size": len(data)}})
            parts.append(data)
        head = json.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}}).encode()
        reply, body = self.ask("POST", f"/v2/models/{self.model}/infer", head + b"".join(parts),
                               {"Inference-Header-Content-Length": str(len(head))})
        if reply.status != 200:
            raise Refused(body.decode())
        at = int(reply.getheader("Inference-Header-Content-Length", len(body)))  # none when no byte follows
        outputs = {}
        for tensor in json.loads(body[:at])["outputs"]:
            n = tensor["parameters"]["binary_data_size"]
            outputs[tensor["name"]] = from_bytes(tensor["datatype"], tensor["shape"], body[at:at + n])
            at += n
        return outputs


def read_value(path, value_info):
    """The array of a test's file; None when the value is no tensor."""
    kind = value_info.type.tensor_type.elem_type
    if not value_info.type.HasField("tensor_type") or kind == onnx.TensorProto.BFLOAT16:
        return None
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    if tensor.data_type == onnx.TensorProto.BFLOAT16:
        return None
    return numpy_helper.to_array(tensor)


def read_set(folder, kind, infos):
    paths = [folder / f"{kind}_{i}.pb" for i in range(len(infos))]
    return [read_value(path, info) for path, info in zip(paths, infos) if path.exists()]


def same(got, want):
    if got.dtype.kind == "O" or want.dtype.kind in "OUS":
        return got.shape == want.shape and [str(x) for x in got.reshape(-1)] == [
            x.decode() if isinstance(x, bytes) else str(x) for x in want.reshape(-1)]
    if got.dtype != want.dtype or got.shape != want.shape:
        return False
    got, want = got.astype(np.float64), want.astype(np.float64)
    finite = want[np.isfinite(want)]
    near = max(1e-7, 1e-6 * np.abs(finite).max()) if finite.size and want.dtype.kind == "f" else 1e-7
    return np.allclose(got, want, rtol=1e-3, atol=near, equal_nan=True)


def is_not_judged(name):
    """Random numbers, and texts by the rules of a locale that this machine may have or not."""
    return any(word in name for word in ("bernoulli", "training_dropout", "strnorm"))


def check(tool, folder):
    """("pass" | "differs" | "not judged" | "not loaded" | "not run" | "no tensors", why)"""
    if is_not_judged(folder.name):
        return "not judged", ""
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    weights = {tensor.name for tensor in model.graph.initializer}
    takes = [info for info in model.graph.input if info.name not in weights]
    try:
        names, _ = tool.open(folder / "model.onnx")
    except Refused as error:
        kind = "no tensors" if "only tensors are taken" in str(error) or "which is not served" in str(error) else "not loaded"
        return kind, str(error)
    for data in sorted(folder.glob("test_data_set_*")):
        inputs, outputs = read_set(data, "input", takes), read_set(data, "output", model.graph.output)
        if any(value is None for value in inputs + outputs):
            return "no tensors", "a value of the test is no tensor that the protocol has"
        given = dict(zip([info.name for info in takes], inputs))
        try:
            got = tool.run({name: value for name, value in given.items() if name in names})
        except Refused as error:
            return "not run", str(error)
        for info, want in zip(model.graph.output, outputs):
            if info.name not in got or not same(got[info.name], want):
                return "differs", info.name
    return "pass", ""


def run_all():
    """{group: {test: (verdict, why)}}, through a server of each MODELS_AT_ONCE models."""
    results = {}
    for group in GROUPS:
        paths = sorted((DATA / group).glob("*/model.onnx"))
        results[group] = {}
        for first in range(0, len(paths), MODELS_AT_ONCE):
            some = paths[first:first + MODELS_AT_ONCE]
            with tempfile.TemporaryDirectory() as folder, Service(Path(folder), some) as service:
                results[group] |= {path.parent.name: check(service, path.parent) for path in some}
    return results


def version():
    listing = subprocess.run([TOOL.parent.parent / "phoenix", "engine", "list"], capture_output=True, text=True,
                             env=environment(), timeout=60, check=True).stdout
    return listing.partition("onnxruntime")[2].partition("version ")[2].split()[0]


REASONS = {
    "pass": "",
    "differs": "floats as texts, a rounding rule of Resize, MaxUnpool with a given shape: ONNX Runtime's own result",
    "not run": "the model has no inputs, and the protocol no requests without",
    "no tensors": "inputs or outputs are lists, optional, or BF16 as these data write it",
    "not loaded": "ONNX Runtime has no such operator: opsets below 7, training, some types of integers",
    "not judged": "random numbers, or texts by a locale that the machine may lack",
}


def page(results):
    counts = Counter(verdict for group in results.values() for verdict, _ in group.values())
    lines = [
        "# ONNX backend tests", "",
        "Generated by `tests/conformance/onnx_nodes.py --write`; `tests/conformance/test_onnx_node.py` checks it.", "",
        f"The backend tests of the ONNX project (Debian's `libonnx-testdata`, ONNX 1.12) through `phoenix serve`, HTTP and binary tensors, with ONNX Runtime "
        f"{version()}, on the processor.", "",
        "| | tests | why |", "|---|---|---|",
    ]
    lines += [f"| {verdict} | {counts[verdict]} | {why} |" for verdict, why in REASONS.items() if counts[verdict]]
    for verdict in ("differs", "not run", "no tensors", "not loaded", "not judged", "pass"):
        if not counts[verdict]:
            continue
        lines += ["", f"## {verdict}", ""]
        for group, tests in results.items():
            names = [name for name, (got, _) in tests.items() if got == verdict]
            if names:
                lines += [f"{group} ({len(names)}): " + ", ".join(f"`{name.removeprefix('test_')}`" for name in names), ""]
        lines.pop()
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--show", action="store_true")
    arguments = parser.parse_args()
    results = run_all()
    if arguments.show:
        for group, tests in results.items():
            for name, (verdict, why) in tests.items():
                if verdict != "pass":
                    print(f"{verdict:11} {group}/{name}: {why}")
    text = page(results)
    if arguments.write:
        PAGE.write_text(text)
    print(Counter(verdict for group in results.values() for verdict, _ in group.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
