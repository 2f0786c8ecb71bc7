"""Stopping without loss: a drain in a pool process learns that the worker shuts down, whoever got the signal.

The main process sets a byte that its children share. A TERM that also reaches the child (systemd signals the whole group)
would raise SystemExit inside the running task; during a drain it only asks it to finish the delivery it is in.
"""

from __future__ import annotations

import mmap
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

POLL_SECONDS = 0.05


class Shutdown:
    """Shared by fork. It is a `Stop` for drains."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 1)
        self._here = False

    def announce(self, **_: Any) -> None:
        """In the main process: tell all pool processes."""
        self._shared[0] = 1

    def is_set(self) -> bool:
        return self._here or self._shared[0] == 1

    def wait(self, timeout: float | None = None) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.is_set():
            left = POLL_SECONDS if deadline is None else deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(POLL_SECONDS, left))
        return True

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """While inside, SIGTERM to this process asks the drain to end instead of breaking it off."""

        def ask(*_: Any) -> None:
            self._here = True

        previous = signal.signal(signal.SIGTERM, ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, previous)


shutdown = Shutdown()
