# SPDX-License-Identifier: Apache-2.0
"""A real MLServer with a model of the tests: scores, echoes of every type, and a failure when it is asked for one."""

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request

MODEL = '''
import numpy
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceResponse, ResponseOutput


class Add(MLModel):
    async def predict(self, payload):
        x, y = (NumpyCodec.decode_input(tensor) for tensor in payload.inputs)
        if (x < 0).any():
            raise InferenceError("x must not be negative")
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("sum", x + y)])


class Echo(MLModel):
    async def predict(self, payload):
        outputs = [ResponseOutput(name=tensor.name + "_out", shape=tensor.shape, datatype=tensor.datatype,
                                  data=tensor.data) for tensor in payload.inputs]
        return InferenceResponse(model_name=self.name, outputs=outputs)
'''

TENSORS = {
    "add": ([("x", "FP32", [-1, 2]), ("y", "FP32", [-1, 2])], [("sum", "FP32", [-1, 2])]),
    "echo": ([(name.lower(), name, [-1]) for name in ("INT64", "FP64", "BYTES")],
             [(name.lower() + "_out", name, [-1]) for name in ("INT64", "FP64", "BYTES")]),
}


def _tensors(specs):
    return [{"name": name, "datatype": datatype, "shape": shape} for name, datatype, shape in specs]


def _write(folder, ports):
    settings = {"http_port": ports[0], "grpc_port": ports[1], "metrics_port": ports[2], "host": "127.0.0.1",
                "parallel_workers": 0}
    (folder / "settings.json").write_text(json.dumps(settings))
    for name, kind in (("add", "Add"), ("echo", "Echo"), ("silent", "Add")):
        (folder / name).mkdir()
        (folder / name / f"{name}_model.py").write_text(MODEL)
        model = {"name": name, "implementation": f"{name}_model.{kind}"}
        if name in TENSORS: # "silent" does not say what it takes
            model |= {"inputs": _tensors(TENSORS[name][0]), "outputs": _tensors(TENSORS[name][1])}
        (folder / name / "model-settings.json").write_text(json.dumps(model))


class MLServer:
    """The server process; use it with `with`. `venv` has mlserver installed."""

    def __init__(self, venv, folder, ports):
        _write(folder, ports)
        self.http_port, self.grpc_port, _ = ports
        self.log = open(folder / "mlserver.log", "w+")
        self.process = subprocess.Popen([venv / "bin" / "mlserver", "start", folder], stdout=self.log,
                                        stderr=self.log, start_new_session=True, cwd=folder,
                                        env={**os.environ, "PATH": f"{venv}/bin:{os.environ['PATH']}"})
        self._wait()

    def _wait(self):
        url = f"http://127.0.0.1:{self.http_port}/v2/health/ready"
        for _ in range(1200):
            try:
                with urllib.request.urlopen(url, timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
            if self.process.poll() is not None:
                break
        self.log.seek(0)
        text = self.log.read()
        self.stop()
        raise AssertionError(f"MLServer did not start:\n{text[-4000:]}")

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
