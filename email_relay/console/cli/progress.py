"""A progress bar on a terminal where rich is installed; silence elsewhere."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import Callable, Iterator


@contextmanager
def progress(title: str, total: int, *, wanted: bool) -> Iterator[Callable[[int], None]]:
    """Gives a function to be told how much more is done."""
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        wanted = False
    if not wanted or not sys.stderr.isatty():
        yield lambda _: None
        return
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.advance(task, done)
