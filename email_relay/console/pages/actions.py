"""The verbs as admin actions, on a selection or on everything a filter selects, and as buttons on one message."""

from __future__ import annotations

from typing import Any, Callable

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_POST

from email_relay.console.access import has_permission, may_view
from email_relay.console.bulk import Outcome, apply, ids_of
from email_relay.console.logbook import record
from email_relay.console.verbs import VERBS, Verb
from email_relay.db import relay_alias

CONFIRM = "admin/email_relay/message/confirm.html"


def action(verb: Verb) -> Callable[[Any, HttpRequest, Any], HttpResponse | None]:
    """The admin's action for a verb. It asks first if the verb is destructive or a whole filter is meant."""

    def act(modeladmin: Any, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        everything = request.POST.get("select_across") == "1"
        ids = ids_of(queryset)
        if (verb.destructive or everything) and "confirmed" not in request.POST:
            return _ask(modeladmin, request, verb, ids, everything)
        _carry_out(request, verb, ids)
        return None

    act.__name__ = verb.name
    hints: Any = act  # Django reads these attributes
    hints.short_description = f"{verb.label} selected messages"
    hints.allowed_permissions = (verb.permission.partition("_")[0],)
    return act


def _ask(modeladmin: Any, request: HttpRequest, verb: Verb, ids: list[int], everything: bool) -> HttpResponse:
    context = {
        **modeladmin.admin_site.each_context(request),
        "title": f"{verb.label} messages",
        "verb": verb,
        "count": len(ids),
        "everything": everything,
        "checkbox": ACTION_CHECKBOX_NAME,
        "selected": [] if everything else request.POST.getlist(ACTION_CHECKBOX_NAME),
        "index": request.POST.get("index", "0"),
        "opts": modeladmin.model._meta,
        "back": request.get_full_path(),
    }
    return TemplateResponse(request, CONFIRM, context)


@require_POST
def act_on_one(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """A button of the detail page."""
    verb = VERBS.get(name)
    if verb is None or not may_view(request) or not has_permission(request, verb.permission):
        raise PermissionDenied
    _carry_out(request, verb, [pk])
    return HttpResponseRedirect(reverse("admin:email_relay_message_change", args=[pk]))


def _carry_out(request: HttpRequest, verb: Verb, ids: list[int]) -> None:
    alias = relay_alias()
    outcome = apply(verb, ids, alias)
    record(request.user.pk, verb, ids, outcome, alias=alias, filters=request.GET.urlencode() or "no filter")
    level = messages.SUCCESS if outcome.changed else messages.WARNING
    messages.add_message(request, level, told(verb, outcome))


def told(verb: Verb, outcome: Outcome) -> str:
    """What became of it, with what was left alone."""
    if outcome.matched == 1:
        return f"The message was {verb.past}." if outcome.changed else f"The message cannot be {verb.past} now."
    left = outcome.matched - outcome.changed
    rest = f" {left} could not be, as they are now." if left else ""
    return f"{outcome.changed} of {outcome.matched} messages were {verb.past}.{rest}"
