"""The soak's gauges and the tallies see what they are there for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from tests.chaos import gauges
from tests.chaos.tally import WINDOW, Cost, Tally

MIB = gauges.MIB
STEADY = gauges.Reading(0, 60 * MIB, 20, 300 * MIB, 20 * MIB, 10 * MIB, 50_000, 0)


def test_what_is_steady_has_not_grown():
    assert gauges.growth([STEADY] * 12) == []


@pytest.mark.parametrize(
    ("what", "step"), [("rss", 2 * MIB), ("descriptors", 3), ("table", 8 * MIB), ("indexes", 8 * MIB)]
)
def test_what_grows_all_the_time_is_named(what, step):
    readings = [replace(STEADY, **{what: getattr(STEADY, what) + minute * step}) for minute in range(12)]
    assert gauges.growth(readings) == [what]


def test_what_fills_up_at_first_has_not_grown():
    readings = [replace(STEADY, table=min(minute, 4) * 20 * MIB) for minute in range(12)]
    assert gauges.growth(readings) == []


def tally(arrived: dict[str, int], cost: Cost) -> Tally:
    return Tally.of("fault", Counter(arrived), ["a", "b"], cost)


def test_only_what_the_dead_had_in_hand_may_come_twice():
    assert tally({"a": 2, "b": 1}, Cost(frozenset("a"), 1)).well
    assert not tally({"a": 1, "b": 2}, Cost(frozenset("a"), 1)).well
    assert not tally({"a": 2, "b": 1}, Cost(frozenset("a"), 0)).well


def test_a_message_that_never_came_is_lost():
    assert not tally({"a": 1}, Cost(frozenset("ab"), 1)).well


def test_each_of_the_dead_may_double_its_window_at_most():
    assert Cost(frozenset(map(str, range(1000))), 2).allowed == 2 * WINDOW
