# SPDX-License-Identifier: Apache-2.0
"""phoenix train and phoenix demo as a user runs them, with the real libxgboost."""

import csv
import json
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from command import PHOENIX, ROOT, fail, phoenix, succeed
from server import Server

DATA = Path(os.environ.get("PHOENIX_TEST_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session", autouse=True)
def trainer(tmp_path_factory):
    """Skips everything here where libxgboost is missing."""
    folder = tmp_path_factory.mktemp("trainer")
    path = write_table(folder / "probe.csv", 60)
    done = phoenix("train", "--data", path, "--target", "y", "--out", folder / "m", "--rounds", 1)
    if "libxgboost" in done.stderr:
        pytest.skip(done.stderr.strip())


def real_data(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not there; PHOENIX_TEST_DATA names the folder that has it")
    return path


def write_table(path, n=600, seed=1):
    """A table with every kind of column, one to leave out of each sort, and gaps."""
    draw = random.Random(seed)
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["", "age", "job", "married", "since", "user", "same", "weight", "y"])
        for i in range(n):
            age, job = draw.randint(18, 80), draw.choice(["cook", "nürse", "a,b", 'say "x"'])
            likely = (age > 45) != (job == "cook")
            out.writerow([
                i, "" if i % 9 == 0 else age, "" if i % 17 == 0 else job,
                draw.choice(["yes", "no"]), f"2024-0{draw.randint(1, 9)}-11T10:00:00",
                f"user-{i}", "x", round(draw.gauss(70, 9), 1),
                "yes" if draw.random() < (0.95 if likely else 0.05) else "no",
            ])
    return path


def train(data, target, out, *words):
    text = succeed("train", "--data", data, "--target", target, "--out", out, "--json",
                   "--threads", 1, *words, timeout=600)
    return json.loads(text)


def columns(report, role):
    return {c["name"]: c for c in report["columns"] if c["role"] == role}


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_writes_a_package_that_passes_its_check(tmp_path):
    data = write_table(tmp_path / "people.csv")
    report = train(data, "y", tmp_path / "m", "--rounds", 40)
    features, left_out = columns(report, "feature"), columns(report, "left_out")
    assert {name: c["type"] for name, c in features.items()} == {
        "age": "number", "job": "category", "married": "boolean", "since": "datetime",
        "weight": "number"}
    assert left_out["column_1"]["note"] == "it counts the rows"
    assert "identifier" in left_out["user"]["note"]
    assert "constant" in left_out["same"]["note"]
    assert report["task"] == "binary" and report["labels"] == ["no", "yes"]
    assert report["rows"] == {"read": 600, "bad": 0, "without_target": 0, "train": 420,
                              "valid": 60, "test": 120}
    assert report["metrics"]["auc"] > 0.85
    assert sum(sum(row) for row in report["metrics"]["confusion"]) == 120
    succeed("check", tmp_path / "m")
    golden = read_csv(tmp_path / "m" / "golden.csv")
    assert len(golden) == report["golden_rows"] == 50
    assert any(row["age"] == "" for row in golden) and all(row["score"] for row in golden)
    reference = read_csv(tmp_path / "m" / "reference.csv")
    assert len(reference) == report["reference_rows"] == 420
    assert "score" not in reference[0] and "y" in reference[0]


def test_raw_rows_of_the_file_can_be_scored(tmp_path):
    data = write_table(tmp_path / "people.csv")
    train(data, "y", tmp_path / "m", "--rounds", 20)
    scores = succeed("predict", tmp_path / "m", "--input", data).split()
    assert scores[0] == "score" and len(scores) == 601
    rows = read_csv(data)
    ranked = sorted(zip(map(float, scores[1:]), (row["y"] for row in rows)))
    assert [y for _, y in ranked[:100]].count("no") > 90
    assert [y for _, y in ranked[-100:]].count("yes") > 90


def test_the_same_seed_gives_the_same_model(tmp_path):
    data = write_table(tmp_path / "people.csv")
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        train(data, "y", tmp_path / name, "--rounds", 10, "--seed", seed)
    model = {name: (tmp_path / name / "model.ubj").read_bytes() for name in "abc"}
    assert model["a"] == model["b"] != model["c"]


def test_model_is_what_xgboost_reads(tmp_path):
    xgboost = pytest.importorskip("xgboost")
    data = write_table(tmp_path / "people.csv")
    report = train(data, "y", tmp_path / "m", "--rounds", 200, "--early-stopping", 3)
    booster = xgboost.Booster(model_file=str(tmp_path / "m" / "model.ubj"))
    assert booster.num_boosted_rounds() == report["rounds"] < report["rounds_trained"]
    assert booster.feature_names == list(columns(report, "feature"))
    assert booster.feature_types == ["q", "c", "q", "q", "q"]


def test_text_report(tmp_path):
    data = write_table(tmp_path / "people.csv")
    text = succeed("train", "--data", data, "--target", "y", "--out", tmp_path / "m",
                   "--name", "my-people", "--rounds", 5, "--drop", "weight,same")
    for part in ("score = probability of 'yes'", "AUC", "Confusion", "Calibration", "as asked for",
                 f"phoenix check {tmp_path}/m", f"phoenix serve my-people={tmp_path}/m"):
        assert part in text
    assert "name: my-people" in (tmp_path / "m" / "model.yaml").read_text()


def test_multiclass_and_regression(tmp_path):
    pairs = [(i % 7, (i * 37) % 11) for i in range(900)]
    rows = [(a, b, "abc"[(a > 2) + (b > 5)], a * 2.5 + b) for a, b in pairs]
    data = tmp_path / "t.csv"
    data.write_text("a,b,kind,amount\n" + "".join(f"{a},{b},{k},{v}\n" for a, b, k, v in rows))
    report = train(data, "kind", tmp_path / "k", "--drop", "amount", "--rounds", 60)
    assert report["task"] == "multiclass" and report["labels"] == ["a", "b", "c"]
    assert report["metrics"]["accuracy"] > 0.95
    header = succeed("predict", tmp_path / "k", "--input", data).split()[0]
    assert header == "score_a,score_b,score_c"
    report = train(data, "amount", tmp_path / "r", "--drop", "kind", "--rounds", 100)
    assert report["task"] == "regression" and report["metrics"]["r2"] > 0.95
    report = train(data, "a", tmp_path / "n", "--task", "regression", "--rounds", 5)
    assert report["task"] == "regression"


def test_split_by_time_measures_the_newest(tmp_path):
    data = tmp_path / "t.csv"
    lines = [f"2024-01-{1 + i // 50:02d},{i % 13},{i // 50},{i % 2}\n" for i in range(1000)]
    random.Random(1).shuffle(lines)
    data.write_text("day,x,d,y\n" + "".join(lines))
    report = train(data, "y", tmp_path / "m", "--time-column", "day", "--rounds", 3)
    assert report["split"] == "time" and "day" not in columns(report, "feature")
    golden = read_csv(tmp_path / "m" / "golden.csv")
    assert min(int(row["d"]) for row in golden) >= 16
    reference = read_csv(tmp_path / "m" / "reference.csv")
    assert max(int(row["d"]) for row in reference) <= 13


def test_warns_about_a_feature_that_gives_the_target_away(tmp_path):
    data = tmp_path / "t.csv"
    data.write_text("x,late,y\n" + "".join(f"{i * 7 % 31},{i % 2 + 5},{i % 2}\n" for i in range(500)))
    report = train(data, "y", tmp_path / "m", "--rounds", 3)
    assert any("'late' alone predicts" in warning for warning in report["warnings"])


def test_counts_what_it_passes_over(tmp_path):
    data = tmp_path / "t.csv"
    lines = [f"{i % 11},{i % 3},{i % 2}\n" for i in range(500)]
    lines[20] = "1,2\n"
    lines[30] = "1,2,?\n"
    lines[40] = "n/a,2,1\n"
    data.write_text("a,b,y\n" + "".join(lines))
    report = train(data, "y", tmp_path / "m", "--rounds", 3)
    assert report["rows"]["bad"] == 1 and report["rows"]["without_target"] == 1
    assert any("line 22" in w for w in report["warnings"])
    assert any("no number, such as 'n/a'" in w for w in report["warnings"])
    succeed("check", tmp_path / "m")


@pytest.mark.parametrize("target, words, message", [
    ("yy", [], "no target column 'yy' (did you mean 'y'?)"),
    ("same", [], "one value only"),
    ("y", ["--drop", "jobb"], "no --drop column 'jobb' (did you mean 'job'?)"),
    ("y", ["--drop", "y"], "cannot be left out"),
    ("y", ["--positive", "maybe"], "'maybe' is no value of the target"),
    ("y", ["--task", "regression"], "must be numbers"),
    ("y", ["--time-column", "job"], "neither numbers nor ISO 8601"),
    ("user", [], "600 different values"),
    ("y", ["--valid-fraction", "0.8"], "together at most 0.9"),
])
def test_says_what_is_wrong(tmp_path, target, words, message):
    data = write_table(tmp_path / "people.csv")
    text = fail("train", "--data", data, "--target", target, "--out", tmp_path / "m", *words)
    assert message in text
    assert not (tmp_path / "m").exists()


def test_says_what_is_wrong_with_the_file(tmp_path):
    out = ["--target", "y", "--out", tmp_path / "m"]
    assert "nothing.csv" in fail("train", "--data", tmp_path / "nothing.csv", *out)
    data = tmp_path / "t.csv"
    for text, message in (("", "empty"), ("1,2\n3,4\n", "looks like data"),
                          ("y,a,y\n1,2,3\n", "column 'y' appears twice"),
                          ("y,a\n1,2\n0,2\n", "2 rows are too few"),
                          ("y,a\n" + "1,2\n0,3\n,4\n" * 20, "40 usable rows are too few"),
                          ("y,a\n" + "1\n" * 50, "rows cannot be read; the first is line 2")):
        data.write_text(text)
        assert message in fail("train", "--data", data, *out)


def test_refuses_texts_that_are_not_utf8(tmp_path):
    data = tmp_path / "t.csv"
    rows = [(i % 31, ["caf\xe9", "tea"][i % 2]) for i in range(300)]
    data.write_text("x,drink\n" + "".join(f"{x},{d}\n" for x, d in rows), encoding="latin-1")
    for target in ("x", "drink"):
        text = fail("train", "--data", data, "--target", target, "--out", tmp_path / "m")
        assert "column 'drink' holds a text that is not UTF-8" in text and "iconv" in text


def test_infinities_train_and_score(tmp_path):
    data = tmp_path / "t.csv"
    lines = [f"{['inf', '-inf', i % 50][i % 3]},{i % 7},{int(i % 3 == 0)}\n" for i in range(600)]
    data.write_text("x,z,y\n" + "".join(lines))
    report = train(data, "y", tmp_path / "m", "--rounds", 10)
    assert report["metrics"]["auc"] > 0.99
    succeed("check", tmp_path / "m")


def test_wrong_command_lines(tmp_path):
    data = write_table(tmp_path / "people.csv")
    assert "--target is needed" in fail("train", "--data", data, "--out", tmp_path / "m", status=2)
    text = fail("train", "--data", data, "--target", "y", "--out", tmp_path / "m",
                "--split", "sideways", status=2)
    assert "--split must be random or time" in text
    text = fail("train", "--data", data, "--target", "y", "--out", tmp_path / "m", "--depth", "99",
                status=2)
    assert "--depth must be 1 to 30" in text


def test_no_header(tmp_path):
    data = tmp_path / "t.csv"
    data.write_text("".join(f"{i % 13},{'ab'[i % 2]},{i % 13 > 5}\n" for i in range(300)))
    text = fail("train", "--data", data, "--target", "income", "--out", tmp_path / "m")
    assert "--no-header names the columns c1 to c3" in text
    report = train(data, "c3", tmp_path / "m", "--no-header", "--rounds", 3)
    assert report["rows"]["read"] == 300 and list(columns(report, "feature")) == ["c1", "c2"]


def test_missing_library_says_what_to_install(tmp_path):
    data = write_table(tmp_path / "people.csv")
    environment = os.environ | {"PHOENIX_XGBOOST_LIBRARY": "/nonexistent/lib.so"}
    text = fail("train", "--data", data, "--target", "y", "--out", tmp_path / "m", env=environment)
    assert "/nonexistent/lib.so" in text and "PHOENIX_XGBOOST_LIBRARY" in text


def trains(children):
    """Is there a training process that has used some processor time?"""
    for pid in children.read_text().split():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[11]) > 20:
            return True
    return False


