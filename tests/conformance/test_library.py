# SPDX-License-Identifier: Apache-2.0
"""libphoenix from outside: what it exports, how it is installed, and its scores against the training libraries'."""

import json
import re
import shutil
import sys
import threading

import library
import models
import numpy as np
import pytest
from command import ROOT, SANITIZED, succeed

HEADER = ROOT / "include" / "phoenix" / "phoenix.h"
DECLARED = sorted(re.findall(r"^PHX_API .*?(phx_\w+)\(", HEADER.read_text(), re.M))

pytestmark = pytest.mark.skipif(
    SANITIZED, reason="a sanitized library needs its run-time preloaded; unit tests cover it"
)

# ---- names and files ----


def exported(*words):
    lines = library.run("nm", "--defined-only", *words).splitlines()
    symbols = [line.split()[-2:] for line in lines if len(line.split()) == 3]
    return sorted(name.split("@")[0] for kind, name in symbols if kind.isupper() and kind != "A")


def test_only_the_declared_names_leave_the_shared_library():
    assert len(DECLARED) >= 12
    assert exported("-D", library.SHARED) == DECLARED


def test_only_the_declared_names_leave_the_static_library():
    assert exported(library.STATIC) == DECLARED
    assert len(library.run("ar", "t", library.STATIC).split()) == 1


def test_the_shared_library_needs_little_and_has_a_versioned_name():
    text = library.run("readelf", "-d", library.SHARED)
    needed = re.findall(r"NEEDED.*\[(.*?)\.so", text)
    assert set(needed) <= {"libyaml-0", "libm", "libc", "ld-linux-x86-64", "libpthread"}
    assert "soname: [libphoenix.so.0]" in text
    assert (library.BUILD / "libphoenix.so.0").resolve().name.startswith("libphoenix.so.0.")


def test_every_exported_name_has_a_version():
    lines = library.run("nm", "-D", "--defined-only", library.SHARED).splitlines()
    names = [line.split()[-1] for line in lines if " T " in line]
    assert len(names) == len(DECLARED) and all(re.search(r"@@PHOENIX_\d+\.\d+$", name) for name in names)


@pytest.mark.parametrize(
    ("compiler", "standard", "suffix"),
    [("cc", "c99", "c"), ("cc", "c17", "c"), ("c++", "c++98", "cpp"), ("c++", "c++17", "cpp")],
)
def test_the_header_compiles_alone(tmp_path, compiler, standard, suffix):
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    source = tmp_path / f"a.{suffix}"
    source.write_text("#include <phoenix/phoenix.h>\nint main(void) { return phx_model_features(0) != 0; }\n")
    flags = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-std={standard}", f"-I{ROOT / 'include'}"]
    library.run(compiler, *flags, "-c", source, "-o", tmp_path / "a.o")
    library.run(compiler, tmp_path / "a.o", library.SHARED, "-o", tmp_path / "a")


def test_the_version_is_the_same_everywhere():
    text = HEADER.read_text()
    numbers = [re.search(rf"PHX_VERSION_{part} (\d+)", text).group(1) for part in ("MAJOR", "MINOR", "PATCH")]
    version = ".".join(numbers)
    assert library.module().version() == version
    assert version in succeed("version")
    assert f"Version: {version}" in (library.BUILD / "phoenix.pc").read_text()


@pytest.mark.parametrize("static", [False, True])
def test_an_installed_library_is_found_by_pkg_config(tmp_path, static):
    env = library.install(tmp_path / "prefix")
    (tmp_path / "prefix").rename(tmp_path / "moved")  # a tree that was moved still works
    env = {key: value.replace("/prefix/", "/moved/") for key, value in env.items()}
    words = ["--static"] if static else []
    flags = library.run("pkg-config", *words, "--cflags", "--libs", "phoenix", env=env).split()
    program = tmp_path / "scores"
    more = ["-static"] if static else []
    library.run("cc", *more, ROOT / "examples" / "c" / "scores.c", "-o", program, *flags)
    text = library.run(program, ROOT / "examples" / "model.json", env={} if static else env)
    assert len(text.split()) == 4


