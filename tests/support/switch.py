"""A dead man's switch over HTTP, or whatever else is to keep what it is told."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Iterator


class Switch(ThreadingHTTPServer):
    """A dead man's switch that keeps (method, path, body), answers by script, and may hang."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests, self.status, self.location = [], 200, ""
        self.hang, self.release = False, threading.Event()

    def handle_error(self, request, client_address):
        """A client that gave up is no news."""

    def url(self, path="/ping"):
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class Handler(BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.server.requests.append((self.command, self.path, body))
        if self.server.hang:
            self.server.release.wait(120)
        moved = self.server.location and self.path != self.server.location
        self.send_response(302 if moved else self.server.status)
        if moved:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_HEAD = do_PUT = answer  # noqa: N815

    def log_message(self, *_):
        pass


@contextmanager
def serving() -> Iterator[Switch]:
    server = Switch()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
