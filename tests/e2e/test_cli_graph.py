# SPDX-License-Identifier: Apache-2.0
"""phoenix check on graphs: the drawing, the JSON, and what is said of one that does not fit together."""

import json
import pathlib
import shutil
import subprocess
import time
import urllib.error
import urllib.request

from command import PHOENIX, fail, succeed
from server import Server

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples" / "graphs"

FRAUD = """\
  ●        payment  input FP32 [-1,3]
  ├─●      quick    model models/quick.json -> predictions FP32 [-1,1]
  └─┴─●    deep     model models/deep.json -> predictions FP32 [-1,1]
      │               when 0.2 <= quick.predictions <= 0.8 (per row), otherwise quick
      │               at most 20 ms, if it fails quick
      └─●  score    output FP32 [-1,1] = deep.predictions
"""


def test_a_graph_is_drawn():
    text = succeed("check", EXAMPLES / "fraud" / "graph.yaml")
    assert FRAUD in text and "would be served" in text


def test_a_graph_is_called_what_it_calls_itself():
    """The quick start of README.md."""
    for path in (EXAMPLES / "fraud", EXAMPLES / "fraud" / "graph.yaml"):
        assert succeed("check", path).startswith("fraud\n")
        assert json.loads(succeed("check", "--json", path))["name"] == "fraud"
        with Server(path) as server:
            request = urllib.request.Request(f"{server.url}/v1/models/fraud:predict", b'{"instances": [[1, 2, 3]]}')
            with urllib.request.urlopen(request, timeout=60) as reply:
                assert len(json.load(reply)["predictions"]) == 1


