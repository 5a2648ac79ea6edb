# SPDX-License-Identifier: Apache-2.0
"""The programs that people have at hand: curl in every manner of speaking, ghz, h2load, nghttp, and wrk pipelining."""

import gzip
import json
import re
import subprocess

import numpy as np
import pytest
from models import xgboost_model, xgboost_scores
from server import Server

INFER = "/v2/models/named/infer"
JSON = "Content-Type: application/json"
FACTS = "\n%{http_version} %{http_code}"

PIPELINE = """
local depth, batch = 16
init = function()
    local body = io.open(os.getenv("BODY")):read("*a")
    local one = wrk.format("POST", nil, {["Content-Type"] = "application/json"}, body)
    batch = one:rep(depth)
end
request = function() return batch end
"""


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory, some_rows):
    """A server over TCP, TLS and a Unix socket; its attributes say what to ask it and what it must answer."""
    folder = tmp_path_factory.mktemp("tools")
    booster = xgboost_model(folder / "named.json")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", folder / "key.pem", "-out", folder / "certificate.pem", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                   check=True, capture_output=True)
    config = folder / "phoenix.yaml"
    config.write_text(f"server:\n  listen: http://127.0.0.1:0, https://127.0.0.1:0, unix:{folder}/p.sock\n"
                      f"tls:\n  certificate_file: {folder}/certificate.pem\n  key_file: {folder}/key.pem\n")
    body = folder / "body.json"
    body.write_text(json.dumps({"inputs": [{"name": "input", "shape": list(some_rows.shape), "datatype": "FP32",
                                            "data": some_rows.ravel().tolist()}]}))
    with Server(folder / "named.json", "--config", config) as server:
        server.tls_url = re.search(r"https://127\.0\.0\.1:\d+", server.banner).group(0)
        server.folder, server.body, server.scores = folder, body, xgboost_scores(booster, some_rows)
        yield server
        assert server.metric("phoenix_http_responses_total", code="5xx") == 0


