"""Whose turn it is among what is in hand."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from email_relay.relay.turns import in_turns

ITEMS = st.lists(st.tuples(st.sampled_from("abcd"), st.integers()))


def source(item: tuple[str, int]) -> str:
    return item[0]


@given(ITEMS)
def test_p1_nothing_is_lost_or_doubled(items):
    assert Counter(in_turns(items, source)) == Counter(items)


@given(ITEMS)
def test_within_a_source_the_order_stays(items):
    for one in "abcd":
        assert [item for item in in_turns(items, source) if item[0] == one] == [
            item for item in items if item[0] == one
        ]


@given(ITEMS)
def test_p7_no_source_gets_its_next_turn_before_every_other_had_one(items):
    had: Counter[str] = Counter()
    for item in in_turns(items, source):
        had[item[0]] += 1
        waiting = {one: n for one, n in Counter(map(source, items)).items() if n > had[one]}
        assert all(had[one] >= had[item[0]] - 1 for one in waiting)
