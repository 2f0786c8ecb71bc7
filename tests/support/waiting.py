"""Waiting for conditions: the only way a test may let time pass."""

from __future__ import annotations

import time
from typing import Callable, TypeVar

T = TypeVar("T")


def wait_until(
    predicate: Callable[[], T],
    timeout: float = 30,
    what: str | Callable[[], str] = "the condition",
    interval: float = 0.02,
) -> T:
    """Return the first truthy value of *predicate*; AssertionError after *timeout* seconds.

    *what* says what was waited for; a callable is asked at the time of failure.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {timeout} s in vain for {what() if callable(what) else what}")
        time.sleep(interval)
