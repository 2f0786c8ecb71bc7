"""Statements that PostgreSQL plans once for each link: for the claim, planning takes five times as long as running it idle.

They are prepared by SQL and live in the session, which behind a pooler belongs to whoever comes next: a link that has one in
between leaves nothing there and does without. Should a pooler go unnoticed, an EXECUTE may reach a server that has never heard of
the statement. It is refused before it has done anything then, and that link goes on without preparing.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Mapping, Sequence, Set
from weakref import WeakKeyDictionary

from django.db import DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from email_relay.db import error_code
from email_relay.relay.pooler import is_pooled

REFUSALS = {
    "26000",  # invalid_sql_statement_name: this server does not know it
    "42P05",  # duplicate_prepared_statement: another client of the pooler has left one of that name
    "0A000",  # feature_not_supported: a column has changed its type since
    "42P18",  # indeterminate_datatype: psycopg 3 with server_side_binding, which EXECUTE does not take
}
"""SQLSTATEs by which PostgreSQL refuses to prepare or execute, before anything is done."""

LOCK_SECONDS = 5
"""A link that waits longer for a lock gives up, and is tried again: while the driver waits, no signal is heard."""
SETTINGS = {
    # beside a big table the planner thinks our statements worth compiling, which takes ten times as long as running them
    "jit": "off",
    # no value of a parameter would make another plan better, and weighing that again each time is what costs
    "plan_cache_mode": "force_generic_plan",
    # a plan made while the queue was empty must serve a full one: only short index scans and nested loops do
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "lock_timeout": f"{LOCK_SECONDS}s",
}
SET = "SELECT set_config(name, %s::jsonb ->> name, false) FROM pg_settings WHERE name = ANY(%s)"
"""What this version of PostgreSQL knows of them."""
WITHOUT_JIT = "SELECT set_config(name, 'off', true) FROM pg_settings WHERE name = 'jit'"
"""Until the end of the transaction, so that no other client of the pooler meets it."""


class Link:
    """What one link to the database has prepared."""

    def __init__(self, *, pooled: bool) -> None:
        self.names: Set[str] = set()
        self.pooled = self.refused = pooled


_links: WeakKeyDictionary[Any, Link] = WeakKeyDictionary()


class Statement:
    """``sql`` with parameters written ``%(name)s``, whose types PostgreSQL can tell from where they stand."""

    def __init__(self, name: str, sql: str) -> None:
        self.sql = sql
        # another version of this code must never meet this one's statement
        self.name = f"email_relay_{name}_{hashlib.sha256(sql.encode()).hexdigest()[:8]}"
        parameters = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", sql)))
        numbers = {parameter: f"${number}" for number, parameter in enumerate(parameters, 1)}
        body = re.sub(r"%\((\w+)\)s", lambda found: numbers[found[1]], sql)
        self._prepare = f"PREPARE {self.name} AS {body}"
        self._execute = f"EXECUTE {self.name} ({', '.join(f'%({parameter})s' for parameter in parameters)})"

    def rows(self, alias: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """All it returns. Raises the database's errors."""
        link = _link(connections[alias])
        # in a transaction a refusal would take the rest with it
        if not link.refused and not connections[alias].in_atomic_block:
            try:
                return self._prepared(alias, link, parameters)
            except DatabaseError as error:
                if error_code(error) not in REFUSALS:
                    raise
                link.refused = True
        if link.pooled:
            return self._without_a_trace(alias, parameters)
        return _fetch(alias, self.sql, parameters)

    def _prepared(self, alias: str, link: Link, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        if self.name not in link.names:
            with connections[alias].cursor() as cursor:
                cursor.execute(self._prepare)
            link.names.add(self.name)
        return _fetch(alias, self._execute, parameters)

    def _without_a_trace(self, alias: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        with transaction.atomic(using=alias, savepoint=False):
            with connections[alias].cursor() as cursor:
                cursor.execute(WITHOUT_JIT)
            return _fetch(alias, self.sql, parameters)


def make_ready(alias: str) -> None:
    """Once for each link of a relay, before anything else is asked of it."""
    if connections[alias].vendor == "postgresql":
        _link(connections[alias])


def _link(connection: BaseDatabaseWrapper) -> Link:
    connection.ensure_connection()
    link = _links.get(connection.connection)
    if link is None:
        pooled = is_pooled(connection)
        if not pooled:
            with connection.cursor() as cursor:
                cursor.execute(SET, [json.dumps(SETTINGS), list(SETTINGS)])
        link = _links[connection.connection] = Link(pooled=pooled)
    return link


def _fetch(alias: str, sql: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: Sequence[Sequence[Any]] = cursor.fetchall()
    return rows
