# SPDX-License-Identifier: Apache-2.0
"""What a step of a graph costs besides its model.

A model that does nothing runs in graphs of 1 to 32 steps, one after the other (chain) and side by side under a mean (fan), and as often
without a graph. The difference by the number of steps is the cost of a step.
"""
import json
import subprocess

import common

ROUNDS = 7


def run(_folder, quick):
    common.build("graph_overhead")
    shapes = {}
    for _ in range(2 if quick else ROUNDS):
        done = subprocess.run([common.ROOT / "build" / "tests" / "graph_overhead", "0.1" if quick else "0.5"],
                              check=True, capture_output=True, text=True)
        for entry in json.loads(done.stdout):
            row = shapes.setdefault(f"{entry['shape']}, {entry['steps']}", {"step_ns": [], "graph_ns": [], "bare_ns": []})
            for key, values in row.items():
                values.append(entry[key])
    return {"shapes": {name: {key: common.spread(values) for key, values in row.items()}
                       for name, row in shapes.items()}}


def cost_of_a_step(shapes):
    """One sentence: the longest graph of each kind less the shortest, by the steps between; the graph itself is in neither."""
    kinds = {}
    for name, row in shapes.items():
        kind, steps = name.rsplit(", ", 1)
        added = row["graph_ns"]["median"] - row["bare_ns"]["median"]
        kinds.setdefault(kind, []).append((int(steps), added))
    costs = [f"{(last - first) / (most - least):,.0f} ns in a {kind}"
             for kind, ((least, first), *_, (most, last)) in kinds.items()]
    return f"One more step costs {', '.join(costs)}: the longest less the shortest, by the steps between.\n\n"


def report(result):
    lines = ["| graph, steps | ns per run | the model alone, ns | added per step, ns |", "|---|---|---|---|"]
    for name, row in result["shapes"].items():
        lines.append(f"| {name} | {common.show(row['graph_ns'])} | {common.show(row['bare_ns'])} | "
                     f"{common.show(row['step_ns'])} |")
    return cost_of_a_step(result["shapes"]) + "\n".join(lines) + "\n\nOne row of 4 values; a step with a timeout has memory and a timer of its own.\n"
