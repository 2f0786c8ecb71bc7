"""Pages made from the code, so that they cannot drift from it.

A source line ``% generated: NAME`` is replaced by the Markdown of the generator NAME before Sphinx parses the page.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Callable

import django
from django.conf import settings

if TYPE_CHECKING:
    from sphinx.application import Sphinx

MARKER = re.compile(r"^% generated: (?P<name>[a-z]+)$", re.MULTILINE)


def set_up_django() -> None:
    """Enough of Django to import the models; nothing is connected."""
    if not settings.configured:
        settings.configure(
            INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "email_relay"],
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
            USE_TZ=True,
        )
        django.setup()


def generators() -> dict[str, Callable[[], str]]:
    import chaos_page
    import checks_page
    import commands_page
    import measurements_page
    import promises_page
    import schema_page
    import service_page
    import settings_page
    import sizing_page
    import transcript_page
    import versions_page

    return {
        "settings": settings_page.markdown,
        "schema": schema_page.markdown,
        "promises": promises_page.markdown,
        "chaos": chaos_page.markdown,
        "checks": checks_page.markdown,
        "commands": commands_page.markdown,
        "measurements": measurements_page.markdown,
        "profile": measurements_page.profile,
        "rates": sizing_page.rates,
        "hosts": sizing_page.hosts,
        "database": sizing_page.database,
        "versions": versions_page.markdown,
        "console": measurements_page.console,
        "transcript": transcript_page.markdown,
        "usage": service_page.usage,
        "metrics": service_page.metrics,
    }


def expand(text: str) -> str:
    """The page with its markers replaced. Raises KeyError for a generator that does not exist."""
    return MARKER.sub(lambda match: generators()[match["name"]](), text)


def _expand_source(_app: Sphinx, _docname: str, source: list[str]) -> None:
    source[0] = expand(source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", _expand_source)
    # what is generated follows the code, which Sphinx does not watch
    app.connect("env-get-outdated", lambda _app, env, *_: sorted(env.found_docs))
    return {"parallel_read_safe": True, "version": "1"}
