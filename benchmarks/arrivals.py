"""A server that tells when mail for the watched address came, in a process of its own; and a project that sends on demand."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
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


def serve() -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from tests.support.smtpserver import Received, SmtpServer

    def tell(message: Received) -> None:
        if WATCHED in message.rcpt_to:
            print(message.at, flush=True)

    with SmtpServer(keep=False, on_received=tell) as server:
        print(server.port, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    serve()
