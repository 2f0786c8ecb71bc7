"""From the bytes of a message back to what people look at, and to Django's own class.

Pure. Whatever the bytes hold, reading them does not fail: what is not understood is shown as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message as StandardMessage
from typing import Iterator, List, Sequence, Tuple

from django.core.mail import EmailMultiAlternatives

from email_relay.stored import StoredEmail, django_part
from email_relay.written import decode, header_fields

BODY_TYPES = ("text/plain", "text/html")


@dataclass(frozen=True)
class Attachment:
    """One part of a message that is not its body."""

    filename: str
    mimetype: str
    content: bytes
    content_id: str = ""
    inline: bool = False

    @property
    def size(self) -> int:
        return len(self.content)


@dataclass(frozen=True)
class Parts:
    """What people look at: header fields decoded and in order, the two bodies, the attachments."""

    headers: Tuple[Tuple[str, str], ...]
    text: str = ""
    html: str = ""
    attachments: Tuple[Attachment, ...] = ()


@dataclass
class Reading:
    """A message taken apart the way Django puts one together.

    ``bodies`` are (content, mimetype) in order of growing preference, ``rest`` the parts beside them.
    """

    bodies: List[Tuple[str, str]] = field(default_factory=list)
    rest: List[StandardMessage] = field(default_factory=list)


def parts(content: bytes) -> Parts:
    """What people look at."""
    message = message_from_bytes(content)
    reading = read(message)
    texts = [body for body, mimetype in reading.bodies if mimetype == "text/plain"]
    htmls = [body for body, mimetype in reading.bodies if mimetype == "text/html"]
    headers = tuple((name, decode(value)) for name, value in message.items())
    others = [_of_body(body, mimetype) for body, mimetype in reading.bodies if mimetype not in BODY_TYPES]
    attachments = (*others, *(_attachment(part) for part in reading.rest))
    return Parts(headers, "\n".join(texts), "\n".join(htmls), attachments)


def to_email(content: bytes, sender: str, recipients: Sequence[str]) -> EmailMultiAlternatives:
    """The message as Django's class, so that any of its backends delivers it.

    ``recipients()`` are exactly those given, in the form of the header where one names them; subject, bodies, headers
    and attachments are there to read; ``message()`` gives the bytes themselves, untouched.
    """
    message = message_from_bytes(content)
    reading = read(message)
    email = StoredEmail(content, **header_fields(message, sender, recipients))
    first = reading.bodies[:1]
    if first and (first[0][1] == "text/plain" or len(reading.bodies) == 1):
        email.body = first[0][0]
        email.content_subtype = first[0][1].partition("/")[2]
    for body, mimetype in reading.bodies[1 if email.body or email.content_subtype != "plain" else 0 :]:
        email.attach_alternative(body, mimetype)
    for part in reading.rest:
        _attach(email, part)
    return email


def read(message: StandardMessage) -> Reading:
    """Take a message apart."""
    reading = Reading()
    _read_into(reading, message, body=True)
    return reading


def _read_into(reading: Reading, part: StandardMessage, *, body: bool) -> None:
    kind = part.get_content_type()
    if kind == "multipart/alternative" and body:
        for child in _children(part):
            _read_into(reading, child, body=True)
    elif kind in ("multipart/mixed", "multipart/related", "multipart/signed", "multipart/report"):
        for number, child in enumerate(_children(part)):
            _read_into(reading, child, body=body and number == 0)
    elif body and part.get_content_maintype() == "text" and part.get_content_disposition() != "attachment":
        reading.bodies.append((text_of(part), kind))
    else:
        reading.rest.append(part)


def _children(part: StandardMessage) -> Iterator[StandardMessage]:
    payload = part.get_payload()
    return (child for child in payload if isinstance(child, StandardMessage)) if isinstance(payload, list) else iter(())


def text_of(part: StandardMessage) -> str:
    """The text of a leaf, by its charset, else as UTF-8, else as Latin-1."""
    raw = bytes_of(part)
    for charset in (str(part.get_content_charset() or "utf-8"), "utf-8"):
        try:
            return _unix_lines(raw.decode(charset))
        except (LookupError, UnicodeError):
            continue
    return _unix_lines(raw.decode("latin-1"))


def _unix_lines(text: str) -> str:
    return text.replace("\r\n", "\n")


def bytes_of(part: StandardMessage) -> bytes:
    """The content of a leaf, decoded; of a message or multipart, its source."""
    if part.get_content_maintype() == "message" and part.is_multipart():
        children = list(_children(part))
        return children[0].as_bytes() if children else b""
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else part.as_bytes()


def _attachment(part: StandardMessage) -> Attachment:
    return Attachment(
        filename=decode(part.get_filename() or ""),
        mimetype=part.get_content_type(),
        content=bytes_of(part),
        content_id=str(part.get("Content-ID", "")).strip(" <>"),
        inline=part.get_content_disposition() == "inline" or "Content-ID" in part,
    )


def _of_body(text: str, mimetype: str) -> Attachment:
    return Attachment(filename="", mimetype=mimetype, content=text.encode("utf-8", "replace"))


def _attach(email: EmailMultiAlternatives, part: StandardMessage) -> None:
    """A plain attachment by name and content; anything with more to it (Content-ID, inline) as it is."""
    plain = part.get_content_disposition() == "attachment" and "Content-ID" not in part
    kind = part.get_content_type()
    if not plain or part.is_multipart():
        email.attachments.append(django_part(part))
    elif part.get_content_maintype() == "text":
        email.attach(decode(part.get_filename() or "") or None, text_of(part), kind)
    else:
        email.attach(decode(part.get_filename() or "") or None, bytes_of(part), kind)
