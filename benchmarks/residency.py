# SPDX-License-Identifier: Apache-2.0
"""Ten thousand models of which two hundred fit: start-up, memory, and the latency of a call whose model is in memory or has to come.

All are the same forest under other names; the limit is what two hundred of them were measured to take. A cold call is the first one for
its model; a warm call is for one that was asked for just now. One connection, one row a request. Warm calls are compared with a server
that knows this one model only.
"""
import http.client
import json
import re
import time

import common


def write_repository(folder, model, n):
    for i in range(n):
        place = folder / f"m{i:05d}" / "1"
        place.mkdir(parents=True)
        (place / "model.json").symlink_to(model)
    return folder


class Asking:
    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.body = json.dumps({"instances": common.make_rows(1).tolist()})

    def ask(self, name):
        """Milliseconds of one request."""
        begin = time.perf_counter()
        self.connection.request("POST", f"/v1/models/{name}:predict", self.body)
        reply = self.connection.getresponse()
        text = reply.read()
        took = (time.perf_counter() - begin) * 1000
        if reply.status != 200:
            raise SystemExit(f"{name}: {reply.status} {text[:200]!r}")
        return took

    def metric(self, name):
        self.connection.request("GET", "/metrics")
        text = self.connection.getresponse().read().decode()
        return float(re.search(rf"^{name} (\S+)$", text, re.M).group(1))


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def measure(folder, port, resident, n_models, n_calls, warm_calls):
    """One start of a server with a limit; the figures of its life."""
    command = [common.PHOENIX, "serve", folder / "repository", "--port", port, "--drain-delay-ms", 0,
               "--config", folder / "phoenix.yaml"]
    begin = time.perf_counter()
    with common.Server(command, port, "/readyz", patience_s=120) as server:
        started, memory = time.perf_counter() - begin, server.resident_bytes()
        asking = Asking(port)
        cold = [asking.ask(f"m{i * (n_models // n_calls):05d}") for i in range(n_calls)]
        recent = [f"m{i * (n_models // n_calls):05d}" for i in range(n_calls - min(resident // 2, n_calls), n_calls)]
        for name in recent:
            asking.ask(name)
        warm = [asking.ask(recent[i % len(recent)]) for i in range(warm_calls)]
        return {"start_s": started, "start_bytes": memory, "full_bytes": server.resident_bytes(),
                "resident": asking.metric("phoenix_models_resident"),
                "evictions": asking.metric("phoenix_model_evictions_total"),
                "cold_p50_ms": percentile(cold, 0.5), "cold_p99_ms": percentile(cold, 0.99),
                "warm_p50_ms": percentile(warm, 0.5), "warm_p99_ms": percentile(warm, 0.99)}


def measure_alone(model, port, warm_calls):
    command = [common.PHOENIX, "serve", model, "--port", port, "--drain-delay-ms", 0]
    with common.Server(command, port, "/readyz", patience_s=60) as server:
        asking = Asking(port)
        calls = [asking.ask("model") for _ in range(warm_calls + 10)][10:]
        return {"bytes": asking.metric("phoenix_models_resident_bytes"), "memory": server.resident_bytes(),
                "p50_ms": percentile(calls, 0.5), "p99_ms": percentile(calls, 0.99)}


def run(folder, quick):
    n_models, resident, n_calls, warm_calls, rounds = (500, 20, 50, 200, 1) if quick else (10_000, 200, 500, 5000, 5)
    model = common.make_model(folder)
    write_repository(folder / "repository", model, n_models)
    turns = []
    for _ in range(rounds):
        alone = measure_alone(model, common.free_port(), warm_calls)
        (folder / "phoenix.yaml").write_text(
            f"serving:\n  load_models: demand\n  resident_min_s: 0\n  load_wait_ms: 60000\n  memory_max: {int(alone['bytes'] * resident)}\n")
        turns.append((alone, measure(folder, common.free_port(), resident, n_models, n_calls, warm_calls)))
    figures = {key: common.spread([of[key] for _, of in turns]) for key in turns[0][1]}
    return {"n_models": n_models, "limit": resident, "model_bytes": common.spread([alone["bytes"] for alone, _ in turns]),
            "figures": figures, "ratio": common.spread([of["warm_p99_ms"] / alone["p99_ms"] for alone, of in turns]),
            "registered_bytes": common.spread([(of["start_bytes"] - alone["memory"]) / n_models for alone, of in turns])}


def report(result):
    of = {key: common.show(value) for key, value in result["figures"].items()}
    mib = {key: result["figures"][key]["median"] / 2**20 for key in ("start_bytes", "full_bytes")}
    rows = [["from the start to ready, s", of["start_s"]],
            ["memory then, MiB", f"{mib['start_bytes']:.0f}"],
            ["memory with the models in it that fit, MiB", f"{mib['full_bytes']:.0f}"],
            ["models in memory", of["resident"]], ["evictions", of["evictions"]],
            ["cold call: p50, ms", of["cold_p50_ms"]], ["cold call: p99, ms", of["cold_p99_ms"]],
            ["warm call: p50, ms", of["warm_p50_ms"]], ["warm call: p99, ms", of["warm_p99_ms"]],
            ["**warm p99, ratio to a server of one model**", f"**{common.show(result['ratio'])}**"]]
    return (f"{result['n_models']} models registered, a limit of {result['limit']} times what one was measured to take.\n\n" +
            common.table(["figure", "value"], rows))
