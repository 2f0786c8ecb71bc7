"""What a test needs from its machine: a missing server fails in CI, and skips loudly elsewhere."""

from __future__ import annotations

import os

import pytest


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def missing(what: str, why: object) -> None:
    """Skip the running test because *what* is not there, or fail where everything has to be there."""
    reason = f"{what} is not available: {why}"
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