def run(*command, timeout=120, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=timeout, check=False,
                          **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def judge(reply, server, version):
    """A body followed by the line of FACTS."""
    body, facts = reply.rsplit("\n", 1)
    assert facts == f"{version} 200"
    scores = json.loads(body)["outputs"][0]["data"]
    assert np.array_equal(np.float32(scores), server.scores)


@pytest.mark.parametrize("version, options", [
    ("1.1", ["--http1.0"]),  # a server answers in its own version, which has a length and a close for 1.0
    ("1.1", ["--http1.1"]),
    ("2", ["--http2-prior-knowledge"]),
    ("1.1", ["--http2"]),  # asks for an upgrade, which is ignored as everywhere today
], ids=str)
def test_curl_over_tcp(tool, everywhere, version, options):
    reply = run(tool("curl"), "-sS", *options, "-H", JSON, "-d", f"@{everywhere.body}", "-w", FACTS,
                everywhere.url + INFER)
    judge(reply, everywhere, version)


@pytest.mark.parametrize("version, options", [
    ("1.1", ["--http1.1"]),
    ("2", ["--http2"]),
    ("2", ["--http2", "--tls-max", "1.2"]),
    ("1.1", ["--no-alpn"]),
], ids=str)
def test_curl_over_tls(tool, everywhere, version, options):
    reply = run(tool("curl"), "-sS", *options, "--cacert", everywhere.folder / "certificate.pem", "-H", JSON, "-d",
                f"@{everywhere.body}", "-w", FACTS, everywhere.tls_url + INFER)
    judge(reply, everywhere, version)


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_curl_over_a_unix_socket(tool, everywhere, version):
    how = {"1.1": "--http1.1", "2": "--http2-prior-knowledge"}[version]
    reply = run(tool("curl"), "-sS", how, "--unix-socket", everywhere.folder / "p.sock", "-H", JSON, "-d",
                f"@{everywhere.body}", "-w", FACTS, f"http://any{INFER}")
    judge(reply, everywhere, version)


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_curl_uploads_without_a_length(tool, everywhere, version):
    """HTTP/1.1 sends chunks, HTTP/2 data until the stream ends."""
    how = {"1.1": "--http1.1", "2": "--http2-prior-knowledge"}[version]
    with everywhere.body.open() as body:
        reply = run(tool("curl"), "-sS", how, "-X", "POST", "--upload-file", "-", "-H", JSON, "-w",
                    FACTS, everywhere.url + INFER, stdin=body)
    judge(reply, everywhere, version)


def test_curl_waits_for_100_continue(tool, everywhere):
    """curl would wait for longer than it may run."""
    reply = run(tool("curl"), "-sS", "--http1.1", "-H", "Expect: 100-continue", "--expect100-timeout", 60,
                "--max-time", 30, "-H", JSON, "-d", f"@{everywhere.body}", "-w", FACTS, everywhere.url + INFER)
    judge(reply, everywhere, "1.1")


def test_curl_compressed_both_ways(tool, everywhere):
    packed = everywhere.folder / "body.gz"
    packed.write_bytes(gzip.compress(everywhere.body.read_bytes()))
    reply = run(tool("curl"), "-sS", "--compressed", "-H", JSON, "-H", "Content-Encoding: gzip", "--data-binary",
                f"@{packed}", "-w", FACTS, everywhere.url + INFER)
    judge(reply, everywhere, "1.1")


@pytest.mark.parametrize("how", ["--http1.1", "--http2"])
def test_curl_asks_again_on_the_same_connection(tool, everywhere, how):
    """Over TLS, as curl 7.88 cannot use a connection of prior knowledge twice, with no server."""
    again = ["-o", "/dev/null", everywhere.tls_url + "/v2/models/named/ready"]
    counts = run(tool("curl"), "-sS", how, "--cacert", everywhere.folder / "certificate.pem", "-w",
                 "%{http_code} %{num_connects}\n", *again, *again, *again)
    assert counts.split("\n")[:3] == ["200 1", "200 0", "200 0"]


def test_curl_head_and_options(tool, everywhere):
    head = run(tool("curl"), "-sSI", everywhere.url + "/v2/models/named")
    assert head.startswith("HTTP/1.1 200") and re.search(r"(?i)^content-length: [1-9]", head, re.M)
    options = run(tool("curl"), "-sSi", "-X", "OPTIONS", everywhere.url + INFER)
    assert re.search(r"(?i)^allow: .*POST", options, re.M), options


def grpc_request(rows):
    return {"model_name": "named", "inputs": [{"name": "input", "datatype": "FP32", "shape": list(rows.shape),
                                               "contents": {"fp32_contents": rows.ravel().tolist()}}]}


@pytest.mark.parametrize("method, calls", [("ModelInfer", 3000), ("ModelStreamInfer", 300)])
def test_ghz_sees_no_error(tool, everywhere, some_rows, method, calls):
    ghz = tool("ghz")
    request = grpc_request(some_rows)
    data = [request] * 5 if method == "ModelStreamInfer" else request
    report = json.loads(run(ghz, "--insecure", "--call", f"inference.GRPCInferenceService.{method}", "-n", calls,
                            "-c", 20, "--connections", 4, "-d", json.dumps(data), "-O", "json",
                            f"127.0.0.1:{everywhere.port}"))
    assert report["statusCodeDistribution"] == {"OK": calls}
    print(f"ghz {method}: {report['rps']:.0f} calls/s, mean {report['average'] / 1e6:.2f} ms")


@pytest.mark.parametrize("options", [["-m", "32"], ["--h1", "-m", "8"], ["-m", "32", "-w", "10", "-W", "10"]], ids=str)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_h2load_sees_no_error(tool, everywhere, scheme, options):
    h2load = tool("h2load")
    url = (everywhere.url if scheme == "http" else everywhere.tls_url) + INFER
    report = run(h2load, "-n", 4000, "-c", 8, *options, "-H", JSON, "-d", everywhere.body, url)
    assert "4000 succeeded, 0 failed, 0 errored, 0 timeout" in report, report
    assert "status codes: 4000 2xx" in report, report
    print(f"h2load {scheme} {' '.join(options)}:", re.search(r"([\d.]+) req/s", report).group(0))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nghttp_multiplies_its_requests(tool, everywhere, scheme):
    url = (everywhere.url if scheme == "http" else everywhere.tls_url) + INFER
    report = run(tool("nghttp"), "-ns", "-m", 20, "-H", JSON, "-d", everywhere.body, url)
    assert len(re.findall(r"\s200\s+\d+\S*\s" + re.escape(INFER), report)) == 20, report


def test_wrk_pipelines(tool, everywhere, tmp_path):
    wrk = tool("wrk")
    script = tmp_path / "pipeline.lua"
    script.write_text(PIPELINE)
    report = run(wrk, "-t", 1, "-c", 4, "-d", "2s", "-s", script, everywhere.url + INFER,
                 env={"BODY": str(everywhere.body)})
    assert "Non-2xx" not in report and "Socket errors" not in report, report
    assert int(re.search(r"(\d+) requests in", report).group(1)) >= 16
    print("wrk, 16 requests in a row:", re.search(r"Requests/sec: +([\d.]+)", report).group(0))
