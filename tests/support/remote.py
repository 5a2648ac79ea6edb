# SPDX-License-Identifier: Apache-2.0
"""A remote model of Phoenix, asked from a test: the program build/tests/remote_tool (tests/peers/remote_tool.c)."""

import json
import subprocess

import numpy as np
from command import ROOT, built

TYPES = {"BOOL": np.bool_, "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64,
         "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64,
         "FP16": np.float16, "FP32": np.float32, "FP64": np.float64}
NAMES = {np.dtype(of): name for name, of in TYPES.items()}


class RemoteError(Exception):
    """The engine's error: `code` is its name, the text its message."""

    def __init__(self, line):
        _, self.code, text = line.split(" ", 2)
        super().__init__(text)


def encode_texts(values):
    """Bytes of a BYTES tensor."""
    return b"".join(len(value).to_bytes(4, "little") + value for value in values)


def decode_texts(data):
    texts, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at:at + 4], "little")
        texts.append(data[at + 4:at + 4 + size])
        at += 4 + size
    return texts


class Remote:
    """Use it with `with`. takes, gives: {name: (datatype, shape)}; facts: what the engine told of itself at its end."""

    def __init__(self, **settings):
        command = [built(ROOT / "build" / "tests" / "remote_tool"), json.dumps({"name": "remote", **settings})]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.takes, self.gives, self.facts = {}, {}, {}
        for line in self._lines():
            what, name, datatype, shape = line.split(" ")
            {"takes": self.takes, "gives": self.gives}[what][name] = (datatype, json.loads(shape))

    def _lines(self):
        lines = []
        while line := self.process.stdout.readline().rstrip("\n"):
            if line.startswith("error "):
                self.process.stdout.readline()
                raise RemoteError(line)
            lines.append(line)
        return lines

    def run(self, inputs, outputs=None, timeout_ms=0):
        """{name: array, or list of bytes} -> the same of the outputs, all of them unless some are named."""
        write = self.process.stdin.write
        for name, value in inputs.items():
            if isinstance(value, list):
                write(f"in {name} BYTES {len(value)} {encode_texts(value).hex()}\n")
            else:
                shape = ",".join(map(str, value.shape))
                write(f"in {name} {NAMES[value.dtype]} {shape} {value.tobytes().hex()}\n")
        for name in outputs or self.gives:
            write(f"out {name}\n")
        write(f"run {timeout_ms}\n")
        self.process.stdin.flush()
        return dict(map(self._output, self._lines()))

    def _output(self, line):
        name, datatype, shape, data = line.split(" ")
        data, shape = bytes.fromhex(data), [int(size) for size in shape.split(",") if size]
        if datatype == "BYTES":
            return name, decode_texts(data)
        return name, np.frombuffer(data, TYPES[datatype]).reshape(shape)

    def close(self):
        """Ends it, and reads its facts."""
        out, _ = self.process.communicate(timeout=60)
        if self.process.returncode == 0:
            self.facts = json.loads(out)
        return self.facts

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.close()
