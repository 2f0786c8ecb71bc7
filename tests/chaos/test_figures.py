"""The soak's gauges and the tallies see what they are there for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from tests.chaos import gauges
from tests.chaos.doubles import Account, Arrivals, Strike
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


def account(*arrivals: tuple[str, float], strikes: list[Strike]) -> Account:
    arrived = Arrivals()
    for to, at in arrivals:
        arrived.note(to, at)
    return Account.of(arrived.copies, strikes)


KILL = Strike("kill", 10, 11, Cost(frozenset("ab"), 1))
STOP = Strike("stop", 30, 31, Cost())


def test_a_copy_is_charged_to_the_fault_that_had_it_in_hand():
    found = account(("a", 10.5), ("b", 10), ("a", 20), ("b", 21), strikes=[KILL, STOP])
    assert (found.astray, found.excess) == ([], [])
    assert found.by_harm() == {
        "kill": {"times": 1, "doubled": 2, "most": 2, "allowed": 2},
        "stop": {"times": 1, "doubled": 0, "most": 0, "allowed": 0},
    }
    assert "kill doubled 2 of at most 2; the copies came at 20 to 21 s" in str(found)


@pytest.mark.parametrize(
    ("to", "first", "again"),
    [("c", 10, 20), ("a", 15, 20), ("a", 5, 9), ("a", 30.5, 35)],
    ids=["in nobody's hand", "sent after it", "both before it", "a stop doubles nothing"],
)
def test_a_copy_that_no_fault_explains_is_astray(to, first, again):
    found = account((to, first), (to, again), strikes=[KILL, STOP])
    assert [copy.to for copy in found.astray] == [to]
    assert f"ASTRAY: {to}" in str(found)


def test_more_copies_than_the_dead_had_in_hand_break_p2():
    assert account(("a", 1), ("a", 12), ("a", 13), strikes=[KILL]).excess == []
    thrice = account(("a", 1), ("a", 10), ("a", 11), ("a", 12), strikes=[KILL])
    assert thrice.excess == [KILL]
