"""Processes under measurement: what they used, and how they end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _fields(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def tree(root: int) -> set[int]:
    """A process and all its descendants."""
    pids = {root}
    parents = {int(entry.name): _fields(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    grown = True
    while grown:
        more = {pid for pid, fields in parents.items() if fields and int(fields[1]) in pids} - pids
        pids |= more
        grown = bool(more)
    return pids


def tree_seconds(root: int) -> float:
    """User and system seconds of a process and all its descendants, dead children included."""
    return sum(sum(map(int, fields[11:15])) for pid in tree(root) if (fields := _fields(pid))) / TICKS


class PeakMemory(threading.Thread):
    """The most that the largest process of a tree ever held, in MiB; looks every so often until it is asked."""

    def __init__(self, root: int, every: float = 0.1) -> None:
        super().__init__(daemon=True)
        self.root, self.every = root, every
        self.done = threading.Event()
        self.peaks: dict[int, float] = {}

    def run(self) -> None:
        while not self.done.wait(self.every):
            self.look()

    def look(self) -> None:
        for pid in tree(self.root):
            try:
                found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
            except OSError:
                continue
            if found:
                self.peaks[pid] = int(found.group(1)) / 1024

    def largest(self) -> float:
        self.done.set()
        self.join()
        return max(self.peaks.values(), default=0.0)
