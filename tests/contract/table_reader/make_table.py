# SPDX-License-Identifier: Apache-2.0
"""Writes table.parquet, the table that test_table_reader.c expects: python3 make_table.py (needs pyarrow)."""

import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

ROWS = [i % 1000 for i in range(3000)]  # the same thousand rows three times

table = pa.table({
    "number": pa.array([None if i % 7 == 3 else i % 40 / 4 for i in ROWS], pa.float64()),
    "flag": pa.array([None if i % 5 == 4 else i % 3 == 0 for i in ROWS], pa.bool_()),
    "text": pa.array([None if i % 11 == 5 else f"a text with the number {i % 20}" if i % 2 else str(i % 20)
                      for i in ROWS]),
    "list": pa.array([[i % 4] for i in ROWS], pa.list_(pa.int32())),
})
pq.write_table(table, pathlib.Path(__file__).with_name("table.parquet"), compression="zstd", row_group_size=1300)
