# SPDX-License-Identifier: Apache-2.0
"""A version that comes computes golden rows, and what the version before it has answered, before anybody is answered by it."""

import json
import shutil
import time

import models
import pytest
from server import Server

ROW = dict.fromkeys(models.NAMES, 1.0)

# Writes down what it computes, by version; may refuse a number.
MODEL = """
import json, os

def predict(inputs):
    rows = [[float(v) for v in row] for row in inputs["x"]]
    with open(os.path.join({folder!r}, "seen-{version}"), "a") as seen:
        seen.write(json.dumps(rows) + "\\n")
    for row in rows:
        if row[0] == {refused}:
            raise ValueError("this number is bad")
    return {{"y": rows}}
"""

PACKAGE = """
phoenix: 1
name: m
engine: {{name: python, file: model.py}}
inputs: [{{name: x, type: FP32, shape: [-1, 1]}}]
outputs: [{{name: y, type: FP32, shape: [-1, 1]}}]
warm_up: {warm_up}
"""

RECORDED = "{runs: 0, recorded: true, required: true}"


def write(folder, version, refused=-1, warm_up=RECORDED):
    """As a whole: a server may be watching."""
    new = folder / ".new"
    new.mkdir(parents=True)
    (new / "model.py").write_text(MODEL.format(folder=str(folder), version=version, refused=refused))
    (new / "model.yaml").write_text(PACKAGE.format(warm_up=warm_up))
    new.rename(folder / str(version))


def seen(folder, version):
    path = folder / f"seen-{version}"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def ask(server, value, version=""):
    path = "/v2/models/m/" + (f"versions/{version}/" if version else "") + "infer"
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [value]}]}
    return server.request(path, body)


def load(server):
    return server.request("/v2/repository/models/m/load", {})


def serve(*what):
    return Server(*what, env={"PHOENIX_PYTHON": "/usr/bin/python3"})


def wait_for(what, seconds=40):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if what():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come about")


def states(server):
    rows = server.request("/v2/repository/index", method="POST")[1]
    return {row["version"]: (row["state"], row.get("reason", "")) for row in rows if row["name"] == "m"}


def test_a_new_version_has_computed_real_requests_before_its_first(tmp_path):
    folder = tmp_path / "repo" / "m"
    write(folder, 1)
    with serve(tmp_path / "repo") as server:
        for value in (3, 5, 8):
            assert ask(server, value)[0] == 200
        assert seen(folder, 2) == []
        write(folder, 2)
        assert load(server)[0] == 200
        assert seen(folder, 2) == [[[3.0]], [[5.0]], [[8.0]]]
        assert server.metric("phoenix_requests_total", model="m", version="2") == 0
        assert server.metric("phoenix_model_warm_up_recorded_total") == 6, "version 1 was loaded again, too"
        assert server.metric("phoenix_model_warm_up_recorded_failures_total") == 0
        assert ask(server, 9)[0] == 200
        assert seen(folder, 2)[-1] == [[9.0]]
        assert "event=model.warmed" in server.log()


def test_a_version_that_fails_on_real_requests_does_not_replace(tmp_path):
    folder = tmp_path / "repo" / "m"
    write(folder, 1)
    with serve(tmp_path / "repo") as server:
        for value in (3, 5):
            assert ask(server, value)[0] == 200
        write(folder, 2, refused=5)
        status, reply = load(server)
        assert status >= 400 and "1 of 2 recorded requests fail" in str(reply), reply
        assert "this number is bad" in str(reply)
        assert ask(server, 5)[0] == 200, "version 1 answers"
        assert states(server)["1"][0] == "READY"
        state, reason = states(server)["2"]
        assert state == "UNAVAILABLE" and "recorded requests fail" in reason
        assert server.metric("phoenix_model_warm_up_recorded_failures_total") == 1
        # The same when it is only to be told.
        shutil.rmtree(folder / "2")
        write(folder, 2, refused=5, warm_up="{runs: 0, recorded: true}")
        assert load(server)[0] == 200
        assert ask(server, 5, 2)[0] >= 400
        assert "this number is bad" in server.log()


def test_polling_warms_and_refuses_in_the_same_way(tmp_path):
    folder = tmp_path / "repo" / "m"
    write(folder, 1)
    with serve(tmp_path / "repo", "--poll", "1") as server:
        assert ask(server, 5)[0] == 200
        write(folder, 2, refused=5)
        wait_for(lambda: server.metric("phoenix_model_warm_up_recorded_failures_total") == 1)
        wait_for(lambda: states(server).get("2", ("", ""))[0] == "UNAVAILABLE")
        assert ask(server, 5)[0] == 200
        write(folder, 3)
        wait_for(lambda: states(server).get("3", ("", ""))[0] == "READY")
        assert seen(folder, 3)[0] == [[5.0]]


@pytest.mark.parametrize("way", ["load", "poll", "demand"])
def test_golden_rows_hold_back_a_version_however_it_comes(way, tmp_path):
    folder = tmp_path / "repo" / "m"

    def write_trees(version, golden):
        new = folder / ".new"
        new.mkdir(parents=True)
        models.xgboost_model(new / "model.json")
        yaml = "phoenix: 1\nname: m\nmodel: model.json\n"
        if golden:
            yaml += "golden: golden.csv\n"
            header, values = list(ROW) + ["score"], [str(v) for v in ROW.values()] + [golden]
            (new / "golden.csv").write_text(",".join(header) + "\n" + ",".join(values) + "\n")
        (new / "model.yaml").write_text(yaml)
        new.rename(folder / str(version))

    config = tmp_path / "phoenix.yaml"
    demand = way == "demand"
    config.write_text(f"serving:\n  load_models: {'demand' if demand else 'start'}\n  load_wait_ms: 60000\n")
    write_trees(1, None)
    if demand:
        write_trees(2, "0.5")
    with Server(tmp_path / "repo", "--config", config, *(["--poll", "1"] if way == "poll" else [])) as server:
        path = "/v1/models/m/versions/{}:predict"
        status, first = server.request(path.format(1), {"instances": [ROW]})
        assert status == 200
        if not demand:
            write_trees(2, "0.5")
        if way == "load":
            assert "golden rows score differently" in str(load(server)[1])
        elif demand:
            status, reply = server.request(path.format(2), {"instances": [ROW]})
            assert status == 503 and "golden rows score differently" in str(reply), reply
        else:
            wait_for(lambda: "golden rows score differently" in states(server).get("2", ("", ""))[1])
        assert server.request("/v1/models/m:predict", {"instances": [ROW]}) == (200, first)
