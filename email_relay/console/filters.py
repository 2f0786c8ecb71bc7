"""The admin's filters; each fills one field of `Selection`, so that admin and command line mean the same."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any, Iterable

from django.contrib.admin import SimpleListFilter
from django.http import HttpRequest
from django.utils.dateparse import parse_date
from django.utils.timezone import make_aware

from email_relay.console.selection import Selection
from email_relay.console.sources import sources
from email_relay.db import database_now, relay_alias
from email_relay.models import Priority, Status

SPANS = {"1h": timedelta(hours=1), "1d": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}


ONE_DAY = timedelta(days=1)


def since_of(request: HttpRequest) -> datetime | None:
    """The begin of the time range chosen on the page, or None."""
    span = SPANS.get(request.GET.get(CreatedFilter.parameter_name, ""))
    if span is not None:
        return database_now(relay_alias()) - span
    first = day_of(request, DateFilter.parameter_name)
    return None if first is None else midnight(first)


def until_of(request: HttpRequest) -> datetime | None:
    """The end of the last day chosen on the page, or None."""
    last = day_of(request, DateFilter.last_name)
    return None if last is None else midnight(last + ONE_DAY)


def day_of(request: HttpRequest, name: str) -> date | None:
    try:
        day = parse_date(request.GET.get(name, "").strip())
    except ValueError:
        return None
    # one day more must still be a date
    return day if day is not None and day < date.max else None


def midnight(day: date) -> datetime:
    return make_aware(datetime.combine(day, time.min))


class SelectionFilter(SimpleListFilter):
    """A list filter whose value becomes one field of a `Selection`."""

    def selection(self, request: HttpRequest, value: str) -> Selection:
        raise NotImplementedError

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        return queryset if not value else self.selection(request, value).apply(queryset)


class StatusFilter(SelectionFilter):
    title = "status"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(status.name.lower(), status.label) for status in Status]

    def selection(self, request: HttpRequest, value: str) -> Selection:
        known = [status for status in Status if status.name.lower() == value]
        return Selection(statuses=tuple(known)) if known else Selection(ids=(0,))


class SourceFilter(SelectionFilter):
    title = "source"
    parameter_name = "from"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(name, name) for name in sources(relay_alias())]

    def selection(self, request: HttpRequest, value: str) -> Selection:
        return Selection(source=value)


class PriorityFilter(SelectionFilter):
    title = "priority"
    parameter_name = "urgency"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(str(priority.value), priority.label) for priority in Priority]

    def selection(self, request: HttpRequest, value: str) -> Selection:
        return Selection(priority=int(value)) if value in {"1", "2", "3"} else Selection(ids=(0,))


class CreatedFilter(SelectionFilter):
    title = "created"
    parameter_name = "created"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [("1h", "Last hour"), ("1d", "Last day"), ("7d", "Last 7 days"), ("30d", "Last 30 days")]

    def selection(self, request: HttpRequest, value: str) -> Selection:
        return Selection(since=since_of(request))


class DateFilter(SelectionFilter):
    """From one day to another, both included; either may be left out."""

    title = "date"
    parameter_name = "after"
    last_name = "before"
    template = "admin/email_relay/message/date_filter.html"

    def __init__(self, request: HttpRequest, params: dict[str, Any], *given: Any) -> None:
        params.pop(self.last_name, None)
        super().__init__(request, params, *given)
        self.request = request

    def expected_parameters(self) -> list[str | None]:
        return [self.parameter_name, self.last_name]

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [("", "")]

    def choices(self, changelist: Any) -> Any:
        names = (self.parameter_name, self.last_name)
        others = {name: value for name, value in changelist.params.items() if name not in names}
        fields = [(name, label, self.request.GET.get(name, "")) for name, label in zip(names, ("From", "To"))]
        yield {"fields": fields, "others": sorted(others.items())}

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return Selection(since=since_of(request), until=until_of(request)).apply(queryset)


class DueFilter(SelectionFilter):
    title = "due"
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [("now", "Due now")]

    def selection(self, request: HttpRequest, value: str) -> Selection:
        return Selection(due=True)


class DomainFilter(SelectionFilter):
    """Typed by hand; over the last day unless another filter narrows the list."""

    title = "recipient domain"
    parameter_name = "domain"
    template = "admin/email_relay/message/domain_filter.html"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [("", "")]

    def choices(self, changelist: Any) -> Any:
        others = {name: value for name, value in changelist.params.items() if name != self.parameter_name}
        yield {"value": self.value() or "", "others": sorted(others.items()), "parameter": self.parameter_name}

    def selection(self, request: HttpRequest, value: str) -> Selection:
        chosen = request.GET.get(StatusFilter.parameter_name, "")
        statuses = tuple(status for status in Status if status.name.lower() == chosen)
        return Selection(domain=value, since=since_of(request), statuses=statuses)
