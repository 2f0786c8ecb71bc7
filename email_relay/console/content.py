"""One message's content for people: read from the row only when a page asks for it."""

from __future__ import annotations

import base64
import re

from email_relay.exceptions import UnreadablePayload
from email_relay.mime import Parts, parts
from email_relay.models import Message
from email_relay.payload import content_of

INLINE_LIMIT = 5 * 1024 * 1024
"""Bytes of images that are put into the preview; the others are shown as missing, and can be downloaded."""

REACHING = re.compile(r"<(?=(?:i?frame|fencedframe|portal|object|embed|link)\b)", re.IGNORECASE)
"""Elements that could show nothing under the page's policy, but for which Chromium opens a connection beforehand."""

CID = re.compile(r"cid:([^\"'\s)>]+)", re.IGNORECASE)


def bytes_of(message: Message) -> bytes:
    """The message as it goes over SMTP. Raises `UnreadablePayload`, also where the body is not kept any longer."""
    return content_of(message).content


def parts_of(message: Message) -> Parts | None:
    """Headers, bodies and attachments, or None if there is nothing to read."""
    try:
        return parts(bytes_of(message))
    except UnreadablePayload:
        return None


def preview_html(content: Parts) -> str:
    """The HTML body, its own images inside it. The page's policy keeps it from doing anything."""
    images: dict[str, str] = {}
    room = INLINE_LIMIT
    for attachment in content.attachments:
        if attachment.content_id and attachment.mimetype.startswith("image/") and attachment.size <= room:
            room -= attachment.size
            encoded = base64.b64encode(attachment.content).decode("ascii")
            images[attachment.content_id] = f"data:{attachment.mimetype};base64,{encoded}"
    html = CID.sub(lambda found: images.get(found.group(1), found.group(0)), content.html)
    return REACHING.sub("<x-", html)
