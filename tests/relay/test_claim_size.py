"""How much a claim asks for: small where that is cheap, all there is room for where it is not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from email_relay.relay.claim_size import CLAIM_ROWS, HELD_SECONDS, SLOW_ROW_SECONDS, ClaimSize


def sized(most: int = 500, *, delivered: int = 0) -> ClaimSize:
    size = ClaimSize(most, now=0)
    for _ in range(delivered):
        size.delivered()
    return size


def test_p7_the_first_claim_and_those_of_a_quick_database_are_small():
    size = sized(delivered=5000)
    assert sized().rows(0, sessions=16, now=0) == CLAIM_ROWS
    size.claimed(CLAIM_ROWS, CLAIM_ROWS, seconds=CLAIM_ROWS * SLOW_ROW_SECONDS / 2)
    assert size.rows(0, sessions=16, now=1) == CLAIM_ROWS


def test_over_a_slow_way_to_the_database_a_claim_asks_for_all_that_may_be_held():
    size = sized(delivered=5000)
    size.claimed(CLAIM_ROWS, CLAIM_ROWS, seconds=CLAIM_ROWS * SLOW_ROW_SECONDS * 2)
    assert size.rows(10, sessions=16, now=1) == 5000 * HELD_SECONDS - 10


def test_a_claim_that_was_not_full_says_nothing_about_the_way():
    size = sized(delivered=5000)
    size.claimed(CLAIM_ROWS, 1, seconds=1)
    assert size.rows(0, sessions=16, now=1) == CLAIM_ROWS


def test_a_slow_server_always_has_something_for_each_of_its_sessions():
    size, sessions = sized(delivered=1), 16
    held = 0
    while rows := size.rows(held, sessions, now=1000):
        held += rows
    assert held >= 2 * sessions


@given(st.integers(1, 1000), st.integers(0, 2000), st.integers(1, 100), st.integers(0, 3000), st.floats(0, 1))
def test_p10_never_more_is_held_than_allowed_and_an_empty_hand_always_gets_some(
    most, held, sessions, delivered, seconds
):
    size = sized(most, delivered=delivered)
    size.claimed(32, 32, seconds)
    rows = size.rows(held, sessions, now=1)
    assert rows >= 0
    assert not rows or held + rows <= most
    assert size.rows(0, sessions, now=1) > 0
