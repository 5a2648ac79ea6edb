# SPDX-License-Identifier: Apache-2.0
"""Models behind a URL: fetched when they are asked for, from web servers that are slow, wrong, killed or full of surprises."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time

import large_models
import models
import pytest
from command import PHOENIX
from model_site import Site
from server import Server

ROW = dict.fromkeys(models.NAMES, 1.0)
WIDE = {"instances": [[1.0] * large_models.FEATURES]}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two models that answer differently."""
    folder = tmp_path_factory.mktemp("models")
    models.xgboost_model(folder / "a.json", rounds=8)
    models.xgboost_model(folder / "b.json", rounds=2)
    return folder / "a.json", folder / "b.json"


@pytest.fixture(scope="module")
def large_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "large.json"
    large_models.xgboost_json(path, trees=60, depth=10)
    return path


def phoenix(*arguments):
    return subprocess.run([PHOENIX, *map(str, arguments)], capture_output=True, text=True, check=False)


def publish(*arguments):
    run = phoenix("publish", *arguments)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def repository(folder, file, names):
    for name in names:
        publish(file, folder / name)
    publish("--index", folder)
    return folder


def settings(tmp_path, serving=None, **repository):
    path = tmp_path / "phoenix.yaml"
    repository.setdefault("cache_dir", tmp_path / "cache")
    text = ""
    for section, keys in (("serving", serving or {"load_wait_ms": 60000}), ("repository", repository)):
        text += f"{section}:\n" + "".join(f"  {key}: {value}\n" for key, value in keys.items())
    path.write_text(text)
    return path


def states(server):
    return {row["name"]: row["state"] for row in server.request("/api/v1/models")[1]["models"]}


def wait_for(what, seconds=30):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if what():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come about")


def ask(server, name, body=None):
    return server.request(f"/v1/models/{name}:predict", body or {"instances": [ROW]})


def test_a_model_is_fetched_by_its_first_request_and_found_on_the_disk_by_the_next_process(files, tmp_path):
    folder = repository(tmp_path / "repo", files[0], ["m0", "m1", "m2"])
    with Server(folder) as server:
        wanted = server.predict("m0", [ROW])
    with Site(folder) as site:
        with Server(site.url, "--config", settings(tmp_path)) as server:
            assert "knows 3 more" in server.banner
            assert states(server) == dict.fromkeys(["m0", "m1", "m2"], "REGISTERED")
            assert [path for path, *_ in site.requests] == ["/index.json"]
            assert server.predict("m0", [ROW]) == wanted
            assert site.count("a.json") == 1
            # Another model of the same file needs no more bytes.
            assert server.predict("m1", [ROW]) == wanted
            assert site.count("a.json") == 1
            assert server.metric("phoenix_model_fetches_total") == 1
            assert server.metric("phoenix_model_cache_hits_total") == 1
            assert server.metric("phoenix_model_fetch_bytes_total") == files[0].stat().st_size
            assert server.metric("phoenix_model_cache_bytes") == files[0].stat().st_size
            assert server.metric("phoenix_request_failures_total") == 0
            index = server.request("/v2/repository/index", method="POST")[1]
            assert {row["name"]: row["state"] for row in index} == {"m0": "READY", "m1": "READY", "m2": "UNAVAILABLE"}
        # The store may even be away: what was known and fetched serves.
        site.stop()
        with Server(site.url, "--config", settings(tmp_path)) as server:
            assert server.predict("m0", [ROW]) == wanted
            assert server.metric("phoenix_model_cache_hits_total") == 1
            assert server.metric("phoenix_model_fetches_total") == 0
            assert "index_of_before" in server.log()
        site.start()


def test_a_repository_that_cannot_be_read_at_the_first_start_is_an_error(files, tmp_path):
    (tmp_path / "empty").mkdir()
    config = settings(tmp_path)
    with Site(tmp_path / "empty") as site:
        run = phoenix("serve", site.url, "--config", config, "--port", "0")
        assert run.returncode == 1 and "index.json is not there" in run.stderr, run.stderr
        assert "phoenix publish --index" in run.stderr
        run = phoenix("serve", f"fraud={site.url}", "--config", config, "--port", "0")
        assert run.returncode == 1 and "got a URL" in run.stderr, run.stderr
        run = phoenix("serve", site.url.replace("//", "//user:secret@"), "--config", config, "--port", "0")
        assert run.returncode == 1 and "token_file" in run.stderr and "secret" not in run.stderr, run.stderr
    run = phoenix("serve", "s3://bucket/models", "--config", config, "--port", "0")
    assert run.returncode == 1 and "https://HOST/PATH/" in run.stderr, run.stderr


