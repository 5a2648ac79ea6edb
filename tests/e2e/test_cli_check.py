# SPDX-License-Identifier: Apache-2.0
"""phoenix check: what is in a model, golden rows, packages, and files that cannot be served."""

import json
import os

import models
import numpy as np
import pytest
from command import fail, phoenix, succeed

X = models.rows(60, seed=11)


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "bank.json"
    return path, models.xgboost_model(path)


def with_scores(x, scores, columns=("score",)):
    lines = models.csv_text(x).splitlines()
    scores = np.asarray(scores).reshape(len(x), -1)
    out = [lines[0] + "," + ",".join(columns)]
    for line, row in zip(lines[1:], scores, strict=True):
        out.append(line + "," + ",".join(repr(v.item()) for v in row))
    return "\n".join(out) + "\n"


def package(folder, booster, text, files=()):
    folder.mkdir(exist_ok=True)
    booster.save_model(folder / "model.ubj")
    (folder / "model.yaml").write_text(text)
    for name, content in files:
        (folder / name).write_text(content)
    return folder


YAML = """\
phoenix: 1
name: bank
model: model.ubj
task: binary
target: y
labels: ["no", "yes"]
features:
  - {name: age, type: number}
  - {name: balance, type: number}
  - {name: duration}
  - {name: pdays, type: number}
training:
  anything: [1, {goes: here}]
"""


def test_text_says_what_is_in_the_file(binary):
    text = succeed("check", binary[0])
    for part in ("bank.json", "xgboost-json", "binary:logistic", "age", "number", "8, depth", "would be served"):
        assert part in text


def test_json_says_the_same(binary):
    about = json.loads(succeed("check", binary[0], "--json"))
    dump = binary[1].get_dump()
    assert about["ok"] is True
    assert about["format"] == "xgboost-json"
    assert about["objective"] == "binary:logistic"
    assert about["task"] == "binary"
    assert about["trees"] == len(dump) == 8
    assert about["leaves"] == sum(tree.count("leaf=") for tree in dump)
    assert [f["name"] for f in about["features"]] == models.NAMES
    assert about["classes"] == 2
    assert about["file_bytes"] == os.path.getsize(binary[0])
    assert about["self_test_passed"] is True


def test_the_plan_says_what_scores_what_and_why(binary):
    about = json.loads(succeed("check", binary[0], "--json"))
    plan = about["plan"]
    assert about["kernel_one"] == plan["choices"][0]["kernel"], "named as in the REST interface"
    assert about["kernel_many"] == plan["choices"][-1]["kernel"]
    assert plan["forced"] is False
    assert [choice["rows"] for choice in plan["choices"]] == [2**i for i in range(10)]
    assert all(choice["ns_per_row"] > 0 for choice in plan["choices"])
    states = {kernel["name"]: kernel["state"] for kernel in plan["kernels"]}
    assert {"walker", "branchless"} <= set(states)
    assert {name for name, state in states.items() if state == "chosen"} == {c["kernel"] for c in plan["choices"]}
    for kernel in plan["kernels"]:
        assert kernel["state"] in ("chosen", "slower", "refused")
        assert ("reason" in kernel) == (kernel["state"] != "chosen")
    assert plan["self_test"] == {"passed": True, "kernels": plan["self_test"]["kernels"], "rows": 768}
    text = succeed("check", binary[0])
    for part in ("ns a row, measured", *states, "and more", "and the walker agree on 768 rows"):
        assert part in text


def test_a_kernel_forced_by_the_environment(binary):
    plan = json.loads(succeed("check", binary[0], "--json", env={"PHOENIX_KERNEL": "walker"}))["plan"]
    assert plan["forced"] is True
    assert {choice["kernel"] for choice in plan["choices"]} == {"walker"}
    assert {kernel["state"] for kernel in plan["kernels"]} == {"chosen", "not tried"}
    assert plan["self_test"] == {"passed": True, "kernels": 0, "rows": 0}
    text = succeed("check", binary[0], env={"PHOENIX_KERNEL": "walker"})
    assert "nothing to compare: the walker alone scores this model" in text and "agree" not in text
    assert json.loads(succeed("check", binary[0], "--json", env={"PHOENIX_KERNEL": ""}))["plan"]["forced"] is False
    message = fail("check", binary[0], env={"PHOENIX_KERNEL": "quantum"})
    assert "PHOENIX_KERNEL: no kernel is called 'quantum'" in message
    assert "kernels are: " in message and "walker" in message


def test_a_forced_kernel_that_does_not_fit_is_an_error_with_the_reason(tmp_path):
    import lightgbm

    path = tmp_path / "linear.txt"
    x = np.nan_to_num(models.rows())
    params = {"objective": "regression", "linear_tree": True, "num_leaves": 7, "num_threads": 1, "verbose": -1}
    lightgbm.train(params, lightgbm.Dataset(x, label=x[:, 0], params=params), 3).save_model(path)
    for kernel in json.loads(succeed("check", path, "--json"))["plan"]["kernels"]:
        if kernel["state"] == "refused":
            message = fail("check", path, env={"PHOENIX_KERNEL": kernel["name"]})
            assert f"kernel '{kernel['name']}' does not support this model: {kernel['reason']}" in message