def test_interrupt_ends_training(tmp_path):
    data = write_table(tmp_path / "people.csv", 3000)
    process = subprocess.Popen(
        [PHOENIX, "train", "--data", str(data), "--target", "y", "--out", str(tmp_path / "m"),
         "--rounds", "100000", "--early-stopping", "0", "--threads", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not trains(children):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "cancelled" in err
    assert not (tmp_path / "m").exists()


def test_demo_data_trains_well(tmp_path):
    data = tmp_path / "payments.csv"
    succeed("demo", "data", "--rows", 20000, "--seed", 3, "--out", data)
    rows = read_csv(data)
    assert len(rows) == 20000
    assert 0.01 < sum(row["is_fraud"] == "1" for row in rows) / len(rows) < 0.03
    assert data.read_text() == succeed("demo", "data", "--rows", 20000, "--seed", 3)
    report = train(data, "is_fraud", tmp_path / "m")
    assert report["metrics"]["auc"] > 0.88
    assert "--rows must be" in fail("demo", "data", "--rows", 0, status=2)
    assert "did you mean 'traffic'" in fail("demo", "trafic", status=2)


def test_training_never_replaces_its_own_data(tmp_path):
    for name in ("reference.csv", "golden.csv"):
        folder = tmp_path / name[:3]
        folder.mkdir()
        data = write_table(folder / name)
        before = data.read_bytes()
        text = fail("train", "--data", data, "--target", "y", "--out", folder)
        assert "replace its own data" in text
        assert data.read_bytes() == before and list(folder.iterdir()) == [data]


def test_a_column_without_a_name_has_the_same_one_everywhere(tmp_path):
    data = tmp_path / "rows.csv"
    lines = [f"{i % 17},{i % 5},{int(i % 17 > 8)}" for i in range(300)]
    data.write_text("a,,y\n" + "\n".join(lines) + "\n")
    train(data, "y", tmp_path / "m", "--rounds", 5)
    scores = succeed("predict", tmp_path / "m", "--input", data).splitlines()
    assert len(scores) == 301


def test_demo_traffic(tmp_path):
    data = tmp_path / "payments.csv"
    succeed("demo", "data", "--rows", 2000, "--out", data)
    train(data, "is_fraud", tmp_path / "m", "--rounds", 5)
    with Server(f"cards={tmp_path / 'm'}") as server:
        words = ["demo", "traffic", "--url", server.url, "--data", data, "--rate", 500,
                 "--seconds", 1]
        done = re.match(r"(\d+) requests, (\d+) rows scored, 0 failed",
                        succeed(*words, "--model", "cards"))
        assert int(done[1]) == 500 and int(done[2]) > 1000
        text = fail(*words, "--model", "card")
        assert "status 404" in text and "did you mean 'cards'" in text
    text = fail(*words, "--model", "cards", "--rate", 5)
    assert "cannot connect to 127.0.0.1" in text and "is the server running there?" in text
    text = fail("demo", "traffic", "--model", "m", "--data", data, "--url", "ftp://x", status=2)
    assert "expected a URL like" in text
    assert "traffic needs --model" in fail("demo", "traffic", "--data", data, status=2)


def test_bank_marketing(tmp_path):
    data = real_data("bank-full.csv")
    report = train(data, "y", tmp_path / "m")
    assert report["task"] == "binary"
    assert len(columns(report, "feature")) == 16 and not columns(report, "left_out")
    assert report["metrics"]["auc"] > 0.92
    assert report["metrics"]["calibration_error"] < 0.03
    succeed("check", tmp_path / "m")
    scores = succeed("predict", tmp_path / "m", "--input", data).split()
    assert len(scores) == 45212
    report = train(data, "y", tmp_path / "t", "--split", "time", "--rounds", 30)
    assert report["split"] == "time" and 0.5 < report["metrics"]["auc"] < 0.92


def test_credit_card_sample(tmp_path):
    report = train(real_data("creditcard-sample.csv"), "Class", tmp_path / "m")
    assert "counts the rows" in columns(report, "left_out")["column_1"]["note"]
    assert report["labels"] == ["0", "1"] and report["metrics"]["auc"] > 0.95
    succeed("check", tmp_path / "m")


def test_electricity(tmp_path):
    report = train(real_data("electricity.csv"), "class", tmp_path / "m", "--split", "time")
    assert report["labels"] == ["DOWN", "UP"] and report["metrics"]["auc"] > 0.75


def test_adult(tmp_path):
    report = train(real_data("adult-train.csv"), "c15", tmp_path / "m", "--no-header", "--rounds", 60)
    assert report["labels"] == ["<=50K", ">50K"] and report["metrics"]["auc"] > 0.91
    assert columns(report, "feature")["c14"]["missing"] > 0
