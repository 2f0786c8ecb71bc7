"""The checks of ``email-relay check``: one by one, what is wrong and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass

from django.core import checks
from django.db import DatabaseError, InterfaceError, connections

from email_relay.conf import relay_settings
from email_relay.db import database_now, relay_alias
from email_relay.exceptions import ConfigurationError, ServerUnavailable
from email_relay.readiness import missing_migrations
from email_relay.relay.transport.choice import transport
from email_relay.relay.wakeup import can_listen, wakes

BROKER_SECONDS = 5


@dataclass(frozen=True)
class Finding:
    """One line of the report. ``detail`` never holds a secret."""

    name: str
    good: bool
    detail: str


def settings() -> Finding:
    """Django's own checks and ours."""
    found = [message for message in checks.run_checks() if message.level >= checks.ERROR]
    if found:
        return Finding("settings", good=False, detail="; ".join(f"{error.id}: {error.msg}" for error in found))
    return Finding("settings", good=True, detail="no errors")


def database() -> Finding:
    alias = relay_alias()
    vendor = connections[alias].vendor
    try:
        database_now(alias)
    except (DatabaseError, InterfaceError) as error:
        return Finding(
            "database",
            good=False,
            detail=f"cannot be reached ({type(error).__name__}): check DATABASE_URL, and that {vendor} runs and lets you in",
        )
    return Finding("database", good=True, detail=vendor)


def waking() -> Finding:
    """Whether an insert reaches the relay at once; polling is no fault."""
    alias = relay_alias()
    try:
        if wakes(alias):
            return Finding("waking", good=True, detail="the database wakes the relay")
    except (DatabaseError, InterfaceError) as error:
        return Finding("waking", good=False, detail=f"not known, the database is away ({type(error).__name__})")
    why = _pooled(alias) if can_listen(alias) else f"{connections[alias].vendor} cannot wake it"
    return Finding("waking", good=True, detail=f"the relay polls each {relay_settings().EMPTY_QUEUE_SLEEP:g} s: {why}")


def _pooled(alias: str) -> str:
    why = "a pooler in transaction mode is in between"
    if connections[alias].settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
        return why
    return f"{why}; set DISABLE_SERVER_SIDE_CURSORS, or pages and commands fail now and then"


def migrations() -> Finding:
    try:
        complaint = missing_migrations()
    except (DatabaseError, InterfaceError) as error:
        return Finding("migrations", good=False, detail=f"not known, the database is away ({type(error).__name__})")
    return Finding("migrations", good=not complaint, detail=complaint or "all applied")


def broker() -> Finding:
    from relay_worker.celery import app

    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_SECONDS)
            where = connection.transport.driver_type
    except Exception as error:  # noqa: BLE001 - each broker's client has errors of its own
        return Finding(
            "broker", good=False, detail=f"cannot be reached ({type(error).__name__}): check CELERY_BROKER_URL"
        )
    return Finding("broker", good=True, detail=where)


def smtp() -> Finding:
    """Connect and log in; no mail is sent."""
    try:
        way_out = transport()
        way_out.connect().close()
    except ConfigurationError as error:
        return Finding("smtp", good=False, detail=str(error))
    except ServerUnavailable as error:
        return Finding("smtp", good=False, detail=f"{error.reason}: check EMAIL_HOST, EMAIL_PORT and the login")
    return Finding("smtp", good=True, detail=f"{way_out.server} takes mail from here")


def healthcheck() -> Finding:
    """The URL's host answers; nothing is pinged, since a ping would say that the relay is well."""
    url = relay_settings().RELAY_HEALTHCHECK_URL
    if not url:
        return Finding("healthcheck", good=True, detail="off: RELAY_HEALTHCHECK_URL is not set")
    import httpx

    try:
        parts = httpx.URL(url)
        httpx.head(f"{parts.scheme}://{parts.netloc.decode()}/", timeout=5.0)
    except httpx.HTTPError as error:
        return Finding("healthcheck", good=False, detail=f"its host does not answer ({type(error).__name__})")
    return Finding("healthcheck", good=True, detail="its host answers")


ALL = (settings, database, waking, migrations, broker, smtp, healthcheck)
