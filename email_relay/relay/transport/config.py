"""What our SMTP transport must know, from Django's ``EMAIL_*`` settings (or a mailer's OPTIONS) and the relay's own."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional

from django.conf import settings

from email_relay.conf import relay_settings
from email_relay.exceptions import ConfigurationError

CONNECT_TIMEOUT = 30.0
COMMAND_TIMEOUT = 60.0
DATA_TIMEOUT = 600.0
"""Seconds. RFC 5321 section 4.5.3.2.6 grants ten minutes for the answer to the final dot: giving up sooner means duplicates."""
HIGHEST_PORT = 65535

_OPTIONS = {
    "host": "EMAIL_HOST",
    "port": "EMAIL_PORT",
    "username": "EMAIL_HOST_USER",
    "password": "EMAIL_HOST_PASSWORD",
    "use_tls": "EMAIL_USE_TLS",
    "use_ssl": "EMAIL_USE_SSL",
    "timeout": "EMAIL_TIMEOUT",
    "ssl_keyfile": "EMAIL_SSL_KEYFILE",
    "ssl_certfile": "EMAIL_SSL_CERTFILE",
}
_DEFAULTS: Mapping[str, Any] = {"host": "localhost", "port": 25, "username": "", "password": ""}


@dataclass(frozen=True)
class SmtpConfig:
    """One server and how to speak to it; checked on construction, with `ConfigurationError` for what cannot work.

    ``timeout`` (seconds), when set, replaces each of the three time-outs. Its repr never shows the password (P13).
    """

    host: str = "localhost"
    port: int = 25
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    use_tls: bool = False
    use_ssl: bool = False
    timeout: Optional[float] = None
    ssl_keyfile: Optional[str] = None
    ssl_certfile: Optional[str] = None
    tls_ca_file: Optional[str] = None
    tls_minimum_version: str = "1.2"
    tls_verify: bool = True
    tls_opportunistic: bool = False
    allow_plaintext_login: bool = False
    pipelining: bool = True
    local_hostname: Optional[str] = None
    session_max_messages: Optional[int] = None
    session_max_seconds: float = 300

    def __post_init__(self) -> None:
        if self.use_tls and self.use_ssl:
            raise ConfigurationError("EMAIL_USE_TLS and EMAIL_USE_SSL exclude each other: set one of them.")
        if self.ssl_keyfile and not self.ssl_certfile:
            raise ConfigurationError("EMAIL_SSL_KEYFILE needs EMAIL_SSL_CERTFILE.")
        if not isinstance(self.port, int) or not 0 < self.port <= HIGHEST_PORT:
            raise ConfigurationError("EMAIL_PORT must be a whole number from 1 to 65535.")
        if self.timeout is not None and not self.timeout > 0:
            raise ConfigurationError("EMAIL_TIMEOUT must be a number of seconds above 0, or None.")
        if self.tls_minimum_version not in {"1.2", "1.3"}:
            raise ConfigurationError("SMTP_TLS_MINIMUM_VERSION must be 1.2 or 1.3.")
        for name in (self.host, self.local_hostname or "localhost"):
            if not name or any(not character.isprintable() or character.isspace() for character in name):
                raise ConfigurationError("EMAIL_HOST and SMTP_LOCAL_HOSTNAME must be host names.")

    @property
    def server(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def connect_timeout(self) -> float:
        return self.timeout or CONNECT_TIMEOUT

    @property
    def command_timeout(self) -> float:
        return self.timeout or COMMAND_TIMEOUT

    @property
    def data_timeout(self) -> float:
        return self.timeout or DATA_TIMEOUT


def smtp_config(options: Optional[Mapping[str, Any]] = None) -> SmtpConfig:
    """The configuration in force: a mailer's ``options`` when given, else the ``EMAIL_*`` settings."""
    given = _from_settings() if options is None else _from_options(options)
    return SmtpConfig(
        **{key: _DEFAULTS[key] if value is None and key in _DEFAULTS else value for key, value in given.items()},
        **_from_relay_settings(),
    )


def email_setting(name: str) -> Any:
    """One of Django's ``EMAIL_*`` settings; AttributeError beside MAILERS.

    Django 6.1 warns of each use of them: of the project's own, where it sets them, and that is enough.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(settings, name)


def _from_settings() -> dict[str, Any]:
    try:
        return {key: email_setting(name) for key, name in _OPTIONS.items()}
    except AttributeError as error:
        raise ConfigurationError(
            "The EMAIL_* settings cannot be read beside MAILERS: name the relay's mailer in RELAY_MAILER."
        ) from error


def _from_options(options: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(options) - set(_OPTIONS) - {"fail_silently"})
    if unknown:
        raise ConfigurationError(f"Unknown OPTIONS of the relay's mailer: {', '.join(unknown)}.")
    return {key: value for key, value in options.items() if key in _OPTIONS}


def _from_relay_settings() -> dict[str, Any]:
    relay = relay_settings()
    return {
        "tls_ca_file": relay.SMTP_TLS_CA_FILE,
        "tls_minimum_version": relay.SMTP_TLS_MINIMUM_VERSION,
        "tls_verify": relay.SMTP_TLS_VERIFY,
        "tls_opportunistic": relay.SMTP_TLS_OPPORTUNISTIC,
        "allow_plaintext_login": relay.SMTP_ALLOW_PLAINTEXT_LOGIN,
        "pipelining": relay.SMTP_PIPELINING,
        "local_hostname": relay.SMTP_LOCAL_HOSTNAME,
        "session_max_messages": relay.SMTP_SESSION_MAX_MESSAGES,
        "session_max_seconds": relay.SMTP_SESSION_MAX_SECONDS,
    }
