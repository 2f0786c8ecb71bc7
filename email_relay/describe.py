"""The ``data`` column of a new row: what people read and search, never what is sent.

Pure. NUL and lone surrogates, which no database takes in JSON, become U+FFFD.
"""

from __future__ import annotations

import re
from email.message import Message as StandardMessage
from typing import Any, Dict, Iterable, List

from django.core.mail import EmailMessage

from email_relay import __version__

FORMAT = 2
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def describe(email: EmailMessage) -> Dict[str, Any]:
    """The message as the columns' reader sees it; the keys are those of a 0.x payload plus ``format``, less the bodies."""
    return {
        "subject": storable(email.subject),
        "from_email": storable(email.from_email),
        "to": _texts(email.to),
        "cc": _texts(email.cc),
        "bcc": _texts(email.bcc),
        "reply_to": _texts(email.reply_to),
        "extra_headers": {storable(name): storable(value) for name, value in email.extra_headers.items()},
        "attachments": [_attachment(attachment) for attachment in email.attachments],
        "format": FORMAT,
        "_email_relay_version": __version__,
    }


def storable(value: Any) -> str:
    """A text every database takes."""
    return _UNSTORABLE.sub("\ufffd", str(value))


def _texts(values: Iterable[Any]) -> List[str]:
    return [storable(value) for value in values]


def _attachment(attachment: Any) -> Dict[str, Any]:
    if isinstance(attachment, StandardMessage):
        name, mimetype = attachment.get_filename(), attachment.get_content_type()
        size = len(_payload(attachment))
    else:
        name, content, mimetype = (*attachment, None, None)[:3]
        size = _length(content)
    return {"filename": storable(name or ""), "mimetype": storable(mimetype or ""), "size": size}


def _payload(part: StandardMessage) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _length(content: Any) -> int:
    if isinstance(content, (bytes, bytearray, memoryview)):
        return len(bytes(content))
    return len(content.encode("utf-8", "replace")) if isinstance(content, str) else 0
