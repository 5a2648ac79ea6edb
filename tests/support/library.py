# SPDX-License-Identifier: Apache-2.0
"""The library beside the binary under test, and an installed copy of it."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

from command import PHOENIX, ROOT

BUILD = Path(PHOENIX).resolve().parent
SHARED = BUILD / "libphoenix.so"
STATIC = BUILD / "libphoenix.a"
ENGINES = BUILD / "engines"  # where a build keeps ONNX Runtime; the library finds it by a variable


def install(prefix):
    """Installs into a folder; returns the environment in which programs find the library there."""
    subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], check=True, capture_output=True)
    (file,) = prefix.rglob("phoenix.pc")
    folder = file.parent.parent
    env = dict(os.environ, PKG_CONFIG_PATH=str(file.parent), LD_LIBRARY_PATH=str(folder))
    env["PHOENIX_LIBRARY"] = str(folder / "libphoenix.so.0")
    return env


def run(*words, status=0, **options):
    """Runs a command to its end; returns its standard output."""
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, timeout=300,
                          **options)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def module():
    """examples/python/phoenix.py over the library under test."""
    os.environ["PHOENIX_LIBRARY"] = str(SHARED)
    if ENGINES.is_dir():
        os.environ.setdefault("PHOENIX_ONNXRUNTIME", str(ENGINES))
    folder = str(ROOT / "examples" / "python")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    import phoenix

    return phoenix


def raw():
    return ctypes.CDLL(str(SHARED))
