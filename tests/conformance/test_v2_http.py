# SPDX-License-Identifier: Apache-2.0
"""Open Inference on the wire: what clients send that no library shows."""

import json
import socket

import pytest
import requests
from rest_models import NAMES, rows, xgboost_scores

INFER = "/v2/models/named/infer"
ONE_ROW = {"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}


def exchange(port, data, end=b'"data":[', count=1):
    """Sends bytes on a fresh connection; returns what came until `end` was seen `count` times."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        for part in data if isinstance(data, list) else [data]:
            connection.sendall(part)
        while got.count(end) < count:
            part = connection.recv(65536)
            if not part:
                break
            got += part
    return got


def head(path=INFER, *lines, method="POST"):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: test", *lines, "", ""]).encode()


@pytest.mark.parametrize(
    "kind", [None, "application/json", "application/octet-stream", "application/x-www-form-urlencoded", "a"]
)
def test_any_content_type(rest, kind):
    headers = {"Content-Type": kind} if kind else {}
    reply = requests.post(rest[0].url + INFER, data=json.dumps(ONE_ROW), headers=headers, timeout=60)
    assert reply.status_code == 200
    assert reply.headers["Content-Type"] == "application/json"
    assert "Inference-Header-Content-Length" not in reply.headers


def test_chunked_body(rest):
    body = json.dumps(ONE_ROW).encode()
    parts = [body[i : i + 7] for i in range(0, len(body), 7)]
    chunks = [f"{len(p):x}\r\n".encode() + p + b"\r\n" for p in parts]
    got = exchange(rest[0].port, [head(INFER, "Transfer-Encoding: chunked"), *chunks, b"0\r\n\r\n"])
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")


def test_expect_continue(rest):
    body = json.dumps(ONE_ROW).encode()
    with socket.create_connection(("127.0.0.1", rest[0].port), timeout=30) as connection:
        connection.sendall(head(INFER, f"Content-Length: {len(body)}", "Expect: 100-continue"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.sendall(body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_post_without_a_length_has_no_body(rest):
    got = exchange(rest[0].port, head(INFER), end=b"}")
    assert got.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b'{"error":"' in got


def test_pipelined_requests_are_answered_in_order(rest):
    x = rows().astype("float32")[:20]
    want = xgboost_scores(rest[1]["named"], x)
    data = b""
    for i, row in enumerate(x):
        tensor = {"name": "input", "shape": [1, 4], "datatype": "FP32", "data": row.tolist()}
        body = json.dumps({"id": str(i), "inputs": [tensor]}).encode()
        data += head(INFER, f"Content-Length: {len(body)}") + body
    got = exchange(rest[0].port, data, count=len(x)).decode()
    answers = [json.loads(p[: p.index("]}]}") + 4]) for p in got.split("\r\n\r\n")[1:]]
    assert [a["id"] for a in answers] == [str(i) for i in range(len(x))]
    assert [a["outputs"][0]["data"][0] for a in answers] == [float(str(v)) for v in want]


def test_a_single_row_is_shortest_text(rest):
    """The score is written as the shortest text of its own type, so it reads back as the same float."""
    reply = requests.post(rest[0].url + INFER, json=ONE_ROW, timeout=60).text
    want = xgboost_scores(rest[1]["named"], [[1, 2, 3, 4]])[0]
    assert f'"data":[{want!s}]' in reply


def test_paths(rest):
    url = rest[0].url
    for path in ("/v2", "/v2/", "/v2/health/live", "/v2/health/ready/", "/v2/models/named/?a=b"):
        assert requests.get(url + path, timeout=60).status_code == 200, path
    for path in ("/v2/models", "/v2/x", "/v2/models/named/infer/x", "/v2/models//ready"):
        reply = requests.get(url + path, timeout=60)
        assert reply.status_code == 404, path
        assert list(reply.json()) == ["error"]
    assert requests.get(url + "/v2/models/n%61med", timeout=60).json()["name"] == "named"
    assert requests.get(url + "/v2/models/a%2Fb", timeout=60).status_code == 404


def test_methods(rest):
    url = rest[0].url
    reply = requests.get(url + INFER, timeout=60)
    assert (reply.status_code, reply.json()) == (405, {"error": "this path takes POST, OPTIONS, and not GET"})
    assert reply.headers["Allow"] == "POST, OPTIONS"
    reply = requests.head(url + "/v2/health/live", timeout=60)
    assert reply.status_code == 200
    assert reply.text == ""
    reply = requests.options(url + "/v2/health/live", timeout=60)
    assert (reply.status_code, reply.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"inputs":[]}',
        '{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":' + "[" * 10000,
        '{"inputs":[{"name":"x","shape":[-1,4],"datatype":"FP32","data":[]}]}',
        '{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3]}]}',
        '{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4],"data":[1,2,3,4]}]}',
        '{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP99","data":[1,2,3,4]}]}',
        '{"inputs":[{"name":"\\ud800","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}',
        b'{"id":"\xff","inputs":[]}',
        b"\x00\x01\x02",
    ],
)
def test_hostile_bodies(rest, body):
    reply = requests.post(rest[0].url + INFER, data=body, timeout=60)
    assert reply.status_code == 400
    assert list(reply.json()) == ["error"]


def test_too_many_rows(rest):
    body = {"inputs": [{"name": "x", "shape": [2**62, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}
    reply = requests.post(rest[0].url + INFER, json=body, timeout=60)
    assert reply.status_code == 413
    assert "serving.request_rows_max" in reply.json()["error"]


def test_non_finite_numbers(rest):
    data = "[NaN,Infinity,-Infinity,null]"
    body = '{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":%s}]}' % data
    reply = requests.post(rest[0].url + INFER, data=body, timeout=60)
    assert reply.status_code == 200, reply.text


def test_errors_of_the_transport_have_the_protocols_form(rest):
    got = exchange(rest[0].port, head(INFER, "Content-Length: 99999999999"), end=b"}")
    assert got.startswith(b"HTTP/1.1 413 ")
    assert json.loads(got.split(b"\r\n\r\n", 1)[1]).keys() == {"error"}


def test_the_names_are_the_models(rest):
    """A model that knows its names refuses one that is near, and says which."""
    tensor = {"name": NAMES[0] + "s", "shape": [1], "datatype": "FP32", "data": [1]}
    reply = requests.post(rest[0].url + INFER, json={"inputs": [tensor]}, timeout=60)
    assert reply.status_code == 400
    assert f"did you mean '{NAMES[0]}'" in reply.json()["error"]
