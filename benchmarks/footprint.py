# SPDX-License-Identifier: Apache-2.0
"""Start to ready with one model, idle memory, size of the binary; nginx beside it as a yardstick.

Ready is the first 200 at /readyz, seen by a client that polls without pause.
"""
import subprocess
import time

import common


def measure(make_server, rounds):
    ready, resident = [], []
    for _ in range(rounds):
        with make_server(common.free_port()) as server:
            ready.append(server.ready_seconds * 1e3)
            time.sleep(0.5)
            resident.append(server.resident_bytes() / 2**20)
    return {"ready_ms": common.spread(ready), "resident_mib": common.spread(resident)}


def run(folder, quick):
    rounds = 3 if quick else 15
    model = common.make_model(folder)
    stripped = folder / "phoenix.stripped"
    subprocess.run(["strip", "-o", stripped, common.PHOENIX], check=True)
    result = {
        "rounds": rounds,
        "model_bytes": model.stat().st_size,
        "binary_bytes": common.PHOENIX.stat().st_size,
        "stripped_bytes": stripped.stat().st_size,
        "phoenix": measure(lambda port: common.phoenix_server(model, port), rounds),
        "nginx": measure(lambda port: common.nginx_server(folder, port, "{}"), rounds),
    }
    print(f"  ready in {common.show(result['phoenix']['ready_ms'])} ms", flush=True)
    return result


def report(result):
    rows = [[name, common.show(result[name]["ready_ms"]), common.show(result[name]["resident_mib"])]
            for name in ("phoenix", "nginx")]
    return (f"{result['rounds']} starts each; the model is {result['model_bytes'] / 1e3:.0f} kB of "
            f"JSON. The binary has {result['binary_bytes'] / 2**20:.1f} MiB with debug "
            f"information, {result['stripped_bytes'] / 2**20:.2f} MiB stripped.\n\n"
            + common.table(["server", "start to ready, ms", "idle resident, MiB"], rows))