def test_a_folder_with_a_graph_is_a_package(tmp_path):
    shutil.copytree(EXAMPLES / "fraud", tmp_path / "models" / "fraud.v2")
    folder, rows = tmp_path / "models" / "fraud.v2", [[i / 7, -i / 3, i % 5] for i in range(40)]
    (folder / "graph.yaml").write_text((folder / "graph.yaml").read_text().replace("name: fraud\n", "", 1))
    text = succeed("check", folder)
    assert text.startswith("fraud.v2\n") and FRAUD in text
    body = {"inputs": [{"name": "payment", "datatype": "FP32", "shape": [len(rows), 3], "data": rows}]}
    with Server(folder) as alone, Server(tmp_path / "models") as repository, Server(f"pay={folder / 'graph.yaml'}") as file:
        scores = [ask(alone, "fraud.v2", body), ask(repository, "fraud.v2", body), ask(file, "pay", body)]
    lines = subprocess.run([PHOENIX, "predict", folder, "-"], input="".join(json.dumps({"payment": row}) + "\n" for row in rows),
                           capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    assert len(scores[0]) == len(rows) and scores[0] == scores[1] == scores[2]
    assert scores[0] == [json.loads(line)["prediction"][0] for line in lines]


def ask(server, name, body):
    request = urllib.request.Request(f"{server.url}/v2/models/{name}/infer", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)["outputs"][0]["data"]


def test_model_yaml_goes_before_a_graph_beside_it(tmp_path):
    shutil.copytree(EXAMPLES / "fraud", tmp_path / "fraud")
    (tmp_path / "fraud" / "model.yaml").write_text("phoenix: 1\nname: quick\nmodel: models/quick.json\n")
    assert succeed("check", tmp_path / "fraud").startswith("quick\n")


def test_the_page_shows_what_is_drawn():
    page = (EXAMPLES.parents[1] / "docs" / "api" / "graphs.md").read_text()
    assert "\n".join(line[2:] for line in FRAUD.splitlines()) in page


def test_every_example_would_be_served():
    examples = sorted(EXAMPLES.glob("*/graph.yaml"))
    assert examples
    for path in examples:
        assert json.loads(succeed("check", "--json", path))["ok"]


def test_the_json_has_the_steps():
    description = json.loads(succeed("check", "--json", EXAMPLES / "stacking" / "graph.yaml"))["description"]
    steps = {step["name"]: step for step in description["steps"]}
    assert steps["both"]["combine"] == "concat"
    assert steps["second"]["fallback"] == "predictions = 0.5"
    assert steps["meta"]["inputs"] == {"input": "both"}


def test_a_graph_that_does_not_fit_is_refused_with_the_line(tmp_path):
    shutil.copytree(EXAMPLES / "fraud", tmp_path / "fraud")
    path = tmp_path / "fraud" / "graph.yaml"
    text = path.read_text()
    path.write_text(text.replace("quick.predictions <=", "quick.prediction <="))
    message = fail("check", path)
    assert "step 'quick' has no output 'prediction'" in message and "predictions" in message
    path.write_text(text.replace("shape: [-1, 3]", "shape: [-1, 4]"))
    assert "is FP32 [-1,3], but 'payment' is FP32 [-1,4]" in fail("check", path)


INNER = """phoenix_graph: 1
inputs: [{name: x, type: FP32, shape: [-1]}]
outputs: [{name: label, from: decide.output}]
steps:
  - {name: decide, processor: bands, with: {thresholds: [0.5], labels: [APPROVE, BLOCK]}, inputs: x, fallback: {output: "REVIEW"}}
"""

OUTER = """phoenix_graph: 1
inputs: [{name: x, type: FP32, shape: [-1]}]
outputs: [{name: label, from: inner.label}, {name: score, from: rare.output}]
steps:
  - {name: inner, model: inner.yaml, inputs: x}
  - {name: rare, processor: clip, with: {min: 0}, inputs: x, when: x > 100, otherwise: {output: -1}}
"""


def nested(folder):
    (folder / "inner.yaml").write_text(INNER)
    (folder / "graph.yaml").write_text("name: nested\n" + OUTER)
    return folder / "graph.yaml"


def test_predict_says_which_rows_a_fallback_answered(tmp_path):
    done = subprocess.run([PHOENIX, "predict", nested(tmp_path), "-"], input="0.25\n", capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == {"line": 1, "prediction": {"label": "APPROVE", "score": -1.0}}
    assert done.stderr == ""
    done = subprocess.run([PHOENIX, "predict", nested(tmp_path), "-"], input="0.75\nNaN\n", capture_output=True, text=True, timeout=60, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row.get("degraded") for row in rows] == [None, "inner/decide"]
    assert [row["prediction"]["label"] for row in rows] == ["BLOCK", "REVIEW"]
    assert "1 degraded: a step failed and its fallback stood in" in done.stderr


def traced_steps(folder, value):
    """Name and note of each step of one traced request."""
    path, file = nested(folder), folder / "trace.json"
    (folder / "phoenix.yaml").write_text(f"trace:\n  file: {file}\n")
    with Server(path, "--config", folder / "phoenix.yaml") as server:
        for url, body in ((f"{server.url}/v2/trace/setting", {"trace_level": ["TIMESTAMPS"], "trace_rate": "1"}),
                          (f"{server.url}/v1/models/nested:predict", {"instances": [value]})):
            with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode()), timeout=60) as reply:
                assert reply.status == 200
        deadline = time.monotonic() + 30
        while len(file.read_text()) < 10 and time.monotonic() < deadline:
            time.sleep(0.02)
        records = json.loads(file.read_text())
    steps = [record for record in records if "parent_id" in record]
    assert all(record["parent_id"] == records[0]["id"] for record in steps)
    return {record["model_name"]: record.get("note") for record in steps}


def test_a_trace_says_what_became_of_each_step(tmp_path):
    assert traced_steps(tmp_path, 0.25) == {"inner": None, "inner/decide": None, "rare": "skipped"}
    assert traced_steps(tmp_path, 200.0) == {"inner": None, "inner/decide": None, "rare": None}
    notes = traced_steps(tmp_path, float("nan"))
    assert notes["inner/decide"].startswith("fallback: ") and "NaN" in notes["inner/decide"]


