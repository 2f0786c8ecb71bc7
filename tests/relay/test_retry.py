"""The backoff as properties."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_relay.relay.retry import RetryPolicy

randoms = st.floats(0, 1, exclude_max=True)
counts = st.integers(0, 10**9)


@given(counts, randoms)
def test_a_pause_stays_between_base_and_cap(count, drawn):
    policy = RetryPolicy()
    assert policy.base * 0.899 <= policy.next_pause(count, lambda: drawn) <= policy.cap


@given(st.integers(0, 2000), randoms)
def test_pauses_do_not_shrink(count, drawn):
    policy = RetryPolicy()
    assert policy.next_pause(count, lambda: drawn) <= policy.next_pause(count + 1, lambda: drawn)


@given(st.integers(0, 5), randoms)
def test_jitter_stays_within_its_share(count, drawn):
    policy = RetryPolicy(base=timedelta(seconds=10), cap=timedelta(days=1), jitter=0.1)
    mean = 10 * 2**count
    assert mean * 0.899 <= policy.next_pause(count, lambda: drawn).total_seconds() <= mean * 1.101


def test_the_first_pauses():
    policy = RetryPolicy(jitter=0)
    assert [policy.next_pause(n, lambda: 0.5).total_seconds() for n in range(8)] == [
        60, 120, 240, 480, 960, 1920, 3600, 3600,
    ]  # fmt: skip


def test_exhausted_by_retries_or_by_age():
    policy = RetryPolicy(max_retries=3, lifetime=timedelta(days=1))
    young = timedelta(hours=1)
    assert [policy.exhausted(n, young) for n in range(5)] == [False, False, False, True, True]
    assert policy.exhausted(0, timedelta(days=1))
    assert not RetryPolicy(lifetime=None).exhausted(10**6, timedelta(days=10**4))


@pytest.mark.parametrize("wrong", [{"base": timedelta(0)}, {"factor": 0.5}, {"jitter": 1}, {"factor": float("inf")}])
def test_policies_that_make_no_sense(wrong):
    with pytest.raises(ValueError):
        RetryPolicy(**wrong)
