# SPDX-License-Identifier: Apache-2.0
"""`phoenix serve` as a process: what it loads and prints, how it ends, what it costs."""

import json
import mmap
import re
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import models
import numpy as np
import pytest
from command import PHOENIX, SANITIZED, built, fail
from server import Server


@pytest.fixture(scope="module")
def xgboost_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "risk.json"
    models.xgboost_model(path)
    return path


@pytest.fixture(scope="module")
def lightgbm_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "churn.txt"
    models.lightgbm_model(path)
    return path


def instance(row):
    return {n: None if np.isnan(v) else float(v) for n, v in zip(models.NAMES, row)}


def get(port, path="/readyz"):
    """Status of a GET over a connection of its own; None when nothing listens."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            return int(s.recv(65536).split()[1])
    except (ConnectionError, IndexError):
        return None


def test_an_empty_line_of_one_column_is_a_missing_value(tmp_path):
    import xgboost

    x = np.array([[1.0], [np.nan], [3.0], [np.nan]])
    data = xgboost.DMatrix(np.tile(x, (9, 1)), label=np.tile([0, 5, 1, 5], 9), feature_names=["age"])
    booster = xgboost.train({"max_depth": 2, "nthread": 1}, data, 3)
    booster.save_model(tmp_path / "one.json")
    want = booster.predict(data)[: len(x)]
    with Server(tmp_path / "one.json") as server:
        for kind, names in (("text/csv", ["age"]), ("text/csv; header=absent", None)):
            for rows in (x, x[1:]):
                body = models.csv_text(rows, names).encode()
                url = f"{server.url}/v1/models/one:predict"
                request = urllib.request.Request(url, body, {"Content-Type": kind})
                got = json.load(urllib.request.urlopen(request, timeout=60))["predictions"]
                assert np.array_equal(np.float32(got), want[-len(rows) :])


def test_the_printed_curl_command_works_as_pasted(xgboost_file, tmp_path):
    odd = tmp_path / "what's up.json"
    odd.write_bytes(xgboost_file.read_bytes())
    with Server(odd) as server:
        command = re.search(r"^  (curl .*)$", server.banner, re.M).group(1)
        for name in models.NAMES:
            assert name in command
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
        assert list(json.loads(done.stdout)) == ["predictions"], done.stdout + done.stderr


def test_scores_are_the_library_s_to_the_bit(xgboost_file, lightgbm_file):
    import lightgbm
    import xgboost

    x = models.rows(60)
    risk = xgboost.Booster(model_file=xgboost_file)
    churn = lightgbm.Booster(model_file=lightgbm_file)
    with Server(xgboost_file, lightgbm_file) as server:
        instances = [instance(row) for row in x]
        got = np.array(server.predict("risk", instances), dtype=np.float32)
        assert got.tobytes() == models.xgboost_scores(risk, x).tobytes()
        margins = np.array(server.predict("risk", instances, output="margins"), dtype=np.float32)
        assert margins.tobytes() == models.xgboost_scores(risk, x, margin=True).tobytes()
        got = np.array(server.predict("churn", instances))
        assert got.tobytes() == churn.predict(x).tobytes()


def test_a_single_model_that_cannot_be_loaded_ends_the_server_with_the_reason(tmp_path):
    broken = tmp_path / "broken.json"
    broken.write_text('{"learner": {')
    assert "broken.json" in fail("serve", broken, "--port", "0")


def test_a_folder_whose_only_model_is_broken_still_serves_the_reason(tmp_path):
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "1" / "model.json").write_text('{"learner": {')
    with Server(tmp_path) as server:
        assert re.search(r"m +1 +FAILED +\S", server.banner)
        assert server.request("/readyz")[0] == 503


def test_a_broken_model_is_listed_with_its_reason_and_the_others_serve(xgboost_file, tmp_path):
    broken = tmp_path / "broken.json"
    broken.write_text('{"learner": {')
    with Server(xgboost_file, broken) as server:
        assert re.search(r"broken +1 +FAILED +\S", server.banner)
        assert " serves 1 model on http" in server.banner
        assert server.request("/readyz")[0] == 200
        status, reply = server.request("/v1/models/broken:predict", {"instances": [{}]})
        assert status == 503 and "broken" in reply["error"]
        server.predict("risk", [{}])


def test_a_forced_kernel_is_shown_and_an_unknown_one_is_the_reason_of_the_failure(xgboost_file, lightgbm_file):
    with Server(xgboost_file, lightgbm_file, env={"PHOENIX_KERNEL": "branchless"}) as server:
        _, reply = server.request("/api/v1/models")
        plans = [model["forest"]["plan"] for model in reply["models"]]
        assert all(plan["forced"] and plan["self_test"]["passed"] for plan in plans)
        _, reply = server.request(f"/v2/models/{reply['models'][0]['name']}")
        assert reply["properties"]["kernel_one"].startswith("branchless, ")
    with Server(xgboost_file, lightgbm_file, env={"PHOENIX_KERNEL": "quantum"}) as server:
        assert len(re.findall(r"FAILED .*PHOENIX_KERNEL: no kernel is called 'quantum'", server.banner)) == 2
        assert server.request("/readyz")[0] == 503


def test_a_repository_serves_its_versions(xgboost_file, lightgbm_file, tmp_path):
    for folder, source in [("m/1", xgboost_file), ("m/2", lightgbm_file), ("n/7", xgboost_file)]:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / source.name).write_bytes(source.read_bytes())
    with Server(tmp_path) as server:
        assert " serves 2 models, 3 versions on http" in server.banner
        assert server.request("/v2/models/m")[1]["versions"] == ["1", "2"]
        assert server.request("/v2/models/m/versions/1/ready")[0] == 200
        assert server.request("/v2/models/n/versions/7/ready")[0] == 200
        body = {"instances": [{}]}
        first = server.request("/v1/models/m/versions/1:predict", body)[1]
        latest = server.request("/v1/models/m:predict", body)[1]
        assert first != latest


def test_wrong_command_lines_say_what_to_do(xgboost_file, tmp_path):
    assert "MODEL" in fail("serve", status=2)
    assert "absent.json" in fail("serve", tmp_path / "absent.json")
    assert "o'brien" in fail("serve", f"o'brien={xgboost_file}")
    assert "--port" in fail("serve", xgboost_file, "--prot", "1", status=2)
    assert "65535" in fail("serve", xgboost_file, "--port", "99999")
    config = tmp_path / "phoenix.yaml"
    config.write_text("server:\n  prot: 1\n")
    text = fail("serve", xgboost_file, "--config", config)
    assert "phoenix.yaml" in text and "port" in text


def test_settings_that_name_what_nobody_serves_end_the_server_or_are_warned_of(xgboost_file, tmp_path):
    config = tmp_path / "phoenix.yaml"
    for setting, message in (
        ("default_model: rsik", "no model 'rsik' is served; there is risk"),
        ("version_labels: risk:canary=2", "model 'risk' has no version '2'; it has 1"),
    ):
        config.write_text(f"serving:\n  model_control: none\n  {setting}\n")
        text = fail("serve", xgboost_file, "--config", config, "--port", "0")
        assert message in text and "serving.model_control" in text
        config.write_text(f"serving:\n  {setting}\n")  # on the loopback clients may load models
        with Server(xgboost_file, "--config", config) as server:
            assert "config.not_served" in server.log() and setting.split(":")[0] in server.log()


def test_a_port_in_use_is_an_error(xgboost_file):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert str(port) in fail("serve", xgboost_file, "--port", port)


def test_settings_come_from_the_file_and_options_go_before_it(xgboost_file, tmp_path):
    config = tmp_path / "phoenix.yaml"
    config.write_text("server:\n  threads: 1\nserving:\n  request_rows_max: 2\n")
    with Server(xgboost_file, "--config", config) as server:
        status, reply = server.request("/v1/models/risk:predict", {"instances": [{}] * 3})
        assert status == 413 and "2" in reply["error"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_draining_goes_on_serving_while_readiness_is_503(xgboost_file, number):
    with Server(xgboost_file, drain_delay_ms=60_000) as server:
        idle = socket.create_connection(("127.0.0.1", server.port))
        assert get(server.port) == 200
        server.signal(number)
        while get(server.port) == 200:
            time.sleep(0.01)
        assert get(server.port) == 503
        assert get(server.port, "/healthz") == 200
        server.predict("risk", [{}])
        server.signal(number)  # no need to wait for the rest of the delay
        assert server.wait() == 0
        assert idle.recv(1) == b""
        idle.close()
        assert get(server.port) is None


def test_what_is_in_flight_finishes(xgboost_file):
    body = json.dumps({"instances": [{}]}).encode()
    head = b"POST /v1/models/risk:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    with Server(xgboost_file) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as s:
            s.sendall(head + body[:5])
            assert get(server.port) == 200  # the first half has surely been read by now
            server.signal()
            while get(server.port) is not None:
                time.sleep(0.01)
            s.sendall(body[5:])
            reply = b""
            while chunk := s.recv(65536):
                reply += chunk
        assert reply.startswith(b"HTTP/1.1 200 ") and b"predictions" in reply
        assert b"\r\nconnection: close\r\n" in reply.lower()
        assert server.wait() == 0


@pytest.mark.parametrize("drain_delay_ms", [0, 300])
def test_no_request_of_a_busy_client_is_lost(xgboost_file, drain_delay_ms):
    """Keep-alive clients that always have a request under way are told to leave, then leave."""
    request = b"GET /v2/models/risk HTTP/1.1\r\nHost: x\r\n\r\n"
    endings = []

    def keep_asking(port, started):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
            while True:
                s.sendall(request)
                reply = s.recv(65536)
                started.set()
                if not reply.startswith(b"HTTP/1.1 200 "):
                    endings.append(reply or "no answer")
                    return
                if b"\r\nConnection: close\r\n" in reply:
                    endings.append("told to close")
                    return

    with Server(xgboost_file, drain_delay_ms=drain_delay_ms) as server:
        started = [threading.Event() for _ in range(16)]
        clients = [threading.Thread(target=keep_asking, args=(server.port, e)) for e in started]
        for client in clients:
            client.start()
        for event in started:
            event.wait()
        server.signal()
        for client in clients:
            client.join()
        assert endings == ["told to close"] * 16
        assert server.wait() == 0


def test_requests_that_arrive_together_are_scored_together(xgboost_file):
    """Many clients at once: every answer is its own, and batches form without a timer."""
    x = models.rows(64, seed=9)
    with Server(xgboost_file, "--threads", "1") as server:
        alone = [server.predict("risk", [instance(row)])[0] for row in x]
        got = [None] * len(x)

        def ask(first):
            for _ in range(20):
                for i in range(first, len(x), 16):
                    got[i] = server.predict("risk", [instance(x[i])])[0]

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert got == alone
        rows, batches = server.metric("phoenix_rows_total"), server.metric("phoenix_batches_total")
        assert rows == len(x) * 21 and batches <= rows


@pytest.mark.skipif(SANITIZED, reason="the sanitizers bring a malloc of their own")
@pytest.mark.parametrize("path", ["v1", "v2"])
def test_a_prediction_allocates_nothing_after_warm_up(xgboost_file, tmp_path, path):
    """The libc's own allocations included, counted by a preloaded malloc."""
    counter = built(Path(PHOENIX).parent / "libmalloc_count.so")
    count_file = tmp_path / "count"
    row = [1.5, None, 3, 4]
    if path == "v1":
        target, body = "/v1/models/risk:predict", {"instances": [dict(zip(models.NAMES, row))]}
    else:
        tensor = {"name": "input", "datatype": "FP32", "shape": [1, 4], "data": row}
        target, body = "/v2/models/risk/infer", {"id": "7", "inputs": [tensor]}
    text = json.dumps(body).encode()
    request = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (
        target.encode(),
        len(text),
        text,
    )
    env = {"LD_PRELOAD": str(counter), "MALLOC_COUNT_FILE": str(count_file)}
    with Server(xgboost_file, "--threads", "1", env=env) as server:
        with open(count_file, "rb") as file, mmap.mmap(
            file.fileno(), 8, access=mmap.ACCESS_READ
        ) as counts, socket.create_connection(("127.0.0.1", server.port), timeout=60) as s:

            def ask(times):
                for _ in range(times):
                    s.sendall(request)
                    reply = s.recv(65536)
                    assert reply.startswith(b"HTTP/1.1 200 "), reply

            def allocations():
                return struct.unpack("<Q", counts[:8])[0]

            ask(100)
            before = allocations()
            assert before > 100  # the counter counts
            ask(2000)
            assert allocations() - before == 0
