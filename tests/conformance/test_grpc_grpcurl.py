# SPDX-License-Identifier: Apache-2.0
"""grpcurl, which knows nothing but what reflection tells it. Skipped where it is not installed (tools/setup peers)."""

import json
import os
import shutil
import subprocess

import pytest
from command import ROOT

PEERS = os.environ.get("PEERS", f"{ROOT}/.venv-peers")
GRPCURL = shutil.which("grpcurl", path=f"{PEERS}/bin{os.pathsep}{os.environ['PATH']}")

pytestmark = pytest.mark.skipif(not GRPCURL, reason="grpcurl is not installed")


@pytest.fixture
def grpcurl(rest):
    server, _ = rest

    def run(*arguments, data=None, status=0):
        command = [GRPCURL, "-plaintext", *(["-d", json.dumps(data)] if data is not None else []),
                   f"127.0.0.1:{server.port}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == status, done.stderr
        return done.stdout if status == 0 else done.stderr

    return run


def test_services_are_listed(grpcurl):
    assert grpcurl("list").split() == [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "inference.GRPCInferenceService",
    ]
    assert "inference.GRPCInferenceService.ModelInfer" in grpcurl(
        "list", "inference.GRPCInferenceService")


def test_messages_are_described(grpcurl):
    text = grpcurl("describe", "inference.ModelInferRequest")
    assert "repeated bytes raw_input_contents = 7;" in text


def test_calls(grpcurl):
    assert json.loads(grpcurl("grpc.health.v1.Health/Check")) == {"status": "SERVING"}
    assert json.loads(grpcurl("inference.GRPCInferenceService/ServerLive")) == {"live": True}
    request = {
        "model_name": "named",
        "id": "a",
        "inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 4],
                    "contents": {"fp32_contents": [1, 2, 3, 4]}}],
    }
    reply = json.loads(grpcurl("inference.GRPCInferenceService/ModelInfer", data=request))
    assert reply["id"] == "a" and len(reply["rawOutputContents"]) == 1
    reply = json.loads(grpcurl("inference.GRPCInferenceService/ModelStreamInfer", data=request))
    assert reply["inferResponse"]["parameters"]["triton_final_response"] == {"boolParam": True}


def test_errors(grpcurl):
    text = grpcurl("inference.GRPCInferenceService/ModelStatistics", data={"name": "nobody", "version": "1"},
                   status=64 + 5)
    assert "NotFound" in text and "nobody" in text
