"""Does a process of the service on this machine answer? Asked by the image's health check, beside what it needs."""

from __future__ import annotations

import socket

from relay_worker.checkup import Finding

SECONDS = 5.0
WEB, FLOWER = "http://127.0.0.1:8000/healthz", "http://127.0.0.1:5555/healthcheck"


def node() -> Finding:
    """The worker's main process answers over the broker, as ``celery inspect ping`` asks it."""
    from relay_worker.celery import app

    name = f"celery@{socket.gethostname()}"
    try:
        answers = app.control.ping(destination=[name], timeout=SECONDS)
    except Exception as error:  # noqa: BLE001 - each broker's client has errors of its own
        return Finding("node", good=False, detail=f"the broker cannot be asked ({type(error).__name__})")
    return Finding("node", good=bool(answers), detail=f"{name} {'answers' if answers else 'does not answer'}")


def relay() -> Finding:
    """The relay without Celery has signed on, and was not silent for as long as a dead one."""
    from datetime import timedelta

    from django.db import DatabaseError, InterfaceError

    from email_relay.db import database_now, relay_alias
    from email_relay.models import Worker
    from email_relay.relay.workers import SEEN_SECONDS

    host, alias = socket.gethostname(), relay_alias()
    try:
        since = database_now(alias) - timedelta(seconds=SEEN_SECONDS)
        seen = Worker.objects.using(alias).filter(name__startswith=f"{host}:", seen_at__gte=since).exists()
    except (DatabaseError, InterfaceError) as error:
        return Finding("relay", good=False, detail=f"the database cannot be asked ({type(error).__name__})")
    return Finding("relay", good=seen, detail=f"a relay on {host} {'was' if seen else 'was not'} seen")


def web() -> Finding:
    return _page("web", WEB)


def flower() -> Finding:
    return _page("flower", FLOWER)


def _page(name: str, url: str) -> Finding:
    import httpx

    try:
        httpx.get(url, timeout=SECONDS, trust_env=False).raise_for_status()
    except httpx.HTTPError as error:
        return Finding(name, good=False, detail=f"{url} does not answer ({type(error).__name__})")
    return Finding(name, good=True, detail=f"{url} answers")


ALL = (node, relay, web, flower)
