# SPDX-License-Identifier: Apache-2.0
"""Packages of every kind of engine for the tests of chaos, each with the question that is asked of it."""

import sys

import numpy as np
import onnx_models
import raw_http2
from chaos import Question
from command import ROOT, built
from models import rows, xgboost_model, xgboost_scores

ROW = np.linspace(-1, 1, 4, dtype=np.float32)[None]
ECHO = """import time
def load(settings):
    global pause
    pause = float(settings.get("pause_s", 0))
def predict(inputs):
    time.sleep(pause)
    return {"y": inputs["x"]}
"""


def library():
    """The library of ONNX models; without it the tests that need it are skipped."""
    return built(ROOT / "build" / "engines" / "libonnxruntime.so")


def write(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.yaml").write_text(f"phoenix: 1\nname: {folder.name}\n{text}\n")
    return folder


def forest(folder, rounds=8, **settings):
    """A tree model, which is answered in the wave."""
    folder.mkdir(parents=True)
    booster = xgboost_model(folder / "model.json", rounds=rounds)
    write(folder, "model: model.json")
    x = np.nan_to_num(rows(3, seed=4)).astype(np.float32)
    return Question(folder.name, {"input": x}, {"predictions": xgboost_scores(booster, x)}, **settings)


def network(folder, more="", make=onnx_models.mlp, **settings):
    """A network of ONNX Runtime, which is answered from a queue."""
    library()
    folder.mkdir(parents=True)
    make(folder / "model.onnx")
    write(folder, f"model: model.onnx\nengine: {{name: onnxruntime, threads: 1, batches: true}}\n{more}")
    return Question(folder.name, {"x": ROW}, **settings)


def remote(folder, urls, more="", model="net"):
    """The network of another server. Its breakers, of the version and of each server, pause for moments, so that chaos reaches what is behind them."""
    listed = ", ".join(f"'{url}'" for url in urls)
    breaker = "breaker: {failures: 5, open: 20ms, open_max: 100ms, probes: 2}"
    write(folder, f"engine: {{name: remote, urls: [{listed}], model: {model}, timeout_ms: 2000, "
                  f"health: {{interval_ms: 50}}, {breaker}{more}}}\n{breaker}")
    return Question(folder.name, {"x": ROW})


def worker(folder, more="", pause_s=0, engine="", **settings):
    """A function in a process of its own that gives back what it gets, after a while."""
    folder.mkdir(parents=True)
    (folder / "model.py").write_text(ECHO)
    write(folder, f"engine: {{name: python, file: model.py, python: {sys.executable}, backoff_ms: 20, backoff_max_ms: 100, "
                  f"settings: {{pause_s: {pause_s}}}{engine}}}\n"
                  "inputs: [{name: x, type: FP32, shape: [-1, 4]}]\noutputs: [{name: y, type: FP32, shape: [-1, 4]}]\n" + more)
    return Question(folder.name, {"x": ROW}, {"y": ROW.ravel()}, **settings)


def http2_request(path, body):
    return raw_http2.opening() + raw_http2.post(path, body, content_type="application/json")


def read_http2(link):
    """The body of the reply to it."""
    return raw_http2.read_response(link.recv)