def test_lightgbm(tmp_path):
    path = tmp_path / "model.txt"
    booster = models.lightgbm_model(path, "multiclass", 3)
    about = json.loads(succeed("check", path, "--json"))
    assert about["format"] == "lightgbm-text"
    assert about["task"] == "multiclass"
    assert about["scores_per_row"] == 3
    golden = tmp_path / "golden.csv"
    golden.write_text(with_scores(X, booster.predict(X), ["score_0", "score_1", "score_2"]))
    assert "passed: 60 rows" in succeed("check", path, "--golden", golden)


def test_golden_rows_that_agree(tmp_path, binary):
    golden = tmp_path / "golden.csv"
    golden.write_text(with_scores(X, models.xgboost_scores(binary[1], X)))
    assert "passed: 60 rows score exactly as expected" in succeed("check", binary[0], "--golden", golden)
    about = json.loads(succeed("check", binary[0], "--golden", golden, "--json"))
    assert about["golden"] == {"passed": True, "rows": 60, "different": 0}


def test_golden_rows_that_differ_name_the_worst(tmp_path, binary):
    scores = models.xgboost_scores(binary[1], X).copy()
    scores[5] = np.nextafter(scores[5], np.float32(1))
    scores[7] += np.float32(0.25)
    golden = tmp_path / "golden.csv"
    golden.write_text(with_scores(X, scores))
    done = phoenix("check", binary[0], "--golden", golden, "--json")
    assert done.returncode == 1
    about = json.loads(done.stdout)
    assert about["ok"] is False
    assert about["golden"]["different"] == 2
    worst = about["golden"]["worst"]
    assert (worst["line"], worst["column"]) == (9, "score")
    assert np.float32(worst["expected"]) == scores[7]
    assert "2 of 60 golden rows score differently; the worst is line 9" in done.stderr
    assert "would not be served" in phoenix("check", binary[0], "--golden", golden).stdout


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t.replace("score", "result"), "no column 'score'"),
        (lambda t: t.replace("age", "agee"), "no column for feature 'age'"),
        (lambda t: t.splitlines()[0] + "\n", "no golden rows"),
        (lambda t: t.rstrip("\n") + "x\n", "line 61: column 'score' must be a number"),
        (lambda t: t + "1,2\n", "line 62: expected 5 fields, got 2"),
        (lambda t: "", "empty"),
    ],
)
def test_golden_files_that_cannot_be_used(tmp_path, binary, change, expected):
    golden = tmp_path / "golden.csv"
    golden.write_text(change(with_scores(X, models.xgboost_scores(binary[1], X))))
    message = fail("check", binary[0], "--golden", golden)
    assert expected in message
    assert "golden.csv" in message
    assert "absent.csv" in fail("check", binary[0], "--golden", tmp_path / "absent.csv")


def test_golden_rows_of_a_model_without_names(tmp_path):
    model = tmp_path / "model.json"
    booster = models.xgboost_model(model, names=None)
    golden = tmp_path / "golden.csv"
    golden.write_text(with_scores(X, models.xgboost_scores(booster, X)))
    assert "passed: 60 rows" in succeed("check", model, "--golden", golden)


def test_a_package(tmp_path, binary):
    folder = package(tmp_path / "pack", binary[1], YAML)
    about = json.loads(succeed("check", folder, "--json"))
    assert about["name"] == "bank"
    assert about["target"] == "y"
    assert about["labels"] == ["no", "yes"]
    assert json.loads(succeed("check", folder / "model.yaml", "--json"))["name"] == "bank"
    assert "score\n" in succeed("predict", folder, stdin=models.csv_text(X))


def test_a_model_file_with_its_description_beside_it(tmp_path, binary):
    folder = package(tmp_path / "pack", binary[1], YAML)
    assert json.loads(succeed("check", folder / "model.ubj", "--json"))["labels"] == ["no", "yes"]
    binary[1].save_model(folder / "other.ubj")
    assert json.loads(succeed("check", folder / "other.ubj", "--json"))["labels"] == []
    (folder / "model.yaml").write_text(YAML.replace("task:", "taks:"))
    assert "did you mean 'task'?" in fail("check", folder / "model.ubj")
    (folder / "model.yaml").write_text("somebody: else's\n")
    assert json.loads(succeed("check", folder / "model.ubj", "--json"))["labels"] == []
    assert json.loads(succeed("check", "model.ubj", "--json", cwd=folder))["name"] == "model"