def test_a_graph_that_needs_too_much_memory_names_the_setting(tmp_path):
    steps = [f"  - {{name: s{i}, processor: clip, with: {{min: {i}}}, inputs: {f's{i - 1}' if i else 'x'}}}\n" for i in range(8)]
    (tmp_path / "graph.yaml").write_text("phoenix_graph: 1\nname: chain\ninputs: [{name: x, type: FP32, shape: [-1]}]\n"
                                         "outputs: [{name: y, from: s7}]\nsteps:\n" + "".join(steps))
    (tmp_path / "phoenix.yaml").write_text("serving:\n  request_memory_max: 65536\n")
    n, text = 500, ""
    with Server(tmp_path / "graph.yaml", "--config", tmp_path / "phoenix.yaml") as server:
        while not text and n < 20000:
            body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [n], "data": [9] * n}]}
            request = urllib.request.Request(f"{server.url}/v2/models/chain/infer", json.dumps(body).encode())
            try:
                with urllib.request.urlopen(request, timeout=60) as reply:
                    assert json.load(reply)["outputs"][0]["data"] == [9] * n
            except urllib.error.HTTPError as refusal:
                assert refusal.code == 413
                text = refusal.read().decode()
            n += 250
    assert "step 's" in text and "serving.request_memory_max" in text


PICKY = """phoenix_graph: 1
name: picky
inputs: [{name: x, type: FP32, shape: [-1]}, {name: kind, type: BYTES, shape: [-1]}]
outputs: [{name: label, from: decide.output}, {name: code, from: code.output}]
steps:
  - {name: decide, processor: bands, with: {thresholds: [0.5], labels: [APPROVE, BLOCK]}, inputs: x, fallback: {output: "REVIEW"}}
  - {name: code, processor: encode, with: {categories: [card, cash], method: ordinal}, inputs: kind, fallback: {output: -7}}
"""


def infer_all(server, rows):
    inputs = [{"name": "x", "datatype": "FP32", "shape": [len(rows)], "data": [row["x"] for row in rows]},
              {"name": "kind", "datatype": "BYTES", "shape": [len(rows)], "data": [row["kind"] for row in rows]}]
    request = urllib.request.Request(f"{server.url}/v2/models/picky/infer", json.dumps({"inputs": inputs}).encode())
    with urllib.request.urlopen(request, timeout=60) as reply:
        answer = json.load(reply)
    data = {output["name"]: output["data"] for output in answer["outputs"]}
    rows = [{"label": label, "code": code} for label, code in zip(data["label"], data["code"])]
    return rows, answer.get("parameters", {}).get("degraded")


def test_a_bad_row_does_not_change_its_neighbours(tmp_path):
    (tmp_path / "graph.yaml").write_text(PICKY)
    rows = [{"x": i % 7 / 7, "kind": ("card", "cash")[i % 2]} for i in range(600)]
    for i in (3, 4, 77, 300, 599):
        rows[i]["x"] = float("nan")
    for i in (0, 77, 255, 256):
        rows[i]["kind"] = "cheque"
    with Server(tmp_path / "graph.yaml") as server:
        together, degraded = infer_all(server, rows)
        assert degraded in ("decide,code", "code,decide")
        for i in (*range(8), 76, 77, 78, 254, 255, 256, 300, 599):
            alone, degraded = infer_all(server, rows[i : i + 1])
            assert alone[0] == together[i]
            assert bool(degraded) == (alone[0]["label"] == "REVIEW" or alone[0]["code"] == -7)
    assert [i for i, row in enumerate(together) if row["label"] == "REVIEW"] == [3, 4, 77, 300, 599]
    assert [i for i, row in enumerate(together) if row["code"] == -7] == [0, 77, 255, 256]
    done = subprocess.run([PHOENIX, "predict", tmp_path / "graph.yaml", "-"], input="".join(json.dumps(row) + "\n" for row in rows),
                          capture_output=True, text=True, timeout=60, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["prediction"] for line in lines] == together
    assert [i for i, line in enumerate(lines) if "degraded" in line] == [0, 3, 4, 77, 255, 256, 300, 599]


def test_the_key_may_come_after_a_long_comment(tmp_path):
    (tmp_path / "other.yaml").write_text("# about this graph\n" * 400 + INNER)
    assert "would be served" in succeed("check", tmp_path / "other.yaml")
