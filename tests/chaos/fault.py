"""What a fault is, and the ground it is injected on."""

from __future__ import annotations

import functools
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

from tests.chaos.installation import SLOWLY, Installation, Place
from tests.chaos.tally import Cost, Tally
from tests.support import brokers
from tests.support.databases import postgresql_database
from tests.support.postgres import NoServer, Wheel
from tests.support.smtpserver import SmtpServer


class NotHere(Exception):
    """This machine cannot show the fault; the text says why."""


NOTHING = Cost()
Inject = Callable[[Installation], "Cost | None"]


@dataclass(frozen=True, eq=False)
class Fault:
    """A function that does harm to an installation at work and says what that may cost: by default nothing."""

    name: str
    inject: Inject
    own_postgres: bool = False
    broker: str | None = None
    at_random: bool = False
    """Its instant is random: it takes many rounds, and much mail, to say something."""
    settings: Mapping[str, Any] = field(default_factory=dict)

    def run(self, messages: int) -> Tally:
        """On fresh ground. Raises NotHere, or AssertionError if a promise was broken."""
        with ground(self) as place:
            site = Installation(place, messages, self.settings)
            site.smtp.script.delay = SLOWLY
            cost = self.inject(site) or NOTHING
            assert not site.smtp.errors
            return site.tally(self.name, cost)


def fault(
    name: str, *, own_postgres: bool = False, broker: str | None = None, at_random: bool = False, **settings: Any
) -> Callable[[Inject], Fault]:
    """Make a fault of a function; *settings* are the relay's."""
    return lambda inject: Fault(name, inject, own_postgres, broker, at_random, settings)


@contextmanager
def ground(what: Fault) -> Iterator[Place]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        server = own_postgres() if what.own_postgres else None
        broker = None
        if what.broker == "redis":
            broker = stack.enter_context(brokers.redis_broker(folder))
            if broker.stop is None:
                raise NotHere("there is no redis-server to start: this Redis is not ours to empty")
        url = stack.enter_context(postgresql_database("chaos", server.url if server else None))
        yield Place(folder, url, stack.enter_context(SmtpServer()), server, broker)


def own_postgres() -> Wheel:
    """The one server of this process that may be stopped; up again whatever the last fault did to it."""
    server = _wheel()
    server.up()
    return server


@functools.lru_cache(maxsize=1)
def _wheel() -> Wheel:
    server = Wheel()
    try:
        server.start()
    except NoServer as error:
        raise NotHere(str(error)) from error
    return server
