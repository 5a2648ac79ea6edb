# SPDX-License-Identifier: Apache-2.0
"""phoenix predict on Parquet files: the same scores as from CSV, and what is said when it cannot be."""

import datetime
import json
import os

import models
import numpy as np
import pytest
from command import PHOENIX, ROOT, SANITIZED, fail, phoenix, succeed

LIBRARY = os.environ.get("PHOENIX_DUCKDB_LIBRARY", str(ROOT / ".venv" / "native" / "libduckdb.so"))
ENV = {**os.environ, "PHOENIX_DUCKDB_LIBRARY": LIBRARY}
X = models.rows(5000, seed=12)

pa = pytest.importorskip("pyarrow", reason="pyarrow writes the files; tools/setup test installs it")
pq = pytest.importorskip("pyarrow.parquet")
needs_library = pytest.mark.skipif(
    not os.path.exists(LIBRARY) or SANITIZED,
    reason="no libduckdb.so (tools/setup duckdb fetches it), or a sanitizer, which it does not stand",
)


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "bank.json"
    return path, models.xgboost_model(path)


def write(path, columns, **options):
    pq.write_table(pa.table(columns), path, **options)
    return path


def columns_of(rows, kind):
    """Columns of a type, NaN as NULL."""
    return {
        name: pa.array(rows[:, i].astype(np.float64), kind, from_pandas=True)
        for i, name in enumerate(models.NAMES)
    }


@needs_library
@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()], ids=str)
@pytest.mark.parametrize("threads", [1, 3])
def test_scores_equal_those_of_csv(tmp_path, binary, kind, threads):
    source = write(tmp_path / "rows.parquet", columns_of(X, kind), row_group_size=700)
    expected = succeed("predict", binary[0], stdin=models.csv_text(X))
    assert succeed("predict", binary[0], source, "-t", threads, env=ENV) == expected
    assert succeed("predict", binary[0], "-i", source, "-t", threads, env=ENV) == expected


@needs_library
def test_doubles_of_lightgbm(tmp_path):
    model = tmp_path / "model.txt"
    models.lightgbm_model(model, "regression", 2)
    rows = np.random.default_rng(4).normal(size=(3000, len(models.NAMES)))
    source = write(tmp_path / "rows.parquet", dict(zip(models.NAMES, rows.T)))
    expected = succeed("predict", model, stdin=models.csv_text(rows))
    assert succeed("predict", model, source, env=ENV) == expected


@needs_library
def test_columns_of_many_types(tmp_path, binary):
    """Integers, decimals, booleans, numbers as text, in another order, with columns that are no feature."""
    columns = {
        "pdays": pa.array([1, None, 3], pa.int8()),
        "id": pa.array(["a", "b", None]),
        "list": pa.array([[1], [2, 3], []]),
        "duration": pa.array(["7", "NA", " 1.5 "]),
        "age": pa.array([True, False, None]),
        "balance": pa.array([2**40, -5, 0], pa.int64()),
    }
    source = write(tmp_path / "rows.parquet", columns)
    text = "age,balance,duration,pdays\n1,1099511627776,7,1\n0,-5,NA,\n,0,1.5,3\n"
    assert succeed("predict", binary[0], source, env=ENV) == succeed("predict", binary[0], stdin=text)


@needs_library
def test_bad_rows_have_their_numbers(tmp_path, binary):
    columns = columns_of(X[:4], pa.float64()) | {"age": pa.array(["1", "old", "3", "4"])}
    source = write(tmp_path / "rows.parquet", columns)
    message = fail("predict", binary[0], source, env=ENV)
    assert "rows.parquet: row 2: feature 'age': expected a number, got 'old'" in message
    done = phoenix("predict", binary[0], source, "--on-error", "skip", "--json", env=ENV)
    assert [json.loads(line)["row"] for line in done.stdout.splitlines()] == [1, 3, 4]
    assert "1 bad rows skipped" in done.stderr


@needs_library
def test_a_column_that_cannot_be_a_feature(tmp_path, binary):
    columns = columns_of(X[:2], pa.float64()) | {"age": pa.array([[1], [2]])}
    message = fail("predict", binary[0], write(tmp_path / "rows.parquet", columns), env=ENV)
    assert "column 'age': expected numbers, booleans or text" in message
    del columns["age"]
    message = fail("predict", binary[0], write(tmp_path / "rows.parquet", columns), env=ENV)
    assert "no column for feature 'age'" in message


@needs_library
def test_a_path_is_no_pattern_and_no_sql(tmp_path, binary):
    expected = succeed("predict", binary[0], stdin=models.csv_text(X[:3]))
    for name in ("it's [1]*.parquet", "a?b.parquet", "x=1 --.parquet"):
        source = write(tmp_path / name, columns_of(X[:3], pa.float64()))
        assert succeed("predict", binary[0], source, env=ENV) == expected


@needs_library
def test_an_empty_table_and_a_broken_file(tmp_path, binary):
    source = write(tmp_path / "rows.parquet", columns_of(X[:0], pa.float64()))
    assert succeed("predict", binary[0], source, env=ENV) == "score\n"
    broken = bytearray(write(tmp_path / "rows.parquet", columns_of(X, pa.float64())).read_bytes())
    broken[100:-4] = bytes(len(broken) - 104)
    source.write_bytes(bytes(broken))
    assert "not a Parquet file that can be read" in fail("predict", binary[0], source, env=ENV)


@needs_library
def test_dates_and_timestamps_are_those_of_csv(tmp_path):
    import lightgbm

    text = ["2024-02-29 12:30:15.250000", "1969-12-31 23:59:59", "2031-01-01 00:00:00.000001", ""]
    seconds = np.linspace(-1e9, 2e9, 200)
    data = lightgbm.Dataset(np.column_stack([seconds]), label=seconds % 7, feature_name=["at"])
    booster = lightgbm.train({"objective": "regression", "verbose": -1, "min_data_in_leaf": 5}, data, 20)
    package = tmp_path / "package"
    package.mkdir()
    booster.save_model(package / "model.txt")
    (package / "model.yaml").write_text("phoenix: 1\nmodel: model.txt\nfeatures:\n  - {name: at, type: datetime}\n")
    expected = succeed("predict", package, stdin="at\n" + "\n".join(f'"{t}"' for t in text) + "\n")
    at = [datetime.datetime.fromisoformat(t) if t else None for t in text]
    source = write(tmp_path / "rows.parquet", {"at": pa.array(at, pa.timestamp("us"))})
    assert succeed("predict", package, source, env=ENV) == expected


def test_without_the_library_it_says_what_to_install(tmp_path, binary):
    source = write(tmp_path / "rows.parquet", columns_of(X[:2], pa.float64()))
    env = {**os.environ, "PHOENIX_DUCKDB_LIBRARY": str(tmp_path / "absent.so")}
    message = fail("predict", binary[0], source, env=env)
    assert "Parquet files need the library libduckdb" in message
    assert "PHOENIX_DUCKDB_LIBRARY" in message


def test_a_pipe_cannot_be_parquet(tmp_path, binary):
    import subprocess

    source = write(tmp_path / "rows.parquet", columns_of(X[:2], pa.float64()))
    done = subprocess.run(
        [PHOENIX, "predict", str(binary[0])], input=source.read_bytes(), capture_output=True, timeout=60
    )
    assert done.returncode == 1
    assert b"give the file's name" in done.stderr


def test_two_inputs_are_one_too_many(binary):
    assert "two inputs" in fail("predict", binary[0], "a.csv", "-i", "b.csv", stdin="", status=2)
