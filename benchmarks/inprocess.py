"""The engine in a child of this process: for what a whole relay would only blur."""

from __future__ import annotations

import multiprocessing
from typing import Any, Callable

from benchmarks.contestants import OURS_BACKEND
from benchmarks.servers import POSTGRES


def configure(database: str, **email_settings: Any) -> None:
    import django
    from django.conf import settings

    entry = {"ENGINE": "django.db.backends.postgresql", "HOST": POSTGRES["host"], "PORT": POSTGRES["port"]}
    settings.configure(
        SECRET_KEY="benchmark",
        USE_TZ=True,
        INSTALLED_APPS=["email_relay"],
        DATABASES={"default": {**entry, "NAME": database, "USER": POSTGRES["user"]}},
        DJANGO_EMAIL_RELAY={"SOURCE": "benchmark", "DATABASE_ALIAS": "default"},
        **{"EMAIL_BACKEND": OURS_BACKEND, **email_settings},
    )
    django.setup()


def in_child(work: Callable[[str], Any], database: str, **email_settings: Any) -> Any:
    """What *work* returns, run with Django set up for *database*: a process has one Django, a run has many databases."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_call, (work, database, email_settings))


def _call(work: Callable[[str], Any], database: str, email_settings: dict[str, Any]) -> Any:
    configure(database, **email_settings)
    return work(database)
