"""The message as it goes over the wire after DATA (RFC 5321 sections 2.3.8 and 4.5.2).

The bytes of the queue are sent untouched (P4) but for what the protocol itself demands: dots are stuffed, which the
receiver undoes, and a bare CR or LF, which would let a message smuggle commands past some servers, becomes CRLF.
"""

from __future__ import annotations

import re

END = b"\r\n.\r\n"

_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


def framed(content: bytes) -> tuple[bytes, bytes]:
    """The stuffed content, and what closes it: apart, so that large messages are not copied to be joined."""
    breaks = content.count(b"\r\n")
    if content.count(b"\n") != breaks or content.count(b"\r") != breaks:
        content = _BARE.sub(b"\r\n", content)
    # large messages are base64 mostly, which has no dots: the last dot ends the search
    if content.find(b"\n.", 0, content.rfind(b".") + 1) >= 0:
        content = content.replace(b"\r\n.", b"\r\n..")
    if content.startswith(b"."):
        content = b"." + content
    if not content or content.endswith(b"\r\n"):
        return content, b".\r\n"
    return content, END
