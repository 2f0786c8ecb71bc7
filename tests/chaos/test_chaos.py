"""Faults against real relays: nothing lost, doubled at most what P2 allows."""

from __future__ import annotations

import pytest

from tests.chaos import faults
from tests.chaos.installation import Installation

pytestmark = pytest.mark.slow


@pytest.fixture
def site(tmp_path, postgresql_database, smtp_server):
    return Installation(tmp_path, postgresql_database, smtp_server)


def test_p1_kill_9_loses_nothing_and_doubles_what_was_unrecorded_at_most(site):
    tally = faults.inject(faults.kill_9, site)
    assert tally.well, tally


def test_p1_both_relays_killed(site):
    tally = faults.inject(faults.twice_killed, site)
    assert tally.well, tally


def test_p2_sigterm_loses_and_doubles_nothing(site):
    tally = faults.inject(faults.sigterm, site)
    assert tally.well, tally


def test_p2_a_relay_that_comes_late_overwrites_nothing(site):
    tally = faults.inject(faults.stopped_past_its_lease, site)
    assert tally.well, tally


def test_p1_killed_database_connections_lose_and_double_nothing(site):
    tally = faults.inject(faults.connections_killed, site)
    assert tally.well, tally


def test_p6_a_server_that_is_away_costs_no_attempt(site):
    tally = faults.inject(faults.server_away, site)
    assert tally.well, tally


def test_p2_two_relays_send_each_message_once(site):
    tally = faults.inject(faults.two_relays, site)
    assert tally.well, tally