def test_a_program_may_use_the_librarys_inner_names(tmp_path):
    source = tmp_path / "a.c"
    source.write_text(
        "#include <phoenix/phoenix.h>\nint px_free(void);\nint px_free(void) { return 3; }\n"
        "int main(int n, char **a) { return phx_model_open(a[n - 1], 0, 0) ? px_free() : 1; }\n"
    )
    program = tmp_path / "a"
    words = ["cc", f"-I{ROOT / 'include'}", source, library.STATIC, "-lyaml", "-lm", "-pthread", "-o", program]
    library.run(*words)
    library.run(program, ROOT / "examples" / "model.json", status=3)


# ---- scores ----

X = models.rows(12000, seed=9)


@pytest.mark.parametrize("objective,classes", [("binary:logistic", 2), ("multi:softprob", 3), ("multi:softmax", 3)])
@pytest.mark.parametrize("margin", [False, True])
def test_xgboost_scores_are_exact(tmp_path, objective, classes, margin):
    path = tmp_path / "model.ubj"
    booster = models.xgboost_model(path, objective, classes=classes)
    x = X.astype(np.float32)
    expected = models.xgboost_scores(booster, x, margin)
    with library.module().Model(path, threads=3) as model:
        for rows in (x, X):  # doubles are rounded as XGBoost rounds them
            for parallel in (False, True):
                got = model.predict(rows, margin=margin, parallel=parallel)
                assert got.dtype == rows.dtype
                np.testing.assert_array_equal(got.astype(np.float32), expected)
        one = [model.predict(row, margin=margin)[0] for row in x[:50]]
        np.testing.assert_array_equal(np.array(one), expected[:50])


@pytest.mark.parametrize(("objective", "classes"), [("binary", 2), ("multiclass", 3), ("regression", 2)])
@pytest.mark.parametrize("margin", [False, True])
def test_lightgbm_scores_are_exact(tmp_path, objective, classes, margin):
    path = tmp_path / "model.txt"
    booster = models.lightgbm_model(path, objective, classes)
    expected = booster.predict(X, raw_score=margin)
    with library.module().Model(path, threads=3) as model:
        for parallel in (False, True):
            np.testing.assert_array_equal(model.predict(X, margin=margin, parallel=parallel), expected)
        narrow = X.astype(np.float32)
        expected = booster.predict(narrow.astype(np.float64), raw_score=margin).astype(np.float32)
        np.testing.assert_array_equal(model.predict(narrow, margin=margin), expected)


@pytest.mark.parametrize("rounds", ["all", "best"])
@pytest.mark.parametrize("by", ["folder", "file"])
def test_a_package_counts_the_rounds_that_its_model_yaml_says(tmp_path, rounds, by):
    import xgboost

    x = models.rows()
    data = xgboost.DMatrix(x, label=models.target(x), feature_names=models.NAMES)
    other = xgboost.DMatrix(x, label=1 - models.target(x), feature_names=models.NAMES)
    booster = xgboost.train({"objective": "binary:logistic", "nthread": 1}, data, 20,
                            evals=[(other, "other")], early_stopping_rounds=5, verbose_eval=False)
    assert booster.best_iteration + 1 < booster.num_boosted_rounds()
    booster.save_model(tmp_path / "m.json")
    (tmp_path / "model.yaml").write_text(f"phoenix: 1\nmodel: m.json\nrounds: {rounds}\n")
    last = booster.best_iteration + 1 if rounds == "best" else booster.num_boosted_rounds()
    expected = booster.predict(data, iteration_range=(0, last))
    path = tmp_path if by == "folder" else tmp_path / "m.json"
    got = library.module().Model(path).predict(x.astype(np.float32))
    np.testing.assert_array_equal(got, expected)


def test_a_model_that_is_not_served_is_not_opened(tmp_path):
    """Golden rows that score differently fail `phoenix check`, and opening as well."""
    models.xgboost_model(tmp_path / "m.json")
    (tmp_path / "model.yaml").write_text("phoenix: 1\nmodel: m.json\ngolden: g.csv\n")
    (tmp_path / "g.csv").write_text("age,balance,duration,pdays,score\n1,2,3,4,0.123\n")
    with pytest.raises(ValueError, match="golden rows score differently"):
        library.module().Model(tmp_path)


