# SPDX-License-Identifier: Apache-2.0
"""Parity with XGBoost, to the bit: the current release, and 1.7 where Debian's package is installed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xgboost_cases
from parity import assert_parity, assert_same_bits, refusal, score, torture_rows
from torture import Split, path_rows

SCRIPT = Path(xgboost_cases.__file__)
DEBIAN_PYTHON = "/usr/bin/python3"  # may import Debian's python3-xgboost, version 1.7


def debian_version():
    code = "import xgboost; print(xgboost.__version__)"
    try:
        done = subprocess.run([DEBIAN_PYTHON, "-c", code], capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None


DEBIAN_VERSION = debian_version()
LIBRARIES = {
    "current": sys.executable,
    "debian": DEBIAN_PYTHON,
}
NAMES = sorted(xgboost_cases.cases())
SINCE_2 = {"quantiles", "vector-leaves", "vector-leaves-classes", "vector-leaves-parallel"}


def run_script(python, *arguments):
    done = subprocess.run(
        [python, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr


def trees_of(model):
    booster = json.loads(model.read_text())["learner"]["gradient_booster"]
    return booster.get("model", booster.get("gbtree", {}).get("model"))["trees"]


def split_of(tree, i=0):
    """The tree below node `i` for torture.path_rows."""
    left, right = tree["left_children"][i], tree["right_children"][i]
    if left == -1:
        return None
    categories = None
    if i in tree.get("categories_nodes", []):
        j = tree["categories_nodes"].index(i)
        start = tree["categories_segments"][j]
        categories = set(tree["categories"][start : start + tree["categories_sizes"][j]])
    feature, threshold = tree["split_indices"][i], tree["split_conditions"][i]
    children = split_of(tree, left), split_of(tree, right)
    return Split(feature, threshold, categories, False, *children)


def thresholds_of(model):
    """(feature, value) of every numeric split."""
    found = set()
    for tree in trees_of(model):
        types = tree.get("split_type", [0] * len(tree["left_children"]))
        for i, left in enumerate(tree["left_children"]):
            if left != -1 and not types[i]:
                found.add((tree["split_indices"][i], tree["split_conditions"][i]))
    return sorted(found)


def make_rows(place):
    base = np.fromfile(place / "base.f32", dtype=np.float32).reshape(-1, xgboost_cases.FEATURES)
    categorical = json.loads((place / "spec.json").read_text())["categorical"]
    rows = torture_rows(base, thresholds_of(place / "model.json"))
    if categorical:
        # Codes that training saw, codes that it did not, and what is no code at all.
        random = np.random.default_rng(7)
        codes = random.integers(0, 110, size=(len(rows), 3)).astype(np.float32)
        codes[::7] = np.nan
        codes[3::7] = random.choice([-1, -0.5, 2.7, 1e6, 2**24, 1e30], size=codes[3::7].shape)
        rows[len(base) :, :3] = codes[len(base) :]
    roots = [split_of(tree) for tree in trees_of(place / "model.json")]
    np.vstack([rows, path_rows(roots, base, le=False)]).tofile(place / "rows.f32")


@pytest.fixture(scope="session")
def matrix(tmp_path_factory):
    """library -> folder with a model, rows and the library's own predictions per case."""
    made = {}

    def make(library):
        if library == "debian" and not DEBIAN_VERSION:
            pytest.skip(f"{DEBIAN_PYTHON} has no xgboost: apt-get install python3-xgboost")
        if library not in made:
            folder = tmp_path_factory.mktemp(library)
            run_script(LIBRARIES[library], folder)
            for place in folder.iterdir():
                make_rows(place)
            run_script(LIBRARIES[library], folder, "--predict")
            made[library] = folder
        return made[library]

    return make


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("library", LIBRARIES)
def test_margins_and_scores(matrix, library, name, tmp_path):
    place = matrix(library) / name
    if library == "debian" and name in SINCE_2:
        pytest.skip(f"XGBoost {DEBIAN_VERSION} cannot train this")
    rows = np.fromfile(place / "rows.f32", dtype=np.float32).reshape(-1, xgboost_cases.FEATURES)
    margins = np.fromfile(place / "margins.f32", dtype=np.float32).reshape(len(rows), -1)
    scores = np.fromfile(place / "scores.f32", dtype=np.float32).reshape(len(rows), -1)
    assert_parity(place / "model.json", rows, margins, scores, tmp_path)
    assert_parity(place / "model.ubj", rows, margins, scores, tmp_path)


def train_binary(**params):
    import xgboost as xgb

    x, y = xgboost_cases.numbers(missing=0.2)
    data = xgb.DMatrix(x, label=xgboost_cases.label("binary", y))
    return x, data, {"objective": "binary:logistic", "nthread": 1, "seed": 1, **params}


def test_infinities_compare_as_numbers(tmp_path):
    """A DMatrix refuses them; in-place prediction takes them, and so does a server."""
    import xgboost as xgb

    x, data, params = train_binary(max_depth=5)
    booster = xgb.train(params, data, 10)
    booster.save_model(tmp_path / "m.json")
    rows = x[:200].copy()
    rows[::2, 0] = np.inf
    rows[::3, 2] = -np.inf
    want = booster.inplace_predict(rows, predict_type="margin")
    assert_same_bits(score(tmp_path / "m.json", rows, tmp_path, "--margin"), want, rows)


def test_an_early_stopped_model_serves_all_rounds_or_the_best(tmp_path):
    import xgboost as xgb

    x, data, params = train_binary(max_depth=6, learning_rate=0.8)
    valid = xgb.DMatrix(x[:80], label=np.random.default_rng(1).integers(2, size=80))
    booster = xgb.train(
        params, data, 60, evals=[(valid, "valid")], early_stopping_rounds=8, verbose_eval=False
    )
    booster.save_model(tmp_path / "m.json")
    best = booster.best_iteration + 1
    assert best < booster.num_boosted_rounds()
    rows = x[:100]
    want = booster.predict(xgb.DMatrix(rows))
    assert_same_bits(score(tmp_path / "m.json", rows, tmp_path), want, rows)
    want = booster.predict(xgb.DMatrix(rows), iteration_range=(0, best))
    assert_same_bits(score(tmp_path / "m.json", rows, tmp_path, "--best"), want, rows)


def test_a_snapshot_of_the_memory_is_read_like_the_model(tmp_path):
    import xgboost as xgb

    x, data, params = train_binary()
    booster = xgb.train(params, data, 5)
    (tmp_path / "m.ubj").write_bytes(booster.__getstate__()["handle"])
    want = booster.predict(xgb.DMatrix(x[:50]), output_margin=True)
    assert_same_bits(score(tmp_path / "m.ubj", x[:50], tmp_path, "--margin"), want, x)


def test_a_linear_booster_is_refused_by_name(tmp_path):
    import xgboost as xgb

    _, data, params = train_binary(booster="gblinear")
    xgb.train(params, data, 3).save_model(tmp_path / "m.json")
    assert "gblinear" in refusal(tmp_path / "m.json")


def test_a_pickle_is_refused_by_name(tmp_path):
    import pickle

    (tmp_path / "m.pkl").write_bytes(pickle.dumps({"a": 1}))
    assert "pickle" in refusal(tmp_path / "m.pkl").lower()
