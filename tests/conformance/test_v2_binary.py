# SPDX-License-Identifier: Apache-2.0
"""The binary tensor extension as NVIDIA's own client speaks it by default, in and out."""

import asyncio
import json

import numpy as np
import pytest
import requests
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from rest_models import NAMES, bank_instance, bank_rows, rows, xgboost_scores
from tritonclient.utils import InferenceServerException


@pytest.fixture
def client(rest):
    server, _ = rest
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        yield client


def tensor(name, values, datatype, binary=True):
    made = triton.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values, binary_data=binary)
    return made


def same_bits(got, want):
    want = np.asarray(want)
    assert got.dtype == want.dtype
    bits = np.uint32 if got.dtype == np.float32 else np.uint64
    assert np.array_equal(got.ravel().view(bits), want.ravel().view(bits))


@pytest.mark.parametrize("model", ["named", "plain", "classes"])
def test_the_default_request(rest, client, model):
    x = rows().astype(np.float32)
    reply = client.infer(model, [tensor("input", x, "FP32")])
    same_bits(reply.as_numpy("predictions"), xgboost_scores(rest[1][model], x))
    assert "data" not in reply.get_output("predictions")


def test_a_model_of_doubles(rest, client):
    x = rows()
    reply = client.infer("light", [tensor("input", x, "FP64")], outputs=[triton.InferRequestedOutput("margins")])
    same_bits(reply.as_numpy("margins"), rest[1]["light"].predict(x, raw_score=True))


# Rows of any length of JSON before them: the matrix is at every alignment.
@pytest.mark.parametrize("n", range(1, 9))
def test_every_alignment(rest, client, n):
    x = rows().astype(np.float32)[:n]
    reply = client.infer("named", [tensor("x" * n, x, "FP32")])
    same_bits(reply.as_numpy("predictions"), xgboost_scores(rest[1]["named"], x))


DATATYPES = {
    "BOOL": bool, "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64, "UINT8": np.uint8,
    "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64, "FP16": np.float16, "FP32": np.float32,
    "FP64": np.float64,
}  # fmt: skip


@pytest.mark.parametrize("datatype", DATATYPES)
def test_every_datatype(rest, client, datatype):
    x = (np.arange(8 * len(NAMES)).reshape(8, -1) * 1.37).astype(DATATYPES[datatype])
    want = xgboost_scores(rest[1]["named"], x.astype(np.float32))
    same_bits(client.infer("named", [tensor("input", x, datatype)]).as_numpy("predictions"), want)
    columns = [tensor(n, x[:, i : i + 1].copy(), datatype) for i, n in enumerate(NAMES)]
    same_bits(client.infer("named", columns[::-1]).as_numpy("predictions"), want)


def test_brain_floats(rest):
    """numpy has no such type, so the body is made by hand."""
    server, boosters = rest
    bits = rows().astype(np.float32).view(np.uint32) >> 16
    tensor = {"name": "input", "shape": bits.shape, "datatype": "BF16", "parameters": {"binary_data_size": bits.size * 2}}
    header = json.dumps({"inputs": [tensor]}).encode()
    reply = requests.post(
        f"http://127.0.0.1:{server.port}/v2/models/named/infer",
        data=header + bits.astype(np.uint16).tobytes(),
        headers={"Inference-Header-Content-Length": str(len(header))},
        timeout=60,
    )
    got = np.array(reply.json()["outputs"][0]["data"], np.float32)
    same_bits(got, xgboost_scores(boosters["named"], (bits << 16).astype(np.uint32).view(np.float32)))


def bank_inputs():
    x = bank_rows()
    raw = [bank_instance(row) for row in x]

    def text(name):
        return np.array([[(r[name] or "").encode()] for r in raw], dtype=np.object_)

    return x, [
        tensor("age", x[:, 0].astype(np.float32), "FP32"),
        tensor("job", text("job"), "BYTES"),
        tensor("married", x[:, 2:3].astype(np.float32), "FP32", binary=False),
        tensor("since", text("since"), "BYTES"),
        tensor("balance", x[:, 4].copy(), "FP64"),
    ]


