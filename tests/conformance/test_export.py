# SPDX-License-Identifier: Apache-2.0
"""The one-liners of docs/api/onnx.md export models that are served, and `phoenix check` says what is wrong with other exports.

The code is read from the page. PyTorch is Debian's (python3-torch, /usr/bin/python3); scikit-learn is that of the tests.
"""

import json
import os
import re
import subprocess

import numpy as np
import onnx
import onnx_nodes
import pandas as pd
import pytest
from command import PHOENIX
from skl2onnx import to_onnx
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_classification
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

DEBIAN_PYTHON = "/usr/bin/python3"
DOCUMENT = (onnx_nodes.ROOT / "docs" / "api" / "onnx.md").read_text()

pytestmark = pytest.mark.skipif(
    not onnx_nodes.LIBRARY.exists() and not os.environ.get("PHOENIX_ONNXRUNTIME"),
    reason="no ONNX Runtime (tools/fetch-engines fetches it)")

TORCH_MODEL = """
import numpy as np, torch
torch.manual_seed(1)
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Linear(8, 3))
example = torch.zeros(1, 4)
rows = np.random.default_rng(3).normal(size=(5, 4)).astype(np.float32)
"""
TORCH_ANSWER = "\nnp.save('rows.npy', rows)\nnp.save('y.npy', model(torch.from_numpy(rows)).detach().numpy())\n"


def one_liner(mark):
    return re.search(rf"```python\n# {mark}: [^\n]*\n(.*?)```", DOCUMENT, re.DOTALL).group(1)


def check(path):
    """(exit status, the JSON report, what was said on standard error)"""
    done = subprocess.run([PHOENIX, "check", path, "--json"], capture_output=True, text=True, timeout=60,
                          env=onnx_nodes.environment())
    return done.returncode, json.loads(done.stdout), done.stderr


def warnings(path):
    status, report, error = check(path)
    assert status == 0, error
    return report["description"].get("warnings", [])


def refusal(path):
    status, _, error = check(path)
    assert status == 1
    return error


def answers(path, rows):
    with onnx_nodes.Tool() as tool:
        names, _ = tool.open(path)
        return tool.run({names[0]: rows})


def run_torch(folder, code):
    if subprocess.run([DEBIAN_PYTHON, "-c", "import torch"], capture_output=True, check=False).returncode:
        pytest.skip(f"{DEBIAN_PYTHON} has no torch: apt-get install python3-torch")
    subprocess.run([DEBIAN_PYTHON, "-c", TORCH_MODEL + code], cwd=folder, check=True, timeout=120, capture_output=True)


def test_the_one_liner_for_pytorch(tmp_path):
    run_torch(tmp_path, one_liner("torch") + TORCH_ANSWER)
    assert warnings(tmp_path / "model.onnx") == []
    got = answers(tmp_path / "model.onnx", np.load(tmp_path / "rows.npy"))["y"]
    assert np.allclose(got, np.load(tmp_path / "y.npy"), atol=1e-6)


def test_pytorch_without_dynamic_axes_is_warned_of(tmp_path):
    run_torch(tmp_path, "torch.onnx.export(model.eval(), example, 'model.onnx', input_names=['x'])")
    assert "first dimension of the input 'x' is fixed to 1" in warnings(tmp_path / "model.onnx")[0]
    with pytest.raises(onnx_nodes.Refused, match=r"expected shape \[1,4\], got \[5,4\]"):
        answers(tmp_path / "model.onnx", np.zeros((5, 4), np.float32))


def test_pytorch_in_training_mode_is_warned_of(tmp_path):
    run_torch(tmp_path, "torch.onnx.export(model.train(), torch.zeros(2, 4), 'model.onnx', training=torch.onnx.TrainingMode.TRAINING, "
                        "do_constant_folding=False, opset_version=17, input_names=['x'], dynamic_axes={'x': {0: 'n'}})")
    assert any("as in training" in warning for warning in warnings(tmp_path / "model.onnx"))


