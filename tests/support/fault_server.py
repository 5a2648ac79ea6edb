# SPDX-License-Identifier: Apache-2.0
"""An HTTP server for tests of clients: it answers well, badly, late or not at all."""

import socket
import struct
import threading
import time

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
METADATA = (
    b'{"name":"m","versions":["1"],"platform":"test","inputs":'
    b'[{"name":"x","datatype":"FP32","shape":[-1,3]}],"outputs":[]}'
)


def reply(body, status="200 OK", extra=""):
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


class FaultServer:
    """Threads on a free port; use it with `with`.

    answer(n) -> bytes to send for the n-th POST (from 1), or
      "reset"   the connection is reset
      "close"   it is closed without a reply
      "silent"  nothing comes
    GET answers the metadata of a model with three numbers, or is met with `metadata`, which is one of
    the above. requests: (head, body) of every POST. asked: set by the first request of any kind.
    """

    def __init__(self, answer=lambda n: OK, closes=False, metadata=None):
        self._answer, self._closes, self._metadata = answer, closes, metadata
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self.asked = threading.Event()
        self._connections = []
        self.requests = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _read_request(self, connection, data):
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return None
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        while len(rest) < length:
            rest += connection.recv(65536)
        return head, rest[:length], rest[length:]

    def _serve(self, connection):
        data = b""
        try:
            while True:
                request = self._read_request(connection, data)
                if request is None:
                    break
                head, body, data = request
                if not self._respond(connection, head, body):
                    return
        except OSError:
            pass
        connection.close()

    def _respond(self, connection, head, body):
        """False when the connection has ended."""
        self.asked.set()
        if head.startswith(b"GET") and self._metadata:
            return self._send(connection, self._metadata)
        if head.startswith(b"GET"):
            connection.sendall(reply(METADATA if b"/v2/models/m " in head else b"{}"))
            return True
        with self._lock:
            self.requests.append((head, body))
            n = len(self.requests)
        return self._send(connection, self._answer(n))

    def _send(self, connection, answer):
        if answer == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
            return False
        if answer == "close":
            connection.close()
            return False
        if answer == "silent":
            self._ended.wait(60)
            return False
        connection.sendall(answer)
        if self._closes:
            connection.close()
        return not self._closes

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._ended.set()
        self._listener.close()
        for connection in self._connections:
            try:
                connection.close()
            except OSError:
                pass


def stall_once(after, seconds):
    """An answer that comes at once, but for one pause of the whole server after `after` requests."""
    state = {"until": None}
    lock = threading.Lock()

    def answer(n):
        with lock:
            if n > after and state["until"] is None:
                state["until"] = time.monotonic() + seconds
            until = state["until"]
        if until:
            time.sleep(max(0.0, until - time.monotonic()))
        return OK

    return answer