def test_texts_in_and_out_beside_json(rest, client):
    x, inputs = bank_inputs()
    outputs = [triton.InferRequestedOutput("labels"), triton.InferRequestedOutput("predictions", binary_data=False)]
    reply = client.infer("bank", inputs, outputs=outputs)
    want = xgboost_scores(rest[1]["bank"], x)
    same_bits(reply.as_numpy("predictions"), want)
    assert [v.decode() for v in reply.as_numpy("labels").ravel()] == list(np.where(want > 0.5, "yes", "no"))


@pytest.mark.parametrize("binary", [True, False])
def test_classification(rest, client, binary):
    x = rows().astype(np.float32)
    wanted = triton.InferRequestedOutput("predictions", binary_data=binary, class_count=2)
    got = client.infer("classes", [tensor("input", x, "FP32")], outputs=[wanted]).as_numpy("predictions")
    scores = xgboost_scores(rest[1]["classes"], x)
    assert got.shape == (len(x), 2)
    for row, texts in zip(scores, got):
        best = np.argsort(-row, kind="stable")[:2]
        texts = [t if isinstance(t, str) else t.decode() for t in texts]
        assert texts == [f"{row[i]:.6f}:{i}" for i in best]


def test_no_rows(client):
    reply = client.infer("named", [tensor("input", np.zeros((0, len(NAMES)), np.float32), "FP32")])
    assert reply.as_numpy("predictions").shape == (0, 1)


def test_ids_are_echoed(client):
    reply = client.infer("named", [tensor("input", rows().astype(np.float32), "FP32")], request_id="é")
    assert reply.get_response()["id"] == "é"


def test_a_body_without_json(rest):
    server, boosters = rest
    x = rows().astype(np.float32)
    url = f"http://127.0.0.1:{server.port}/v2/models/named/infer"
    reply = requests.post(url, data=x.tobytes(), headers={"Inference-Header-Content-Length": "0"}, timeout=60)
    assert reply.headers["Content-Type"] == "application/octet-stream"
    n = int(reply.headers["Inference-Header-Content-Length"])
    same_bits(np.frombuffer(reply.content[n:], np.float32), xgboost_scores(boosters["named"], x))


def refused(client, message, *arguments, **options):
    with pytest.raises(InferenceServerException) as caught:
        client.infer(*arguments, **options)
    assert message in caught.value.message()
    return caught.value.status()


def test_errors_reach_the_client(client):
    x = rows().astype(np.float32)
    good = tensor("input", x, "FP32")
    assert refused(client, "nobody", "nobody", [good]) == "404"
    assert refused(client, "unknown output 'y'", "named", [good], outputs=[triton.InferRequestedOutput("y")]) == "400"
    short = triton.InferInput("input", [len(x), len(NAMES)], "FP32")
    short.set_data_from_numpy(x)
    short.set_shape([len(x) + 1, len(NAMES)])
    assert refused(client, "unexpected size for input 'input'", "named", [short]) == "400"
    text = tensor("age", np.array([b"58"], dtype=np.object_), "BYTES")
    assert refused(client, "got BYTES", "named", [text]) == "400"
    labels = triton.InferRequestedOutput("labels", class_count=1)
    assert refused(client, "classification is for scores", "classes", [good], outputs=[labels]) == "400"


def test_the_asynchronous_client(rest):
    server, boosters = rest
    x = rows().astype(np.float32)

    async def ask():
        async with triton_aio.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
            parts = [x[i : i + 10] for i in range(0, len(x), 10)]
            replies = await asyncio.gather(*(client.infer("named", [tensor("input", p, "FP32")]) for p in parts))
            return np.concatenate([r.as_numpy("predictions") for r in replies])

    same_bits(asyncio.run(ask()), xgboost_scores(boosters["named"], x))
