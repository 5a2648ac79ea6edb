# SPDX-License-Identifier: Apache-2.0
"""A real Triton server on CPU, from the package nvidia-pytriton, with a model of the tests behind its Python back end."""

import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

MODEL = '''
import os
import numpy
import triton_python_backend_utils as triton
import xgboost


class TritonPythonModel:
    def initialize(self, arguments):
        folder = os.path.join(arguments["model_repository"], arguments["model_version"])
        self.booster = xgboost.Booster({"nthread": 1}, model_file=os.path.join(folder, "model.json"))

    def execute(self, requests):
        replies = []
        for request in requests:
            rows = triton.get_input_tensor_by_name(request, "input").as_numpy()
            scores = self.booster.inplace_predict(rows).reshape(len(rows), -1).astype(numpy.float32)
            replies.append(triton.InferenceResponse([triton.Tensor("predictions", scores)]))
        return replies
'''

CONFIG = '''
name: "{name}"
backend: "python"
max_batch_size: 4096
input [ {{ name: "input" data_type: TYPE_FP32 dims: [ {features} ] }} ]
output [ {{ name: "predictions" data_type: TYPE_FP32 dims: [ {outputs} ] }} ]
dynamic_batching {{ }}
'''


def write_model(repository, name, model, features, outputs):
    folder = repository / name
    (folder / "1").mkdir(parents=True)
    shutil.copy(model, folder / "1" / "model.json")
    (folder / "1" / "model.py").write_text(MODEL)
    (folder / "config.pbtxt").write_text(CONFIG.format(name=name, features=features, outputs=outputs))


class Triton:
    """The server process; use it with `with`. `venv` has nvidia-pytriton and xgboost-cpu installed."""

    def __init__(self, venv, folder, ports):
        packages = next(Path(venv).glob("lib/python3.*/site-packages"))
        server = packages / "pytriton" / "tritonserver"
        backends = folder / "backends" / "python"
        shutil.copytree(server / "backends" / "python", backends)
        version = packages.parent.name.removeprefix("python")
        shutil.copy(server / "python_backend_stubs" / version / "triton_python_backend_stub", backends)
        environment = {**os.environ, "PYTHONPATH": str(packages),
                       "PATH": f"{venv}/bin:{os.environ['PATH']}",
                       "LD_LIBRARY_PATH": str(packages / "nvidia_pytriton.libs")}
        self.http_port, self.grpc_port, metrics_port = ports
        self.log = open(folder / "triton.log", "w+")
        self.process = subprocess.Popen(
            [server / "bin" / "tritonserver", "--model-repository", folder / "repository",
             "--backend-directory", folder / "backends", "--http-address", "127.0.0.1",
             "--http-port", str(self.http_port), "--grpc-address", "127.0.0.1",
             "--grpc-port", str(self.grpc_port), "--metrics-port", str(metrics_port),
             "--model-control-mode", "explicit", "--load-model", "*"],
            stdout=self.log, stderr=self.log, env=environment, start_new_session=True)
        self._wait()

    def _wait(self):
        url = f"http://127.0.0.1:{self.http_port}/v2/health/ready"
        for _ in range(600):
            try:
                with urllib.request.urlopen(url, timeout=2):
                    return
            except (OSError, urllib.error.URLError):
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        self.stop()
        self.log.seek(0)
        raise AssertionError(f"Triton did not start:\n{self.log.read()[-3000:]}")

    def stop(self):
        for number in (signal.SIGTERM, signal.SIGKILL):  # its back end's processes are in its session
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(20)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.log.close()
