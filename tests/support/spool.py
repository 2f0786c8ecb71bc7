"""The SMTP server as a process: each message it takes lies in a directory for other processes to read."""

from __future__ import annotations

import argparse
import json
import signal
from dataclasses import asdict
from pathlib import Path
from typing import Iterator

from tests.support.smtpserver import Received, SmtpServer


class Spool:
    """A directory of messages: ``<queue id>.eml``, then ``<queue id>.json``, so that what has an envelope is whole."""

    def __init__(self, directory: Path) -> None:
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)

    def write(self, message: Received) -> None:
        envelope = {key: value for key, value in asdict(message).items() if key != "content"}
        (self.directory / f"{message.queue_id}.eml").write_bytes(message.content)
        partial = self.directory / f"{message.queue_id}.partial"
        partial.write_text(json.dumps(envelope))
        partial.rename(partial.with_suffix(".json"))

    def read(self) -> Iterator[Received]:
        """The messages there are, in the order they came."""
        for path in sorted(self.directory.glob("*.json")):
            envelope = json.loads(path.read_text())
            for key in ("rcpt_to", "options", "peer"):
                envelope[key] = tuple(envelope[key])
            yield Received(content=path.with_suffix(".eml").read_bytes(), **envelope)

    def __len__(self) -> int:
        return sum(1 for _ in self.directory.glob("*.json"))


def main() -> None:
    """Serve until a SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=SmtpServer.__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--spool", type=Path, required=True)
    parser.add_argument("--max-size", type=int)
    parser.add_argument("--max-messages", type=int)
    options = vars(parser.parse_args())
    spool = Spool(options.pop("spool"))
    stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    with SmtpServer(on_received=spool.write, keep=False, **options) as server:
        print(f"port {server.port}", flush=True)
        signal.sigwait(stop)


if __name__ == "__main__":
    main()
