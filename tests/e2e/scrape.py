"""The service's real ``/metrics``: the site as a process, asked over HTTP."""

from __future__ import annotations

import re
import urllib.request
from contextlib import contextmanager
from typing import Iterator

from tests.e2e.service import Service
from tests.support.ports import free_port, listens
from tests.support.waiting import wait_until

SAMPLE = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$", re.MULTILINE)


class Scrape(str):
    """The text of one scrape."""

    __slots__ = ()

    def total(self, name: str, **labels: str) -> float:
        """The sum of the samples of that name with those labels."""
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        return sum(
            float(match["value"])
            for match in SAMPLE.finditer(self)
            if match["name"] == name and all(pair in (match["labels"] or "") for pair in wanted)
        )

    @property
    def names(self) -> set[str]:
        return {match["name"] for match in SAMPLE.finditer(self)}


def scrape(port: int) -> Scrape:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        return Scrape(answer.read().decode())


@contextmanager
def site(service: Service) -> Iterator[int]:
    """The port of ``email-relay web``."""
    port = free_port()
    with service.process("-m", "relay_worker.cli", "web", "--bind", f"127.0.0.1:{port}") as web:
        wait_until(lambda: listens(port) or not web.running, 60, lambda: f"the site:\n{web.tail()}")
        yield port
