# SPDX-License-Identifier: Apache-2.0
"""Metrics that Prometheus' own parser reads, probes, the dashboard's API and files."""

import re
import shutil
import subprocess

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from command import ROOT
from rest_models import NAMES


def get(rest, path, **options):
    return requests.get(rest[0].url + path, timeout=60, **options)


def families(rest):
    reply = get(rest, "/metrics")
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {family.name: family for family in text_string_to_metric_families(reply.text)}


def value(found, sample_name, **labels):
    """Sum of the samples of this name that have these labels."""
    return sum(
        sample.value
        for family in found.values()
        for sample in family.samples
        if sample.name == sample_name and labels.items() <= sample.labels.items()
    )


def predict(rest, model, rows):
    body = {"instances": [[1] * len(NAMES)] * rows}
    url = f"{rest[0].url}/v1/models/{model}:predict"
    assert requests.post(url, json=body, timeout=60).status_code == 200


def test_counters_count(rest):
    before = families(rest)
    predict(rest, "named", 3)
    predict(rest, "named", 1)
    url = f"{rest[0].url}/v1/models/named:predict"
    assert requests.post(url, json={"instances": [{"x": 1}]}, timeout=60).status_code == 400
    assert get(rest, "/v2/models/nobody").status_code == 404
    after = families(rest)

    def grown(name, **labels):
        return value(after, name, **labels) - value(before, name, **labels)

    assert grown("phoenix_requests_total", model="named", version="1") == 2
    assert grown("phoenix_rows_total", model="named", version="1") == 4
    assert grown("phoenix_batches_total", model="named") == 2
    assert grown("phoenix_batch_rows_sum", model="named") == 4
    assert grown("phoenix_request_failures_total", model="named") == 1
    assert grown("phoenix_request_errors_total", model="named", reason="INVALID") == 1
    assert grown("phoenix_request_errors_total", model="", reason="NOT_FOUND") == 1
    assert grown("phoenix_request_duration_seconds_count", model="named") == 2
    assert grown("phoenix_http_requests_total") == 5


def test_histograms_are_cumulative(rest):
    predict(rest, "named", 2)
    found = families(rest)
    histograms = [f for f in found.values() if f.type == "histogram"]
    assert {"phoenix_request_duration_seconds", "phoenix_loop_busy_seconds", "phoenix_batch_rows"} <= {
        f.name for f in histograms
    }
    for family in histograms:
        series = {}
        for sample in family.samples:
            key = tuple((k, v) for k, v in sorted(sample.labels.items()) if k != "le")
            parts = series.setdefault(key, {"buckets": []})
            if sample.name.endswith("_bucket"):
                parts["buckets"].append((float(sample.labels["le"]), sample.value))
            else:
                parts[sample.name.rsplit("_", 1)[1]] = sample.value
        for parts in series.values():
            bounds = [b for b, _ in parts["buckets"]]
            counts = [c for _, c in parts["buckets"]]
            assert bounds == sorted(bounds) and bounds[-1] == float("inf")
            assert counts == sorted(counts) and counts[-1] == parts["count"]
            assert parts["sum"] >= 0


def test_every_family_has_help_and_one_type(rest):
    text = get(rest, "/metrics").text
    kinds = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    helps = [line.split()[2] for line in text.splitlines() if line.startswith("# HELP")]
    assert kinds == helps
    assert len(kinds) == len(set(kinds))


def test_process_and_models(rest):
    found = families(rest)
    assert value(found, "phoenix_ready") == 1
    assert value(found, "phoenix_build_info") == 1
    assert value(found, "process_resident_memory_bytes") > 1e6
    assert value(found, "phoenix_heap_allocations_total") > 0
    assert value(found, "phoenix_model_ready", model="named") == 1
    assert value(found, "phoenix_model_ready", model="broken") == 0
    assert value(found, "phoenix_model_info", model="named", format="xgboost-json") == 1


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool (Debian: prometheus) is not installed")
def test_promtool_finds_nothing(rest):
    text = get(rest, "/metrics").text
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_probes(rest):
    assert get(rest, "/healthz").json() == {"live": True}
    reply = get(rest, "/readyz")
    assert (reply.status_code, reply.json()) == (200, {"ready": True})


def test_models(rest):
    models = {m["name"]: m for m in get(rest, "/api/v1/models").json()["models"]}
    named = models["named"]
    assert named["state"] == "READY" and named["default"]
    assert [f["name"] for f in named["signature"]["features"]] == NAMES
    assert list(named["sample"]) == NAMES
    assert named["forest"]["objective"] == "binary:logistic"
    assert models["broken"]["state"] == "FAILED"
    assert models["broken"]["reason"]
    bank = {f["name"]: f for f in models["bank"]["signature"]["features"]}
    assert bank["job"]["categories"] == ["admin.", "technician", "blue-collar"]
    assert models["bank"]["signature"]["labels"] == ["no", "yes"]
    for model in models.values():
        if model["state"] == "READY":
            url = f"{rest[0].url}/v1/models/{model['name']}:predict"
            reply = requests.post(url, json={"instances": [model["sample"]]}, timeout=60)
            assert reply.status_code == 200, reply.text


def test_stats(rest):
    predict(rest, "named", 5)
    stats = get(rest, "/api/v1/stats").json()
    named = next(m for m in stats["models"] if m["name"] == "named")
    assert named["rows"] >= 5
    assert sum(b["count"] for b in named["batch_bins"]) == named["batches"]
    assert sum(b["count"] for b in named["score_bins"]) <= named["rows"]
    assert named["score_bins"][0]["min"] == 0 and named["score_bins"][-1]["max"] == 1
    latency = named["latency_us"]
    assert latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p999"]
    assert latency["count"] == named["requests"]
    assert len(stats["loops"]) >= 1
    assert sum(loop["http_requests"] for loop in stats["loops"]) == stats["http_requests"]
    assert get(rest, "/api/v1/version").json()["version"] == stats["version"]


def test_dashboard(rest):
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    reply = get(rest, "/", headers=browser)
    assert reply.status_code == 200
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in reply.headers["Content-Security-Policy"]
    again = get(rest, "/", headers={**browser, "If-None-Match": reply.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_front_page_tells_programs_that_the_server_is_alive(rest):
    for accept in ("*/*", "application/json", None):
        reply = get(rest, "/", headers={"Accept": accept})
        assert reply.status_code == 200 and reply.json() == {"status": "alive"}
        assert "Accept" in reply.headers["Vary"]


def test_problem_details(rest):
    reply = get(rest, "/api/v1/nothing")
    assert reply.status_code == 404
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert set(reply.json()) == {"type", "title", "status", "detail", "code"}
    assert get(rest, "/nothing").status_code == 404
    assert requests.post(rest[0].url + "/nothing", timeout=60).status_code == 404


def test_every_route_is_documented():
    table = (ROOT / "src/interfaces/rest/routes.def").read_text()
    pages = (ROOT / "docs/api/rest.md").read_text() + (ROOT / "docs/api/dialects.md").read_text()
    patterns = re.findall(r'^PX_(?:ROUTE|CONTROL)\([^"]*"([^"]+)"', table, re.MULTILINE)
    assert len(patterns) > 20
    for pattern in patterns:
        name = "/FILE" if pattern == "/{file}" else pattern
        assert f"{name}`" in pages, f"neither rest.md nor dialects.md names {pattern}"
