# SPDX-License-Identifier: Apache-2.0
"""Runs in KServe's environment: kserve_calls.py PORT ROWS v1|v2|grpc prints a JSON object of what came back."""

import asyncio
import json
import sys

import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

PORT, ROWS = int(sys.argv[1]), np.array(json.loads(sys.argv[2]), dtype=np.float32)
BASE = f"http://127.0.0.1:{PORT}"
NUMPY = {"FP32": np.float32, "FP16": np.float16, "FP64": np.float64}
INSTANCES = {"instances": ROWS.tolist()}


def request(model="named", binary=False, datatype="FP32"):
    tensor = InferInput("input", list(ROWS.shape), datatype)
    tensor.set_data_from_numpy(ROWS.astype(NUMPY[datatype]), binary_data=binary)
    return InferRequest(model_name=model, infer_inputs=[tensor], request_id="an id")


def reply(answer):
    output = answer.outputs[0]
    return {"id": answer.id, "model": answer.model_name, "version": answer.model_version, "output": output.name,
            "datatype": output.datatype, "shape": list(output.shape), "scores": output.as_numpy().ravel().tolist()}


async def refusal(call):
    """What the client raises, as text."""
    try:
        return f"no error but {await call}"
    except (httpx.HTTPStatusError, grpc.RpcError) as error:
        return str(error)


async def version_1():
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        return {
            "live": await client.is_server_live(BASE),
            "ready": await client.is_model_ready(BASE, "named"),
            "broken ready": await client.is_model_ready(BASE, "broken"),
            "absent ready": await refusal(client.is_model_ready(BASE, "nobody")),
            "predict": await client.infer(BASE, INSTANCES, model_name="named"),
            "explain": await client.explain(BASE, "named", INSTANCES),
            "absent": await refusal(client.infer(BASE, INSTANCES, model_name="nobody")),
            "bad": await refusal(client.infer(BASE, {"instances": [["x"]]}, model_name="named")),
            "bad explain": await refusal(client.explain(BASE, "named", {"instances": 3})),
        }


async def version_2():
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        return {
            "live": await client.is_server_live(BASE),
            "server ready": await client.is_server_ready(BASE),
            "ready": await client.is_model_ready(BASE, "named"),
            "absent ready": await client.is_model_ready(BASE, "nobody"),
            "infer": reply(await client.infer(BASE, request(), model_name="named")),
            "binary": reply(await client.infer(BASE, request(binary=True), model_name="named")),
            "half": reply(await client.infer(BASE, request(binary=True, datatype="FP16"), model_name="named")),
            "double": reply(await client.infer(BASE, request(datatype="FP64"), model_name="named")),
            "absent": await refusal(client.infer(BASE, request(), model_name="nobody")),
            "bad": await refusal(client.infer(BASE, {"inputs": []}, model_name="named")),
        }


async def over_grpc():
    async with InferenceGRPCClient(f"127.0.0.1:{PORT}") as client:
        return {
            "live": await client.is_server_live(),
            "server ready": await client.is_server_ready(),
            "ready": await client.is_model_ready("named"),
            "absent ready": await client.is_model_ready("nobody"),
            "infer": reply(await client.infer(request())),
            "binary": reply(await client.infer(request(binary=True))),
            "absent": await refusal(client.infer(request("nobody"))),
        }


# Errors are logged before they are raised, on the standard output; the answers come after.
CALLS = {"v1": version_1, "v2": version_2, "grpc": over_grpc}
json.dump(asyncio.run(CALLS[sys.argv[3]]()), sys.__stdout__)
