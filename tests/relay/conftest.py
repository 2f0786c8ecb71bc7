from __future__ import annotations

from typing import Any, Callable, Iterator

import pytest

from email_relay.relay.drain import drain
from email_relay.relay.engine import Engine
from email_relay.relay.report import DrainReport
from tests.relay import rows


@pytest.fixture
def engines() -> Iterator[Callable[..., Engine]]:
    """Makes engines, and closes them at the end."""
    made: list[Engine] = []

    def make(*arguments: Any, **settings: Any) -> Engine:
        made.append(rows.engine(*arguments, **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def run(engines: Callable[..., Engine]) -> Callable[..., DrainReport]:
    """One drain of an engine of its own."""

    def run(transport: Any = None, *, stop: Any = None, **settings: Any) -> DrainReport:
        return drain(stop, engine=engines(transport, **settings))

    return run
