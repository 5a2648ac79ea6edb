# SPDX-License-Identifier: Apache-2.0
"""Compressed bodies over HTTP/1.1 and HTTP/2, with the codecs of Python and curl."""

import gzip
import json
import subprocess
import zlib

import pytest
import requests
from rest_models import NAMES

PATH = "/v1/models/named:predict"
BODY = json.dumps({"instances": [[0.5] * len(NAMES)] * 100}).encode()
CODECS = {"gzip": gzip.compress, "deflate": zlib.compress,
          "raw deflate": lambda body: zlib.compress(body)[2:-4]}


def post(server, body, accept="identity", **headers):
    return requests.post(server.url + PATH, data=body, timeout=20,
                         headers={"Accept-Encoding": accept, **headers})


@pytest.mark.parametrize("codec", CODECS)
def test_a_compressed_request_is_understood(rest, codec):
    server, _ = rest
    plain = post(server, BODY)
    packed = post(server, CODECS[codec](BODY), **{"Content-Encoding": codec.split()[-1]})
    assert packed.status_code == 200 and packed.json() == plain.json()


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_response_is_compressed_when_asked(rest, coding):
    server, _ = rest
    plain = post(server, BODY)
    packed = post(server, BODY, accept=coding)
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == coding and packed.headers["Vary"] == "Accept-Encoding"
    assert int(packed.headers["Content-Length"]) < len(plain.content)
    assert packed.json() == plain.json()


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_curl_decodes_what_it_gets(rest, version):
    server, _ = rest
    def fetch(*options):
        return subprocess.run(["curl", "-s", version, *options, server.url + "/openapi.json"],
                              capture_output=True, check=True).stdout
    assert json.loads(fetch("--compressed")) == json.loads(fetch())
    head = fetch("--compressed", "-D", "-", "-o", "/dev/null").decode().lower()
    assert "content-encoding: " in head and "vary: accept-encoding" in head


def test_head_tells_of_the_response_to_get(rest):
    server, _ = rest
    options = {"headers": {"Accept-Encoding": "gzip"}, "timeout": 20}
    get, head = requests.get(server.url + "/docs", **options), requests.head(server.url + "/docs", **options)
    for name in ("Content-Encoding", "Content-Length", "Vary"):
        assert get.headers[name] == head.headers[name]


def test_errors_and_metadata_of_v2_are_never_compressed(rest):
    server, _ = rest
    for path in ("/v2", "/v2/models/named", "/v2/models/nobody", "/v2/nowhere"):
        reply = requests.get(server.url + path, headers={"Accept-Encoding": "gzip, deflate"}, timeout=20)
        assert "Content-Encoding" not in reply.headers and reply.json()


def test_what_cannot_be_decoded_is_refused_with_a_reason(rest):
    server, _ = rest
    cases = [({"Content-Encoding": "br"}, BODY, 415, "'br' is not supported"),
             ({"Content-Encoding": "gzip"}, BODY, 400, "corrupt or cut off"),
             ({"Content-Encoding": "gzip"}, gzip.compress(BODY)[:-4], 400, "corrupt or cut off"),
             ({"Content-Encoding": "gzip"}, gzip.compress(BODY) + b"x", 400, "follow the end")]
    for headers, body, status, text in cases:
        reply = post(server, body, **headers)
        assert reply.status_code == status and text in reply.json()["detail"], reply.text
    reply = requests.post(server.url + "/v2/models/named/infer", data=BODY, timeout=20,
                          headers={"Content-Encoding": "br"})
    assert reply.status_code == 501 and "gzip" in reply.headers["Accept-Encoding"]


def test_a_bomb_is_refused_and_the_connection_goes_on(rest):
    server, _ = rest
    bomb = gzip.compress(bytes(100 << 20))
    with requests.Session() as session:
        reply = session.post(server.url + PATH, data=bomb, headers={"Content-Encoding": "gzip"}, timeout=60)
        assert reply.status_code == 413 and "after decompression" in reply.json()["detail"]
        assert session.post(server.url + PATH, data=BODY, timeout=20).status_code == 200
