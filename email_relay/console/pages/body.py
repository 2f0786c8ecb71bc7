"""Bodies and attachments: what a stranger wrote, shown so that it can do nothing.

The HTML is served in a document of its own whose policy allows no script, no form, no frame and no request; a frame
around it keeps its links from leading anywhere. Every answer is sandboxed, and is taken for nothing but its type.
"""

from __future__ import annotations

from urllib.parse import quote

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_safe

from email_relay.console.access import may_see_bodies, may_view
from email_relay.console.content import bytes_of, parts_of, preview_html
from email_relay.db import relay_alias
from email_relay.exceptions import UnreadablePayload
from email_relay.mime import Parts
from email_relay.models import Message

INERT = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox"
)
FRAME = "default-src 'none'; frame-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'self'"


def readable_message(request: HttpRequest, pk: int) -> Message:
    """The whole row, for those who may read it. Raises PermissionDenied and Http404."""
    if not may_view(request) or not may_see_bodies(request):
        raise PermissionDenied
    try:
        return Message.objects.using(relay_alias()).get(pk=pk)
    except Message.DoesNotExist:
        raise Http404("No such message.") from None


@require_safe
def frame(request: HttpRequest, pk: int) -> HttpResponse:
    """A document around the preview that lets its frame show nothing but this site."""
    readable_message(request, pk)
    inner = reverse("admin:email_relay_message_html", args=[pk])
    page = format_html(
        "<!doctype html><title>Preview</title><style>html,body,iframe{{margin:0;border:0;width:100%;height:100%}}"
        'iframe{{display:block;background:#fff}}</style><iframe sandbox="" src="{}" title="HTML body"></iframe>',
        inner,
    )
    return _answer(page, "text/html; charset=utf-8", policy=FRAME)


@require_safe
def html(request: HttpRequest, pk: int) -> HttpResponse:
    return _answer(preview_html(_parts(request, pk)), "text/html; charset=utf-8")


@require_safe
def source(request: HttpRequest, pk: int) -> HttpResponse:
    """The raw bytes as text, to read in the browser."""
    return _answer(_bytes(request, pk), "text/plain; charset=utf-8")


@require_safe
def eml(request: HttpRequest, pk: int) -> HttpResponse:
    answer = _answer(_bytes(request, pk), "message/rfc822")
    answer["Content-Disposition"] = disposition(f"message-{pk}.eml")
    return answer


@require_safe
def attachment(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """One attachment, counted from 1, always as a download."""
    attachments = _parts(request, pk).attachments
    if not 1 <= number <= len(attachments):
        raise Http404("No such attachment.")
    wanted = attachments[number - 1]
    answer = _answer(wanted.content, "application/octet-stream")
    answer["Content-Disposition"] = disposition(wanted.filename or f"attachment-{number}")
    return answer


def disposition(filename: str) -> str:
    """The header of a download (RFC 6266): the name in ASCII for old clients, and as it is."""
    name = "".join(char for char in filename.replace("\\", "/").rpartition("/")[2] if char.isprintable())[:150]
    plain = name.encode("ascii", "replace").decode("ascii").replace("?", "_").replace('"', "_") or "attachment"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name or 'attachment', safe='')}"


def _bytes(request: HttpRequest, pk: int) -> bytes:
    try:
        return bytes_of(readable_message(request, pk))
    except UnreadablePayload as error:
        raise Http404(str(error)) from error


def _parts(request: HttpRequest, pk: int) -> Parts:
    content = parts_of(readable_message(request, pk))
    if content is None:
        raise Http404("The body is not there.")
    return content


def _answer(content: str | bytes, content_type: str, *, policy: str = INERT) -> HttpResponse:
    answer = HttpResponse(content, content_type=content_type)
    answer["Content-Security-Policy"] = policy
    answer["X-Content-Type-Options"] = "nosniff"
    answer["X-Frame-Options"] = "SAMEORIGIN"
    answer["Referrer-Policy"] = "no-referrer"
    answer["X-DNS-Prefetch-Control"] = "off"  # names in links are not looked up before anybody clicks
    answer["Cache-Control"] = "no-store"
    return answer
