"""From nothing to the point where MAIL may be sent: connect, greeting, EHLO, STARTTLS, AUTH.

``smtplib`` knows that dialogue; here it only gets a socket of ours, so that its replies are read with a total time-out
and what is left over in the buffer is not lost (or, before TLS, not believed).
"""

from __future__ import annotations

import ipaddress
import smtplib
import socket
import ssl
from dataclasses import dataclass

from django.core.mail.utils import DNS_NAME

from email_relay.exceptions import ServerUnavailable
from email_relay.relay.replies import MalformedReply, parse, reply_code
from email_relay.relay.transport.config import SmtpConfig
from email_relay.relay.transport.tls import tls_context
from email_relay.relay.transport.wire import LinkLost, Wire

GREETED = 220
COMPLETED = 250


@dataclass(frozen=True)
class Features:
    """What the server's EHLO offered, and which of it may be used."""

    pipelining: bool = False
    size: bool = False
    eightbit: bool = False
    smtputf8: bool = False


class Opening(smtplib.SMTP):
    """``smtplib``'s dialogue over a `Wire`. Raises what ``smtplib`` raises."""

    def __init__(self, config: SmtpConfig, context: ssl.SSLContext | None) -> None:
        self._config = config
        self._context = context
        self.wire: Wire | None = None
        super().__init__(
            local_hostname=config.local_hostname or DNS_NAME.get_fqdn(),
            timeout=config.connect_timeout,
        )
        # smtplib sets it in connect(), but not in its constructor when no host is given
        self._host = config.host

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock = socket.create_connection((host, port), timeout)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self._config.use_ssl and self._context is not None:
                return self._context.wrap_socket(sock, server_hostname=host)
        except BaseException:
            sock.close()
            raise
        return sock

    def getreply(self) -> tuple[int, bytes]:
        """The next reply as ``smtplib`` wants it: the code, and the text of all lines without it."""
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the link is closed")
        try:
            raw = self._wire().read(self._config.command_timeout)
            code = reply_code(raw)
        except (LinkLost, MalformedReply) as error:
            self.close()
            raise smtplib.SMTPServerDisconnected(str(error)) from error
        return code, b"\n".join(line[4:].strip() for line in raw.splitlines())

    def _wire(self) -> Wire:
        assert self.sock is not None
        if self.wire is None or self.wire.sock is not self.sock:
            self.wire = Wire(self.sock)
        return self.wire

    def begin_tls(self) -> None:
        """STARTTLS as ``smtplib`` does it, but plaintext that came with the 220 is an attack and ends it (CVE-2011-0411)."""
        self.ehlo_or_helo_if_needed()
        if not self.has_extn("starttls"):
            raise smtplib.SMTPNotSupportedError("the server does not offer STARTTLS")
        code, text = self.docmd("STARTTLS")
        if code != GREETED:
            raise smtplib.SMTPResponseException(code, text)
        if self._wire().pending:
            raise smtplib.SMTPException("the server sent plaintext behind its answer to STARTTLS")
        assert self.sock is not None
        assert self._context is not None
        self.sock = self._context.wrap_socket(self.sock, server_hostname=self._config.host)
        self.helo_resp = self.ehlo_resp = None
        self.esmtp_features = {}
        self.does_esmtp = False

    def proceed(self) -> Features:
        """Go all the way, from the socket to the last answer before MAIL."""
        config = self._config
        code, text = self.connect(config.host, config.port)
        if code != GREETED:
            raise smtplib.SMTPConnectError(code, text)
        self.ehlo_or_helo_if_needed()
        if config.use_tls or (config.tls_opportunistic and not config.use_ssl and self.has_extn("starttls")):
            self.begin_tls()
            self.ehlo_or_helo_if_needed()
        if config.username and config.password:
            self._log_in()
        return Features(
            pipelining=config.pipelining and self.has_extn("pipelining"),
            size=self.has_extn("size"),
            eightbit=self.has_extn("8bitmime"),
            smtputf8=self.has_extn("smtputf8"),
        )

    def _log_in(self) -> None:
        trusted = isinstance(self.sock, ssl.SSLSocket) and (self._config.use_tls or self._config.use_ssl)
        if not trusted and not self._config.allow_plaintext_login and not self._local():
            raise smtplib.SMTPException(
                "the password is not sent without TLS to another machine: "
                "set EMAIL_USE_TLS or EMAIL_USE_SSL, or SMTP_ALLOW_PLAINTEXT_LOGIN"
            )
        self.login(self._config.username, self._config.password)

    def _local(self) -> bool:
        assert self.sock is not None
        peer = self.sock.getpeername()[0]
        return ipaddress.ip_address(peer.partition("%")[0]).is_loopback


def open_link(config: SmtpConfig) -> tuple[Wire, Features]:
    """A wire over which MAIL may be sent, and what the server offers. Raises `ServerUnavailable`."""
    context = tls_context(config) if config.use_ssl or config.use_tls or config.tls_opportunistic else None
    opening = Opening(config, context)
    try:
        features = opening.proceed()
        assert opening.wire is not None
        return opening.wire, features  # noqa: TRY300 - the assertion belongs inside
    except (OSError, smtplib.SMTPException, ValueError) as error:
        opening.close()
        raise _unavailable(error, config) from error
    except BaseException:
        opening.close()
        raise


def _unavailable(error: Exception, config: SmtpConfig) -> ServerUnavailable:
    code, reason = 0, str(error)
    if isinstance(error, smtplib.SMTPResponseException):
        code = error.smtp_code
        words = error.smtp_error if isinstance(error.smtp_error, bytes) else str(error.smtp_error).encode()
        reason = f"{code} {_words(words)}".strip()
    elif isinstance(error, ssl.SSLCertVerificationError):
        reason = f"certificate not accepted: {error.verify_message}"
    elif isinstance(error, OSError) and not isinstance(error, smtplib.SMTPException):
        reason = error.strerror or str(error) or type(error).__name__
    elif isinstance(error, UnicodeError):
        reason = "EMAIL_HOST, EMAIL_HOST_USER or EMAIL_HOST_PASSWORD holds characters that cannot be sent"
    if config.password:
        reason = reason.replace(config.password, "***")
    return ServerUnavailable(f"{config.server}: {reason}", code=code)


def _words(said: bytes) -> str:
    reply = parse(b"250 " + b" ".join(said.split()))
    return f"{reply.enhanced} {reply.text}".strip()
