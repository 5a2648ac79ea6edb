# SPDX-License-Identifier: Apache-2.0
"""Runs the binary under test: $PHOENIX, or the release build."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PHOENIX = os.path.abspath(os.environ.get("PHOENIX", ROOT / "build" / "phoenix"))
SANITIZED = "asan" in PHOENIX or "tsan" in PHOENIX


def built(path):
    """A program or library that is built for the tests, as a path; without it the test is skipped, or the module that asks for it."""
    path = Path(path)
    if not path.exists():
        pytest.skip(f"needs {path}: make builds only phoenix, tools/build release everything", allow_module_level=True)
    return path


def phoenix(*words, stdin="", timeout=120, **options):
    """Runs a command line to its end; returns the CompletedProcess with text output."""
    command = [PHOENIX, *map(str, words)]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=timeout, **options
    )


def succeed(*words, **options):
    """Runs a command line that must succeed; returns its standard output."""
    done = phoenix(*words, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fail(*words, status=1, **options):
    """Runs a command line that must fail with this status; returns its standard error."""
    done = phoenix(*words, **options)
    assert done.returncode == status, f"status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stderr
