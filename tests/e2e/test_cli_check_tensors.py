# SPDX-License-Identifier: Apache-2.0
"""phoenix check on models of tensors."""

import json
import os

import pytest
from command import ROOT, phoenix

LIBRARY = ROOT / "build" / "engines" / "libonnxruntime.so"
MODELS = ROOT / "tests" / "golden" / "onnxruntime"

pytestmark = pytest.mark.skipif(not LIBRARY.exists(), reason="no ONNX Runtime (tools/fetch-engines fetches it)")


def check(*words):
    return phoenix("check", *words, env=os.environ | {"PHOENIX_ONNXRUNTIME": str(LIBRARY)})


def test_the_page_shows_inputs_outputs_and_the_engine():
    done = check(MODELS / "affine.onnx")
    assert done.returncode == 0, done.stderr
    for line in ("engine        onnxruntime", "inputs        x  FP32 [-1,3]", "outputs       y  FP32 [-1,3]", "would be served"):
        assert line in done.stdout


def test_json_has_the_same():
    report = json.loads(check(MODELS / "affine.onnx", "--json").stdout)
    assert report["ok"] and report["engine"] == "onnxruntime"
    assert report["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 3], "optional": False}]
    assert report["description"]["threads"] == 1


def test_settings_of_model_yaml_reach_the_engine(tmp_path):
    (tmp_path / "model.onnx").write_bytes((MODELS / "affine.onnx").read_bytes())
    yaml = tmp_path / "model.yaml"
    yaml.write_text("phoenix: 1\nmodel: model.onnx\ninstances: 3\nengine: {name: onnxruntime, threads: 2, deterministic: true}\n")
    description = json.loads(check(tmp_path, "--json").stdout)["description"]
    assert (description["threads"], description["deterministic"], description["instances"]) == (2, True, 3)
    yaml.write_text("phoenix: 1\nmodel: model.onnx\nengine: {name: onnxruntime, thread: 2}\n")
    done = check(tmp_path)
    assert done.returncode == 1
    assert "'thread'" in done.stderr and "threads" in done.stderr
