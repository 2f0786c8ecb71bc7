"""The queue in the Django admin: read-only rows, verbs instead of edits, bodies in a sandbox."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.timesince import timesince
from django.utils.timezone import now

from email_relay.console import filters
from email_relay.console.pages import actions, body, detail
from email_relay.console.pages.dashboard import dashboard
from email_relay.console.pagination import BoundedPaginator
from email_relay.console.search import search
from email_relay.console.selection import newest_order
from email_relay.console.verbs import VERBS
from email_relay.db import relay_alias
from email_relay.models import Message, Status, Suppression

if TYPE_CHECKING:
    MessageAdminBase = admin.ModelAdmin[Message]
    SuppressionAdminBase = admin.ModelAdmin[Suppression]
else:
    MessageAdminBase = SuppressionAdminBase = admin.ModelAdmin

RECIPIENTS_SHOWN = 2
REPLY_SHOWN = 80
NO_FACETS: Any = getattr(getattr(admin, "ShowFacets", None), "NEVER", None)
"""Since Django 5.0 a list offers to count every filter over the whole table; not this one."""


@admin.register(Message)
class MessageAdmin(MessageAdminBase):
    """A list that stays quick over millions of rows, and one page to a message."""

    list_display = ("state", "subject_line", "recipients_line", "source", "priority", "age", "retries", "last_reply")
    list_display_links = ("subject_line",)
    list_filter = (
        filters.StatusFilter,
        filters.CreatedFilter,
        filters.DateFilter,
        filters.DueFilter,
        filters.SourceFilter,
        filters.PriorityFilter,
        filters.DomainFilter,
    )
    search_fields = ("message_id",)  # shows the box; what it finds is the business of `search`
    search_help_text = (
        "A recipient's address, a Message-ID, the server's queue id or a row's number: over everything. "
        "Other words: in subjects of the last day, or of the range chosen under “created” or “date”."
    )
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = NO_FACETS
    sortable_by = ()
    paginator = BoundedPaginator
    actions = [actions.action(verb) for verb in VERBS.values()]

    class Media:
        css = {"all": ("email_relay/console.css",)}

    # --- what may be done

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_requeue_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("email_relay.requeue_message")

    def has_hold_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("email_relay.hold_message")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("email_relay.cancel_message")

    # --- the list

    def get_queryset(self, request: HttpRequest) -> Any:
        return Message.objects.using(relay_alias()).without_bodies()

    def get_ordering(self, request: HttpRequest) -> Any:
        state = request.GET.get(filters.StatusFilter.parameter_name)
        due = request.GET.get(filters.DueFilter.parameter_name)
        narrow = bool(request.GET.get("q") or due) or state not in {None, "", "sent"}
        return newest_order(narrow=narrow)

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        if not search_term.strip():
            return queryset, False
        return search(queryset, search_term, since=filters.since_of(request)), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        extra = {"title": "Messages", "is_nav_sidebar_enabled": False, **(extra_context or {})}
        return super().changelist_view(request, extra)

    @admin.display(description="status")
    def state(self, message: Message) -> str:
        status = Status(message.status)
        return format_html('<span class="relay-status relay-{}">{}</span>', status.name.lower(), status.label)

    @admin.display(description="subject")
    def subject_line(self, message: Message) -> str:
        return message.subject or "(no subject)"

    @admin.display(description="recipients")
    def recipients_line(self, message: Message) -> str:
        everyone = [recipient.address for recipient in detail.recipients(message)]
        more = len(everyone) - RECIPIENTS_SHOWN
        return ", ".join(everyone[:RECIPIENTS_SHOWN]) + (f" and {more} more" if more > 0 else "")

    @admin.display(description="age")
    def age(self, message: Message) -> str:
        return format_html('<span title="{}">{}</span>', message.created_at, since(message.created_at))

    @admin.display(description="retries")
    def retries(self, message: Message) -> int:
        return message.retry_count

    @admin.display(description="last reply", empty_value="")
    def last_reply(self, message: Message) -> str:
        return message.log if len(message.log) <= REPLY_SHOWN else message.log[: REPLY_SHOWN - 1] + "…"

    # --- the other pages

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        name = "email_relay_message_{}".format
        return [
            path("dashboard/", wrap(dashboard), name=name("dashboard")),
            path("<int:pk>/frame/", wrap(body.frame), name=name("frame")),
            path("<int:pk>/html/", wrap(body.html), name=name("html")),
            path("<int:pk>/source/", wrap(body.source), name=name("source")),
            path("<int:pk>/message.eml", wrap(body.eml), name=name("eml")),
            path("<int:pk>/attachments/<int:number>/", wrap(body.attachment), name=name("attachment")),
            path("<int:pk>/do/<slug:name>/", wrap(actions.act_on_one), name=name("act")),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The detail page. There is no form on it."""
        if request.method not in {"GET", "HEAD"} or not self.has_view_permission(request):
            raise PermissionDenied
        message = Message.objects.using(relay_alias()).filter(pk=object_id).first() if object_id.isdigit() else None
        if message is None:
            raise Http404("No such message.")
        context = {
            **self.admin_site.each_context(request),
            "title": message.subject or "(no subject)",
            "opts": self.model._meta,
            "media": self.media,
            **detail.context(request, message),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/email_relay/message/detail.html", context)


def since(instant: datetime) -> str:
    """The age in its largest unit: "3 hours"."""
    return timesince(instant, now()).split(",")[0]


@admin.register(Suppression)
class SuppressionAdmin(SuppressionAdminBase):
    """Addresses and domains that get no mail."""

    list_display = ("pattern", "reason", "created_at", "expires_at")
    search_fields = ("pattern", "reason")
    date_hierarchy = None
    show_full_result_count = False
    fields = ("pattern", "reason", "expires_at")
