# SPDX-License-Identifier: Apache-2.0
"""The programs in examples/: each is built against an installed copy and prints what `phoenix predict` says."""

import json
import shutil
import sys

import library
import numpy as np
import pytest
from command import ROOT, SANITIZED, succeed

EXAMPLES = ROOT / "examples"
MODEL = EXAMPLES / "model.json"
ROWS = "amount,hour,account_days\n25,14,800\n250,3,12\n,23,400\n90.5,9,\n"

pytestmark = pytest.mark.skipif(SANITIZED, reason="a sanitized library needs its run-time preloaded")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    return library.install(tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def expected():
    scores = succeed("predict", MODEL, stdin=ROWS).split()[1:]
    return "".join(f"{np.float32(score):.9f}\n" for score in scores)


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")


def check(expected, *command, env):
    assert library.run(*command, MODEL, env=env) == expected
    absent = library.run(*command, MODEL.with_name("absent.json"), env=env, status=1)
    assert absent == ""


def test_the_page_shows_what_the_examples_print(expected):
    assert expected in (EXAMPLES / "README.md").read_text()


def test_the_scores_are_xgboosts(expected):
    import xgboost

    booster = xgboost.Booster(model_file=MODEL)
    rows = [[float(value or "nan") for value in line.split(",")] for line in ROWS.splitlines()[1:]]
    scores = booster.predict(xgboost.DMatrix(np.array(rows), feature_names=booster.feature_names))
    assert "".join(f"{score:.9f}\n" for score in scores) == expected


def test_python_with_a_graph(installed):
    env = dict(installed, PYTHONPATH=str(EXAMPLES / "python"))
    graph = EXAMPLES / "graphs" / "fraud" / "graph.yaml"
    rows = "[25, 14, 800]\n[250, 3, 12]\n[90.5, 9, 400]\n"
    lines = succeed("predict", graph, "-", stdin=rows).splitlines()
    scores = [np.float32(json.loads(line)["prediction"]).ravel()[0] for line in lines]
    shown = library.run(sys.executable, EXAMPLES / "python" / "graph.py", graph, env=env)
    assert shown == "".join(f"{score:.9f}\n" for score in scores)


@pytest.mark.parametrize("target", ["scores", "static"])
def test_c(tmp_path, installed, expected, target):
    need("cc", "make", "pkg-config")
    goal = target if target == "static" else tmp_path / target
    library.run("make", "-C", EXAMPLES / "c", f"OUT={tmp_path}", goal, env=installed)
    (program,) = tmp_path.iterdir()
    check(expected, program, env=installed)


def test_python(installed, expected):
    script = EXAMPLES / "python" / "scores.py"
    assert library.run(sys.executable, script, MODEL, env=installed) == expected


def test_rust(tmp_path, installed, expected):
    need("cargo", "rustc", "pkg-config")
    env = dict(installed, CARGO_TARGET_DIR=str(tmp_path))
    manifest = EXAMPLES / "rust" / "Cargo.toml"
    library.run("cargo", "build", "--quiet", "--offline", "--locked", "--manifest-path", manifest, env=env)
    check(expected, tmp_path / "debug" / "scores", env=env)


def test_go(tmp_path, installed, expected):
    need("go", "cc", "pkg-config")
    env = dict(installed, GOFLAGS="-mod=mod", GOPROXY="off", CGO_ENABLED="1")
    # Go keeps what pkg-config once said; another CGO_LDFLAGS makes it ask again.
    env["CGO_LDFLAGS"] = "-L" + installed["LD_LIBRARY_PATH"]
    library.run("go", "build", "-o", tmp_path / "scores", ".", env=env, cwd=EXAMPLES / "go")
    check(expected, tmp_path / "scores", env=env)
