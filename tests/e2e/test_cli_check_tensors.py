# SPDX-License-Identifier: Apache-2.0
"""phoenix check on models of tensors."""

import json
import os
import sys
import zipfile

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


def test_it_hints_at_batching_where_that_may_be_right(tmp_path):
    done = check(MODELS / "affine.onnx")
    assert "hint          requests could be computed together" in done.stdout and "batches: true" in done.stdout
    assert "batches: true" in json.loads(check(MODELS / "affine.onnx", "--json").stdout)["hint"]
    assert "hint" not in json.loads(check(MODELS / "fixed.onnx", "--json").stdout)
    (tmp_path / "model.onnx").write_bytes((MODELS / "affine.onnx").read_bytes())
    (tmp_path / "model.yaml").write_text("phoenix: 1\nmodel: model.onnx\nengine: {name: onnxruntime, batches: true}\n")
    assert "hint" not in json.loads(check(tmp_path, "--json").stdout)


def test_the_example_of_the_page_on_batching_works_as_it_stands(tmp_path):
    example = (ROOT / "docs" / "api" / "batching.md").read_text().split("```yaml\n")[1].split("```")[0]
    assert example.startswith("batching:")
    (tmp_path / "model.onnx").write_bytes((MODELS / "affine.onnx").read_bytes())
    (tmp_path / "model.yaml").write_text("phoenix: 1\nmodel: model.onnx\nengine: {name: onnxruntime, batches: true}\n" + example)
    assert "form: queue, why: it takes long enough" in check(tmp_path).stdout
    batching = json.loads(check(tmp_path, "--json").stdout)["description"]["batching"]
    assert batching["form"] == "queue" and batching["max_rows"] == 32 and batching["delay"] == "auto"
    assert batching["priorities"] == 3 and batching["weighted_clients"] == 1


def test_a_model_that_cannot_answer_is_found(tmp_path):
    """The plug-in opens, and each of its replies lacks an output."""
    (tmp_path / "model.py").write_text("def predict(inputs):\n    return {}\n")
    (tmp_path / "model.yaml").write_text(
        f"phoenix: 1\nname: silent\nengine: {{name: python, file: model.py, python: {sys.executable}}}\n"
        "inputs: [{name: x, type: FP32, shape: [-1]}]\noutputs: [{name: y, type: FP32, shape: [-1]}]\n")
    done = check(tmp_path)
    assert done.returncode == 1
    assert "would be opened, but not answer" in done.stdout
    assert "a request of zeros fails" in done.stderr and "'y'" in done.stderr
    report = json.loads(check(tmp_path, "--json").stdout)
    assert not report["ok"] and not report["warm_up"]["passed"]


def test_a_model_that_refuses_zeros_is_served(tmp_path):
    (tmp_path / "model.onnx").write_bytes((MODELS / "reshaped.onnx").read_bytes())
    done = check(tmp_path / "model.onnx")
    assert done.returncode == 0, done.stderr
    assert "would be served" in done.stdout


def test_a_model_without_inputs_is_refused_with_the_reason():
    done = check(MODELS / "no_inputs.onnx")
    assert done.returncode == 1 and "the model has no inputs" in done.stderr


def test_an_operator_that_is_not_known_has_a_remedy():
    done = check(MODELS / "unknown.onnx")
    assert done.returncode == 1
    assert "does not know" in done.stderr and "Nonesuch" in done.stderr and "opset_version=17" in done.stderr


def test_a_torchscript_file_is_known_by_what_it_is(tmp_path):
    """model.yaml need not name the engine; what is missing is said as it is."""
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("model/data.pkl", b"weights only")
    yaml = tmp_path / "model.yaml"
    yaml.write_text("phoenix: 1\nmodel: model.pt\n")
    assert "list the inputs and outputs" in check(tmp_path).stderr
    yaml.write_text("phoenix: 1\nmodel: model.pt\ninputs: [{name: x, type: FP32, shape: [-1]}]\n"
                    "outputs: [{name: y, type: FP32, shape: [-1]}]\n")
    said = check(tmp_path).stderr
    assert "not installed" in said or "torch.jit.script" in said
