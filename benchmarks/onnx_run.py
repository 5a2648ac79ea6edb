# SPDX-License-Identifier: Apache-2.0
"""What running an ONNX model through the engine adds to a bare Run of ONNX Runtime, for a model that does next to nothing.

One row of three numbers through two operators, one call after the other, in C (onnx_timer.c). The peer is ONNX Runtime's own
Run with its input's value made once and for all, and no checks.
"""
import os
import subprocess

import common

MODEL = common.ROOT / "tests" / "golden" / "onnxruntime" / "affine.onnx"
TIMER = common.PHOENIX.parent / "tests" / "onnx_timer"
WAYS = {
    "bare": "bare Run, its input made once",
    "values": "bare Run, its input made and its output released each time",
    "engine": "the engine: checks, values, output in the run's memory",
    "executor": "the engine behind an executor of one thread, until its answer",
}


def run_once(n):
    """{way: (p50, p99)} in microseconds."""
    library = {} if os.environ.get("PHOENIX_ONNXRUNTIME") else {"PHOENIX_ONNXRUNTIME": str(common.ROOT / "build" / "engines")}
    lines = subprocess.run([TIMER, MODEL, str(n)], env=os.environ | library, check=True, capture_output=True,
                           text=True).stdout.splitlines()
    return {name: (int(p50) / 1000, int(p99) / 1000) for name, p50, p99 in (line.split() for line in lines)}


def run(folder, quick):
    del folder
    subprocess.run([common.ROOT / "tools" / "build", "release", "onnx_timer"], check=True, stdout=subprocess.DEVNULL)
    rounds = [run_once(2_000 if quick else 100_000) for _ in range(2 if quick else 7)]
    result = {}
    for way in WAYS:
        result[way] = {
            "p50_us": common.spread([round_[way][0] for round_ in rounds]),
            "p99_us": common.spread([round_[way][1] for round_ in rounds]),
            "added_us": common.spread([round_[way][0] - round_["bare"][0] for round_ in rounds]),
            "ratio": common.spread([round_[way][0] / round_["bare"][0] for round_ in rounds]),
        }
    return {"ways": result}


def report(result):
    rows = [(what, common.show(result["ways"][way]["p50_us"]), common.show(result["ways"][way]["p99_us"]),
             common.show(result["ways"][way]["added_us"]), common.show(result["ways"][way]["ratio"]))
            for way, what in WAYS.items()]
    return common.table(("way", "p50, µs", "p99, µs", "added to the bare p50, µs", "ratio"), rows) + (
        "\nA run as short as this one is computed by who starts it, once its time is known, which an event loop does too; others go to the "
        "executor's thread and back, 10 to 80 µs on a machine whose cores sleep.\n")
