# SPDX-License-Identifier: Apache-2.0
"""The forest engine against the libraries: models x batch sizes x scorers, one thread each.

Every round measures all scorers of a cell one after the other; a ratio is of one round. Goals: 40 times
libxgboost and 80 times ONNX Runtime at 500 trees of depth 6 and 4,096 rows, one row within a microsecond,
and never slower than the best peer.
"""
import common
import numpy as np
from forest_models import MODELS, train
from forest_peers import SCORERS, Rows, Unavailable, build_timer

BATCHES = (1, 8, 64, 512, 4096, 100_000)
ROUNDS = 5
SLOW_CALL_NS = 1e9        # beyond, two rounds must do
VERY_SLOW_CALL_NS = 10e9  # and one here


def make_scorers(files, rows, folder):
    """Scorers that can read the model, and why the others cannot."""
    scorers, missing = {}, {}
    for name, make in SCORERS.items():
        try:
            scorers[name] = make(files, rows, folder)
        except (Unavailable, ImportError) as error:
            missing[name] = str(error)
    return scorers, missing


def largest_difference(scorers):
    """How far a peer's margins are from Phoenix's, on 1,000 rows, relative to the largest margin."""
    want = scorers["phoenix"].margins(1000).astype(np.float64)
    scale = np.abs(want).max()
    return {name: float(np.abs(scorer.margins(1000) - want).max() / scale)
            for name, scorer in scorers.items() if name != "phoenix"}


def measure_cell(scorers, n, quick):
    """Nanoseconds per row by scorer: one list entry for each round."""
    times = {name: [] for name in scorers}
    for turn in range(1 if quick else ROUNDS):
        for name, scorer in scorers.items():
            call = times[name][0] * n if turn else 0
            if (turn > 1 and call > SLOW_CALL_NS) or call > VERY_SLOW_CALL_NS:
                continue
            times[name].append(scorer.time(n) / n)
    return times


def summarise(times):
    """Medians, and per peer the ratio of its time to Phoenix's."""
    ours = times["phoenix"]
    return {name: {"ns_per_row": common.spread(values),
                   "ratio": common.spread([theirs / mine for theirs, mine in zip(values, ours)])}
            for name, values in times.items()}


def run(folder, quick):
    rows, result = Rows(build_timer(folder)), {}
    for name in ("100x4", "100x6") if quick else MODELS:
        place = folder / name.replace(" ", "-")
        place.mkdir()
        scorers, missing = make_scorers(train(name, place), rows, place)
        difference = largest_difference(scorers)
        cells = {}
        for n in BATCHES:
            cells[n] = summarise(measure_cell(scorers, n, quick))
            print(f"  {name}, {n} rows: phoenix {common.show(cells[n]['phoenix']['ns_per_row'])} ns/row",
                  flush=True)
        result[name] = {"cells": cells, "missing": missing, "difference": difference}
    return {"models": result}


def worst_ratio(cells):
    """The best peer of each cell: (ratio, batch, name) where it comes closest."""
    return min((cell["ratio"]["median"], n, name) for n, by_name in cells.items()
               for name, cell in by_name.items() if name != "phoenix")


def report_model(name, entry):
    cells = entry["cells"]
    names = [scorer for scorer in SCORERS if scorer in cells[BATCHES[0]]]
    head = ["rows a call", *names]
    lines = []
    for n in BATCHES:
        by_name = cells[n]
        line = [f"{n:,}", common.show(by_name["phoenix"]["ns_per_row"])]
        for peer in names[1:]:
            cell = by_name[peer]
            line.append(f"{common.show(cell['ns_per_row']['median'])} = {common.show(cell['ratio'])}x")
        lines.append(line)
    ratio, n, peer = worst_ratio(cells)
    text = f"## {name}\n\n" + common.table(head, lines)
    text += f"\nClosest peer: {peer} at {n:,} rows, {ratio:.2f} times Phoenix's time.\n"
    for peer, why in entry["missing"].items():
        if "no form" not in why:
            text += f"\nNot measured: {peer} ({why}).\n"
    exact = [peer for peer, value in entry["difference"].items() if value == 0]
    rest = ", ".join(f"{peer} {value:.1e}" for peer, value in entry["difference"].items() if value)
    return text + f"\nMargins of 1,000 rows: equal to {', '.join(exact) or 'none'}" + (
        f"; relative difference to {rest}.\n\n" if rest else ".\n\n")


def report(result):
    text = ("Nanoseconds per row, one thread each; after the `=`, how many times Phoenix's. 32 features, normally "
            "distributed, none missing. ONNX Runtime is called from Python, the others through their C interface; "
            "XGBoost in place, without a DMatrix; LightGBM's single row by its fast interface.\n\n")
    return text + "".join(report_model(name, entry) for name, entry in result["models"].items())