def test_facts_are_those_of_check(tmp_path):
    models.xgboost_model(tmp_path / "m.json", "multi:softmax", classes=3)
    model = library.module().Model(tmp_path / "m.json")
    assert (model.features, model.outputs, model.margins) == (4, 1, 3)
    assert model.feature_names == models.NAMES
    assert model.info["format"] == "xgboost-json" and model.info["objective"] == "multi:softmax"
    plan = json.loads(succeed("check", tmp_path / "m.json", "--json"))["plan"]
    assert [k["name"] for k in model.info["plan"]["kernels"]] == [k["name"] for k in plan["kernels"]]
    assert model.info["plan"]["self_test"] == plan["self_test"]


def test_an_unknown_kernel_in_the_environment_is_an_error(tmp_path, monkeypatch):
    models.xgboost_model(tmp_path / "m.json")
    monkeypatch.setenv("PHOENIX_KERNEL", "walker")
    assert library.module().Model(tmp_path / "m.json").info["plan"]["forced"]
    monkeypatch.setenv("PHOENIX_KERNEL", "wolker")
    with pytest.raises(ValueError, match="wolker"):
        library.module().Model(tmp_path / "m.json")


# ---- the Python module ----


def test_the_module_takes_any_layout(tmp_path):
    booster = models.xgboost_model(tmp_path / "m.json")
    x = X[:300].astype(np.float32)
    expected = models.xgboost_scores(booster, x)
    model = library.module().Model(tmp_path / "m.json")
    wide = np.full((300, 9), np.nan, np.float32)
    wide[:, 2:6] = x
    odd = np.zeros(300 * 4 * 4 + 1, np.uint8)[1:].view(np.float32).reshape(300, 4)
    odd[:] = x
    for rows in (wide[:, 2:6], np.asfortranarray(x), x[::-1][::-1], np.repeat(x, 2, axis=0)[::2], odd):
        np.testing.assert_array_equal(model.predict(rows), expected)
    np.testing.assert_array_equal(model.predict(x[::-1]), expected[::-1])
    np.testing.assert_array_equal(model.predict([[1, 2, 3, 4]]), model.predict(np.array([1.0, 2, 3, 4])))
    assert model.predict(np.empty((0, 4))).shape == (0,)
    for bad in (np.zeros((2, 3)), np.zeros(5), np.zeros((2, 2, 4))):
        with pytest.raises(ValueError, match="expected rows of 4 features"):
            model.predict(bad)


def test_the_module_says_what_is_wrong(tmp_path):
    with pytest.raises(ValueError, match="there is no file or folder"):
        library.module().Model(tmp_path / "absent.json")
    models.xgboost_model(tmp_path / "m.json")
    with pytest.raises(RuntimeError, match="invalid input"):
        library.module().Model(tmp_path / "m.json", threads=1000)
    model = library.module().Model(tmp_path / "m.json")
    model.close()
    model.close()
    with pytest.raises(ValueError, match="closed"):
        model.predict(X)


def test_python_threads_share_a_model(tmp_path):
    booster = models.xgboost_model(tmp_path / "m.json")
    x = X.astype(np.float32)
    expected = models.xgboost_scores(booster, x)
    model = library.module().Model(tmp_path / "m.json", threads=2)
    wrong = []

    def ask(number):
        for i in range(20):
            first = (number * 531 + i * 97) % 2000
            got = model.predict(x[first:first + 9000], parallel=i % 2 == 0)
            if not np.array_equal(got, expected[first:first + 9000]):
                wrong.append((number, i))

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_forked_child_can_predict_and_close(tmp_path):
    models.xgboost_model(tmp_path / "m.json")
    code = (
        "import os, numpy as np\nfrom phoenix import Model\n"
        f"model = Model({str(tmp_path / 'm.json')!r}, threads=3)\n"
        "x = np.zeros((9000, 4), np.float32)\nmodel.predict(x, parallel=True)\n"
        "child = os.fork()\n"
        "y = model.predict(x, parallel=True)\nmodel.close()\n"
        "assert len(y) == 9000\n"
        "if child == 0: os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
    )
    env = {"PHOENIX_LIBRARY": str(library.SHARED), "PYTHONPATH": str(ROOT / "examples" / "python")}
    library.run(sys.executable, "-c", code, env=env)