def test_a_slow_fetch_delays_no_other_model_and_goes_on_without_its_client(files, large_file, tmp_path):
    folder = repository(tmp_path / "repo", files[0], ["quick"])
    publish(large_file, folder / "slow")
    local = repository(tmp_path / "local", files[1], ["near"])
    config = settings(tmp_path, {"load_wait_ms": 300, "load_models": "demand"})
    with Site(folder) as site, Server(site.url, local, "--config", config) as server:
        release = threading.Event()
        site.rules["large.json"] = {"hold": release}
        status, reply = ask(server, "slow", WIDE)
        assert status == 503 and "is being fetched" in reply["detail"], reply
        assert ask(server, "near")[0] == 200
        assert ask(server, "quick")[0] == 200
        assert server.request("/v2/repository/models/near/load", {})[0] == 200
        release.set()
        wait_for(lambda: ask(server, "slow", WIDE)[0] == 200)
        assert site.count("large.json") == 1, "requests share one fetch"


def test_a_connection_that_breaks_is_gone_on_with(large_file, tmp_path):
    folder = repository(tmp_path / "repo", large_file, ["big"])
    size = large_file.stat().st_size
    with Site(folder) as site, Server(site.url, "--config", settings(tmp_path)) as server:
        site.rules["large.json"] = {"cut": size // 2, "times": 1}
        assert ask(server, "big", WIDE)[0] == 200
        (_, first, one, _), (_, second, two, headers) = [r for r in site.requests if r[0].endswith("large.json")]
        assert (first, second) == (200, 206)
        assert one + two == size, "only the rest is sent"
        assert headers["Range"] == f"bytes={size // 2}-" and headers["If-Range"].startswith('"')
        assert server.metric("phoenix_model_fetch_retries_total") == 1


def test_a_process_that_is_killed_leaves_a_fetch_that_goes_on(large_file, tmp_path):
    folder = repository(tmp_path / "repo", large_file, ["big"])
    size, config = large_file.stat().st_size, settings(tmp_path, {"load_wait_ms": 0})
    with Site(folder) as site:
        site.rules["large.json"] = {"rate": size // 4}
        server = Server(site.url, "--config", config)
        assert ask(server, "big", WIDE)[0] == 503
        wait_for(lambda: server.metric("phoenix_model_fetch_bytes_total") > size // 8)
        server.signal(signal.SIGKILL)
        server.wait()
        server.process.stdout.close()
        there = sum(path.stat().st_size for path in (tmp_path / "cache" / "partial").iterdir() if len(path.name) == 64)
        assert size // 8 < there < size
        (tmp_path / "cache" / "versions" / ".1-1" / "half").mkdir(parents=True)  # as if it had been making one
        site.rules.clear()
        site.requests.clear()
        with Server(site.url, "--config", settings(tmp_path)) as server:
            assert ask(server, "big", WIDE)[0] == 200
            # The first process's answer may end only now, and be noted after the other.
            assert [sent for _, status, sent, _ in site.requests if status == 206] == [size - there]
            assert server.metric("phoenix_model_fetch_resumed_bytes_total") == there
        assert not list((tmp_path / "cache" / "partial").iterdir())
        assert all(path.name[0] != "." for path in (tmp_path / "cache" / "versions").iterdir())


def test_a_server_that_dies_in_the_middle_is_asked_again_when_it_is_back(large_file, tmp_path):
    folder = repository(tmp_path / "repo", large_file, ["big"])
    size = large_file.stat().st_size
    with Site(folder) as site, Server(site.url, "--config", settings(tmp_path)) as server:
        site.rules["large.json"] = {"rate": size // 2}
        result = []
        thread = threading.Thread(target=lambda: result.append(ask(server, "big", WIDE)))
        thread.start()
        wait_for(lambda: server.metric("phoenix_model_fetch_bytes_total") > size // 8)
        site.stop()
        time.sleep(0.5)
        site.rules.clear()
        site.requests.clear()
        site.start()
        thread.join()
        assert result[0][0] == 200, result
        assert 0 < site.sent("large.json") < size


def test_bytes_that_are_not_what_the_index_says_are_refused(files, tmp_path):
    folder = repository(tmp_path / "repo", files[0], ["bad", "good", "long", "short"])
    for name in ("good", "long", "short"):  # files of their own
        (folder / name / "1" / "note.txt").write_text(name)
        (folder / name / "1" / "model.yaml").write_text("phoenix: 1\nmodel: a.json\n")
        (folder / name / "1" / "manifest.json").unlink()
    publish("--index", folder)
    with Site(folder) as site, Server(site.url, "--config", settings(tmp_path)) as server:
        site.rules["bad/1/a.json"] = {"change": lambda text: b"x" + text[1:]}
        site.rules["long/1/note.txt"] = {"change": lambda text: text + b"more"}
        site.rules["short/1/note.txt"] = {"change": lambda text: text[:-1]}
        status, reply = ask(server, "bad")
        assert status == 503 and "SHA-256" in reply["detail"] and "a.json" in reply["detail"], reply
        assert not list((tmp_path / "cache" / "blobs").iterdir()), "nothing of it stays"
        assert ask(server, "good")[0] == 200
        for name, message in (("long", "more bytes"), ("short", "index says 5")):
            status, reply = ask(server, name)
            assert status == 503 and message in reply["detail"], reply
        assert server.metric("phoenix_model_fetch_failures_total") == 3
        assert states(server) == {"bad": "FAILED", "good": "READY", "long": "FAILED", "short": "FAILED"}
        site.rules.clear()  # mended: after a pause the next request tries again
        wait_for(lambda: ask(server, "bad")[0] == 200)


def test_what_is_missing_or_fails_is_told_and_tried_again(files, tmp_path):
    folder = repository(tmp_path / "repo", files[0], ["a", "b", "c"])
    for name in "abc":
        (folder / name / "1" / f"{name}.txt").write_text(name)
        (folder / name / "1" / "model.yaml").write_text("phoenix: 1\nmodel: a.json\n")
        (folder / name / "1" / "manifest.json").unlink()
    publish("--index", folder)
    with Site(folder) as site, Server(site.url, "--config", settings(tmp_path)) as server:
        site.rules["a.txt"] = {"status": 404}
        site.rules["b.txt"] = {"status": 500, "times": 2}
        site.rules["c.txt"] = {"status": 503}
        status, reply = ask(server, "a")
        assert status == 503 and "is not there (404)" in reply["detail"], reply
        assert site.count("a.txt") == 1, "what is missing is not asked for again and again"
        assert ask(server, "b")[0] == 200
        status, reply = ask(server, "c")
        assert status == 503 and "answered 503" in reply["detail"], reply
        wait_for(lambda: site.count("c.txt") == 5)
        site.rules.clear()
        wait_for(lambda: ask(server, "c")[0] == 200)


def test_the_cache_keeps_its_limit_and_what_is_in_memory(large_file, files, tmp_path):
    size = large_file.stat().st_size
    folder = tmp_path / "repo"
    for i in range(5):
        source = tmp_path / f"m{i}.json"
        source.write_bytes(large_file.read_bytes() + b" " * (i + 1))
        publish(source, folder / f"m{i}")
    publish("--index", folder)
    limit = size * 5 // 2
    config = settings(
        tmp_path,
        {"load_wait_ms": 60000, "resident_min_s": 0, "load_models": "demand"},
        cache_bytes_max=limit,
    )
    with Site(folder) as site, Server(site.url, "--config", config) as server:
        for name in ("m0", "m1"):
            assert ask(server, name, WIDE)[0] == 200
        status, reply = ask(server, "m2", WIDE)
        assert status == 503 and "repository.cache_bytes_max" in json.dumps(reply), reply
        assert server.metric("phoenix_model_cache_evictions_total") == 0, "what is in memory stays"
        assert server.request("/v2/repository/models/m0/unload", {})[0] == 200
        wait_for(lambda: ask(server, "m2", WIDE)[0] == 200)
        assert server.metric("phoenix_model_cache_evictions_total") == 1
        assert server.metric("phoenix_model_cache_bytes") <= limit
        disk = sum(path.stat().st_size for path in (tmp_path / "cache" / "blobs").iterdir())
        assert disk <= limit
        site.stop()
        for name in ("m1", "m2"):
            assert ask(server, name, WIDE)[0] == 200
        site.start()
    # The next process: nothing is held, and the one that was not used for the longest time goes.
    with Site(folder) as site, Server(site.url, "--config", config) as server:
        assert ask(server, "m3", WIDE)[0] == 200
        assert ask(server, "m2", WIDE)[0] == 200
        assert site.count("m2.json") == 0 and server.metric("phoenix_model_cache_hits_total") == 1
    run = settings(tmp_path, cache_bytes_max=1000)
    with Site(folder) as site, Server(site.url, "--config", run) as server:
        status, reply = ask(server, "m4", WIDE)
        assert status == 503 and "the cache may have 1000" in reply["detail"], reply


def test_files_that_are_damaged_on_the_disk_are_fetched_again(files, tmp_path):
    folder = repository(tmp_path / "repo", files[0], ["a"])
    with Site(folder) as site:
        with Server(site.url, "--config", settings(tmp_path)) as server:
            wanted = server.predict("a", [ROW])
        (blob,) = (tmp_path / "cache" / "blobs").iterdir()
        text = blob.read_bytes()
        with open(blob, "r+b") as file:  # the same size
            file.write(b"\0" * len(text))
        with Server(site.url, "--config", settings(tmp_path)) as server:
            wait_for(lambda: ask(server, "a")[0] == 200)
            assert server.predict("a", [ROW]) == wanted
            assert "cache.damaged" in server.log()
        (blob,) = (tmp_path / "cache" / "blobs").iterdir()
        os.truncate(blob, 10)
        with Server(site.url, "--config", settings(tmp_path)) as server:
            assert server.predict("a", [ROW]) == wanted
        assert site.count("a.json") == 3


def test_polling_follows_the_index(files, tmp_path):
    folder = repository(tmp_path / "repo", files[0], ["risk"])
    with Site(folder) as site, Server(site.url, "--poll", "1", "--config", settings(tmp_path)) as server:
        first = server.predict("risk", [ROW])
        wait_for(lambda: any(r[1] == 304 for r in site.requests))
        publish(files[1], folder / "risk" / "1")  # the same number, other bytes; the index is renewed
        site.rules["b.json"] = {"status": 503}  # and cannot be had at first
        wait_for(lambda: "repository.poll_failed" in server.log())
        assert server.predict("risk", [ROW]) == first, "what serves stays"
        site.rules.clear()
        wait_for(lambda: server.predict("risk", [ROW]) != first)
        publish(files[0], folder / "other")
        wait_for(lambda: states(server).get("other") == "REGISTERED")
        assert server.predict("other", [ROW]) == first
        shutil.rmtree(folder / "other")
        publish("--index", folder)
        wait_for(lambda: "other" not in states(server))
        # An index that is away, or broken, changes nothing.
        site.rules["index.json"] = {"change": lambda text: text[:-20]}
        publish("--index", folder)
        os.utime(folder / "index.json")
        (folder / "index.json").write_text((folder / "index.json").read_text() + " ")
        wait_for(lambda: "repository.unreadable" in server.log())
        assert states(server)["risk"] == "READY"


def test_a_new_version_is_fetched_beside_the_old_one_which_answers_until_it_is_there(files, tmp_path):
    folder = repository(tmp_path / "repo", files[0], ["risk"])
    config = settings(tmp_path, {"load_wait_ms": 100})
    with Site(folder) as site, Server(site.url, "--poll", "1", "--config", config) as server:
        wait_for(lambda: ask(server, "risk")[0] == 200)
        first = server.predict("risk", [ROW])
        site.rules["b.json"] = {"status": 404}
        publish(files[1], folder / "risk")
        wait_for(lambda: site.count("b.json") >= 2)  # again, and nobody has asked for it
        assert server.predict("risk", [ROW]) == first
        assert ask(server, "risk/versions/2")[0] == 503
        site.rules.clear()
        answers = []
        wait_for(lambda: answers.append(server.predict("risk", [ROW])) or answers[-1] != first)


def test_an_explicit_load_reads_the_index_and_fetches(files, tmp_path):
    folder = repository(tmp_path / "repo", files[0], ["risk"])
    with Site(folder) as site, Server(site.url, "--config", settings(tmp_path)) as server:
        publish(files[1], folder / "risk")
        publish(files[1], folder / "new")
        assert server.request("/v2/repository/models/risk/load", {})[0] == 200
        versions = [(r["version"], r["state"]) for r in server.request("/api/v1/models")[1]["models"]]
        assert versions == [("1", "READY"), ("2", "READY")]
        assert server.request("/v2/repository/models/new/load", {})[0] == 200
        assert states(server)["new"] == "READY"
        status, reply = server.request("/v2/repository/models/nothing/load", {})
        assert status == 404, reply
        policy = json.dumps({"version_policy": {"specific": {"versions": [2]}}})
        assert server.request("/v2/repository/models/risk/load", {"parameters": {"config": policy}})[0] == 200
        assert [r["version"] for r in server.request("/api/v1/models")[1]["models"] if r["name"] == "risk"] == ["2"]


def test_paths_that_lead_out_of_the_folder_are_refused(files, tmp_path):
    folder = repository(tmp_path / "repo", files[0], ["risk"])
    index = json.loads((folder / "index.json").read_text())
    for path in ("../a.json", "/etc/passwd", "a/../b", ".hidden", "a//b", "a\\b", "a\u0000b"):
        index["models"][0]["versions"][0]["files"][0]["path"] = path
        (folder / "index.json").write_text(json.dumps(index))
        with Site(folder) as site:
            run = phoenix("serve", site.url, "--config", settings(tmp_path), "--port", "0")
        assert run.returncode == 1 and "inside its folder" in run.stderr, (path, run.stderr)


def test_a_token_goes_to_the_repository_only_and_is_never_logged(files, tmp_path):
    folder = repository(tmp_path / "repo", files[0], ["risk"])
    token = tmp_path / "token"
    token.write_text("s3cret-token\n")
    config = settings(tmp_path, token_file=token)
    with Site(folder, token="s3cret-token") as site, Site(folder) as elsewhere:
        run = phoenix("serve", site.url, "--config", settings(tmp_path), "--port", "0")
        assert run.returncode == 1 and "PHOENIX_REPOSITORY_TOKEN" in run.stderr, run.stderr
        config = settings(tmp_path, token_file=token)
        site.rules["a.json"] = {"redirect": f"{elsewhere.url}/risk/1/a.json"}
        with Server(site.url, "--config", config, "--log-level", "debug") as server:
            assert ask(server, "risk")[0] == 200
            assert "s3cret" not in server.log() + server.banner
        assert elsewhere.count("a.json") == 1
        assert all("Authorization" not in headers for *_, headers in elsewhere.requests)
        shutil.rmtree(tmp_path / "cache")
        site.rules["a.json"] = {"redirect": f"{site.url}/risk/1/a.json"}  # for ever
        with Server(site.url, "--config", settings(tmp_path), env={"PHOENIX_REPOSITORY_TOKEN": "s3cret-token"}) as server:
            status, reply = ask(server, "risk")
            assert status == 503 and "redirect" in json.dumps(reply).lower(), reply
            assert site.count("a.json") < 20


def test_over_tls_the_certificate_is_checked(files, tmp_path):
    folder = repository(tmp_path / "repo", files[0], ["risk"])
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        + ["-keyout", key, "-out", certificate, "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True,
        capture_output=True,
    )
    with Site(folder, certificate=(certificate, key)) as site:
        run = phoenix("serve", site.url, "--config", settings(tmp_path), "--port", "0")
        assert run.returncode == 1 and "repository.ca_file" in run.stderr, run.stderr
        with Server(site.url, "--config", settings(tmp_path, ca_file=certificate)) as server:
            assert ask(server, "risk")[0] == 200


def test_ten_thousand_models_are_registered_from_the_index_alone(files, tmp_path):
    folder = repository(tmp_path / "repo", files[0], ["m0"])
    index = json.loads((folder / "index.json").read_text())
    one = index["models"][0]
    index["models"] = [{**one, "name": f"m{i}"} for i in range(10000)]
    (folder / "index.json").write_text(json.dumps(index))
    with Site(folder) as site, Server(site.url, "--config", settings(tmp_path)) as server:
        assert "knows 10000 more" in server.banner
        assert [path for path, *_ in site.requests] == ["/index.json"]
        assert ask(server, "m9999")[0] == 200


def test_two_processes_share_a_cache_and_neither_takes_what_the_other_uses(large_file, tmp_path):
    size = large_file.stat().st_size
    folder = tmp_path / "repo"
    for i in range(3):
        source = tmp_path / f"m{i}.json"
        source.write_bytes(large_file.read_bytes() + b" " * (i + 1))
        publish(source, folder / f"m{i}")
    publish("--index", folder)
    config = settings(tmp_path, cache_bytes_max=size * 5 // 2)
    with Site(folder) as site, Server(site.url, "--config", config) as one:
        assert ask(one, "m0", WIDE)[0] == 200
        with Server(site.url, "--config", config) as two:
            assert ask(two, "m0", WIDE)[0] == 200
            assert site.count("m0.json") == 1
            assert ask(two, "m1", WIDE)[0] == 200
            status, reply = ask(two, "m2", WIDE)
            assert status == 503 and "cache_bytes_max" in json.dumps(reply), reply
            assert one.request("/v2/repository/models/m0/unload", {})[0] == 200
            assert two.request("/v2/repository/models/m0/unload", {})[0] == 200
            wait_for(lambda: ask(two, "m2", WIDE)[0] == 200)
