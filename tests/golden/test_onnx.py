# SPDX-License-Identifier: Apache-2.0
"""Parity with ONNX Runtime, on one thread: models of skl2onnx and onnxmltools, and of every mode by hand.

Sums are compared to the bit. Scores behind exp may differ by a few units in the last place, because ONNX
Runtime has its own exp; labels must be the same where the scores are not that close.
"""

import subprocess

import numpy as np
import onnxmltools
import onnxruntime
import pytest
import xgboost as xgb
from onnx import TensorProto, helper
from onnx_cases import CASES, FEATURES, N, FloatTensorType, attribute, data, model_of, random_ensemble
from parity import BATCHES, TOOL, assert_same_bits, kernels_of, refusal, score, torture_rows

MODES = (0, 1, 2, 3, 4, 5, 6)


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def run(model, rows):
    """ONNX Runtime's (labels or None, scores as [n, outputs])."""
    s = session(model)
    labels = scores = None
    for output, value in zip(s.get_outputs(), s.run(None, {s.get_inputs()[0].name: rows})):
        if isinstance(value, list):  # ZipMap
            scores = np.array([list(row.values()) for row in value], np.float32)
        elif value.dtype.kind == "f" and scores is None:
            scores = value.reshape(len(rows), -1)
        elif value.dtype.kind in "iO":
            labels = value.reshape(-1)
    return labels, scores


