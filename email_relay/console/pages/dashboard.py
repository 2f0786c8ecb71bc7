"""The dashboard: is the relay alive, what waits, what fails. A plain view, so that a service can mount it anywhere."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from email_relay.console.access import may_view
from email_relay.console.chart import chart, labels
from email_relay.console.overview import COUNTED, Overview, overview
from email_relay.models import Status

PAGE = "email_relay/console/dashboard.html"
FRAGMENT = "email_relay/console/_dashboard.html"
AWAY = "email_relay/console/_away.html"


@require_safe
@never_cache
def dashboard(request: HttpRequest) -> HttpResponse:
    """The page, or with ``?fragment`` only what its script puts in the old one's place."""
    if not (request.user.is_active and request.user.is_staff):
        return redirect_to_login(request.get_full_path(), reverse("admin:login"))
    if not may_view(request):
        raise PermissionDenied
    found = shown()
    if "fragment" in request.GET:
        return render(request, found["content"], found, status=found["code"])
    page = {**admin.site.each_context(request), "title": "Email relay", **found}
    return render(request, PAGE, page, status=found["code"])


def shown() -> dict[str, Any]:
    """The template's context; a database that is away is an answer too."""
    try:
        state = overview()
    except DatabaseError as error:
        return {"content": AWAY, "code": 503, "kind": type(error).__name__}
    return {"content": FRAGMENT, "code": 200, **_context(state)}


def _context(state: Overview) -> dict[str, Any]:
    recent = state.minutes[-60:]
    return {
        "state": state,
        "statuses": [Status(status) for status in COUNTED],
        "totals": [(Status(status), state.totals[status]) for status in COUNTED],
        "chart": chart(state.minutes),
        "labels": labels(state.minutes),
        "span": len(state.minutes),
        "recent_span": len(recent),
        "sent": sum(minute.sent for minute in recent),
        "failed": sum(minute.failed for minute in recent),
        "most": max((minute.sent + minute.failed for minute in state.minutes), default=0),
    }
