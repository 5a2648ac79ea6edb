# SPDX-License-Identifier: Apache-2.0
"""Just enough HTTP/2 to send a request as bytes and to read its response, for tests that decide how bytes travel."""

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
PROTOCOL_ERROR = 1
STATUS_200 = 0x88  # the entry of HPACK's static table


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _header(name, value):
    """A literal without indexing and without Huffman coding; both shorter than 127 bytes."""
    name, value = name.encode(), value.encode()
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def headers(method, path, stream=1, end=False, scheme="http", **more):
    fields = {":method": method, ":scheme": scheme, ":path": path, ":authority": "any",
              **{name.replace("_", "-"): value for name, value in more.items()}}
    payload = b"".join(_header(name, value) for name, value in fields.items())
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, payload)


def post(path, body, stream=1, piece=16384, **more):
    """HEADERS and DATA of a request; the body must fit the windows that every session begins with."""
    parts = [body[at : at + piece] for at in range(0, len(body), piece)]
    whole = headers("POST", path, stream, **more)
    for i, part in enumerate(parts):
        whole += frame(DATA, END_STREAM if i == len(parts) - 1 else 0, stream, part)
    return whole


def opening():
    return PREFACE + frame(SETTINGS)


def read_frame(receive):
    """(kind, flags, stream, payload) of the next frame; receive(n) gives 1 to n bytes, or b"" at the end."""

    def exactly(n):
        data = b""
        while len(data) < n:
            part = receive(n - len(data))
            if not part:
                raise EOFError(f"the session ended in a frame, after {data!r}")
            data += part
        return data

    head = exactly(9)
    kind, flags, stream = struct.unpack(">BBI", head[3:])
    return kind, flags, stream, exactly(int.from_bytes(head[:3], "big"))


def read_response(receive, stream=1, on_data=None):
    """The body of a response that must be 200. on_data(n) is told of every DATA frame."""
    body, status = b"", None
    while True:
        kind, flags, number, payload = read_frame(receive)
        if number != stream:
            continue
        if kind == HEADERS and status is None:
            status = payload[0]
            assert status == STATUS_200, payload
        elif kind == DATA:
            body += payload
            if on_data:
                on_data(len(payload))
        else:
            assert kind in (HEADERS, WINDOW_UPDATE), f"frame of kind {kind}: {payload!r}"
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            return body
