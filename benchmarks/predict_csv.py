# SPDX-License-Identifier: Apache-2.0
"""`phoenix predict` on a million rows, against pandas + XGBoost doing the same in Python.

Phoenix is timed as a whole process. The peer is timed without its imports (about a second), which
is in its favour. Both read the same file, from the page cache, and write one score a line; the
scores are compared. It also shows what each thread adds; where there is pyarrow and libduckdb the
same rows are read from Parquet as well.
"""
import io
import os
import subprocess
import sys
import time

import numpy as np

import common


def write_csv(path, n_rows):
    """`n_rows` rows of which 50,000 are distinct: formatting floats in Python is slow."""
    distinct = common.make_rows(min(n_rows, 50_000))
    block = io.StringIO()
    np.savetxt(block, distinct, fmt="%.6g", delimiter=",")
    with open(path, "w", encoding="ascii") as file:
        file.write(",".join(f"f{i}" for i in range(common.N_FEATURES)) + "\n")
        for _ in range(n_rows // len(distinct)):
            file.write(block.getvalue())


def predict_command(model, source, target, threads=os.cpu_count()):
    return [common.PHOENIX, "predict", model, "--input", source, "--output", target,
            "--threads", str(threads)]


def time_phoenix(model, source, target, threads=os.cpu_count()):
    started = time.perf_counter()
    subprocess.run(predict_command(model, source, target, threads), check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def scale(model, source, rounds):
    """Megabytes of CSV a second for 1, 2, 4, ... threads; nothing is written, so that reading shows."""
    megabytes, counts = source.stat().st_size / 1e6, [1]
    while counts[-1] * 2 <= os.cpu_count():
        counts.append(counts[-1] * 2)
    return {str(n): common.spread([megabytes / time_phoenix(model, source, "/dev/null", n)
                                   for _ in range(rounds)]) for n in counts}


def time_parquet(model, source, expected, rounds):
    """Seconds for the same rows as Parquet, or None where it cannot be written or read."""
    library = common.ROOT / ".venv" / "native" / "libduckdb.so"
    if "PHOENIX_DUCKDB_LIBRARY" not in os.environ and library.exists():
        os.environ["PHOENIX_DUCKDB_LIBRARY"] = str(library)
    try:
        from pyarrow import csv, parquet
    except ImportError:
        return None
    table, target = source.with_suffix(".parquet"), source.with_suffix(".out")
    parquet.write_table(csv.read_csv(source), table)
    try:
        seconds = [time_phoenix(model, table, target) for _ in range(rounds)]
    except subprocess.CalledProcessError:
        return None
    if target.read_bytes() != expected.read_bytes():
        raise SystemExit("predict_csv: Parquet and CSV got different scores")
    return common.spread(seconds)


def peak_of_phoenix(model, source, target):
    """Most resident bytes of a run that is not timed. (wait4's figure would count this process's
    memory too, from before the exec.)"""
    peak = 0
    process = subprocess.Popen(predict_command(model, source, target),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        peak = max(peak, common.status_bytes(process.pid, "VmHWM"))
        time.sleep(0.005)
    return peak


def time_peer(model, source, target):
    script = common.ROOT / "benchmarks" / "predict_csv_peer.py"
    done = subprocess.run([sys.executable, script, model, source, target], check=True,
                          capture_output=True, text=True)
    return float(done.stdout)


def read_scores(path):
    with open(path, encoding="ascii") as file:
        head = next(file).strip()
        if head != "score":
            raise SystemExit(f"predict_csv: expected the column 'score', got '{head}'")
        return np.array(file.read().split(), dtype=np.float32)


def run(folder, quick):
    n_rows, rounds = (50_000, 2) if quick else (1_000_000, 5)
    model, source = common.make_model(folder), folder / "rows.csv"
    write_csv(source, n_rows)
    megabytes = source.stat().st_size / 1e6
    ours, theirs = folder / "phoenix.csv", folder / "peer.csv"
    peak = peak_of_phoenix(model, source, ours)  # and warms the page cache for both
    turns = [(time_peer(model, source, theirs), time_phoenix(model, source, ours))
             for _ in range(rounds)]
    a, b = read_scores(ours), read_scores(theirs)
    if len(a) != n_rows or len(b) != n_rows:
        raise SystemExit(f"predict_csv: {n_rows} rows in, {len(a)} and {len(b)} scores out")
    result = {"rows": n_rows, "megabytes": megabytes, "rounds": rounds,
              "ratio": common.spread([peer / phoenix for peer, phoenix in turns]),
              "phoenix_peak_bytes": peak,
              "rows_with_another_score": int((a != b).sum()),
              "largest_difference": float(np.abs(a - b).max())}
    result["megabytes_per_s_by_threads"] = scale(model, source, rounds)
    result["parquet_seconds"] = time_parquet(model, source, ours, rounds)
    for at, name in enumerate(("peer", "phoenix")):
        result[name] = {
            "seconds": common.spread([turn[at] for turn in turns]),
            "rows_per_s": common.spread([n_rows / turn[at] for turn in turns]),
            "megabytes_per_s": common.spread([megabytes / turn[at] for turn in turns])}
    print(f"  {common.show(result['ratio'])}x pandas + xgboost", flush=True)
    return result


def report(result):
    rows = [[name, *[common.show(result[key][measure])
                     for measure in ("seconds", "rows_per_s", "megabytes_per_s")], ratio]
            for key, name, ratio in (("phoenix", "phoenix predict", common.show(result["ratio"])),
                                     ("peer", "pandas + xgboost", "1"))]
    by_threads = ", ".join(f"{n}: {common.show(speed)}"
                           for n, speed in result["megabytes_per_s_by_threads"].items())
    parquet = common.show(result["parquet_seconds"]) if result["parquet_seconds"] else "not measured"
    return (f"{result['rows']:,} rows × {common.N_FEATURES} columns "
            f"({result['megabytes']:.0f} MB of CSV in the page cache), {common.N_TREES} trees of "
            f"depth {common.DEPTH}, {result['rounds']} rounds in turns; the peer's imports are not "
            f"counted. {result['rows_with_another_score']} rows got another score (pandas' reader "
            f"rounds some decimals differently; largest difference "
            f"{result['largest_difference']:.2g}). Phoenix's peak memory: "
            f"{result['phoenix_peak_bytes'] / 2**20:.1f} MiB. MB/s by threads: {by_threads}. The same "
            f"rows as Parquet: {parquet} s.\n\n"
            + common.table(["program", "seconds", "rows/s", "MB/s", "ratio"], rows))
