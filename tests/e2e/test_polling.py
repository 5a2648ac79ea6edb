# SPDX-License-Identifier: Apache-2.0
"""Folders of models that are watched: what is published comes, what is broken or half copied does not."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import time

import models
import pytest
from command import PHOENIX
from server import Server

ROW = dict.fromkeys(models.NAMES, 1.0)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two models that answer differently."""
    folder = tmp_path_factory.mktemp("models")
    models.xgboost_model(folder / "a.json", rounds=8)
    models.xgboost_model(folder / "b.json", rounds=2)
    return folder / "a.json", folder / "b.json"


def publish(model, target):
    run = subprocess.run([PHOENIX, "publish", model, target], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def wait_for(what, seconds=30):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if what():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come about")


def versions(server, model):
    return [row["version"] for row in server.request("/api/v1/models")[1]["models"] if row["name"] == model]


def test_a_published_model_is_whole_and_described(files, tmp_path):
    assert publish(files[0], tmp_path / "repo" / "risk") == f"{tmp_path}/repo/risk/1"
    assert publish(files[1], tmp_path / "repo" / "risk") == f"{tmp_path}/repo/risk/2"
    assert publish(files[0], tmp_path / "repo" / "risk" / "2") == f"{tmp_path}/repo/risk/2"
    folder = tmp_path / "repo" / "risk"
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2"], "nothing temporary stays"
    manifest = json.loads((folder / "2" / "manifest.json").read_text())
    text = files[0].read_bytes()
    wanted = {"path": "a.json", "size": len(text), "sha256": hashlib.sha256(text).hexdigest()}
    assert manifest == {"files": [wanted]}
    run = subprocess.run([PHOENIX, "publish", "/nothing", folder], capture_output=True, text=True, check=False)
    assert run.returncode != 0 and "/nothing" in run.stderr


def test_what_is_published_comes_is_replaced_and_goes(files, tmp_path):
    folder = tmp_path / "repo"
    publish(files[0], folder / "risk")
    with Server(folder, "--poll", "1") as server:
        first = server.predict("risk", [ROW])
        publish(files[1], folder / "risk")
        wait_for(lambda: versions(server, "risk") == ["1", "2"])
        second = server.predict("risk", [ROW])
        assert second != first
        publish(files[1], folder / "risk" / "1")  # the same number with new bytes
        status, before = server.request("/v1/models/risk/versions/1:predict", {"instances": [ROW]})
        assert status == 200
        wait_for(
            lambda: server.request("/v1/models/risk/versions/1:predict", {"instances": [ROW]})[1]["predictions"] == second
        )
        shutil.rmtree(folder / "risk" / "2")
        wait_for(lambda: versions(server, "risk") == ["1"])
        publish(files[0], folder / "other")
        wait_for(lambda: versions(server, "other") == ["1"])
        shutil.rmtree(folder / "other")
        wait_for(lambda: versions(server, "other") == [])
        assert before["predictions"] in (first, second)


def test_what_is_half_copied_or_broken_leaves_the_old_one(files, tmp_path):
    folder = tmp_path / "repo"
    publish(files[0], folder / "risk")
    with Server(folder, "--poll", "1") as server:
        first = server.predict("risk", [ROW])
        # A version whose manifest does not match its files.
        shutil.copytree(folder / "risk" / "1", folder / "risk" / "2")
        text = files[0].read_bytes()
        (folder / "risk" / "2" / "a.json").write_bytes(text[: len(text) // 2])
        wait_for(lambda: "repository.incomplete" in server.log())
        assert versions(server, "risk") == ["1"]
        (folder / "risk" / "2" / "a.json").write_bytes(text)
        wait_for(lambda: versions(server, "risk") == ["1", "2"])
        # New bytes that are no model, without a manifest.
        (folder / "risk" / "1" / "manifest.json").unlink()
        (folder / "risk" / "1" / "a.json").write_text("{}")
        wait_for(lambda: "model.failed" in server.log())
        index = server.request("/v2/repository/index", method="POST")[1]
        reasons = {row["version"]: (row["state"], row.get("reason", "")) for row in index}
        assert reasons["1"][0] == "READY" and reasons["1"][1], reasons
        status, reply = server.request("/v1/models/risk/versions/1:predict", {"instances": [ROW]})
        assert status == 200 and reply["predictions"] == first


def test_models_of_a_repository_that_are_loaded_on_demand_are_only_registered(files, tmp_path):
    folder = tmp_path / "repo"
    publish(files[0], folder / "risk")
    config = tmp_path / "phoenix.yaml"
    config.write_text("serving:\n  load_models: demand\n  poll_s: 1\n")
    with Server(folder, "--config", config) as server:
        publish(files[1], folder / "new")
        wait_for(lambda: versions(server, "new") == ["1"])
        states = {row["name"]: row["state"] for row in server.request("/api/v1/models")[1]["models"]}
        assert states == {"new": "REGISTERED", "risk": "REGISTERED"}
        assert server.predict("new", [ROW])


def test_a_new_version_of_a_model_that_was_loaded_on_demand_is_loaded_beside_it(files, tmp_path):
    folder = tmp_path / "repo"
    publish(files[0], folder / "risk")
    config = tmp_path / "phoenix.yaml"
    config.write_text("serving:\n  load_models: demand\n  poll_s: 1\n")
    with Server(folder, "--config", config) as server:
        first = server.predict("risk", [ROW])
        publish(files[1], folder / "risk")

        def states():
            return {row["version"]: row["state"] for row in server.request("/api/v1/models")[1]["models"]}

        wait_for(lambda: states() == {"1": "READY", "2": "READY"})  # and nobody has asked for it
        assert server.predict("risk", [ROW]) != first


def reason_of(server, model, version="1"):
    index = server.request("/v2/repository/index", method="POST")[1]
    return next((row["state"], row.get("reason", "")) for row in index if (row["name"], row["version"]) == (model, version))


@pytest.mark.parametrize("damage", ["size", "sha256", "outside", "text", "empty", "short"])
@pytest.mark.parametrize("mode", ["start", "demand", "poll"])
def test_a_version_that_its_manifest_does_not_describe_is_loaded_by_nobody(files, tmp_path, damage, mode):
    folder = tmp_path / "repo"
    publish(files[0], folder / "good")
    publish(files[0], folder / "risk")
    manifest = folder / "risk" / "1" / "manifest.json"
    entry = json.loads(manifest.read_text())["files"][0]
    entry.update({"size": {"size": 99999}, "sha256": {"sha256": "0" * 64}, "outside": {"path": "../../x"}, "short": {"sha256": "12"}}.get(damage, {}))
    manifest.write_text("{" if damage == "text" else json.dumps({"files": [] if damage == "empty" else [entry]}))
    config = tmp_path / "phoenix.yaml"
    config.write_text("serving:\n  load_models: %s\n  poll_s: %d\n" % ("demand" if mode == "demand" else "start", mode == "poll"))
    with Server(folder, "--config", config) as server:
        assert server.predict("good", [ROW])
        status, reply = server.request("/v1/models/risk:predict", {"instances": [ROW]})
        assert status == 503 and "manifest.json" in json.dumps(reply), reply
        status, reply = server.request("/v2/repository/models/risk/load", {})
        assert status >= 400 and "manifest.json" in json.dumps(reply), reply
        assert reason_of(server, "risk")[0] == "UNAVAILABLE"
        assert "manifest.json" in reason_of(server, "risk")[1]


def test_publishers_that_come_together_get_a_number_each(files, tmp_path):
    folder = tmp_path / "repo" / "risk"
    runs = [
        subprocess.Popen([PHOENIX, "publish", files[n % 2], folder], stdout=subprocess.PIPE, text=True) for n in range(12)
    ]
    paths = [run.communicate()[0].strip() for run in runs]
    assert all(run.returncode == 0 for run in runs)
    assert sorted(paths) == sorted(f"{folder}/{n}" for n in range(1, 13))
    for n, path in enumerate(paths):
        assert (tmp_path / path / files[n % 2].name).read_bytes() == files[n % 2].read_bytes()


def test_new_bytes_with_the_size_and_time_of_the_old_are_noticed(tmp_path):
    model = tmp_path / "a.json"
    models.xgboost_model(model, rounds=2)
    folder = tmp_path / "repo"
    publish(model, folder / "risk")
    old = folder / "risk" / "1" / "a.json"
    text = old.read_text()
    at = next(n for n in range(text.index('"split_conditions":['), len(text)) if text[n] in "123456789")
    other = text[:at] + ("9" if text[at] != "9" else "8") + text[at + 1 :]
    with Server(folder, "--poll", "1") as server:
        loads = server.log().count("model.loaded")
        stat = old.stat()
        manifest = folder / "risk" / "1" / "manifest.json"
        stat_manifest = manifest.stat()
        described = json.loads(manifest.read_text())
        described["files"][0]["sha256"] = hashlib.sha256(other.encode()).hexdigest()
        with old.open("r+") as file:
            file.write(other)
        manifest.write_text(json.dumps(described, separators=(",", ":")))
        os.utime(old, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        os.utime(manifest, ns=(stat_manifest.st_atime_ns, stat_manifest.st_mtime_ns))
        assert old.stat().st_size == stat.st_size and old.stat().st_mtime_ns == stat.st_mtime_ns
        wait_for(lambda: server.log().count("model.loaded") > loads)


def test_a_broken_versions_yaml_is_told_once_and_the_index_says_why(files, tmp_path):
    folder = tmp_path / "repo"
    for _ in range(3):
        publish(files[0], folder / "risk")
    with Server(folder, "--poll", "1") as server:
        time.sleep(1.5)  # what is there at its first look is not new
        (folder / "risk" / "versions.yaml").write_text("latset: 1\n")
        wait_for(lambda: "did you mean 'latest'" in reason_of(server, "risk", "2")[1])
        wait_for(lambda: "model.failed" in server.log())
        assert reason_of(server, "risk", "2")[0] == "READY"
        time.sleep(2.5)
        assert server.log().count("model.failed") == 3, "once for each version"
        (folder / "risk" / "versions.yaml").write_text("latest: 1\n")
        wait_for(lambda: versions(server, "risk") == ["3"])
        assert reason_of(server, "risk", "1") == ("UNAVAILABLE", "not chosen by the version policy")
        (folder / "risk" / "versions.yaml").unlink()
        wait_for(lambda: versions(server, "risk") == ["1", "2", "3"])
        config = {"parameters": {"config": json.dumps({"version_policy": {"latest": {"num_versions": 1}}})}}
        assert server.request("/v2/repository/models/risk/load", config)[0] == 200
        assert reason_of(server, "risk", "2") == ("UNAVAILABLE", "not chosen by the version policy")


def test_the_index_says_what_an_incomplete_version_waits_for(files, tmp_path):
    folder = tmp_path / "repo"
    publish(files[0], folder / "risk")
    with Server(folder, "--poll", "1") as server:
        publish(files[1], tmp_path / "other" / "risk")
        new = tmp_path / "other" / "risk" / "1"
        (new / "b.json").write_bytes(b"half")
        new.rename(folder / "risk" / "2")
        wait_for(lambda: "manifest says" in reason_of(server, "risk", "2")[1])
        shutil.copytree(folder / "risk" / "1", folder / "risk" / "3")  # another does not wait for it for ever
        wait_for(lambda: "3" in versions(server, "risk"))
        shutil.rmtree(folder / "risk" / "3")
        wait_for(lambda: "repository.gone" in server.log())


def test_what_is_no_model_is_not_published(files, tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_bytes(files[0].read_bytes()[:300])
    target = tmp_path / "repo" / "risk"
    run = subprocess.run([PHOENIX, "publish", bad, target], capture_output=True, text=True, check=False)
    assert run.returncode != 0 and "not published" in run.stderr and not target.exists()
    run = subprocess.run([PHOENIX, "publish", "--unchecked", bad, target], capture_output=True, text=True, check=False)
    assert run.returncode == 0 and (target / "1" / "bad.json").exists()


def refused(*arguments):
    run = subprocess.run([PHOENIX, "publish", *arguments], capture_output=True, text=True, check=False)
    assert run.returncode != 0 and not run.stdout, run
    return run.stderr


def everything_in(folder):
    return sorted(str(path) for path in folder.rglob("*"))


def test_what_a_killed_publish_has_left_goes_with_the_next(files, tmp_path):
    folder = tmp_path / "repo" / "risk"
    publish(files[0], folder)
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = folder / f".publish-{gone.pid}"
    other = folder / f".publish-{gone.pid}0000000000"  # no number of a process
    lives = folder / f".publish-{os.getpid()}"
    for path in (left, other, lives):
        (path / "below").mkdir(parents=True)
        (path / "below" / "a.json").write_text("{")
    publish(files[0], folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(["1", "2", other.name, lives.name])


def test_what_another_container_publishes_is_left_alone(files, tmp_path):
    folder = tmp_path / "repo" / "risk"
    gone = subprocess.Popen(["true"])
    gone.wait()
    theirs = folder / f".publish-{gone.pid}"
    theirs.mkdir(parents=True)
    lock = os.open(theirs, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    publish(files[0], folder)
    assert theirs.exists()
    os.close(lock)
    publish(files[0], folder)
    assert not theirs.exists()


def test_a_whole_repository_is_not_published_as_a_model(files, tmp_path):
    publish(files[0], tmp_path / "repo" / "g1")
    for model in (tmp_path / "repo", tmp_path / "repo" / "g1"):
        for flags in ([], ["--unchecked"]):
            said = refused(*flags, model, tmp_path / "out" / "x")
            assert "is no package" in said and "such as" in said and "repo/g1/1/a.json" in said, said
    (tmp_path / "empty").mkdir()
    assert "a folder with model.yaml" in refused("--unchecked", tmp_path / "empty", tmp_path / "out" / "x")
    assert not (tmp_path / "out").exists()
    publish(tmp_path / "repo" / "g1" / "1" / "a.json", tmp_path / "out" / "x")


def test_a_target_without_the_name_of_a_model_is_refused(files, tmp_path):
    repository = tmp_path / "repo"
    publish(files[0], repository / "g1")
    (tmp_path / "packages" / "p").mkdir(parents=True)  # packages that lie in a repository without a version
    (tmp_path / "packages" / "p" / "model.yaml").write_text("")
    (tmp_path / "indexed").mkdir()
    (tmp_path / "indexed" / "index.json").write_text("{}")
    before = everything_in(tmp_path)
    for target in ("repo", "repo/", "repo/7", "packages", "indexed"):
        said = refused(files[0], tmp_path / target)
        assert "REPOSITORY/NAME" in said and f"{target.split('/')[0]}/a" in said, said
    assert "repo/NAME" in refused(repository / "g1" / "1", repository)
    assert everything_in(tmp_path) == before
    (repository / "g1" / "notes").mkdir()  # beside versions, whatever else is there
    publish(files[0], repository / "g1")


def test_links_that_lead_out_of_a_package_are_refused(files, tmp_path):
    package = tmp_path / "package"
    (package / "data" / "deep").mkdir(parents=True)
    shutil.copy(files[0], package / "data" / "real.json")
    (package / "model.json").symlink_to("data/real.json")
    target = tmp_path / "repo" / "risk"
    run = subprocess.run([PHOENIX, "publish", "--unchecked", package, target], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert not (target / "1" / "model.json").is_symlink()
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    (package / ".hidden").mkdir()
    (package / ".hidden" / "out").symlink_to(secret)
    for name, to in (("data/deep/out", secret), ("data/out", tmp_path), ("data/lost", "nothing"), ("data/by", "../.hidden")):
        (package / name).symlink_to(to)
        for flags in ([], ["--unchecked"]):
            said = refused(*flags, package, target)
            assert "a link that leads nowhere or out of it" in said and f"package/{name}" in said and "cp -L" in said, said
        (package / name).unlink()
    link = tmp_path / "link.json"
    link.symlink_to(files[0])  # who names a link means its file
    assert publish(link, target) == f"{target}/2"


@pytest.mark.parametrize(
    "key, said",
    [("fils", "unknown key 'fils', did you mean 'files'?"), ("sizes", "unknown key 'sizes', did you mean 'size'?"), ("author", "unknown key 'author', expected")],
)
def test_a_manifest_with_an_unknown_key_is_refused_with_the_nearest(files, tmp_path, key, said):
    publish(files[0], tmp_path / "repo" / "risk")
    path = tmp_path / "repo" / "risk" / "1" / "manifest.json"
    manifest = json.loads(path.read_text())
    (manifest["files"][0] if key == "sizes" else manifest)[key] = 1
    path.write_text(json.dumps(manifest))
    with Server(tmp_path / "repo") as server:
        assert said in reason_of(server, "risk")[1], reason_of(server, "risk")
