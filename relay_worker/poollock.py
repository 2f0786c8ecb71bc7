"""Locks of the process pool that die with who holds them.

Behind a broker without an event loop (files, databases) the pool's processes take their tasks from one pipe, one at a time; the
others wait for a lock. billiard's is a semaphore: who is killed while he holds it, and an idle process does nothing else,
leaves it locked, and no process ever gets a task again. The kernel takes a record lock from the dead.
"""

from __future__ import annotations

import fcntl
import tempfile
from typing import Any

from celery.concurrency.prefork import TaskPool

StockPool: Any = TaskPool.BlockingPool


class ProcessLock:
    """What billiard asks of a lock. It excludes processes, not threads: in each of them one thread takes it."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the pool lives

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX if block and timeout is None else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Pool(StockPool):  # type: ignore[misc]
    """The pool behind such a broker."""

    def _setup_queues(self) -> None:
        super()._setup_queues()
        queues: tuple[Any, Any] = (self._inqueue, self._outqueue)
        for queue in queues:
            queue._rlock, queue._wlock = ProcessLock(), ProcessLock()  # noqa: SLF001 - billiard has no other way


def install() -> None:
    TaskPool.BlockingPool = Pool