@pytest.fixture(scope="module")
def classifier():
    X, y = make_classification(200, 6, n_informative=4, n_classes=3, random_state=1)
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y), X


def test_the_one_liner_for_scikit_learn(tmp_path, classifier, monkeypatch):
    model, X = classifier
    monkeypatch.chdir(tmp_path)
    exec(one_liner("sklearn"), {"model": model, "X": X, "to_onnx": to_onnx})  # the page's own code
    assert warnings(tmp_path / "model.onnx") == []
    got = answers(tmp_path / "model.onnx", X.astype(np.float32))
    assert np.array_equal(got["label"], model.predict(X))
    assert np.allclose(got["probabilities"], model.predict_proba(X), atol=1e-5)


def test_the_one_liner_for_a_data_frame_with_texts(tmp_path, monkeypatch):
    random = np.random.default_rng(2)
    X = pd.DataFrame({"age": random.uniform(18, 80, 200), "visits": random.integers(0, 9, 200),
                      "job": random.choice(["nurse", "clerk", "chef"], 200)})
    encode = make_column_transformer((StandardScaler(), ["age", "visits"]),
                                     (OneHotEncoder(handle_unknown="ignore"), ["job"]))
    model = make_pipeline(encode, LogisticRegression()).fit(X, (X["age"] + 20 * (X["job"] == "chef") > 55).astype(int))
    monkeypatch.chdir(tmp_path)
    exec(one_liner("dataframe"), {"model": model, "X": X, "to_onnx": to_onnx})  # the page's own code
    assert warnings(tmp_path / "model.onnx") == []
    columns = {name: X[[name]].to_numpy(np.float32 if name != "job" else object) for name in X}
    with onnx_nodes.Tool() as tool:
        tool.open(tmp_path / "model.onnx")
        got = tool.run(columns)
    assert np.array_equal(got["label"], model.predict(X))
    assert np.allclose(got["probabilities"], model.predict_proba(X), atol=1e-5)


def test_mappings_are_served_and_warned_of(tmp_path, classifier):
    model, X = classifier
    path = tmp_path / "model.onnx"
    path.write_bytes(to_onnx(model, X[:1].astype(np.float32)).SerializeToString())
    assert "'output_probability' is a list of mappings" in warnings(path)[0]
    got = answers(path, X.astype(np.float32))
    assert list(got["output_probability_labels"]) == list(model.classes_)
    assert np.allclose(got["output_probability"], model.predict_proba(X), atol=1e-5)


def test_doubles_are_warned_of(tmp_path):
    X = np.arange(12.0).reshape(4, 3)
    path = tmp_path / "model.onnx"
    path.write_bytes(to_onnx(LinearRegression().fit(X, X[:, 0]), X[:1]).SerializeToString())
    assert "is FP64" in warnings(path)[0]


def test_weights_that_were_left_behind_are_named(tmp_path):
    source = onnx_nodes.ROOT / "tests" / "golden" / "onnxruntime" / "outside.onnx"
    (tmp_path / "model.onnx").write_bytes(source.read_bytes())
    message = refusal(tmp_path / "model.onnx")
    assert "the weights in 'outside.bin' are missing" in message
    assert "copy it beside the model" in message


@pytest.mark.parametrize(("model", "message"), [
    ("custom", "the operator 'Magic' is of the domain 'com.example'"),
    ("new_format", "the file's format is IR version 99"),
])
def test_what_the_library_has_not_is_explained(model, message):
    assert message in refusal(onnx_nodes.ROOT / "tests" / "golden" / "onnxruntime" / f"{model}.onnx")


def test_old_operators_are_explained(tmp_path):
    node = onnx.helper.make_node("Add", ["x", "x"], ["y"])
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n"]) for name in "xy"]
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "old", value[:1], value[1:]), ir_version=3,
                                   opset_imports=[onnx.helper.make_opsetid("", 6)])
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    message = refusal(tmp_path / "model.onnx")
    assert "operators of opset 6" in message and "opset_version=17" in message
