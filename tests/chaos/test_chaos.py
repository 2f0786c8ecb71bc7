"""Faults against real relays, one round each: nothing lost, doubled at most what P2 allows."""

from __future__ import annotations

import pytest

from tests.chaos import clocks, clockwork, databases, disk, kills, servers, stops, versions
from tests.chaos.fault import Fault, NotHere
from tests.chaos.soak import soak
from tests.support.needs import missing

pytestmark = pytest.mark.slow
MESSAGES = 200
RELATIVES = {
    kills.parent,
    kills.both,
    databases.restarted_under_runrelay,
    databases.restarted_while_idle,
    databases.locked_at_claim,
    clockwork.redis_emptied,
    clockwork.folder_removed,
    clockwork.two_relays,
    clocks.workers,
}
"""So near to others that `make chaos` alone has the time for them."""


def faults(*modules):
    found = [fault for module in modules for fault in module.FAULTS if fault not in RELATIVES]
    return pytest.mark.parametrize("fault", found, ids=lambda fault: fault.name)


def survived(fault: Fault) -> None:
    try:
        tally = fault.run(MESSAGES)
    except NotHere as reason:
        missing(fault.name, reason)
    assert tally.well, tally


@faults(kills)
def test_p1_killed_at_a_random_instant_nothing_is_lost_and_what_was_unrecorded_comes_twice_at_most(fault):
    survived(fault)


@faults(stops)
def test_p2_asked_to_stop_under_load_nothing_is_lost_or_doubled(fault):
    survived(fault)


@faults(databases)
def test_p1_trouble_with_the_database_loses_doubles_and_charges_nothing(fault):
    survived(fault)


@faults(clockwork)
def test_p8_without_broker_or_beat_and_with_two_of_them_all_is_sent_once(fault):
    survived(fault)


@faults(servers)
def test_p6_a_server_that_is_away_costs_no_attempt(fault):
    survived(fault)


@faults(clocks)
def test_p1_a_clock_that_is_wrong_moves_no_due_time_lease_or_lifetime(fault):
    survived(fault)


@faults(versions, disk)
def test_p1_another_version_or_a_full_disk_loses_and_doubles_nothing(fault):
    try:
        tally = fault.run(MESSAGES)
    except NotHere as reason:
        pytest.skip(f"NOT SHOWN: {reason}")  # a clone without history, or no right to mount: in CI too
    assert tally.well, tally


def test_p1_a_short_soak_with_a_fault_every_three_seconds_loses_nothing():
    try:
        verdict = soak(minutes=0.6, rate=100, every=3)
    except NotHere as reason:
        missing("the soak", reason)
    assert verdict.well, verdict
