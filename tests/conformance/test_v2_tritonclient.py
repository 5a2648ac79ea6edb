# SPDX-License-Identifier: Apache-2.0
"""Open Inference as NVIDIA's own client speaks it, with scores equal to the training libraries' bits."""

import asyncio

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from rest_models import BANK, JOBS, NAMES, bank_instance, bank_rows, rows, xgboost_scores
from tritonclient.utils import InferenceServerException


@pytest.fixture
def client(rest):
    server, _ = rest
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        yield client


def tensor(name, values, datatype):
    made = triton.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values, binary_data=False)
    return made


def output(name="predictions"):
    return triton.InferRequestedOutput(name, binary_data=False)


def scores(client, model, inputs, name="predictions", **options):
    return client.infer(model, inputs, outputs=[output(name)], **options).as_numpy(name)


def same_bits(got, want):
    want = np.asarray(want)
    assert got.dtype == want.dtype
    bits = np.uint32 if got.dtype == np.float32 else np.uint64
    assert np.array_equal(got.ravel().view(bits), want.ravel().view(bits))


def test_health(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("named")
    assert client.is_model_ready("named", "1")
    assert not client.is_model_ready("broken")
    assert not client.is_model_ready("nobody")


def test_server_metadata(client):
    metadata = client.get_server_metadata()
    assert metadata["name"] == "phoenix"
    assert {"binary_tensor_data", "classification", "parameters"} <= set(metadata["extensions"])


def test_model_metadata(client):
    metadata = client.get_model_metadata("named")
    assert metadata["versions"] == ["1"]
    assert metadata["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [-1, len(NAMES)]}]
    assert metadata["outputs"] == [{"name": "predictions", "datatype": "FP32", "shape": [-1, 1]}]
    assert client.get_model_metadata("light")["inputs"][0]["datatype"] == "FP64"
    assert client.get_model_metadata("classes")["outputs"][0]["shape"] == [-1, 3]
    bank = client.get_model_metadata("bank", "1")["inputs"]
    assert [(i["name"], i["datatype"]) for i in bank] == list(
        zip(BANK, ["FP32", "BYTES", "BOOL", "BYTES", "FP32"])
    )


@pytest.mark.parametrize("model", ["named", "plain", "classes"])
def test_xgboost_scores(rest, client, model):
    x = rows().astype(np.float32)
    metadata = client.get_model_metadata(model)
    name = metadata["inputs"][0]["name"]
    got = scores(client, model, [tensor(name, x, "FP32")])
    same_bits(got, xgboost_scores(rest[1][model], x))
    assert list(got.shape) == [len(x), metadata["outputs"][0]["shape"][1]]


@pytest.mark.parametrize("model", ["named", "plain", "classes"])
def test_xgboost_margins(rest, client, model):
    x = rows().astype(np.float32)
    got = scores(client, model, [tensor("input", x, "FP32")], "margins")
    same_bits(got, xgboost_scores(rest[1][model], x, margin=True))


def test_lightgbm_scores(rest, client):
    x = rows()
    got = scores(client, "light", [tensor("input", x, "FP64")])
    same_bits(got, rest[1]["light"].predict(x))
    got = scores(client, "light", [tensor("input", x, "FP64")], "margins")
    same_bits(got, rest[1]["light"].predict(x, raw_score=True))


def test_one_row(rest, client):
    x = rows().astype(np.float32)[3:4]
    same_bits(
        scores(client, "named", [tensor("x", x, "FP32")]), xgboost_scores(rest[1]["named"], x)
    )


def test_one_tensor_per_feature(rest, client):
    x = rows().astype(np.float32)
    inputs = [tensor(n, x[:, i : i + 1].copy(), "FP32") for i, n in enumerate(NAMES)]
    want = xgboost_scores(rest[1]["named"], x)
    same_bits(scores(client, "named", inputs), want)
    same_bits(scores(client, "named", inputs[::-1]), want)


def test_an_absent_feature_is_missing(rest, client):
    x = rows().astype(np.float32)
    inputs = [tensor(n, x[:, i].copy(), "FP32") for i, n in enumerate(NAMES) if n != "balance"]
    x[:, NAMES.index("balance")] = np.nan
    same_bits(scores(client, "named", inputs), xgboost_scores(rest[1]["named"], x))


def bank_inputs():
    x = bank_rows()
    raw = [bank_instance(row) for row in x]

    def text(name):
        return np.array([[(r[name] or "").encode()] for r in raw], dtype=np.object_)

    # numpy's booleans cannot be missing, so `married` travels as numbers.
    return x, [
        tensor("age", x[:, 0].astype(np.float32), "FP32"),
        tensor("job", text("job"), "BYTES"),
        tensor("married", x[:, 2:3].astype(np.float32), "FP32"),
        tensor("since", text("since"), "BYTES"),
        tensor("balance", x[:, 4].copy(), "FP64"),
    ]


def test_categories_booleans_and_dates(rest, client):
    x, inputs = bank_inputs()
    same_bits(scores(client, "bank", inputs), xgboost_scores(rest[1]["bank"], x))


def test_labels(rest, client):
    x, inputs = bank_inputs()
    reply = client.infer("bank", inputs, outputs=[output(), output("labels")])
    want = np.where(xgboost_scores(rest[1]["bank"], x) > 0.5, "yes", "no")
    assert [v if isinstance(v, str) else v.decode() for v in reply.as_numpy("labels").ravel()] == list(want)
    same_bits(reply.as_numpy("predictions"), xgboost_scores(rest[1]["bank"], x))


def test_labels_of_classes_without_names(rest, client):
    x = rows().astype(np.float32)
    got = scores(client, "classes", [tensor("input", x, "FP32")], "labels").ravel()
    want = xgboost_scores(rest[1]["classes"], x).argmax(axis=1)
    assert [int(v) for v in got] == list(want)


@pytest.mark.parametrize("datatype", ["INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"])
def test_integer_tensors(rest, client, datatype):
    x = np.arange(8 * len(NAMES)).reshape(8, -1).astype(datatype.lower())
    want = xgboost_scores(rest[1]["named"], x.astype(np.float32))
    same_bits(scores(client, "named", [tensor("input", x, datatype)]), want)


def test_double_tensors_for_a_model_of_floats(rest, client):
    x = rows()
    want = xgboost_scores(rest[1]["named"], x)
    same_bits(scores(client, "named", [tensor("input", x, "FP64")]), want)


def test_no_rows(client):
    got = scores(client, "named", [tensor("input", np.zeros((0, len(NAMES)), np.float32), "FP32")])
    assert got.shape == (0, 1)


def test_ids_and_parameters(client):
    x = rows().astype(np.float32)[:2]
    reply = client.infer(
        "named",
        [tensor("input", x, "FP32")],
        outputs=[output()],
        request_id="42",
        priority=1,
        timeout=60_000_000,
        parameters={"a": 1.5, "é": "ü"},
    )
    response = reply.get_response()
    assert response["id"] == "42"
    assert response["model_version"] == "1"
    assert list(response) == ["id", "model_name", "model_version", "outputs"]


def refused(client, message, *arguments, **options):
    with pytest.raises(InferenceServerException) as caught:
        client.infer(*arguments, **options)
    assert message in caught.value.message()
    return caught.value.status()


def test_members_of_a_sequence_are_answered_as_any_other_request(client):
    x = tensor("input", rows().astype(np.float32), "FP32")
    plain = scores(client, "named", [x])
    same_bits(scores(client, "named", [x], sequence_id=7, sequence_start=True), plain)
    same_bits(scores(client, "named", [x], sequence_id="a", sequence_end=True), plain)


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
@pytest.mark.parametrize("binary", [False, True])
def test_compression_both_ways(client, algorithm, binary):
    x = rows().astype(np.float32)
    made = triton.InferInput("input", list(x.shape), "FP32")
    made.set_data_from_numpy(x, binary_data=binary)
    outputs = [triton.InferRequestedOutput("predictions", binary_data=binary)]
    plain = client.infer("named", [made], outputs=outputs)
    packed = client.infer("named", [made], outputs=outputs, request_compression_algorithm=algorithm,
                          response_compression_algorithm=algorithm)
    same_bits(packed.as_numpy("predictions"), plain.as_numpy("predictions"))


def test_errors_reach_the_client(client):
    x = rows().astype(np.float32)
    good = tensor("input", x, "FP32")
    assert refused(client, "nobody", "nobody", [good], outputs=[output()]) == "404"
    assert refused(client, "9", "named", [good], model_version="9", outputs=[output()]) == "404"
    assert refused(client, "broken", "broken", [good], outputs=[output()]) == "503"
    assert refused(client, "unknown output 'y'", "named", [good], outputs=[output("y")]) == "400"
    narrow = tensor("input", x[:, :2].copy(), "FP32")
    assert refused(client, "[rows,4]", "named", [narrow], outputs=[output()]) == "400"
    wrong = tensor("agee", x[:, 0].copy(), "FP32")
    assert refused(client, "did you mean 'age'", "named", [wrong], outputs=[output()]) == "400"
    short = [tensor("age", x[:, 0].copy(), "FP32"), tensor("balance", x[:5, 1].copy(), "FP32")]
    assert refused(client, "has 5 rows", "named", short, outputs=[output()]) == "400"
    text = tensor("age", np.array([b"58"], dtype=np.object_), "BYTES")
    assert refused(client, "got BYTES", "named", [text], outputs=[output()]) == "400"


def test_the_asynchronous_client(rest):
    server, boosters = rest
    x = rows().astype(np.float32)

    async def ask():
        async with triton_aio.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
            assert await client.is_server_ready()
            assert (await client.get_model_metadata("named"))["name"] == "named"
            parts = [x[i : i + 10] for i in range(0, len(x), 10)]
            replies = await asyncio.gather(
                *(client.infer("named", [tensor("input", p, "FP32")], outputs=[output()]) for p in parts)
            )
            with pytest.raises(InferenceServerException, match="nobody"):
                await client.get_model_metadata("nobody")
            return np.concatenate([r.as_numpy("predictions") for r in replies])

    same_bits(asyncio.run(ask()), xgboost_scores(boosters["named"], x))


def test_a_category_that_was_never_seen(rest, client):
    x = bank_rows()[:1].copy()
    x[0, 1] = len(JOBS)
    inputs = [
        tensor("job", np.array([b"astronaut"], dtype=np.object_), "BYTES"),
        tensor("age", x[:, 0].astype(np.float32), "FP32"),
    ]
    x[0, 2:] = np.nan
    same_bits(scores(client, "bank", inputs), xgboost_scores(rest[1]["bank"], x))
