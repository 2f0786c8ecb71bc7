"""System checks: what is misconfigured, with an id, the mend, and where the documentation explains it (P12).

Errors make ``manage.py check`` (and with it ``migrate`` and ``runserver``) stop; deployment checks run with ``--deploy``.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, Sequence

from django.conf import settings
from django.core import checks
from django.db import connections
from django.utils.module_loading import import_string

from email_relay.compat import HAS_MAILERS, mailers_setting
from email_relay.conf import EMAIL_RELAY_SETTINGS_NAME, RelaySettings, problems, relay_settings
from email_relay.db import relay_alias
from email_relay.exceptions import InvalidOption

DOCS = "https://django-email-relay.readthedocs.io/reference/checks.html"
TAG = "email_relay"
ROUTER = "email_relay.db.EmailDatabaseRouter"

Finding = checks.CheckMessage
Check = Callable[[RelaySettings], Iterator[Finding]]
CHECKS: List[Check] = []
DEPLOY_CHECKS: List[Check] = []


def check(function: Check) -> Check:
    CHECKS.append(function)
    return function


def deploy_check(function: Check) -> Check:
    DEPLOY_CHECKS.append(function)
    return function


@checks.register(TAG)
def check_all(app_configs: Any = None, **_: Any) -> List[Finding]:
    """Everything that is wrong on any machine."""
    wrong = problems(getattr(settings, EMAIL_RELAY_SETTINGS_NAME, {}))
    if wrong:  # nothing else can be judged by settings that cannot be read
        return [error("E001", problem, f"Mend {EMAIL_RELAY_SETTINGS_NAME}.") for problem in wrong]
    return _run(CHECKS)


@checks.register(TAG, deploy=True)
def check_deployment(app_configs: Any = None, **_: Any) -> List[Finding]:
    """What is fine for development and not in production."""
    if problems(getattr(settings, EMAIL_RELAY_SETTINGS_NAME, {})):
        return []
    return _run(DEPLOY_CHECKS)


def _run(functions: Sequence[Check]) -> List[Finding]:
    return [finding for function in functions for finding in function(relay_settings())]


def error(number: str, text: str, hint: str) -> Finding:
    return checks.Error(text, hint=f"{hint} See {DOCS}#{number.lower()}", id=f"email_relay.{number}")


def warning(number: str, text: str, hint: str) -> Finding:
    return checks.Warning(text, hint=f"{hint} See {DOCS}#{number.lower()}", id=f"email_relay.{number}")


@check
def relay_database_is_known(_: RelaySettings) -> Iterator[Finding]:
    alias = relay_alias()
    if alias not in connections.databases:
        yield error(
            "E002",
            f"The relay's tables are routed to the database {alias!r}, which DATABASES does not have.",
            f"Add {alias!r} to DATABASES, or name another in {EMAIL_RELAY_SETTINGS_NAME}['DATABASE_ALIAS'].",
        )


@check
def watched_database_is_known(relay: RelaySettings) -> Iterator[Finding]:
    watched = relay.ENQUEUE_ON_COMMIT
    if isinstance(watched, str) and watched not in connections.databases:
        yield error(
            "E003",
            f"ENQUEUE_ON_COMMIT waits for the database {watched!r}, which DATABASES does not have.",
            "Use True for `default`, or an alias in DATABASES.",
        )


@check
def relay_does_not_queue(relay: RelaySettings) -> Iterator[Finding]:
    named = {}
    if relay.RELAY_EMAIL_BACKEND:
        named[f"RELAY_EMAIL_BACKEND = {relay.RELAY_EMAIL_BACKEND!r}"] = relay.RELAY_EMAIL_BACKEND
    if relay.RELAY_MAILER in mailers_setting():
        named[f"RELAY_MAILER = {relay.RELAY_MAILER!r}"] = _backend_of(mailers_setting()[str(relay.RELAY_MAILER)])
    for name, path in named.items():
        if _queues(path):
            yield error(
                "E004",
                f"The relay would queue into itself: {name} is the queueing backend.",
                "Name the backend that really sends, such as django.core.mail.backends.smtp.EmailBackend.",
            )


@check
def relay_backend_can_be_imported(relay: RelaySettings) -> Iterator[Finding]:
    path = relay.RELAY_EMAIL_BACKEND
    if path and _imported(path) is None:
        yield error("E005", f"RELAY_EMAIL_BACKEND {path!r} cannot be imported.", "Correct the dotted path.")


@check
def relay_mailer_is_known(relay: RelaySettings) -> Iterator[Finding]:
    mailer = relay.RELAY_MAILER
    if mailer and not HAS_MAILERS:
        yield error("E006", "RELAY_MAILER needs Django 6.1.", "Set RELAY_EMAIL_BACKEND on this Django.")
    elif mailer and mailer not in mailers_setting():
        yield error("E006", f"RELAY_MAILER {mailer!r} is not in MAILERS.", "Add it to MAILERS, or name one that is.")


@check
def one_way_out(relay: RelaySettings) -> Iterator[Finding]:
    if relay.RELAY_MAILER and relay.RELAY_EMAIL_BACKEND:
        yield error("E007", "RELAY_MAILER and RELAY_EMAIL_BACKEND exclude each other.", "Keep one of them.")


@check
def mailer_options_are_usable(_: RelaySettings) -> Iterator[Finding]:
    from email_relay.options import CONVERTERS, check_defaults

    known = {*CONVERTERS, "fail_silently"}
    for alias, mailer in mailers_setting().items():
        if not _queues(_backend_of(mailer)):
            continue
        options: Dict[str, Any] = dict(mailer.get("OPTIONS", {}))
        unknown = sorted(set(options) - known)
        complaint = f"unknown options {', '.join(unknown)}" if unknown else ""
        try:
            check_defaults({name: value for name, value in options.items() if name in CONVERTERS})
        except InvalidOption as problem:
            complaint = complaint or str(problem)
        if complaint:
            yield error("E008", f"MAILERS[{alias!r}]: {complaint}", f"The options are {', '.join(sorted(known))}.")


@check
def own_database_has_the_router(relay: RelaySettings) -> Iterator[Finding]:
    alias = relay.DATABASE_ALIAS
    if alias in connections.databases and relay_alias() != alias:
        yield warning(
            "W001",
            f"DATABASES has {alias!r}, and yet mail is queued in {relay_alias()!r}.",
            f"Add {ROUTER!r} to DATABASE_ROUTERS, or remove the alias.",
        )


@check
def instants_are_aware(_: RelaySettings) -> Iterator[Finding]:
    if not settings.USE_TZ:
        yield warning(
            "W002",
            "USE_TZ is False: the queue's instants are shown in local time, and send_at still needs a time zone.",
            "Set USE_TZ = True if you can; a relay must have it.",
        )


@deploy_check
def database_serves_many_machines(_: RelaySettings) -> Iterator[Finding]:
    alias = relay_alias()
    if connections.databases.get(alias, {}).get("ENGINE", "").endswith("sqlite3"):
        yield warning(
            "W010",
            "The relay database is SQLite: one machine, and one writer at a time.",
            "Use PostgreSQL, or MariaDB, in production.",
        )


@deploy_check
def staging_is_over(relay: RelaySettings) -> Iterator[Finding]:
    for name in ("OVERRIDE_RECIPIENTS", "ALLOWED_RECIPIENT_DOMAINS"):
        if getattr(relay, name) is not None:
            yield warning("W011", f"{name} is set: mail does not reach all its recipients.", "Remove it in production.")


@deploy_check
def queries_are_not_kept(_: RelaySettings) -> Iterator[Finding]:
    if settings.DEBUG:
        yield warning("W012", "DEBUG is on: a relay keeps its latest queries in memory.", "Set DEBUG = False.")


@deploy_check
def certificate_is_verified(relay: RelaySettings) -> Iterator[Finding]:
    if not relay.SMTP_TLS_VERIFY or relay.SMTP_TLS_OPPORTUNISTIC:
        yield warning(
            "W013",
            "The SMTP server's certificate is not verified: whoever is in between can read the mail and the password.",
            "Unset SMTP_TLS_VERIFY and SMTP_TLS_OPPORTUNISTIC; trust a private authority by SMTP_TLS_CA_FILE.",
        )


@deploy_check
def password_is_encrypted(relay: RelaySettings) -> Iterator[Finding]:
    if relay.SMTP_ALLOW_PLAINTEXT_LOGIN:
        yield warning("W014", "SMTP_ALLOW_PLAINTEXT_LOGIN is on: the password goes over the wire.", "Use TLS.")


def _backend_of(mailer: Dict[str, Any]) -> str:
    return str(mailer.get("BACKEND", "django.core.mail.backends.smtp.EmailBackend"))


def _imported(path: str) -> Any:
    try:
        return import_string(path)
    except ImportError:
        return None


def _queues(path: str) -> bool:
    from email_relay.backend import RelayDatabaseEmailBackend

    backend = _imported(path)
    return isinstance(backend, type) and issubclass(backend, RelayDatabaseEmailBackend)
