# SPDX-License-Identifier: Apache-2.0
"""Scores rows with this project's engine through forest_tool, and makes rows that find wrong comparisons."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from command import PHOENIX, built

TOOL = built(Path(PHOENIX).parent / "tests" / "forest_tool")
BATCHES = [1, 7, 1000]


def score(model, rows, folder, *options):
    """Scores of rows (f32 or f64, [n, features]) as [n, outputs] of the same type."""
    rows = np.ascontiguousarray(rows)
    (folder / "rows").write_bytes(rows.tobytes())
    command = [TOOL, model, folder / "rows", folder / "out", *options]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return np.fromfile(folder / "out", dtype=rows.dtype).reshape(len(rows), -1)


def refusal(model):
    """The message with which a model file is refused."""
    command = [str(TOOL), str(model), "--info"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, f"{model} was accepted\n{done.stdout}"
    return done.stderr


@pytest.fixture(name="info")
def info_fixture():
    """The lines of --info of a model file."""
    def info(model):
        done = subprocess.run([str(TOOL), str(model), "--info"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()
    return info


def assert_same_bits(got, want, rows):
    """Equal to the bit; any NaN equals any NaN."""
    want = np.asarray(want).reshape(got.shape)
    assert got.dtype == want.dtype
    bits = {4: np.uint32, 8: np.uint64}[got.itemsize]
    same = (got.view(bits) == want.view(bits)) | (np.isnan(got) & np.isnan(want))
    if not same.all():
        i, k = np.argwhere(~same)[0]
        pytest.fail(
            f"{(~same).sum()} of {same.size} values differ; first in row {i}, output {k}: "
            f"got {got[i, k]!r}, want {want[i, k]!r}\nrow: {rows[i].tolist()}"
        )


# Why a kernel may refuse a model of these tests; each kernel has its own reasons, the walker has none.
PROCESSOR = "the processor has no "
LINEAR, AGGREGATE = "its leaves are linear models", "its trees are not summed"
LEAVES = re.compile(r"tree \d+ has (\d+) leaves, at most (\d+)")
MAY_SAY = {
    "walker": [],
    "keyed": [AGGREGATE],
    "branchless": [AGGREGATE, LINEAR],
    "bitslice64": [AGGREGATE, LINEAR, LEAVES],
    "bitslice256": [AGGREGATE, LINEAR, LEAVES, PROCESSOR],
    "bitslice512": [AGGREGATE, LINEAR, LEAVES, PROCESSOR],
    "node-parallel": [AGGREGATE, LINEAR, LEAVES, PROCESSOR],
}


def is_true(reason, model):
    """Does the model's file bear out what a kernel says about it?"""
    if reason == LINEAR:
        return b"is_linear=1" in Path(model).read_bytes()
    if reason == AGGREGATE:  # MIN and MAX are ONNX's alone
        return Path(model).suffix == ".onnx"
    leaves = LEAVES.fullmatch(reason)
    return not leaves or int(leaves[1]) > int(leaves[2])


def assert_may_refuse(kernel, reason, model):
    """A kernel that refuses without need would drop out of every comparison unseen."""
    known = any(reason == r or r == PROCESSOR and reason.startswith(r) or r == LEAVES and r.fullmatch(reason)
                for r in MAY_SAY[kernel])
    assert known and is_true(reason, model), f"{kernel} refuses {model}: {reason}"


def kernels_of(model):
    """The names of the kernels that take a model on this processor; whoever refuses must have to."""
    done = subprocess.run([str(TOOL), str(model), "--kernels"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    kernels = [line.split("\t") for line in done.stdout.splitlines()]
    assert {name for name, _, _ in kernels} == set(MAY_SAY)
    for name, state, reason in kernels:
        if state == "refused":
            assert_may_refuse(name, reason, model)
    return [name for name, state, _ in kernels if state != "refused"]


def assert_parity(model, rows, margins, scores, folder, kernels=None):
    """Every kernel that takes the model, at several batch sizes, gives the library's margins and scores."""
    for kernel in kernels or kernels_of(model):
        for batch in BATCHES:
            options = ["--kernel", kernel, "--batch", batch]
            got = score(model, rows, folder, *options, "--margin")
            assert_same_bits(got, margins, rows)
            assert_same_bits(score(model, rows, folder, *options), scores, rows)


def torture_rows(base, thresholds, seed=5, most=400):
    """Rows of `base` with one value moved onto and next to a threshold, and special numbers everywhere.

    thresholds: (feature, value) pairs of the model.
    """
    random = np.random.default_rng(seed)
    kind = base.dtype.type
    largest = np.finfo(kind).max
    rows = []
    picks = random.permutation(len(thresholds))[:most]
    for feature, value in (thresholds[i] for i in picks):
        for x in (value, np.nextafter(kind(value), -largest), np.nextafter(kind(value), largest)):
            row = base[random.integers(len(base))].copy()
            row[feature] = x
            rows.append(row)
    special = [0.0, -0.0, 1e-35, -1e-35, 1e-36, -1e-36, 1e-40, -1e-40, largest, -largest, np.nan]
    special += [float(kind(1e-35)), np.nextafter(kind(1e-35), 1), np.nextafter(kind(1e-35), 0)]
    for feature in range(base.shape[1]):
        for x in special:
            row = base[random.integers(len(base))].copy()
            row[feature] = x
            rows.append(row)
    rows += [np.full(base.shape[1], x, kind) for x in special]
    return np.vstack([base, np.array(rows, kind)])
