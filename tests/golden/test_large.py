# SPDX-License-Identifier: Apache-2.0
"""Very large models: half a million nodes are opened within memory that grows with the file, and score as the
library does. How long it takes is measured by benchmarks/forest_load.py; nothing here looks at a clock."""

import resource
import subprocess

import catboost
import large_models
import lightgbm
import numpy as np
import pytest
import xgboost
from parity import TOOL, assert_same_bits, score

TREES, DEPTH = 1000, 8
BYTES_A_NODE, SLACK = 200, 64 << 20


@pytest.fixture(name="files", scope="module")
def files_fixture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    for name, write in large_models.WRITERS.items():
        write(folder / name, TREES, DEPTH)
    return folder


def library_margins(path, rows):
    """The library's margins, and the file with the numbers that it really holds."""
    if path.name.startswith("xgboost"):
        booster = xgboost.Booster({"nthread": 1}, model_file=path)
        return booster.predict(xgboost.DMatrix(rows), output_margin=True), path
    if path.name.startswith("lightgbm"):
        return lightgbm.Booster(model_file=path).predict(rows, raw_score=True, num_threads=1), path
    # CatBoost reads one decimal in six to a neighbouring double, but writes what it holds exactly.
    model = catboost.CatBoost().load_model(path, format="json")
    model.save_model(str(path) + ".again", format="json")
    return model.predict(rows, thread_count=1), path.with_name(path.name + ".again")


@pytest.mark.parametrize("name", large_models.WRITERS)
def test_memory_is_bounded_by_the_file_and_its_nodes(name, files):
    nodes = large_models.n_nodes(TREES, DEPTH)
    limit = (files / name).stat().st_size + nodes * BYTES_A_NODE + SLACK
    done = subprocess.run([TOOL, files / name, "--info"], capture_output=True, text=True, timeout=300,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
    assert done.returncode == 0, done.stderr
    assert {f"trees={TREES}", f"nodes={nodes}", f"depth={DEPTH}"} <= set(done.stdout.splitlines())


@pytest.mark.parametrize("name", large_models.WRITERS)
def test_thousands_of_trees_score_as_in_the_library(name, files, tmp_path):
    kind = np.float32 if name.startswith("xgboost") else np.float64
    rows = np.random.default_rng(1).normal(size=(40, large_models.FEATURES)).astype(kind)
    rows[::3, ::7] = np.nan
    margins, path = library_margins(files / name, rows)
    for batch in (1, 40):
        assert_same_bits(score(path, rows, tmp_path, "--margin", "--batch", batch), margins, rows)


def test_json_and_ubjson_of_one_large_model_are_one_forest(files, tmp_path):
    booster = xgboost.Booster({"nthread": 1}, model_file=files / "xgboost.json")
    booster.save_model(tmp_path / "again.ubj")
    rows = np.random.default_rng(2).normal(size=(40, large_models.FEATURES)).astype(np.float32)
    texts = score(files / "xgboost.json", rows, tmp_path, "--margin")
    assert_same_bits(score(tmp_path / "again.ubj", rows, tmp_path, "--margin"), texts, rows)
