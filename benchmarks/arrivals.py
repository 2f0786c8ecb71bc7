"""A server that tells when mail for the watched address came, in a process of its own; and a project that sends on demand."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from queue import Empty, Queue

from benchmarks.contestants import HERE, Contestant
from benchmarks.messages import WATCHED


class Arrivals:
    """``python -m benchmarks.arrivals``, and what it says."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "benchmarks.arrivals"]
        self.process = subprocess.Popen(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.at: Queue[float] = Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.at.put(float(line))

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


class Sender:
    """A project that has started and waits for the word."""

    def __init__(self, command: list[str], variables: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command, env=variables, text=True, bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.said, self.word = self.process.stdout, self.process.stdin
        self.said.readline()

    @classmethod
    def of(cls, contestant: Contestant, **variables: str) -> Sender:
        command = [contestant.python(), str(HERE / "application.py"), "0", "paced"]
        return cls(command, {**contestant.sender(), **variables})

    def send(self) -> float:
        """When ``send_mail()`` returned."""
        self.word.write("go\n")
        self.word.flush()
        return float(self.said.readline())

    def close(self) -> None:
        self.word.close()
        self.process.wait()


def latency(sender: Sender, arrivals: Arrivals, timeout: float = 60) -> float:
    """Milliseconds from ``send_mail()``'s return until the server has the message."""
    returned = sender.send()
    try:
        return 1000 * max(0.0, arrivals.at.get(timeout=timeout) - returned)
    except Empty:
        raise SystemExit(f"a message did not arrive within {timeout} s") from None


class Sink(asyncio.Protocol):
    """As little work as an SMTP server can do, for it shares the cores with those under measurement (RFC 5321, RFC 2920)."""

    GREETING = b"220 sink ESMTP\r\n"
    EXTENSIONS = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 104857600\r\n"
    OK, GO_AHEAD, BYE = b"250 2.0.0 Ok\r\n", b"354 Go ahead\r\n", b"221 2.0.0 Bye\r\n"
    END = b"\r\n.\r\n"

    def __init__(self) -> None:
        self.buffer = b""
        self.in_content = self.watched = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.GREETING)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        replies = []
        while reply := self._content() if self.in_content else self._command():
            replies.append(reply)
        self.transport.write(b"".join(replies))

    def _content(self) -> bytes | None:
        end = self.buffer.find(self.END)
        if end < 0:
            return None
        if self.watched:
            print(time.time(), flush=True)
        self.buffer = self.buffer[end + len(self.END) :]
        self.in_content = self.watched = False
        return self.OK

    def _command(self) -> bytes | None:
        line, ended, rest = self.buffer.partition(b"\r\n")
        if not ended:
            return None
        self.buffer = rest
        verb = line[:4].upper()
        if verb == b"RCPT":
            self.watched = self.watched or WATCHED.encode() in line
        if verb == b"DATA":
            self.in_content = True
            return self.GO_AHEAD
        return {b"EHLO": self.EXTENSIONS, b"QUIT": self.BYE}.get(verb, self.OK)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
