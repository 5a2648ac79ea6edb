# SPDX-License-Identifier: Apache-2.0
"""What a call of a plug-in costs: in the process, isolated, in Python; against a bare socket to another process."""
import json
import statistics
import subprocess

import common

ROOT = common.ROOT
BUILD = ROOT / "build"
SIZES = (64, 1024, 65536, 1 << 20)
PYTHON_FOLDER = ROOT / "tests/support/plugins/python"
WAYS = {
    "in process": ("plugin", "{library: puppet.so}"),
    "isolated": ("plugin", "{library: puppet.so, isolated: true}"),
    "isolated, asleep": ("plugin", "{library: puppet.so, isolated: true, spin_us: 0}"),
    "Python": ("python", "{python: /usr/bin/python3, file: puppet.py}"),
    "socketpair": ("socketpair", ""),
}


def time_way(way, size, n_calls):
    provider, settings = WAYS[way]
    folder = PYTHON_FOLDER if provider == "python" else BUILD / "tests/plugins"
    done = subprocess.run([BUILD / "tests/plugin_timer", folder, provider, settings, str(size), str(n_calls)],
                          check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def run(_folder, quick):
    common.build("phoenix", "plugin_timer", "plugin_puppet")
    rounds, calls = (1, 500) if quick else (7, 20000)
    results = {}
    for size in SIZES:
        turns = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way in WAYS:
                turns[way].append(time_way(way, size, max(calls // (1 + size // 8192), 200)))
        results[str(size)] = turns
    return {"ns": results}


def spread(values, unit):
    return f"{statistics.median(values) / unit:.2f} ({min(values) / unit:.2f}..{max(values) / unit:.2f})"


def report(result):
    lines = ["Microseconds of a call that echoes one FP32 tensor, one caller; the p50 of each turn.\n",
             "| bytes | " + " | ".join(WAYS) + " | isolated / socketpair |", "|---|" + "---|" * (len(WAYS) + 1)]
    for size, turns in result["ns"].items():
        medians = {way: [turn["median"] for turn in turns[way]] for way in WAYS}
        ratios = [a / b for a, b in zip(medians["isolated"], medians["socketpair"])]
        lines.append(f"| {size} | " + " | ".join(spread(medians[way], 1000) for way in WAYS) +
                     f" | {spread(ratios, 1)} |")
    lines += ["\np99, the median of the turns:\n", "| bytes | " + " | ".join(WAYS) + " |", "|---|" + "---|" * len(WAYS)]
    for size, turns in result["ns"].items():
        lines.append(f"| {size} | " + " | ".join(
            f"{statistics.median(turn['p99'] for turn in turns[way]) / 1000:.1f}" for way in WAYS) + " |")
    lines.append("\n*Asleep* is `spin_us: 0`: both sides go to sleep at once, as after a pause between calls. The socket copies "
                 "the bytes twice and knows nothing of tensors; a plug-in's answer is copied once and checked.\n")
    return "\n".join(lines)
