# SPDX-License-Identifier: Apache-2.0
"""docs/architecture/forest.md lists sixty ways of being silently wrong, each with the tests that find it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "architecture" / "forest.md"
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
NAMED = re.compile(r"`(test_\w+\.(?:c|py)): (\w+)`")


def rows():
    return [(int(number), cell) for number, _, cell in ROW.findall(PAGE.read_text())]


def test_every_mode_is_listed_once_and_in_order():
    assert [number for number, _ in rows()] == list(range(1, 61))


def defines(text, name):
    """A Python test, or a C test that is also in the list of those that run."""
    if re.search(rf"^def {name}\(", text, re.MULTILINE):
        return True
    return f"PX_TEST({name})" in text and re.search(rf"\bT\({name}\)", text)


@pytest.mark.parametrize("number, cell", rows())
def test_the_named_tests_exist(number, cell):
    named = NAMED.findall(cell)
    assert named, f"mode {number} names no test: {cell}"
    for file, name in named:
        found = list((ROOT / "tests").rglob(file))
        assert len(found) == 1, f"mode {number}: {file} is {len(found)} files below tests/"
        assert defines(found[0].read_text(), name), f"mode {number}: {file} has no test {name}"
