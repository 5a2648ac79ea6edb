# SPDX-License-Identifier: Apache-2.0
"""What an answer from the response cache costs against computing it, for a forest and a small ONNX network, in C (cache_hit.c).

A call from its submit to its answer, one after the other: reading the request and writing the reply are the same both ways, and not in it.
"""
import os
import subprocess
import sys

import common

sys.path.insert(0, str(common.ROOT / "tests" / "support"))
import onnx_models  # noqa: E402

TIMER = common.PHOENIX.parent / "tests" / "cache_hit"
WAYS = ("lookup", "hit", "miss", "compute")
ROWS = (1, 64)


def package(folder, model, name, cache):
    path = folder / name
    path.mkdir(exist_ok=True)
    (path / model.name).write_bytes(model.read_bytes())
    (path / "model.yaml").write_text(f"phoenix: 1\nname: {name}\nmodel: {model.name}\ncache: {str(cache).lower()}\n")
    return path


def packages(folder):
    network = folder / "mlp.onnx"
    onnx_models.mlp(str(network))
    for name, model in (("forest", common.make_model(folder)), ("network", network)):
        yield name, [package(folder, model, f"{name}-{state}", state == "cached") for state in ("plain", "cached")]


def time_once(paths, rows, groups):
    library = {} if os.environ.get("PHOENIX_ONNXRUNTIME") else {"PHOENIX_ONNXRUNTIME": str(common.ROOT / "build" / "engines")}
    lines = subprocess.run([TIMER, *paths, str(rows), str(groups)], env=os.environ | library, check=True, capture_output=True,
                           text=True).stdout.splitlines()
    return {way: float(p50) for way, p50, _, _ in (line.split() for line in lines)}


def run(folder, quick):
    subprocess.run([common.ROOT / "tools" / "build", "release", "cache_hit"], check=True, stdout=subprocess.DEVNULL)
    cases = {}
    for name, paths in packages(folder):
        for rows in ROWS:
            rounds = [time_once(paths, rows, 200 if quick else 2000) for _ in range(2 if quick else 7)]
            case = {way: common.spread([each[way] for each in rounds]) for way in WAYS}
            case["ratio"] = common.spread([each["compute"] / each["hit"] for each in rounds])
            cases[f"{name}, {rows}"] = case
    return {"cases": cases}


def report(result):
    rows = [(name, *(common.show(case[way]) for way in WAYS), common.show(case["ratio"])) for name, case in result["cases"].items()]
    return common.table(("model, rows", "the look-up alone, ns", "hit, ns", "miss, ns", "without a cache, ns", "without / hit"), rows) + (
        "\nThe network is computed on the thread that asks where that is short (docs/architecture/engines.md), else by a thread of its own. A miss "
        "computes, copies the request and the answer, and makes room.\n")
