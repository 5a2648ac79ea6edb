# SPDX-License-Identifier: Apache-2.0
"""phoenix demo traffic against servers good and bad."""

import re

import pytest
from command import fail, succeed
from fault_server import OK, FaultServer, reply


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "rows.csv"
    path.write_text("a,b\n1,x\n2,y\n")
    return path


def traffic(target, data):
    return [str(word) for word in
            ("demo", "traffic", "--url", target.url + "/base/", "--model", "m n", "--data", data,
             "--rate", 20, "--seconds", 1)]


def test_rows_are_sent_as_csv_to_the_path_of_the_model(data):
    with FaultServer() as target:
        done = succeed(*traffic(target, data))
    assert re.match(r"20 requests, \d+ rows scored, 0 failed", done)
    head, body = target.requests[0]
    assert head.startswith(b"POST /base/v1/models/m%20n:predict HTTP/1.1\r\n")
    assert b"Content-Type: text/csv; header=present\r\n" in head
    assert re.fullmatch(rb"a,b\n(1,x\n|2,y\n){1,4}", body)


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n{}",
])
def test_every_framing_of_a_reply_is_understood(data, answer):
    with FaultServer(lambda n: answer, closes=True) as target:
        assert "20 requests" in succeed(*traffic(target, data))


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
    b"SSH-2.0-x\r\n", "reset", "close", reply(b"no", "503 Service Unavailable"),
])
def test_a_broken_reply_is_a_failed_request(data, answer):
    with FaultServer(lambda n: OK if n == 1 else answer, closes=True) as target:
        assert "20 requests" in succeed(*traffic(target, data))
    with FaultServer(lambda n: answer, closes=True) as target:
        text = fail(*traffic(target, data))
    assert len(re.findall(r"^request \d+: ", text, re.M)) == 5


def test_a_rate_without_an_end_is_refused(data):
    for rate in ("0", "-1", "1e-320", "1e7", "nan", "inf"):
        text = fail("demo", "traffic", "--model", "m", "--data", data, "--rate=" + rate, status=2)
        assert "--rate" in text
