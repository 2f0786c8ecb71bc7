"""All faults there are."""

from __future__ import annotations

from tests.chaos import clocks, clockwork, databases, disk, kills, servers, stops, versions
from tests.chaos.fault import Fault

FAULTS: tuple[Fault, ...] = (
    *kills.FAULTS,
    *stops.FAULTS,
    *databases.FAULTS,
    *clockwork.FAULTS,
    *servers.FAULTS,
    *clocks.FAULTS,
    *versions.FAULTS,
    *disk.FAULTS,
)
