# SPDX-License-Identifier: Apache-2.0
"""A large model is loaded again and again while it answers: what clients see of it.

Open-loop load at a fixed rate (`phoenix bench URL --rate`), in turns without and with reloads, each reload beginning when the one before
has ended. The ratio is that of the p99 of a turn with reloads to that of the turn before it. The model is the one of the other
benchmarks with its trees repeated until the file is as large as wanted.

The client shares the cores. Where the system allows it the client has a real-time priority, so that what it waits for is the server and not a
core; in a session of its own it would otherwise share them equally with all of the server, the loader too. It takes its time from both turns alike.
"""
import json
import subprocess
import threading
import time
import urllib.request

import common

MODEL_BYTES = 200_000_000
RATES = (500, 4_000)


def write_large_model(folder, n_bytes):
    """A file of at least so many bytes; every tree is there several times."""
    model = json.loads(common.make_model(folder).read_text())
    trees = model["learner"]["gradient_booster"]["model"]
    copies = -(-n_bytes // len(json.dumps(trees["trees"], separators=(",", ":"))))
    n = len(trees["trees"]) * copies
    trees["trees"] = [dict(tree, id=i) for i, tree in enumerate(trees["trees"] * copies)]
    trees["tree_info"] = [0] * n
    trees["iteration_indptr"] = list(range(n + 1))
    trees["gbtree_model_param"]["num_trees"] = str(n)
    path = folder / "m" / "1" / "model.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(model, separators=(",", ":")))
    return path


def change(port, what):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v2/repository/models/m/{what}", data=b"{}", method="POST")
    with urllib.request.urlopen(request, timeout=120):
        pass


def load_again(port):
    change(port, "load")


def unload(port):
    change(port, "unload")


def settled_bytes(server):
    """Resident bytes a moment later: the model is freed after the answer."""
    time.sleep(1)
    return server.resident_bytes()


class Reloads:
    """Loads the model again as often as it can, until the end of its block."""

    def __init__(self, port):
        self.port, self.seconds, self.ended = port, [], threading.Event()
        self.thread = threading.Thread(target=self.work)

    def work(self):
        while not self.ended.is_set():
            started = time.perf_counter()
            load_again(self.port)
            self.seconds.append(time.perf_counter() - started)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def first_in_line():
    """What begins the client's command line."""
    command = ["chrt", "-f", "1"]
    try:
        allowed = subprocess.run([*command, "true"], check=False, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        allowed = False
    return command if allowed else []


def ask(port, rate, seconds):
    """One run of the open-loop client, as its JSON."""
    done = subprocess.run([*first_in_line(), common.PHOENIX, "bench", f"http://127.0.0.1:{port}", "--model", "m", "--rate", str(rate), "--duration",
                           str(seconds), "--connections", "16", "--threads", "1", "--json"], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def turn(port, rate, seconds):
    steady = ask(port, rate, seconds)
    with Reloads(port) as reloads:
        reloading = ask(port, rate, seconds)
    return steady, reloading, reloads.seconds


def latency(step, percentile):
    return step["latency_us"][percentile] / 1000


def summarise(rate, turns):
    steps = [(steady["steps"][0], reloading["steps"][0]) for steady, reloading, _ in turns]
    ratios = [latency(after, "p99") / latency(before, "p99") for before, after in steps]
    of = {"steady": [before for before, _ in steps], "reloading": [after for _, after in steps]}
    return {"rate": rate, "ratio": common.spread(ratios), "reloads": sum(len(seconds) for _, _, seconds in turns),
            "reload_s": common.spread([s for _, _, seconds in turns for s in seconds]),
            **{f"{name}_{percentile}_ms": common.spread([latency(step, percentile) for step in list_of])
               for name, list_of in of.items() for percentile in ("p50", "p99")},
            "failed": {name: sum(step["errors"] for step in list_of) for name, list_of in of.items()},
            "requests": {name: sum(step["requests"] for step in list_of) for name, list_of in of.items()}}


def run(folder, quick):
    model = write_large_model(folder, MODEL_BYTES // 20 if quick else MODEL_BYTES)
    seconds, rounds = (2, 1) if quick else (10, 5)
    port = common.free_port()
    results = []
    command = [common.PHOENIX, "serve", model.parents[1].parent, "--port", port, "--drain-delay-ms", 0]
    with common.Server(command, port, "/readyz", patience_s=120) as server:
        idle = server.resident_bytes()
        for rate in RATES:
            turns = [turn(port, rate, seconds) for _ in range(rounds)]
            results.append(summarise(rate, turns))
        after = settled_bytes(server)
        unload(port)
        unloaded = settled_bytes(server)
    return {"model_bytes": model.stat().st_size, "rates": results, "resident_before": idle, "resident_after": after,
            "resident_unloaded": unloaded, "client_first": bool(first_in_line())}


def report(result):
    head = ["requests/s", "p50, ms", "p99, ms", "p50 with reloads", "p99 with reloads", "**p99, ratio**", "target", "reloads", "s each",
            "failed of requests with reloads"]
    rows = [[of["rate"], common.show(of["steady_p50_ms"]), common.show(of["steady_p99_ms"]), common.show(of["reloading_p50_ms"]),
             common.show(of["reloading_p99_ms"]), f"**{common.show(of['ratio'])}**", "≤ 1.2", of["reloads"],
             common.show(of["reload_s"]), f"{of['failed']['reloading']} of {of['requests']['reloading']}"] for of in result["rates"]]
    mib = {key: result[key] / 2**20 for key in ("model_bytes", "resident_before", "resident_after", "resident_unloaded")}
    client = "a real-time priority" if result["client_first"] else "the priority of all others"
    return (f"A model file of {mib['model_bytes']:.0f} MiB, one row a request, open loop, 16 connections. A reload reads the file, builds the model "
            f"beside the old one, warms it and swaps; the next begins at once. The client has {client}.\n\n" + common.table(head, rows) +
            f"\nResident memory of the server: {mib['resident_before']:.0f} MiB before, {mib['resident_after']:.0f} MiB after all reloads, "
            f"{mib['resident_unloaded']:.0f} MiB after the model was unloaded.\n")
