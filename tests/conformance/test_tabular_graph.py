# SPDX-License-Identifier: Apache-2.0
"""A tabular pipeline (examples/graphs/decision) fitted afresh decides what Python decides, over HTTP and in phoenix predict."""

import importlib.util
import json
import pathlib
import shutil
import subprocess
import urllib.request

import numpy as np
import pytest
from command import PHOENIX
from server import Server

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "graphs" / "decision"


def load_training():
    spec = importlib.util.spec_from_file_location("decision_train", EXAMPLE / "train.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """(path of the graph, numbers, countries, probabilities, decisions)"""
    train, folder = load_training(), tmp_path_factory.mktemp("decision")
    shutil.copy(EXAMPLE / "graph.yaml", folder)
    (folder / "fitted").mkdir()
    pipeline = train.Pipeline().fit(*train.payments(2000, seed=9))
    pipeline.save(folder / "fitted")
    numbers, country, _ = train.payments(700, seed=10)
    country[:5, 0] = ["", "new", "żółć", "de", "DE "]
    return folder / "graph.yaml", numbers, country, *pipeline.decide(numbers, country)


def as_json(numbers):
    return [[None if np.isnan(x) else float(x) for x in row] for row in numbers]


def test_http_gives_what_python_gives(fitted):
    graph, numbers, country, probability, decision = fitted
    body = {"inputs": [{"name": "numbers", "datatype": "FP32", "shape": list(numbers.shape), "data": as_json(numbers)},
                       {"name": "country", "datatype": "BYTES", "shape": list(country.shape), "data": country[:, 0].tolist()}]}
    with Server(f"decision={graph}") as server:
        request = urllib.request.Request(f"{server.url}/v2/models/decision/infer", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=60) as reply:
            outputs = {tensor["name"]: tensor for tensor in json.load(reply)["outputs"]}
    assert outputs["probability"]["data"] == probability.tolist()
    assert outputs["decision"]["data"] == decision.tolist()
    assert set(decision) == {"APPROVE", "REVIEW", "BLOCK"}


def test_predict_gives_what_python_gives(fitted):
    graph, numbers, country, probability, decision = fitted
    rows = "".join(json.dumps({"numbers": row, "country": place.tolist()}) + "\n" for row, place in zip(as_json(numbers), country))
    done = subprocess.run([PHOENIX, "predict", graph, "-"], input=rows, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line)["prediction"] for line in done.stdout.splitlines()]
    assert [np.ravel(answer["probability"])[0] for answer in answers] == probability.tolist()
    assert [np.ravel(answer["decision"])[0] for answer in answers] == decision.tolist()


def test_what_is_committed_is_what_the_script_writes(tmp_path):
    train = load_training()
    train.Pipeline().fit(*train.payments(4000, seed=1)).save(tmp_path)
    for name in ("imputer", "scaler", "encoder"):
        assert json.loads((tmp_path / f"{name}.json").read_text()) == json.loads((EXAMPLE / "fitted" / f"{name}.json").read_text())
