# SPDX-License-Identifier: Apache-2.0
"""phoenix bench: the kernel table of a model, and open-loop load against servers good and bad."""

import json
import os
import pty
import re
import resource
import signal
import socket
import subprocess
import threading
import time

import models
import pytest
from command import PHOENIX, fail, phoenix, succeed
from fault_server import OK, FaultServer, reply, stall_once
from server import Server

QUICK = ("--duration", 0.5, "--connections", 4)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "bank.json"
    models.xgboost_model(path)
    return path


@pytest.fixture(scope="module")
def server(model):
    with Server(model) as running:
        yield running


@pytest.fixture(scope="module")
def payments(tmp_path_factory):
    """A package with categories, booleans and dates, served."""
    folder = tmp_path_factory.mktemp("payments")
    succeed("demo", "data", "--rows", 3000, "--out", folder / "rows.csv")
    succeed("train", "--data", folder / "rows.csv", "--target", "is_fraud", "--out", folder / "pay",
            "--rounds", 5)
    with Server(f"pay={folder / 'pay'}") as running:
        yield running


def bench(*words):
    return json.loads(succeed("bench", *words, "--json"))


def check(value, schema, where="$"):
    """A value against a schema: a type, a tuple of types, a list of one schema, or a dict of members."""
    if isinstance(schema, dict):
        assert isinstance(value, dict), where
        assert set(value) == set(schema), f"{where}: {set(value) ^ set(schema)}"
        for key, inner in schema.items():
            check(value[key], inner, f"{where}.{key}")
    elif isinstance(schema, list):
        assert isinstance(value, list), where
        for i, item in enumerate(value):
            check(item, schema[0], f"{where}[{i}]")
    else:
        assert isinstance(value, schema), f"{where}: {value!r}"
        assert not (isinstance(value, bool) and schema in (int, NUMBER)), where


NUMBER = (int, float)
MACHINE = {"processor": str, "cores": int, "version": str, "compiler": str}
KERNELS = {
    "kind": str,
    "model": {"name": str, "file": str, "format": str, "objective": str, "features": int,
              "trees": int, "depth": int, "nodes": int, "leaves": int},
    "rows": {"source": str, "count": int},
    "results": [{"batch": int, "kernel": str,
                 "ns_per_row": {"median": NUMBER, "min": NUMBER, "p90": NUMBER},
                 "rows_per_s": NUMBER, "bytes_touched": int, "repetitions": int,
                 "calls_per_repetition": int, "chosen": bool}],
    "plan": {"forced": bool,
             "choices": [{"rows": int, "kernel": str, "ns_per_row": NUMBER, "measured": bool}],
             "kernels": [dict]},
    "refused": [{"kernel": str, "reason": str}],
    "machine": MACHINE,
}
STEP = {
    "rate": NUMBER, "offered_per_s": NUMBER, "achieved_per_s": NUMBER, "goodput_per_s": NUMBER,
    "requests": int, "errors": int,
    "errors_by_kind": {"status": int, "connect": int, "closed": int, "timeout": int,
                       "bad_reply": int, "unsent": int},
    "latency_us": {"mean": NUMBER, "p50": NUMBER, "p90": NUMBER, "p99": NUMBER, "p99_9": NUMBER,
                   "p99_99": NUMBER, "max": NUMBER},
    "service_p99_us": NUMBER,
    "client": {"lag_p50_us": NUMBER, "lag_p99_us": NUMBER, "lag_max_us": NUMBER,
               "busy_share": NUMBER, "starved_share": NUMBER, "waited_share": NUMBER},
    "verdict": str,
}
LOAD = {
    "kind": str,
    "target": {"url": str, "host": str, "port": int, "path": str, "protocol": str, "model": str,
               "rows_per_request": int, "body_bytes": int, "bodies": int},
    "settings": {"ramp": bool, "arrivals": str, "connections": int, "threads": int,
                 "duration_s": NUMBER, "warmup_s": NUMBER, "timeout_ms": NUMBER,
                 "limit_ms": NUMBER, "goodput_min": NUMBER},
    "steps": [STEP],
    "saturation": (dict, type(None)),
    "shown": dict,
    "machine": MACHINE,
}


# --- a model ---


def test_the_kernel_table_has_a_row_for_every_batch_and_kernel(model):
    report = bench(model, "--seconds", 0.3, "--batches", "1,32")
    check(report, KERNELS)
    assert report["kind"] == "kernels" and report["rows"]["source"] == "probe"
    assert report["model"]["trees"] == 8 and report["model"]["features"] == 4
    kernels = {cell["kernel"] for cell in report["results"]}
    assert "walker" in kernels
    assert not kernels & {refused["kernel"] for refused in report["refused"]}
    assert len(report["results"]) == 2 * len(kernels)
    for batch in (1, 32):
        chosen = [c for c in report["results"] if c["batch"] == batch and c["chosen"]]
        assert len(chosen) == 1