def info(path):
    command = [str(TOOL), str(path), "--info"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    found = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        found.setdefault(key, []).append(value)
    return found


def assert_close(got, want, ulps, rows):
    """Each score within `ulps` units in the last place of a float, of 1 where it is below it."""
    if ulps == 0:
        return assert_same_bits(got, want.astype(got.dtype), rows)
    want = want.reshape(got.shape).astype(np.float64)
    unit = np.maximum(np.spacing(np.abs(want).astype(np.float32)), np.spacing(np.float32(0.5)))
    with np.errstate(invalid="ignore"):  # inf - inf
        far = (np.abs(got - want) > ulps * unit) & (got != want)
    far &= ~(np.isnan(got) & np.isnan(want))
    if far.any():
        i, k = np.argwhere(far)[0]
        pytest.fail(
            f"{far.sum()} of {far.size} differ; first in row {i}, output {k}: got {got[i, k]!r}, "
            f"want {want[i, k]!r}\nrow: {rows[i].tolist()}"
        )


def thresholds(model):
    features, values = attribute(model, "nodes_featureids"), attribute(model, "nodes_values")
    if values is None:
        values = attribute(model, "nodes_values_as_tensor")
    if values is None:
        values = attribute(model, "nodes_splits")
    return sorted(set(zip(features, [float(v) for v in values])))


def scaled_neighbours(model, x):
    """Rows next to where a scaled feature meets a threshold: a formula's threshold would miss there."""
    offset, scale = attribute(model, "offset"), attribute(model, "scale")
    if offset is None:
        return x[:0]
    rows = []
    for feature, value in thresholds(model)[:60]:
        at = x.dtype.type(value / scale[feature] + offset[feature])
        for _ in range(4):
            at = np.nextafter(at, x.dtype.type(-np.inf))
        for _ in range(9):
            row = x[len(rows) % len(x)].copy()
            row[feature] = at
            rows.append(row)
            at = np.nextafter(at, x.dtype.type(np.inf))
    return np.array(rows, x.dtype)


def label_texts(path, found, scores):
    """The labels that Phoenix derives from scores."""
    names = found["label"]
    if scores.shape[1] == 1:
        return np.array(names)[(scores[:, 0] > float(found["threshold"][0])).astype(int)]
    return np.array(names)[np.argmax(scores, axis=1)]


def assert_labels(path, labels, scores):
    found = info(path)
    got = label_texts(path, found, scores)
    ranked = np.sort(scores, axis=1)
    sure = np.abs(scores[:, 0]) > 1e-6 if scores.shape[1] == 1 else ranked[:, -1] - ranked[:, -2] > 1e-6
    assert (got[sure] == labels.astype(str)[sure]).all()


def assert_parity(model, rows, folder, ulps=0):
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    labels, want = run(model, rows)
    if info(path)["type"] == ["FP64"]:  # also for floats that are summed in double
        rows = rows.astype(np.float64)
    for kernel in kernels_of(path):
        for batch in BATCHES:
            got = score(path, rows, folder, "--kernel", kernel, "--batch", batch)
            assert_close(got, want, ulps, rows)
    assert_close(score(path, rows, folder, "--self-test", 200), want, ulps, rows)
    if labels is not None:
        assert_labels(path, labels, want)


@pytest.mark.parametrize("name", CASES)
def test_exported(name, tmp_path):
    make, ulps = CASES[name]
    model = make()
    double = model.graph.input[0].type.tensor_type.elem_type == TensorProto.DOUBLE
    x = data(0.1)[0].astype(np.float64 if double else np.float32)
    rows = np.vstack([torture_rows(x[:150], thresholds(model), most=300), scaled_neighbours(model, x)])
    rows[150:160, 3] = np.inf
    rows[160:170, 3] = -np.inf
    if name.startswith("isolation"):
        rows = rows[~np.isnan(rows).any(axis=1)]
    assert_parity(model, rows, tmp_path, ulps)


def mode_rows(double, fractions=False, features=4):
    random = np.random.default_rng(8)
    kind = np.float64 if double else np.float32
    rows = np.round(random.normal(size=(600, features)) * 2, 1).astype(kind)
    whole = random.random(rows.shape) < 0.4
    rows[whole] = np.round(rows[whole])
    special = [np.nan, np.inf, -np.inf, -0.0, 40, 2.5, -2.5, 1e-40, 3e38]
    if not fractions:  # ONNX Runtime cuts them off before it looks into some sets; the standard does not
        rows, special = np.round(rows), [np.nan, -0.0, 40, 1e6]
    at = random.random(rows.shape) < 0.15
    rows[at] = random.choice(special, at.sum())
    return rows


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("mode", [*MODES, None])
def test_every_mode_of_version_5(mode, double, tmp_path):
    modes = MODES if mode is None else (mode,)
    for seed in range(4):
        model = random_ensemble(seed, modes=modes, double=double)
        assert_parity(model, mode_rows(double, 6 not in modes), tmp_path)


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("aggregate", range(4))
def test_every_aggregate_of_version_5(aggregate, double, tmp_path):
    for targets in (1, 3) if aggregate in (0, 1) else (1,):
        model = random_ensemble(
            3, trees=9, targets=targets, double=double, aggregate_function=aggregate
        )
        assert_parity(model, mode_rows(double), tmp_path)


def test_softmax_and_logistic_of_version_5_follow_the_standard_and_not_onnx_runtime(tmp_path):
    """1 is SOFTMAX and 2 LOGISTIC; ONNX Runtime takes them for each other."""
    rows = mode_rows(False)
    for post, swapped in ((1, 2), (2, 1)):
        ours = random_ensemble(1, targets=3, post_transform=post)
        theirs = random_ensemble(1, targets=3, post_transform=swapped)
        path = tmp_path / "m.onnx"
        path.write_bytes(ours.SerializeToString())
        assert_close(score(path, rows, tmp_path), run(theirs, rows)[1], 4, rows)
        assert "mixes up" in info(path)["warning"][0]


@pytest.mark.parametrize("post", [3, 4])
def test_other_transforms_of_version_5(post, tmp_path):
    rows = mode_rows(False)
    assert_parity(random_ensemble(2, targets=3, post_transform=post), rows, tmp_path, ulps=64)


def stumps(weights, ids, labels, post="NONE", base=None):
    """A classifier of stumps at 0.5: both leaves of tree t vote weights[t] for ids[t]; right: half of it."""
    trees = range(len(weights))
    a = {
        "nodes_treeids": [t for t in trees for _ in range(3)],
        "nodes_nodeids": [0, 1, 2] * len(weights),
        "nodes_featureids": [t % 2 for t in trees for _ in range(3)],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"] * len(weights),
        "nodes_truenodeids": [1, 0, 0] * len(weights),
        "nodes_falsenodeids": [2, 0, 0] * len(weights),
        "nodes_values": [0.5, 0.0, 0.0] * len(weights),
        "class_treeids": [t for t in trees for _ in ids[t] * 2],
        "class_nodeids": [leaf for t in trees for leaf in (1, 2) for _ in ids[t]],
        "class_ids": [i for t in trees for _ in (1, 2) for i in ids[t]],
        "class_weights": [w / leaf for t in trees for leaf in (1, 2) for w in weights[t]],
        "post_transform": post,
        "classlabels_strings" if isinstance(labels[0], str) else "classlabels_int64s": labels,
    }
    if base:
        a["base_values"] = base
    node = helper.make_node("TreeEnsembleClassifier", ["X"], ["L", "P"], domain="ai.onnx.ml", **a)
    kind = TensorProto.STRING if isinstance(labels[0], str) else TensorProto.INT64
    return model_of(node, [("L", kind, None), ("P", TensorProto.FLOAT, len(labels))], ml=3)


CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [np.nan, 0]], np.float32)


