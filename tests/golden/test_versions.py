# SPDX-License-Identifier: Apache-2.0
"""Models written by old versions of the libraries, with what those versions predicted (versions/)."""

import json
from pathlib import Path

import numpy as np
import pytest
from parity import assert_parity

FOLDER = Path(__file__).parent / "versions"
MODELS = sorted(path for path in FOLDER.glob("*-*") if not path.name.endswith(".expected.json"))


def floats(texts, dtype):
    return np.array([float.fromhex(text) for text in texts], dtype=dtype)


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_an_old_version_predicted_the_same_bits(model, tmp_path):
    dtype = np.float32 if model.suffix == ".json" else np.float64
    expected = json.loads((FOLDER / f"{model.stem}.expected.json").read_text())
    rows = json.loads((FOLDER / "rows.json").read_text())
    rows = np.array([floats(row, np.float64) for row in rows]).astype(dtype)
    margins, scores = floats(expected["margins"], dtype), floats(expected["scores"], dtype)
    assert_parity(model, rows, margins, scores, tmp_path)


def test_the_versions_cover_every_change_of_layout():
    versions = {tuple(model.name.split("-")[:2]) for model in MODELS}
    assert len(versions) >= 12