def test_the_kernel_table_as_text(model):
    text = succeed("bench", model, "--seconds", 0.1, "--batches", "8")
    assert re.search(r"^ +8  walker +[\d,.]+ +[\d,.]+ +[\d,.]+ +[\d,]+ +[\d.]+ \w+", text, re.M)
    assert "phoenix" in text and ("gcc" in text or "clang" in text)
    assert len(re.findall(r"  chosen", text)) == 1


def test_rows_of_a_file(model, tmp_path):
    data = tmp_path / "rows.csv"
    data.write_text(models.csv_text(models.rows(50)))
    report = bench(model, "--seconds", 0.1, "--batches", "16", "--kernel", "walker", "--data", data)
    assert report["rows"] == {"source": str(data), "count": 50}
    data.write_text("age,balance\n1,2\n")
    assert "duration" in fail("bench", model, "--data", data)


def test_wrong_command_lines_of_a_model_say_what_to_do(model, tmp_path):
    assert "did you mean 'walker'" in fail("bench", model, "--kernel", "walkr")
    assert "--batches" in fail("bench", model, "--batches", "1,x", status=2)
    assert "--batches" in fail("bench", model, "--batches", "0", status=2)
    assert "names 8 twice" in fail("bench", model, "--batches", "8,1,8", status=2)
    assert "--seconds" in fail("bench", model, "--seconds", "0", status=2)
    assert "http://" in fail("bench", model, "--rate", "5", status=2)
    assert "absent.json" in fail("bench", tmp_path / "absent.json")
    assert "MODEL|URL" in fail("bench", status=2)


# --- load against the real server ---