@pytest.mark.parametrize(
    "weights, ids, post, base",
    [
        ([[0.7], [0.1]], [[0], [0]], "NONE", None),
        ([[0.7], [-0.9]], [[0], [0]], "NONE", None),
        ([[0.7], [-0.9]], [[0], [0]], "LOGISTIC", None),
        ([[0.7], [-0.9]], [[0], [0]], "LOGISTIC", [0.3]),
        ([[0.7], [-0.9]], [[0], [0]], "NONE", [-0.3]),
        ([[1.7], [1.9]], [[0], [0]], "LOGISTIC", None),
    ],
)
def test_two_classes_with_votes_for_one(weights, ids, post, base, tmp_path):
    model = stumps(weights, ids, [10, 20], post, base)
    assert_parity(model, CORNERS, tmp_path, ulps=0 if post == "NONE" else 4)


@pytest.mark.parametrize("post", ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"])
def test_scores_of_two_classes_with_votes_for_both(post, tmp_path):
    """The probabilities are ONNX Runtime's; its labels (the sign of the second sum, as 0 or 1) are not."""
    model = stumps([[0.7, 0.3], [0.1, 0.2]], [[0, 1], [0, 1]], [10, 20], post)
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    assert_close(score(path, CORNERS, tmp_path), run(model, CORNERS)[1], 8, CORNERS)
    assert info(path)["label"] == ["10", "20"]


@pytest.mark.parametrize("post", ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"])
@pytest.mark.parametrize("base", [None, [0.1, 0.2, -0.1]])
def test_three_classes(post, base, tmp_path):
    weights, ids = [[0.2, 0.3, 0.1], [0.1], [0.2]], [[0, 1, 2], [2], [0]]
    model = stumps(weights, ids, ["a", "b", "c"], post, base)
    assert_parity(model, CORNERS, tmp_path, ulps=0 if post == "NONE" else 8)


def test_sets_of_categories_are_chains_of_equals(tmp_path):
    """XGBoost's categorical splits: nodes of a chain share a child, which a tree must not."""
    random = np.random.default_rng(7)
    codes, x = random.integers(0, 9, N), random.normal(size=N)
    rows = np.column_stack([codes, x])
    y = np.isin(codes, [1, 3, 4]) * 2.0 + x
    matrix = xgb.DMatrix(rows, y, feature_types=["c", "q"], enable_categorical=True)
    booster = xgb.train({"max_depth": 4, "max_cat_to_onehot": 1}, matrix, 8)
    types = [("input", FloatTensorType([None, 2]))]
    model = onnxmltools.convert_xgboost(booster, initial_types=types)
    assert b"BRANCH_EQ" in attribute(model, "nodes_modes")
    odd = random.choice([-1, 3.5, 11, 1e9, np.nan, np.inf], (100, 2))
    assert_parity(model, np.vstack([rows, odd]).astype(np.float32), tmp_path)


def test_double_rows_are_rounded_when_the_graph_casts_them(tmp_path):
    model = CASES["random-forest-regressor"][0]()
    cast = helper.make_node("Cast", ["X"], ["rounded"], to=TensorProto.FLOAT)
    model.graph.node[0].input[0] = "rounded"
    model.graph.node.insert(0, cast)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    rows = data()[0].astype(np.float64) + 1e-9
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    assert_same_bits(score(path, rows.astype(np.float32), tmp_path), run(model, rows)[1], rows)


def test_one_input_per_column_names_the_features(tmp_path):
    model = CASES["random-forest-regressor"][0]()
    names = [f"column {i}" for i in range(FEATURES)]
    joined = helper.make_node("Concat", names, ["X"], axis=1)
    model.graph.node.insert(0, joined)
    del model.graph.input[:]
    for name in names:
        port = helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1])
        model.graph.input.append(port)
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    rows = data()[0]
    feed = {name: rows[:, i : i + 1] for i, name in enumerate(names)}
    assert_same_bits(score(path, rows, tmp_path), session(model).run(None, feed)[0], rows)
    assert info(path)["feature"] == names


def test_a_graph_of_something_else_is_refused_by_the_name_of_the_node(tmp_path):
    node = helper.make_node("Gemm", ["X", "X"], ["Y"], name="MatMul_3")
    model = model_of(node, [("Y", TensorProto.FLOAT, 2)])
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    message = 'the graph has a node "Gemm" (MatMul_3) that is no part of a tree ensemble'
    assert message in refusal(path)