def test_the_golden_rows_of_a_package(tmp_path, binary):
    rows = with_scores(X, models.xgboost_scores(binary[1], X))
    folder = package(tmp_path / "pack", binary[1], YAML + "golden: g.csv\n", [("g.csv", rows)])
    assert "passed: 60 rows" in succeed("check", folder)
    (folder / "g.csv").write_text(with_scores(X, models.xgboost_scores(binary[1], X) + 1))
    assert "60 of 60 golden rows" in fail("check", folder)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("task: binary", "taks: binary"), "did you mean 'task'?"),
        (("type: number}", "typ: number}"), "did you mean 'type'?"),
        (("phoenix: 1", "phoenix: 2"), "layout 2 is not known"),
        (("phoenix: 1\n", ""), "'phoenix' (layout version) is missing"),
        (("model: model.ubj\n", ""), "'model' (the model's file) is missing"),
        (("model.ubj", "other.ubj"), "there is no file"),
        (("model.ubj", "../model.ubj"), "inside the folder"),
        (("model.ubj", "/etc/passwd"), "inside the folder"),
        (("task: binary", "task: magic"), "line 4: task must be regression, binary"),
        (("name: bank", "name: ../bank"), "letters, digits"),
        (('["no", "yes"]', '["no"]'), "lists 1 labels, the model has 2 classes"),
        (("  - {name: duration}\n", ""), "lists 3 features, the model file has 4"),
        (("{name: duration}", "{name: age}"), "feature 2 is 'age'"),
        (("name: age, type: number}", "name: age, type: text}"), "number, category, boolean or datetime"),
        (("name: age, type: number}", "name: age, categories: [a]}"), "cannot have 'categories'"),
        (("task: binary", "rounds: some"), "rounds must be all or best"),
        (("task: binary", "golden: g.csv"), "there is no file"),
        (("features:", "features: 3\nx:"), "line"),
        (("phoenix: 1", "phoenix: 1\nphoenix: 1"), "phoenix"),
    ],
)
def test_packages_that_are_wrong(tmp_path, binary, change, expected):
    assert change[0] in YAML
    folder = package(tmp_path / "pack", binary[1], YAML.replace(*change))
    message = fail("check", folder)
    assert expected in message
    assert "pack" in message


def test_the_same_names_in_another_order_are_refused(tmp_path, binary):
    text = YAML.replace("age", "x").replace("balance", "age").replace("name: x", "name: balance")
    message = fail("check", package(tmp_path / "pack", binary[1], text))
    assert "feature 0 is 'balance' in model.yaml and 'age' in the model file" in message


def test_links_out_of_a_package_are_refused(tmp_path, binary):
    folder = package(tmp_path / "pack", binary[1], YAML + "golden: g.csv\n")
    (tmp_path / "secret.csv").write_text("secret")
    (folder / "g.csv").symlink_to(tmp_path / "secret.csv")
    message = fail("check", folder)
    assert "outside the folder" in message
    assert "secret" not in message
    (folder / "inside.csv").write_text(with_scores(X, models.xgboost_scores(binary[1], X)))
    (folder / "g.csv").unlink()
    (folder / "g.csv").symlink_to("inside.csv")
    assert "passed" in succeed("check", folder)


def test_names_come_from_paths(tmp_path, binary):
    path = tmp_path / "my model (1).json"
    binary[1].save_model(path)
    assert json.loads(succeed("check", path, "--json"))["name"] == "my_model__1_"
    folder = package(tmp_path / "pack", binary[1], YAML.replace("name: bank\n", ""))
    assert json.loads(succeed("check", f"{folder}/", "--json"))["name"] == "pack"
    assert json.loads(succeed("check", ".", "--json", cwd=folder))["name"] == "pack"
    assert json.loads(succeed("check", "model.yaml", "--json", cwd=folder))["name"] == "pack"


def test_files_that_are_no_model(tmp_path, binary):
    whole = binary[0].read_bytes()
    cases = {
        "empty": b"",
        "truncated": whole[: len(whole) // 2],
        "text": b"hello, this is a note\n",
        "pickle": b"\x80\x04\x95\x10\x00\x00\x00",
        "zeros": bytes(1000),
        "old": b"binf" + bytes(100),
        "json": b'{"learner": {}}',
    }
    for name, content in cases.items():
        path = tmp_path / name
        path.write_bytes(content)
        message = fail("check", path)
        assert message.startswith("phoenix check: ")
        assert str(path) in message, name
        about = json.loads(phoenix("check", path, "--json").stdout)
        assert about["ok"] is False
        assert about["error"]["message"]


def test_paths_that_are_no_model(tmp_path):
    assert "no file or folder" in fail("check", tmp_path / "absent")
    message = fail("check", tmp_path)
    assert "has no model.yaml" in message
    assert "name the model file itself" in message


def test_names_of_a_file_tell_a_terminal_nothing(tmp_path):
    """A LightGBM file may hold any byte in names, its objective and its version."""
    models.lightgbm_model(tmp_path / "model.txt")
    text = (tmp_path / "model.txt").read_text()
    evil = "\x1b]0;owned\x07"
    for old, new in (("=age ", f"=age{evil} "), ("version=v4", f"version=v4{evil}")):
        assert old in text
        (tmp_path / "model.txt").write_text(text.replace(old, new, 1))
        done = phoenix("check", tmp_path / "model.txt")
        assert "\\x1B]0;owned\\x07" in done.stdout
        assert "\x1b" not in done.stdout + done.stderr
    (tmp_path / "model.txt").write_text(text.replace("objective=binary", f"objective=bin{evil}", 1))
    message = fail("check", tmp_path / "model.txt")
    assert "bin\\x1B]0;owned\\x07" in message
    assert "\x1b" not in message
