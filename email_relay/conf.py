"""The only reader of the project's ``DJANGO_EMAIL_RELAY``: typed, validated, frozen.

Each field of `RelaySettings` documents itself in its metadata (who reads it, unit, meaning, the check it must pass); the
reference page and the command that prints settings are made from there. Unknown and ill-typed keys are refused (P12).
"""

from __future__ import annotations

import dataclasses
import functools
import re
from datetime import timedelta
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, Union

from django.conf import settings
from django.core.signals import setting_changed

from email_relay import source_policies
from email_relay.exceptions import ConfigurationError

EMAIL_RELAY_SETTINGS_NAME = "DJANGO_EMAIL_RELAY"
EMAIL_RELAY_DATABASE_ALIAS = "email_relay_db"

DAY = 24 * 60 * 60
MEBIBYTE = 1024 * 1024

Check = Callable[[Any], Optional[str]]
Timeout = Union[float, Tuple[Optional[float], Optional[float]]]


def _integer(least: int, most: int | None = None) -> Check:
    def check(value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int):
            return "must be a whole number"
        if value < least or (most is not None and value > most):
            return f"must be at least {least}" if most is None else f"must be between {least} and {most}"
        return None

    return check


def _seconds(least: float) -> Check:
    def check(value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < float("inf"):
            return f"must be a number of seconds, at least {least:g}"
        return None

    return check


def _duration(value: Any) -> str | None:
    if isinstance(value, timedelta):
        return None if value > timedelta(0) else "must be longer than nothing"
    return _seconds(1)(value)


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be True or False"


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value.strip() else "must be a text that is not empty"


def _url(value: Any) -> str | None:
    return None if isinstance(value, str) and re.match(r"https?://[^\s/]+", value) else "must be an http(s) URL"


def _one_of(*allowed: str) -> Check:
    def check(value: Any) -> str | None:
        return None if value in allowed else f"must be one of {', '.join(allowed)}"

    return check


def _texts(value: Any) -> str | None:
    if isinstance(value, (list, tuple, set, frozenset)) and all(isinstance(item, str) and item for item in value):
        return None
    return "must be a list of texts"


def _timeout(value: Any) -> str | None:
    parts = value if isinstance(value, tuple) and len(value) == 2 else (value,)  # noqa: PLR2004 - connect and read
    usable = all(part is None or _seconds(0.001)(part) is None for part in parts)
    if usable and (value is not None):
        return None
    return "must be a number of seconds, or a pair (connect, read) of which either may be None"


def _status_code(value: Any) -> str | None:
    return _integer(100, 599)(value)


def setting(default: Any, check: Check, *, side: str, meaning: str, unit: str = "") -> Any:
    """A documented field. ``side`` is "client", "relay" or "both"; a default of None means "not set" and passes."""
    metadata = {"check": check, "side": side, "meaning": meaning, "unit": unit}
    if isinstance(default, (dict, list)):
        return dataclasses.field(default_factory=lambda: default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class RelaySettings:
    """Everything ``DJANGO_EMAIL_RELAY`` may hold, with its default."""

    # names, defaults and meaning as in django-email-relay 0.6.0
    DATABASE_ALIAS: str = setting(
        EMAIL_RELAY_DATABASE_ALIAS, _text, side="both", meaning="Alias the router sends the relay's tables to."
    )
    EMAIL_MAX_BATCH: int | None = setting(
        None,
        _integer(1),
        side="relay",
        meaning="Most messages one drain may take; the next, of any relay, begins a pause later.",
    )
    EMAIL_MAX_DEFERRED: int | None = setting(
        None, _integer(1), side="relay", meaning="A drain stops after so many deferrals."
    )
    EMAIL_MAX_RETRIES: int | None = setting(
        None,
        _integer(0),
        side="relay",
        meaning="Retries of one message before it fails; unlimited within its lifetime.",
    )
    EMPTY_QUEUE_SLEEP: float = setting(
        30, _seconds(0.1), side="relay", unit="seconds", meaning="Pause between polls of an empty queue."
    )
    EMAIL_THROTTLE: float = setting(
        0, _seconds(0), side="relay", unit="seconds", meaning="Least time between two messages, over all relays."
    )
    MESSAGES_BATCH_SIZE: int | None = setting(
        None, _integer(1), side="client", meaning="Most rows in one INSERT when many messages are sent at once."
    )
    MESSAGES_RETENTION_SECONDS: int | None = setting(
        None, _integer(0), side="relay", unit="seconds", meaning="Sent mail is kept so long; 0 deletes it once sent."
    )
    RELAY_HEALTHCHECK_METHOD: str = setting(
        "GET", _one_of("GET", "HEAD", "POST", "PUT"), side="relay", meaning="HTTP method of the heartbeat."
    )
    RELAY_HEALTHCHECK_STATUS_CODE: int = setting(
        200, _status_code, side="relay", meaning="Answer that counts as received."
    )
    RELAY_HEALTHCHECK_TIMEOUT: Timeout = setting(
        5.0, _timeout, side="relay", unit="seconds", meaning="Time-out of the heartbeat, or (connect, read)."
    )
    RELAY_HEALTHCHECK_URL: str | None = setting(
        None, _url, side="relay", meaning="URL of a dead man's switch, pinged after drains and when idle."
    )

    # the client
    SOURCE: str | None = setting(
        None, _text, side="client", meaning="Name of the project; by default the first part of its settings module."
    )
    DEFAULT_PRIORITY: int = setting(2, _integer(1, 3), side="client", meaning="1 low, 2 medium, 3 high.")
    MESSAGE_MAX_BYTES: int = setting(
        25 * MEBIBYTE, _integer(1024), side="client", unit="bytes", meaning="Largest rendered message that is queued."
    )
    ENQUEUE_ON_COMMIT: bool | str = setting(
        False,
        lambda value: None if isinstance(value, (bool, str)) else "must be True, False or a database alias",
        side="client",
        meaning="Queue only once the project's transaction commits: True for `default`, or the alias to watch.",
    )
    OVERRIDE_RECIPIENTS: List[str] | None = setting(
        None, _texts, side="client", meaning="Staging: all mail goes to these; a header keeps the original recipients."
    )
    ALLOWED_RECIPIENT_DOMAINS: List[str] | None = setting(
        None, _texts, side="client", meaning="Staging: recipients elsewhere are dropped; a header keeps them."
    )

    # the way out
    RELAY_EMAIL_BACKEND: str | None = setting(
        None,
        _text,
        side="relay",
        meaning="Dotted path of the Django backend to deliver by, where EMAIL_BACKEND queues.",
    )
    RELAY_MAILER: str | None = setting(
        None, _text, side="relay", meaning="Alias in MAILERS to deliver by (Django 6.1 and later)."
    )
    SMTP_MAX_SESSIONS: int = setting(
        16, _integer(1, 200), side="relay", meaning="Most sessions one process opens; few are opened to a quick server."
    )
    SMTP_MAX_SESSIONS_TOTAL: int | None = setting(
        None, _integer(1), side="relay", meaning="Most sessions to the server over all relays."
    )
    MESSAGES_PER_MINUTE: int | None = setting(
        None, _integer(1), side="relay", meaning="Most messages a minute over all relays."
    )
    SMTP_PIPELINING: bool = setting(True, _flag, side="relay", meaning="Use PIPELINING where the server offers it.")
    SMTP_LOCAL_HOSTNAME: str | None = setting(
        None, _text, side="relay", meaning="Name said in EHLO; by default the machine's."
    )
    SMTP_SESSION_MAX_MESSAGES: int | None = setting(
        None, _integer(1), side="relay", meaning="Messages in one session before it is closed."
    )
    SMTP_SESSION_MAX_SECONDS: float = setting(
        300, _seconds(1), side="relay", unit="seconds", meaning="Age at which a session is closed."
    )
    SMTP_TLS_CA_FILE: str | None = setting(
        None, _text, side="relay", meaning="File of authorities to trust, instead of the system's."
    )
    SMTP_TLS_MINIMUM_VERSION: str = setting("1.2", _one_of("1.2", "1.3"), side="relay", meaning="Oldest TLS accepted.")
    SMTP_TLS_VERIFY: bool = setting(True, _flag, side="relay", meaning="Check the server's certificate and name.")
    SMTP_TLS_OPPORTUNISTIC: bool = setting(
        False, _flag, side="relay", meaning="Use STARTTLS where offered, unverified, and plaintext elsewhere."
    )
    SMTP_ALLOW_PLAINTEXT_LOGIN: bool = setting(
        False, _flag, side="relay", meaning="Allow a login without TLS to a host that is not this machine."
    )

    # the engine
    CLAIM_MAX_ROWS: int = setting(
        500, _integer(1, 10_000), side="relay", meaning="Most messages a relay holds at a time."
    )
    CLAIM_MAX_BYTES: int = setting(
        4 * MEBIBYTE, _integer(1024), side="relay", unit="bytes", meaning="Most bytes in one claim of several messages."
    )
    LEASE_SECONDS: float = setting(
        120, _seconds(2), side="relay", unit="seconds", meaning="A dead relay's messages are taken over after this."
    )
    MESSAGE_LIFETIME: float | timedelta = setting(
        5 * DAY, _duration, side="relay", unit="seconds or timedelta", meaning="Deferred mail older than this fails."
    )
    RETRY_BASE_SECONDS: float = setting(
        60,
        _seconds(0.1),
        side="relay",
        unit="seconds",
        meaning="Pause after the first deferral; it doubles from there.",
    )
    RETRY_MAX_SECONDS: float = setting(
        3600, _seconds(0.1), side="relay", unit="seconds", meaning="Longest pause between two attempts."
    )
    FAILED_RETENTION_SECONDS: int | None = setting(
        None, _integer(0), side="relay", unit="seconds", meaning="Failed and canceled mail is kept so long."
    )
    BODY_RETENTION_SECONDS: int | None = setting(
        None, _integer(0), side="relay", unit="seconds", meaning="Bodies of sent mail are dropped after this."
    )
    RELAY_HEALTHCHECK_FAILURE_URL: str | None = setting(
        None, _url, side="relay", meaning="URL pinged instead while the relay cannot do its job."
    )
    RELAY_HEALTHCHECK_MAX_AGE: float = setting(
        3600, _seconds(1), side="relay", unit="seconds", meaning="No heartbeat while the oldest due mail is older."
    )
    RELAY_HEALTHCHECK_STYLE: str = setting(
        "plain",
        _one_of("plain", "healthchecks.io"),
        side="relay",
        meaning="With healthchecks.io: /start, /fail, rid, and counts or the reason as body.",
    )

    # safety and console
    SOURCE_POLICIES: Dict[str, Any] = setting(
        {},
        source_policies.complaint,
        side="relay",
        meaning="Limits per source: senders, domains, recipients, size, rate.",
    )
    SUPPRESS_UNKNOWN_USERS: bool = setting(
        False, _flag, side="relay", meaning="Put addresses on the suppression list when the server knows no such user."
    )
    CONSOLE_SHOW_BODIES: bool = setting(
        True, _flag, side="relay", meaning="Show bodies and attachments in the admin and the command line."
    )

    @property
    def lifetime(self) -> timedelta:
        value = self.MESSAGE_LIFETIME
        return value if isinstance(value, timedelta) else timedelta(seconds=value)


def problems(given: Any) -> list[str]:
    """Everything wrong with a ``DJANGO_EMAIL_RELAY``, one sentence each that names the key and the mend."""
    if not isinstance(given, Mapping):
        return [f"{EMAIL_RELAY_SETTINGS_NAME} must be a dictionary, not {type(given).__name__}."]
    known = {field.name: field for field in dataclasses.fields(RelaySettings)}
    found = []
    for key, value in given.items():
        if key not in known:
            found.append(_unknown(key, list(known)))
        elif not (value is None and known[key].default is None):
            complaint = known[key].metadata["check"](value)
            if complaint:
                found.append(f"{EMAIL_RELAY_SETTINGS_NAME}[{key!r}] {complaint}; it is a {type(value).__name__}.")
    return found


def _unknown(key: Any, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(str(key), known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{EMAIL_RELAY_SETTINGS_NAME} has an unknown key {key!r}.{hint}"


@functools.lru_cache(maxsize=1)
def relay_settings() -> RelaySettings:
    """The settings in force. Raises `ConfigurationError` that lists every problem at once."""
    given = getattr(settings, EMAIL_RELAY_SETTINGS_NAME, {})
    found = problems(given)
    if found:
        raise ConfigurationError(" ".join(found))
    return RelaySettings(**given)


def _forget(*, setting: str, **_: Any) -> None:
    if setting == EMAIL_RELAY_SETTINGS_NAME:
        relay_settings.cache_clear()


setting_changed.connect(_forget, dispatch_uid="email_relay.conf")


def source_name() -> str:
    """The name this project's mail carries: ``SOURCE``, or the first part of its settings module."""
    return relay_settings().SOURCE or _settings_module().split(".")[0] or "django"


def _settings_module() -> str:
    return str(getattr(settings, "SETTINGS_MODULE", "") or "")
