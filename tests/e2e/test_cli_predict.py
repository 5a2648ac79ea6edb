# SPDX-License-Identifier: Apache-2.0
"""phoenix predict: scores equal to the libraries', streaming, and what bad input does."""

import gzip
import json
import os
import pty
import signal
import subprocess
import time

import models
import numpy as np
import pytest
from command import PHOENIX, SANITIZED, fail, phoenix, succeed

X = models.rows(200, seed=11)


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "bank.json"
    return path, models.xgboost_model(path)


@pytest.fixture(scope="module")
def unnamed(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "unnamed.ubj"
    return path, models.xgboost_model(path, names=None)


def read_scores(text, kind):
    header, *lines = text.splitlines()
    values = [[kind(field) for field in line.split(",")] for line in lines]
    return header.split(","), np.array(values)


def assert_same(got, expected):
    """Equal to the bit."""
    expected = expected.reshape(got.shape)
    assert got.dtype == expected.dtype
    assert got.tobytes() == expected.tobytes()


@pytest.mark.parametrize("suffix", ["json", "ubj"])
@pytest.mark.parametrize("margin", [False, True])
def test_xgboost_binary_scores_are_exact(tmp_path, suffix, margin):
    model = tmp_path / f"model.{suffix}"
    booster = models.xgboost_model(model)
    words = ["--margin"] if margin else []
    columns, got = read_scores(
        succeed("predict", model, *words, stdin=models.csv_text(X)), np.float32
    )
    assert columns == ["margin" if margin else "score"]
    assert_same(got, models.xgboost_scores(booster, X, margin))


@pytest.mark.parametrize("margin", [False, True])
def test_xgboost_classes_have_a_column_each(tmp_path, margin):
    model = tmp_path / "model.json"
    booster = models.xgboost_model(model, "multi:softprob", classes=3)
    words = ["--margin"] if margin else []
    columns, got = read_scores(
        succeed("predict", model, *words, stdin=models.csv_text(X)), np.float32
    )
    name = "margin" if margin else "score"
    assert columns == [f"{name}_0", f"{name}_1", f"{name}_2"]
    assert_same(got, models.xgboost_scores(booster, X, margin))


def test_xgboost_class_number_is_one_column(tmp_path):
    model = tmp_path / "model.json"
    booster = models.xgboost_model(model, "multi:softmax", classes=3)
    columns, got = read_scores(succeed("predict", model, stdin=models.csv_text(X)), np.float32)
    assert columns == ["score"]
    assert_same(got, models.xgboost_scores(booster, X))


@pytest.mark.parametrize(("objective", "classes"), [("binary", 2), ("multiclass", 3), ("regression", 2)])
@pytest.mark.parametrize("margin", [False, True])
def test_lightgbm_scores_are_exact(tmp_path, objective, classes, margin):
    model = tmp_path / "model.txt"
    booster = models.lightgbm_model(model, objective, classes)
    words = ["--margin"] if margin else []
    columns, got = read_scores(
        succeed("predict", model, *words, stdin=models.csv_text(X)), np.float64
    )
    name = "margin" if margin else "score"
    assert columns == ([name] if classes == 2 else [f"{name}_0", f"{name}_1", f"{name}_2"])
    assert_same(got, booster.predict(X, raw_score=margin))


def test_files_and_pipes_give_the_same(tmp_path, binary):
    source, out = tmp_path / "rows.csv", tmp_path / "scores.csv"
    source.write_text(models.csv_text(X))
    assert succeed("predict", binary[0], "--input", source, "--output", out) == ""
    text = out.read_text()
    assert text.count("\n") == len(X) + 1
    assert succeed("predict", binary[0], stdin=source.read_text()) == text
    assert succeed("predict", binary[0], "-i", source, "-o", "-") == text
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["rows.csv", "scores.csv"]
    assert out.stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_columns_are_matched_by_name(binary):
    order = [3, 1, 0, 2]
    names = [models.NAMES[i] for i in order]
    shuffled = models.csv_text(np.column_stack([X[:, order], np.arange(len(X))]), [*names, "id"])
    assert succeed("predict", binary[0], stdin=shuffled) == succeed(
        "predict", binary[0], stdin=models.csv_text(X)
    )


def test_an_absent_column_names_the_nearest(binary):
    names = ["age", "balance", "durration", "pdays"]
    message = fail("predict", binary[0], stdin=models.csv_text(X, names))
    assert "no column for feature 'duration'" in message
    assert "'durration'" in message


def test_columns_by_position(binary, unnamed):
    expected = succeed("predict", binary[0], stdin=models.csv_text(X))
    other = models.csv_text(X, ["a", "b", "c", "d"])
    assert succeed("predict", binary[0], "--by-position", stdin=other) == expected
    assert succeed("predict", binary[0], "--no-header", stdin=models.csv_text(X, None)) == expected
    expected = succeed("predict", unnamed[0], stdin=other)
    assert succeed("predict", unnamed[0], stdin=models.csv_text(X, ["0", "1", "2", "3"])) == expected
    assert succeed("predict", unnamed[0], "--no-header", stdin=models.csv_text(X, None)) == expected
    _, got = read_scores(expected, np.float32)
    assert_same(got, models.xgboost_scores(unnamed[1], X))


def test_names_that_lightgbm_made_up_are_names_where_columns_bear_them(tmp_path):
    model = tmp_path / "model.txt"
    booster = models.lightgbm_model(model, names=None)
    order = [3, 1, 0, 2]
    made_up = [f"Column_{i}" for i in order]
    assert booster.feature_name() == sorted(made_up)
    for names in (made_up, [f"f{i}" for i in order]):
        shuffled = models.csv_text(X[:, order], names)
        _, got = read_scores(succeed("predict", model, stdin=shuffled), np.float64)
        assert_same(got, booster.predict(X))
    _, got = read_scores(
        succeed("predict", model, stdin=models.csv_text(X, ["a", "b", "c", "d"])), np.float64
    )
    assert_same(got, booster.predict(X))


def test_a_first_row_is_not_taken_for_a_header(unnamed):
    message = fail("predict", unnamed[0], stdin="1.5,2,3,4\n5,6,7,8\n")
    assert "looks like data" in message
    assert "--no-header" in message


def test_a_wrong_count_of_columns_by_position(unnamed):
    message = fail("predict", unnamed[0], stdin="a,b,c\n1,2,3\n")
    assert "the model takes 4, the file has 3" in message


@pytest.mark.parametrize(
    "text",
    [
        models.csv_text(X[:9], separator=";"),
        models.csv_text(X[:9], separator="\t"),
        models.csv_text(X[:9], separator="|"),
        models.csv_text(X[:9], end="\r\n"),
        "\ufeff" + models.csv_text(X[:9]),
        models.csv_text(X[:9]).rstrip("\n"),
        models.csv_text(X[:9]).replace("age,", '"age",').replace("e-05", "E-05"),
        "\n" + models.csv_text(X[:9]).replace("\n", "\n\n"),
    ],
    ids=["semicolon", "tab", "bar", "crlf", "bom", "no-last-newline", "quotes", "blank-lines"],
)
def test_dialects_of_csv(binary, text):
    expected = succeed("predict", binary[0], stdin=models.csv_text(X[:9]))
    assert succeed("predict", binary[0], stdin=text) == expected


def test_a_separator_can_be_given(binary):
    expected = succeed("predict", binary[0], stdin=models.csv_text(X[:9]))
    text = models.csv_text(X[:9], separator=":")
    assert succeed("predict", binary[0], "--separator", ":", stdin=text) == expected
    text = models.csv_text(X[:9], separator="\t")
    assert succeed("predict", binary[0], "-s", "tab", stdin=text) == expected
    assert "one character" in fail("predict", binary[0], "-s", "::", stdin="", status=2)
    assert "one character" in fail("predict", binary[0], "-s", '"', stdin="", status=2)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_an_empty_line_of_one_column_is_a_missing_value(tmp_path, end):
    import xgboost

    x = np.array([[1.0], [np.nan], [3.0], [np.nan], [np.nan]] * 400)
    data = xgboost.DMatrix(x, label=np.arange(len(x)) % 5, feature_names=["age"])
    booster = xgboost.train({"max_depth": 2, "nthread": 1}, data, 3)
    model = tmp_path / "model.json"
    booster.save_model(model)
    for words, names in (([], ["age"]), (["--no-header"], None)):
        text = models.csv_text(x, names, end=end)
        _, got = read_scores(succeed("predict", model, *words, stdin=text), np.float32)
        assert_same(got, booster.predict(data))


def test_words_for_missing(binary):
    text = "age,balance,duration,pdays\n" + "1,2,,4\n" * 1
    expected = succeed("predict", binary[0], stdin=text)
    for word in ("NA", "nan", "NULL", "None", "?", '""', " "):
        assert succeed("predict", binary[0], stdin=text.replace(",,", f",{word},")) == expected


def test_json_lines(binary):
    text = "age,balance,duration,pdays\n1,2,3,4\n\n5,6,7,8\n"
    lines = [json.loads(line) for line in succeed("predict", binary[0], "--json", stdin=text).splitlines()]
    _, got = read_scores(succeed("predict", binary[0], stdin=text), np.float32)
    assert [line["line"] for line in lines] == [2, 4]
    assert_same(np.array([[np.float32(line["score"])] for line in lines]), got)


BAD = "age,balance,duration,pdays\n1,2,3,4\nold,2,3,4\n5,6,7,8\n1,2,3\n1,2,3,4,5\n9,9,9,9\n"
GOOD = "age,balance,duration,pdays\n1,2,3,4\n5,6,7,8\n9,9,9,9\n"


def test_bad_rows_are_skipped_with_their_lines(binary):
    done = phoenix("predict", binary[0], "--on-error", "skip", stdin=BAD)
    assert done.returncode == 0
    assert done.stdout == succeed("predict", binary[0], stdin=GOOD)
    assert "line 3: feature 'age': expected a number, got 'old'" in done.stderr
    assert "line 5: expected 4 fields, got 3" in done.stderr
    assert "line 6: expected 4 fields, got 5" in done.stderr
    assert "3 rows scored" in done.stderr
    assert "3 bad rows skipped" in done.stderr


def test_the_first_bad_row_fails_by_default(tmp_path, binary):
    source, out = tmp_path / "rows.csv", tmp_path / "scores.csv"
    source.write_text(BAD)
    message = fail("predict", binary[0], "-i", source, "-o", out)
    assert "rows.csv: line 3: feature 'age': expected a number, got 'old'" in message
    assert "--on-error skip" in message
    assert os.listdir(tmp_path) == ["rows.csv"]


def test_the_output_may_not_be_the_input(tmp_path, binary):
    rows = tmp_path / "rows.csv"
    rows.write_text(models.csv_text(X))
    (tmp_path / "link.csv").symlink_to(rows)
    for output in (rows, tmp_path / "link.csv"):
        assert "is the input" in fail("predict", binary[0], "-i", rows, "-o", output)
    assert rows.read_text() == models.csv_text(X)


def test_many_bad_rows_are_counted_not_shown(binary):
    text = "age,balance,duration,pdays\n1,2,3,4\n" + "x,2,3,4\n" * 5000
    done = phoenix("predict", binary[0], "--on-error", "skip", stdin=text)
    assert done.returncode == 0
    assert done.stderr.count("\n") < 30
    assert "5000 bad rows skipped" in done.stderr


def test_input_that_is_no_text_is_named(tmp_path, binary):
    text = models.csv_text(X)
    source = tmp_path / "rows.csv"
    for content, word in (
        (gzip.compress(text.encode()), "gzip-compressed"),
        (text.encode("utf-16"), "UTF-16"),
        (text.encode("utf-16-be"), "NUL byte"),
        (f"{text}1,2\0,3,4\n".encode(), "line 202: feature 'balance': the field holds a NUL byte"),
    ):
        source.write_bytes(content)
        assert word in fail("predict", binary[0], source, "--by-position")


def test_only_bad_rows_is_a_failure(binary):
    message = fail("predict", binary[0], "--on-error", "skip", stdin=GOOD.replace("9,9", "x,9").replace("1,", "x,").replace("5,", "x,"))
    assert "none of the 3 rows could be scored" in message


def test_broken_quotes_and_huge_fields_are_bad_rows(binary):
    head = "age,balance,duration,pdays\n"
    huge = "7" * (17 << 20)
    for broken in ['1,"2"x,3,4', f"1,{huge},3,4"]:
        done = phoenix("predict", binary[0], "--on-error", "skip", stdin=f"{head}1,2,3,4\n{broken}\n5,6,7,8\n")
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("\n") == 3
        assert "line 3:" in done.stderr
    assert "line 3" in fail("predict", binary[0], stdin=f'{head}1,2,3,4\n1,"2,3,4\n5,6,7,8\n')


def test_bytes_that_are_no_text(binary):
    garbage = bytes(range(256)) * 50
    done = subprocess.run(
        [PHOENIX, "predict", str(binary[0])], input=garbage, capture_output=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.startswith(b"phoenix predict: ")


def test_empty_input_and_a_header_alone(binary):
    assert "the input is empty" in fail("predict", binary[0], stdin="")
    assert "the input is empty" in fail("predict", binary[0], stdin="\n\n")
    assert succeed("predict", binary[0], stdin=",".join(models.NAMES)) == "score\n"


def test_files_that_are_not_there(tmp_path, binary):
    assert "no file or folder 'nowhere'" in fail("predict", "nowhere", stdin="")
    assert "absent.csv" in fail("predict", binary[0], "-i", tmp_path / "absent.csv")
    assert "is a folder" in fail("predict", binary[0], "-i", tmp_path)
    message = fail("predict", binary[0], "-o", tmp_path / "no" / "out.csv", stdin=GOOD)
    assert "out.csv" in message


def test_a_wrong_option_value(binary):
    assert "skip or fail" in fail("predict", binary[0], "--on-error", "stop", stdin="", status=2)
    assert "all or best" in fail("predict", binary[0], "--rounds", "some", stdin="", status=2)


def test_an_input_that_shrinks_is_an_error(tmp_path, binary):
    source = tmp_path / "rows.csv"
    source.write_text(models.csv_text(models.rows(200_000)))
    words = [PHOENIX, "predict", binary[0], source, "--threads", "1"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()  # it waits now for somebody to read what it prints
    os.truncate(source, source.stat().st_size // 2)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"became shorter while it was read" in message


def test_a_full_disk_is_reported(binary):
    message = fail("predict", binary[0], "-o", "/dev/full", stdin=GOOD)
    assert "No space left on device" in message


def test_a_reader_that_goes_away_ends_the_work(binary):
    text = models.csv_text(X[1:2])
    body = text.split("\n", 1)
    command = f"'{PHOENIX}' predict '{binary[0]}' | head -n 1"
    done = subprocess.run(
        ["sh", "-c", command], input=body[0] + "\n" + body[1] * 50000, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "score\n"


def test_rows_are_scored_while_the_input_pauses(binary):
    with subprocess.Popen(
        [PHOENIX, "predict", str(binary[0])], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdin.write(GOOD)
        process.stdin.flush()
        assert process.stdout.readline() == "score\n"
        for _ in range(3):
            float(process.stdout.readline())
        process.stdin.write("1,1,1,1\n")
        process.stdin.flush()
        float(process.stdout.readline())
        process.stdin.close()
        assert process.wait(30) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_behind(tmp_path, binary, number):
    process = subprocess.Popen(
        [PHOENIX, "predict", str(binary[0]), "-o", str(tmp_path / "scores.csv")],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not os.listdir(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(SANITIZED, reason="sanitizers keep freed memory")
def test_memory_does_not_grow_with_the_input(tmp_path, binary):
    def peak(repeat):
        source = tmp_path / "rows.csv"
        head, body = models.csv_text(X[1:101]).split("\n", 1)
        source.write_text(head + "\n" + body * repeat)
        process = subprocess.Popen(
            [PHOENIX, "predict", str(binary[0]), "-i", str(source), "-o", "/dev/null"]
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        assert status == 0
        return usage.ru_maxrss

    assert peak(3000) - peak(300) < 4096


def test_a_terminal_sees_a_progress_bar_and_a_summary(tmp_path, binary):
    source = tmp_path / "rows.csv"
    source.write_text(models.csv_text(X))
    ours, theirs = pty.openpty()
    subprocess.run(
        [PHOENIX, "predict", str(binary[0]), "-i", str(source), "-o", "/dev/null"],
        stderr=theirs,
        check=True,
        timeout=60,
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 1 << 16):
            shown += piece
    except OSError:  # how a terminal says that the other side has closed
        pass
    os.close(ours)
    shown = shown.decode()
    assert "predict [" in shown
    assert "%" in shown
    assert "200 rows scored in" in shown


def test_row_order_is_kept_across_chunks(binary):
    big = np.tile(models.rows(500, seed=5), (20, 1))
    _, got = read_scores(succeed("predict", binary[0], stdin=models.csv_text(big)), np.float32)
    assert_same(got, models.xgboost_scores(binary[1], big))


def mixed_csv(n):
    """Rows of every kind: plain, quoted, with line breaks in quotes, missing, bad, blank lines."""
    rows = models.csv_text(models.rows(n, seed=3)).splitlines()
    for at in range(7, n, 13):
        fields = rows[at].split(",")
        kind = at % 6
        rows[at] = {
            0: ",".join(f'"{field}"' for field in fields),
            1: "NA," + ",".join(fields[1:]),
            2: "old," + ",".join(fields[1:]),
            3: ",".join(fields[:3]),
            4: rows[at] + "\r",
            5: rows[at] + "\n",
        }[kind]
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize("words", [[], ["--json"]], ids=["csv", "json"])
def test_the_number_of_threads_does_not_matter(tmp_path, binary, words):
    source = tmp_path / "rows.csv"
    text = mixed_csv(30000)
    source.write_text(text)
    runs = [
        phoenix("predict", binary[0], *words, "--on-error", "skip", "-i", source, "--threads", n)
        for n in (1, 2, 5)
    ]
    runs.append(phoenix("predict", binary[0], *words, "--on-error", "skip", "-t", 3, stdin=text))
    for run in runs[1:]:
        assert run.stdout == runs[0].stdout
        assert run.stderr.splitlines()[:-1] == runs[0].stderr.splitlines()[:-1]  # the last has the time
    assert "line 21: feature 'age': expected a number, got 'old'" in runs[0].stderr
    assert "further bad rows are counted" in runs[0].stderr


def test_a_wrong_number_of_threads(binary):
    assert "--threads must be 1 to" in fail("predict", binary[0], "--threads", 0, stdin="", status=2)


def test_line_breaks_in_quotes_at_the_ends_of_blocks(binary):
    """Notes of many lines: no place is safe to cut but the ends of records."""
    note = '"' + 'a line, with ""quotes""\n' * 50 + '"'
    head, *rows = models.csv_text(X).splitlines()
    text = f"note,{head}\n" + "".join(f"{note},{row}\n" for row in rows * 20)
    _, got = read_scores(succeed("predict", binary[0], "-t", 4, stdin=text), np.float32)
    expected = models.xgboost_scores(binary[1], X)
    assert_same(got, np.tile(expected.reshape(len(X), -1), (20, 1)))


def test_categories_by_code(tmp_path):
    import xgboost

    random = np.random.default_rng(1)
    x = np.column_stack([random.normal(size=400), random.integers(0, 6, 400)]).astype(np.float32)
    label = (np.isin(x[:, 1], [1, 4])).astype(int)
    data = xgboost.DMatrix(
        x, label=label, feature_names=["amount", "kind"], feature_types=["q", "c"], enable_categorical=True
    )
    booster = xgboost.train({"objective": "binary:logistic", "max_cat_to_onehot": 1, "nthread": 1}, data, 5)
    model = tmp_path / "model.json"
    booster.save_model(model)
    text = "amount,kind\n" + "".join(f"{float(a)!r},{int(k)}\n" for a, k in x[:50].astype(float))
    _, got = read_scores(succeed("predict", model, stdin=text), np.float32)
    assert_same(got, booster.predict(data)[:50])
    assert "category code" in fail("predict", model, stdin="amount,kind\n1,web\n")
