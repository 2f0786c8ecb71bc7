"""A Sentry that keeps what it is sent."""

from __future__ import annotations

import gzip
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Iterator


class Sentry(ThreadingHTTPServer):
    """``envelopes`` are the bodies as they came, unpacked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.envelopes: list[str] = []

    @property
    def dsn(self) -> str:
        return f"http://key@127.0.0.1:{self.server_address[1]}/1"

    def items(self, kind: str) -> list[dict]:
        """The payloads of that type; an envelope is lines: its header, then header and payload of each item."""
        found = []
        for envelope in list(self.envelopes):
            lines = envelope.splitlines()[1:]
            for header, payload in zip(lines[::2], lines[1::2]):
                if json.loads(header).get("type") == kind:
                    found.append(json.loads(payload))
        return found


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        packed = self.headers.get("Content-Encoding") == "gzip"
        self.server.envelopes.append((gzip.decompress(body) if packed else body).decode())
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Sentry]:
    server = Sentry()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
