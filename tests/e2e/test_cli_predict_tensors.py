# SPDX-License-Identifier: Apache-2.0
"""phoenix predict with models of tensors: JSON lines in and out, and the same answers as over HTTP."""

import json
import pathlib
import shlex
import subprocess

import pytest
from command import PHOENIX
from server import Server

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "onnxruntime"
GRAPHS = pathlib.Path(__file__).parent.parent.parent / "examples" / "graphs"


def predict(model, rows, *options):
    """(status, answers, what was said)"""
    text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
    done = subprocess.run([PHOENIX, "predict", str(model), "-", *options], input=text,
                          capture_output=True, text=True, timeout=120)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_a_line_is_a_row_and_empty_lines_count():
    status, answers, said = predict(GOLDEN / "affine.onnx", '[1,2,3]\n\n  {"x": [4,5,6]}\r\n[7,8,9]')
    assert status == 0, said
    assert [a["line"] for a in answers] == [1, 3, 4]
    assert all(len(a["prediction"]) == 3 for a in answers)


def test_the_last_line_needs_no_end_and_nothing_is_no_row():
    assert predict(GOLDEN / "affine.onnx", "")[:2] == (0, [])
    assert len(predict(GOLDEN / "affine.onnx", "[1,2,3]")[1]) == 1


def test_a_bad_line_is_told_and_left_out_or_ends_the_work():
    rows = "[1,2,3]\n[1,2]\n[4,5,6]\nnonsense\n"
    status, answers, said = predict(GOLDEN / "affine.onnx", rows, "--on-error", "skip")
    assert status == 0 and [a["line"] for a in answers] == [1, 3]
    assert "line 2: tensor 'x': expected shape" in said and "line 4:" in said
    status, answers, said = predict(GOLDEN / "affine.onnx", rows, "--on-error", "fail")
    assert status != 0 and "line 2" in said


def test_margins_and_parquet_are_refused():
    assert "no margins" in predict(GOLDEN / "affine.onnx", "[1,2,3]", "--margin")[2]


WORDS = ["free", "money", "meeting", "at", "noon", "hello", "é", "prize", "report", "42"]


@pytest.mark.parametrize("model, rows", [
    pytest.param(GOLDEN / "affine.onnx", [[i, i / 3, -1e-3 * i] for i in range(700)], id="affine"),
    pytest.param(GRAPHS / "fraud" / "graph.yaml", [[i / 7, -i / 3, i % 5] for i in range(300)], id="fraud"),
    pytest.param(GRAPHS / "text" / "graph.yaml",
                 [" ".join(WORDS[(i * k) % 10] for k in range(1, i % 9 + 1)) for i in range(1, 300)], id="text"),
])
def test_http_and_predict_agree_to_the_bit(model, rows):
    status, answers, said = predict(model, rows)
    assert status == 0, said
    with Server(f"m={model}") as server:
        alone = [server.predict("m", [row])[0] for row in rows[:20]]
        together = server.predict("m", rows)
    assert [json.dumps(a["prediction"]) for a in answers] == [json.dumps(p) for p in together]
    assert [json.dumps(p) for p in together[:20]] == [json.dumps(p) for p in alone]


def ticks(folder):
    (folder / "graph.yaml").write_text("phoenix_graph: 1\ninputs: [{name: x, type: FP32, shape: [-1, 1]}]\noutputs: [{name: y, from: s.output}]\n"
                                       "steps: [{name: s, processor: clip, with: {min: 0}, inputs: x}]\n")
    (folder / "model.yaml").write_text("phoenix: 1\nname: ticks\nmodel: graph.yaml\nengine: graph\nsequence: {idle_timeout_ms: 1500}\n")
    return folder


def test_a_model_that_keeps_state_says_why_rows_are_refused(tmp_path):
    status, answers, said = predict(ticks(tmp_path), [[1.0]])
    assert status != 0 and not answers
    assert "model 'ticks' keeps state between the requests of a sequence" in said and "sequence_id" in said


def test_the_example_of_a_model_that_keeps_state_can_be_pasted(tmp_path):
    with Server(ticks(tmp_path)) as server:
        line = next(line for line in server.banner.splitlines() if line.startswith("  curl "))
        for _ in range(2):
            done = subprocess.run(shlex.split(line), capture_output=True, text=True, timeout=60, check=True)
            assert json.loads(done.stdout)["outputs"][0]["data"] == [0.0]


def test_check_says_what_a_model_that_keeps_state_keeps(tmp_path):
    text = subprocess.run([PHOENIX, "check", ticks(tmp_path)], capture_output=True, text=True, timeout=60, check=True).stdout
    assert "sequences     at most 256 at a time, 0 bytes of state each, forgotten after 1.5 s without a step\n" in text
    assert "processor clip" in text and "{" not in text
