"""The header of a parsed message as the keywords of Django's `EmailMultiAlternatives`. Pure."""

from __future__ import annotations

from email.header import decode_header, make_header
from email.message import Message as StandardMessage
from email.utils import formataddr, getaddresses
from typing import Any, Dict, List, Sequence, Tuple

ADDRESS_FIELDS = ("to", "cc", "reply-to")
STRUCTURAL = ("subject", "from", *ADDRESS_FIELDS, "mime-version", "content-type", "content-transfer-encoding")


def header_fields(message: StandardMessage, sender: str, recipients: Sequence[str]) -> Dict[str, Any]:
    """Keywords whose ``recipients()`` are exactly ``recipients``; who is in no header is a Bcc."""
    owed = list(recipients)
    to = _take(_mailboxes(message, "To"), owed)
    cc = _take(_mailboxes(message, "Cc"), owed)
    headers = {name: decode(value) for name, value in message.items() if name.lower() not in STRUCTURAL}
    from_header = _one_line(message.get("From", ""))
    from_email = sender
    if [address for _, address in getaddresses([from_header])] == [sender]:
        from_email = _joined(_mailboxes(message, "From"))
    elif from_header:
        headers["From"] = _joined(_mailboxes(message, "From")) or decode(from_header)
    for name, kept in (("To", to), ("Cc", cc)):
        if name in message and len(kept) != len(_mailboxes(message, name)):
            headers[name] = _joined(_mailboxes(message, name)) or decode(message[name])
    return {
        "subject": decode(message.get("Subject", "")),
        "from_email": from_email,
        "to": to,
        "cc": cc,
        "bcc": owed,
        "reply_to": [formataddr_plain(mailbox) for mailbox in _mailboxes(message, "Reply-To")],
        "headers": headers,
    }


def decode(value: object) -> str:
    """A header's value in one line and without encoded words; as it stands if they cannot be read."""
    text = _one_line(value)
    try:
        return str(make_header(decode_header(text)))
    except (LookupError, UnicodeError, ValueError):
        return text


def _one_line(value: object) -> str:
    return "".join(str(value).splitlines()).strip()


def _mailboxes(message: StandardMessage, name: str) -> List[Tuple[str, str]]:
    """Display name (decoded) and address of each mailbox in a header field."""
    values = [_one_line(value) for value in message.get_all(name, [])]
    return [(decode(display), address) for display, address in getaddresses(values) if address]


def _take(mailboxes: Sequence[Tuple[str, str]], owed: List[str]) -> List[str]:
    """The mailboxes that are owed the message; each is struck off the list of those owed."""
    taken = []
    for mailbox in mailboxes:
        if mailbox[1] in owed:
            owed.remove(mailbox[1])
            taken.append(formataddr_plain(mailbox))
    return taken


def formataddr_plain(mailbox: Tuple[str, str]) -> str:
    """``Name <address>`` with the name quoted where it must be, and not encoded: Django does that when it sends."""
    display, address = mailbox
    if not display:
        return address
    return formataddr((display, address)) if display.isascii() else _quoted(display, address)


def _quoted(display: str, address: str) -> str:
    if any(character in display for character in '()<>@,:;".[]\\'):
        escaped = display.replace("\\", "\\\\").replace('"', '\\"')
        display = f'"{escaped}"'
    return f"{display} <{address}>"


def _joined(mailboxes: Sequence[Tuple[str, str]]) -> str:
    return ", ".join(formataddr_plain(mailbox) for mailbox in mailboxes)
