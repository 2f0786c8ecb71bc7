"""Raise the stage, let two projects send, watch, and show what became of each message."""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from demo.ledger import SENT, Entry, differences, entries
from demo.stage import PROJECTS, Stage, clean_up_on_sigterm, stage
from tests.support.processes import Process
from tests.support.waiting import wait_until

PATIENCE = 120
"""Seconds for any single step on a busy machine."""

console = Console(width=None if sys.stdout.isatty() else 150, highlight=False)


def main() -> int:
    clean_up_on_sigterm()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="relay-demo-") as directory:
        status = run(Path(directory))
    console.print(f"{time.monotonic() - began:.1f} s in all; nothing is left running.")
    return status


def run(directory: Path) -> int:
    console.print("[bold]1[/] A PostgreSQL and an SMTP server")
    with stage(directory) as parts:
        console.print(f"  SMTP server on {parts.smtp.host}:{parts.smtp.port}")
        console.print("[bold]2[/] The relay: email-relay migrate; celery -A relay_worker worker -B")
        parts.migrate()
        with parts.worker() as worker:
            worker.wait_ready(" ready.", PATIENCE)
            console.print(f"[bold]3[/] Two Django projects send: {' and '.join(PROJECTS)}")
            progress = Progress(parts)
            send(parts, progress)
            queued = watch(progress, worker)
            worker.terminate(PATIENCE)
        return report(queued, parts)


def send(parts: Stage, progress: Progress) -> None:
    """Run the projects side by side, to their end."""
    with ExitStack() as stack:
        projects = [stack.enter_context(parts.project(name)) for name in PROJECTS]
        for project in projects:
            while project.running:
                progress.show()
                time.sleep(0.1)
            if project.wait(PATIENCE):
                raise RuntimeError(f"{project.command} failed:\n{project.tail()}")


class Progress:
    """A line whenever something has changed."""

    def __init__(self, parts: Stage) -> None:
        self.parts = parts
        self.last = ""

    def show(self) -> list[Entry]:
        """What the queue holds now."""
        queued = entries(self.parts.url)
        sent = sum(entry.status == SENT for entry in queued)
        line = f"  {len(queued):3} queued  {self.parts.smtp.count:3} at the server  {sent:3} recorded as sent"
        if line != self.last:
            console.print(line)
        self.last = line
        return queued


def watch(progress: Progress, worker: Process) -> list[Entry]:
    """Wait until everything queued is sent."""

    def all_sent() -> bool:
        if not worker.running:
            raise RuntimeError(f"the worker ended:\n{worker.tail()}")
        return all(entry.status == SENT for entry in progress.show())

    wait_until(all_sent, PATIENCE, lambda: f"all to be sent; the worker said:\n{worker.tail()}", interval=0.1)
    return progress.show()


def report(queued: list[Entry], parts: Stage) -> int:
    table = Table(
        "message", "source", "queued at", "delivered at", "latency", "server's reply", title="What became of it"
    )
    for entry in queued:
        sent_at = f"{entry.sent_at:%H:%M:%S.%f}"[:-3] if entry.sent_at else "never"
        queued_at = f"{entry.queued_at:%H:%M:%S.%f}"[:-3]
        table.add_row(entry.subject, entry.source, queued_at, sent_at, f"{entry.latency * 1000:.0f} ms", entry.reply)
    console.print(table)
    different = differences(queued, parts.smtp.received)
    for line in different:
        console.print(f"[red]{line}[/]")
    if different or not queued:
        return 1
    console.print(
        f"[green]{len(queued)} messages to {sum(len(entry.recipients) for entry in queued)} recipients: each arrived once, "
        "and its bytes at the server are the bytes that were queued.[/]"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
