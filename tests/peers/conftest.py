# SPDX-License-Identifier: Apache-2.0
"""A server for the peers, and where they are installed."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from command import ROOT
from models import rows, xgboost_model
from rest_models import make_models
from server import Server

PEERS = Path(os.environ.get("PEERS", ROOT / ".venv-peers"))


def _find(name):
    return shutil.which(name, path=os.pathsep.join([str(PEERS / "bin"), os.environ["PATH"]]))


@pytest.fixture(scope="session")
def tool():
    """tool(NAME...) gives the path of a program, or skips the test."""

    def find(*names):
        paths = [_find(name) for name in names]
        for name, path in zip(names, paths):
            if not path:
                pytest.skip(f"{name} is not installed; see tests/peers/README.md")
        return paths[0] if len(paths) == 1 else paths

    return find


@pytest.fixture(scope="session")
def run_in():
    """run_in(ENVIRONMENT, SCRIPT, ARGUMENT...) runs a script of this folder and gives the JSON that it prints."""

    def run(environment, script, *arguments):
        python = PEERS / environment / "bin" / "python"
        if not python.exists():
            pytest.skip(f"no environment {PEERS / environment}; see tests/peers/README.md")
        command = [python, Path(__file__).parent / script, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def phoenix(tmp_path_factory):
    """(server, boosters by name)"""
    arguments, boosters = make_models(tmp_path_factory.mktemp("peers"))
    with Server(*arguments) as server:
        yield server, boosters


@pytest.fixture(scope="session")
def phoenix_of_named(tmp_path_factory):
    """(server, booster) of a single model, which paths without a name mean"""
    folder = tmp_path_factory.mktemp("peer")
    booster = xgboost_model(folder / "named.json")
    with Server(folder / "named.json") as server:
        yield server, booster


@pytest.fixture(scope="session")
def some_rows():
    """Rows of the model `named` as 32-bit floats, without missing values and within the range of 16-bit floats."""
    return np.clip(np.nan_to_num(rows(12, seed=8)), -6e4, 6e4).astype(np.float32)
