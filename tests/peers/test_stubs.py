# SPDX-License-Identifier: Apache-2.0
"""Clients in Go and Java, generated from proto/ and built here. What they call stands in go/ and java/."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from command import ROOT
from rest_models import NAMES, xgboost_scores

HERE = Path(__file__).parent
PROTOS = {"grpc_service.proto", "model_config.proto"}
NOT_FOUND, INVALID_ARGUMENT, DEADLINE_EXCEEDED = "5", "3", "4"


def build(*command, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=540, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr


def build_go(tool, folder):
    go, protoc, generator, _ = tool("go", "protoc", "protoc-gen-go", "protoc-gen-go-grpc")
    for name in ("go.mod", "go.sum", "main.go"):
        shutil.copy(HERE / "go" / name, folder)
    package = ",".join(["module=peers", *(f"M{name}=peers/inference" for name in sorted(PROTOS))])
    path = os.pathsep.join([str(Path(generator).parent), os.environ["PATH"]])
    build(protoc, "-I", ROOT / "proto", f"--go_out={folder}", f"--go-grpc_out={folder}",
          f"--go_opt={package}", f"--go-grpc_opt={package}", *sorted(PROTOS), env={**os.environ, "PATH": path})
    build(go, "build", "-o", folder / "peers", ".", cwd=folder)
    return [folder / "peers"]


def build_java(tool, folder):
    maven, java = tool("mvn", "java")
    build(maven, "-B", "-q", "-f", HERE / "java" / "pom.xml", f"-Dproto={ROOT / 'proto'}", f"-Doutput={folder}",
          "compile")
    return [java, "-cp", f"{folder}/classes{os.pathsep}{folder}/libraries/*", "peers.Peers"]


@pytest.fixture(scope="module", params=[build_go, build_java], ids=["go", "java"])
def lines(request, tool, tmp_path_factory, phoenix, some_rows):
    """What the program printed: the words of a line by its first word."""
    program = request.param(tool, tmp_path_factory.mktemp("stub"))
    values = [repr(float(value)) for value in some_rows.ravel()]
    command = [*program, f"127.0.0.1:{phoenix[0].port}", "named", len(NAMES), *values]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}


def test_the_server_and_the_model_are_described(lines):
    assert lines["live"] == ["true"]
    assert lines["metadata"] == ["named", "input", "FP32", "predictions", "FP32"]


@pytest.mark.parametrize("form", ["raw", "typed", "gzip", "stream"])
def test_scores_equal_the_library(lines, phoenix, some_rows, form):
    assert np.array_equal(np.float32(lines[form]), xgboost_scores(phoenix[1]["named"], some_rows))


def test_a_thousand_messages_are_answered_in_order(lines):
    assert lines["streamed"] == ["1000"]


def test_a_deadline_ends_a_stream(lines):
    assert lines["deadline"] == [DEADLINE_EXCEEDED]


def test_errors_have_a_status_and_a_reason(lines):
    assert lines["absent"][0] == NOT_FOUND and "'nobody'" in lines["absent"]
    assert lines["empty"][0] == INVALID_ARGUMENT and "'inputs'" in lines["empty"]