def test_a_run_at_one_rate_counts_every_request(server):
    report = bench(server.url, "--model", "bank", "--rate", 200, *QUICK)
    check(report, LOAD)
    (step,) = report["steps"]
    assert step["requests"] == 100 and step["errors"] == 0
    assert report["shown"]["statuses"] == {"200": 100}
    assert report["saturation"] is None
    assert report["target"]["path"] == "/v2/models/bank/infer"
    latency = step["latency_us"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"]


def test_v1_and_many_rows(server):
    before = server.metric("phoenix_rows_total", model="bank")
    url = f"{server.url}/v1/models/bank:predict"
    report = bench(url, "--rate", 100, "--rows", 16, "--arrivals", "poisson", *QUICK)
    assert report["steps"][0]["errors"] == 0
    assert report["target"]["protocol"] == "v1" and report["target"]["rows_per_request"] == 16
    rows = server.metric("phoenix_rows_total", model="bank") - before
    assert rows >= 16 * report["steps"][0]["requests"]


@pytest.mark.parametrize("protocol", ["v1", "v2"])
def test_categories_dates_and_booleans_are_valid(payments, protocol):
    report = bench(payments.url, "--model", "pay", "--protocol", protocol, "--rate", 100, *QUICK)
    assert report["steps"][0]["errors"] == 0, report["shown"]
    assert payments.metric("phoenix_unseen_categories_total", model="pay") == 0


def test_the_ramp_ends_at_the_highest_rate_that_was_asked_for(server):
    report = bench(server.url, "--model", "bank", "--start-rate", 100, "--max-rate", 300,
                   "--duration", 0.4, "--limit-ms", 4000, "--goodput", 50)
    check(report, LOAD)
    assert [step["rate"] for step in report["steps"]] == [100, 200, 300]
    assert report["saturation"]["stopped_by"] == "max_rate"
    assert report["saturation"]["found"] is False
    assert report["saturation"]["requests_per_s"] > 0


def test_the_ramp_finds_a_limit():
    """Every connection waits 20 ms: two of them cannot answer more than 100 requests a second."""

    def slow(n):
        time.sleep(0.02)
        return OK

    with FaultServer(slow) as target:
        report = bench(target.url, "--model", "m", "--connections", 2, "--start-rate", 400,
                       "--max-rate", 400, "--duration", 0.5, "--timeout-ms", 400, "--limit-ms", 300)
    saturation = report["saturation"]
    assert report["steps"][0]["verdict"] != "pass"
    assert saturation["stopped_by"] in ("behind", "slow", "client_limited", "failing")
    assert saturation["requests_per_s"] <= 105


def test_the_report_as_text(server):
    text = succeed("bench", server.url, "--model", "bank", "--start-rate", 100, "--max-rate", 200,
                   "--duration", 0.3, "--limit-ms", 4000, "--goodput", 50)
    for part in ("offered/s", "p99.99", "saturation", "errors      0", "lag p50",
                 "latency by percentile", "latency by offered rate"):
        assert part in text
    assert text.isascii()


def at_terminal(*words):
    """Standard output of a command line whose standard output is a terminal."""
    outer, inner = pty.openpty()
    process = subprocess.Popen([PHOENIX, *map(str, words)], stdout=inner, stderr=subprocess.DEVNULL)
    os.close(inner)
    text = b""
    while True:
        try:
            more = os.read(outer, 65536)
        except OSError:
            break
        if not more:
            break
        text += more
    os.close(outer)
    assert process.wait(60) == 0
    return text.decode()


def test_a_terminal_gets_blocks_unless_it_asks_for_ascii(server):
    words = ("bench", server.url, "--model", "bank", "--rate", 100, "--duration", 0.3)
    assert "\u2588" in at_terminal(*words)
    assert at_terminal(*words, "--no-color").isascii()


def test_an_interrupt_prints_what_there_is():
    stalled = threading.Event()

    def answer(n):
        """Enough for the first steps of the ramp, then nothing."""
        if n <= 200:
            return OK
        stalled.set()
        return "silent"

    with FaultServer(answer) as target:
        process = subprocess.Popen(
            [PHOENIX, "bench", target.url, "--model", "m", "--start-rate", "50", "--duration",
             "0.3", "--limit-ms", "4000", "--goodput", "10", "--timeout-ms", "60000", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert stalled.wait(60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in err
    check(json.loads(out), LOAD)


def test_an_interrupt_while_the_server_is_asked_is_no_timeout():
    with FaultServer(metadata="silent") as target:
        process = subprocess.Popen([PHOENIX, "bench", target.url, "--model", "m"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert target.asked.wait(60)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err == "phoenix bench: interrupted\n"


def limited(n):
    """Limits the descriptors of a child, for good."""
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (n, n))


def test_more_connections_than_descriptors_are_refused_before_the_run(server):
    words = ("bench", server.url, "--model", "bank", "--rate", 10, "--connections", 1000)
    text = fail(*words, preexec_fn=limited(800))
    assert "800" in text and "ulimit" in text


# --- load against servers that misbehave ---


def test_a_stall_of_a_second_shows_in_the_percentiles():
    """Coordinated omission: at 100/s for 2 s, half of the requests fall into or behind the stall."""
    with FaultServer(stall_once(after=40, seconds=1.0)) as target:
        report = bench(target.url, "--model", "m", "--rate", 100, "--duration", 2,
                       "--connections", 2)
    (step,) = report["steps"]
    assert step["requests"] == 200
    assert step["latency_us"]["p90"] > 500000
    assert step["client"]["waited_share"] > 0.2


def test_status_500_is_an_error_by_kind_and_its_text_is_shown():
    answer = reply(b'{"error":"it is on fire"}', "500 Internal Server Error")
    with FaultServer(lambda n: answer if n % 2 else OK) as target:
        report = bench(target.url, "--model", "m", "--rate", 100, *QUICK)
    (step,) = report["steps"]
    assert 20 <= step["errors_by_kind"]["status"] <= 30
    assert step["verdict"] == "failing"
    assert report["shown"]["statuses"]["500"] == step["errors_by_kind"]["status"]
    assert "it is on fire" in report["shown"]["first_failure"]


def test_a_server_that_only_fails_is_a_failure():
    answer = reply(b"no", "503 Service Unavailable")
    with FaultServer(lambda n: answer) as target:
        done = phoenix("bench", target.url, "--model", "m", "--rate", 50, *QUICK, "--json")
    assert done.returncode == 1 and "status 503: no" in done.stderr
    assert json.loads(done.stdout)["steps"][0]["errors_by_kind"]["status"] == 25


def test_a_server_cannot_command_the_terminal():
    answer = reply(b"\x1b]0;owned\x07 \xc2\x9b2J", "500 Internal Server Error")
    with FaultServer(lambda n: answer, metadata=answer) as target:
        text = fail("bench", target.url, "--model", "m", "--rate", 50, *QUICK)
    assert "\\x1B]0;owned\\x07 \\xC2\\x9B2J" in text
    assert "\x1b" not in text and "\x9b" not in text


@pytest.mark.parametrize(("how", "kind"), [("reset", "closed"), ("close", "closed"),
                                           (b"SSH-2.0-x\r\n", "bad_reply"),
                                           (OK + b"more", "bad_reply")])
def test_broken_replies_are_errors_by_kind(how, kind):
    with FaultServer(lambda n: how if n % 3 == 0 else OK) as target:
        report = bench(target.url, "--model", "m", "--rate", 100, *QUICK)
    (step,) = report["steps"]
    assert step["requests"] == 50
    assert step["errors_by_kind"][kind] == step["errors"]
    assert 15 <= step["errors"] <= 18


def test_a_silent_server_times_out_and_loses_nothing():
    with FaultServer(lambda n: "silent" if n > 10 else OK) as target:
        report = bench(target.url, "--model", "m", "--rate", 50, *QUICK, "--timeout-ms", 300,
                       "--limit-ms", 100)
    (step,) = report["steps"]
    kinds = step["errors_by_kind"]
    assert step["requests"] == 25
    assert kinds["timeout"] > 0 and kinds["timeout"] + kinds["unsent"] == step["errors"]


def test_a_server_that_closes_every_connection_is_connected_to_again():
    with FaultServer(lambda n: reply(b"{}", extra="Connection: close\r\n"), closes=True) as target:
        report = bench(target.url, "--model", "m", "--rate", 100, *QUICK)
    assert report["steps"][0]["errors"] == 0


def test_chunks_and_replies_until_the_end_are_read():
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    with FaultServer(lambda n: chunked) as target:
        assert bench(target.url, "--model", "m", "--rate", 50, *QUICK)["steps"][0]["errors"] == 0
    with FaultServer(lambda n: b"HTTP/1.1 200 OK\r\n\r\n{}", closes=True) as target:
        assert bench(target.url, "--model", "m", "--rate", 50, *QUICK)["steps"][0]["errors"] == 0


def test_a_server_that_dies_is_told_as_connect_errors():
    target = FaultServer()
    process = subprocess.Popen(
        [PHOENIX, "bench", target.url, "--model", "m", "--rate", "100", "--duration", "2",
         "--connections", "4", "--json"], stdout=subprocess.PIPE, text=True)
    while len(target.requests) < 20:
        time.sleep(0.01)
    target._answer = lambda n: "close"
    target._listener.shutdown(socket.SHUT_RDWR)
    target.__exit__()
    out, _ = process.communicate(timeout=60)
    assert json.loads(out)["steps"][0]["errors_by_kind"]["connect"] > 0


def test_the_body_of_a_file_is_sent_as_it_is(tmp_path):
    body = tmp_path / "request"
    body.write_bytes(b"a,b\n1,2\n")
    with FaultServer() as target:
        report = bench(f"{target.url}/score?x=1", "--rate", 50, *QUICK, "--body", body,
                       "--content-type", "text/csv")
        head, got = target.requests[0]
    assert got == b"a,b\n1,2\n"
    assert head.startswith(b"POST /score?x=1 HTTP/1.1\r\n") and b"Content-Type: text/csv" in head
    assert report["target"]["protocol"] == "raw"


def test_the_same_seed_sends_the_same_rows():
    bodies = []
    for seed in (1, 1, 2):
        with FaultServer() as target:
            bench(target.url, "--model", "m", "--rate", 50, *QUICK, "--connections", 1, "--seed", seed)
            bodies.append([body for _, body in target.requests[:20]])
    assert bodies[0] == bodies[1] != bodies[2]
    tensor = json.loads(bodies[0][0])["inputs"][0]
    assert tensor["name"] == "x" and tensor["shape"] == [1, 3] and len(tensor["data"]) == 3


def test_wrong_command_lines_of_a_url_say_what_to_do(server, tmp_path):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        text = fail("bench", f"http://127.0.0.1:{port}", "--model", "m")
        assert str(port) in text and "phoenix serve" in text
    text = fail("bench", server.url, "--model", "bnak")
    assert "bnak" in text and "bank" in text
    assert "host" in fail("bench", "http://no-such-host.invalid", "--model", "m")
    assert "--model" in fail("bench", server.url, status=2)
    assert "https" in fail("bench", "https://127.0.0.1", "--model", "m", status=2)
    assert "--seconds" in fail("bench", server.url, "--model", "m", "--seconds", 1, status=2)
    ramp = ("--rate", 10, "--max-rate", 20)
    assert "--rate" in fail("bench", server.url, "--model", "m", *ramp, status=2)
    for option in ("rate", "duration", "timeout-ms", "start-rate"):
        for value in ("0", "-1", "nan", "1e-320"):
            assert f"--{option}" in fail("bench", server.url, "--model", "m", f"--{option}={value}",
                                         status=2)
    assert "--limit-ms" in fail("bench", server.url, "--model", "m", "--limit-ms", 9000, status=2)
    assert "--threads" in fail("bench", server.url, "--model", "m", "--threads", 3, "-c", 2, status=2)
    assert "--arrivals" in fail("bench", server.url, "--model", "m", "--arrivals", "x", status=2)
    assert "--protocol" in fail("bench", server.url, "--model", "m", "--protocol", "v3", status=2)
    assert "--body" in fail("bench", server.url, "--model", "m", "--content-type", "x", status=2)
    assert "absent" in fail("bench", server.url, "--model", "bank", "--body", tmp_path / "absent")
