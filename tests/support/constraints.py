"""A database that refuses rows, and says so with all that is in them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator

import pytest
from django.db import connection

NAME = "refusing"


@contextmanager
def refusing(condition: str) -> Iterator[None]:
    """Whatever is written to the messages from now on must meet the condition."""
    if connection.vendor != "postgresql":
        pytest.skip("no other database quotes the row that it refuses")
    execute(f"ALTER TABLE email_relay_message ADD CONSTRAINT {NAME} CHECK ({condition}) NOT VALID")
    try:
        yield
    finally:
        execute(f"ALTER TABLE email_relay_message DROP CONSTRAINT {NAME}")


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)
