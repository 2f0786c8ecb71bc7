"""Messages in each state, and the people who look at them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Callable, Iterator

import pytest
from django.contrib.auth.models import Permission, User
from django.core.mail import EmailMultiAlternatives
from django.db import connections
from django.utils import timezone

from email_relay.models import Message, Status
from email_relay.queue import enqueue
from tests.conftest import needed
from tests.support.browser import NoBrowser, chromium


@pytest.fixture
def queued(db: None) -> Callable[..., Message]:
    """Queue one mail and return its row, brought to any other state by column values."""

    def make(to: str = "ann@example.com", *, subject: str = "Hello", html: str = "", **columns: Any) -> Message:
        email = EmailMultiAlternatives(subject, "the text body", "shop@example.org", [to])
        if html:
            email.attach_alternative(html, "text/html")
        email.attach("notes.txt", "the attached words", "text/plain")
        enqueue([email])
        row = Message.objects.order_by("-pk")[0]
        if columns.get("status") in {Status.FAILED, Status.SENT}:
            columns.setdefault("worker", "relay-1")
        if columns.get("status") == Status.SENT:
            columns.setdefault("sent_at", timezone.now())
        if columns.get("status") == Status.SENDING:
            columns.update(lease_token="t" * 32, lease_until=timezone.now() + timedelta(minutes=2))
        if columns:
            Message.objects.filter(pk=row.pk).update(**columns)
            row.refresh_from_db()
        return row

    return make


@pytest.fixture
def person(db: None) -> Callable[..., User]:
    """A staff member with just the named permissions."""

    def make(*codenames: str, staff: bool = True) -> User:
        user = User.objects.create_user(f"u{User.objects.count()}", password="x", is_staff=staff)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        assert user.user_permissions.count() == len(codenames)
        return user

    return make


@pytest.fixture
def operator(client: Any, admin_user: User) -> Any:
    """A client logged in as one who may do everything."""
    client.force_login(admin_user)
    return client


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Playwright keeps a loop running in this thread, where Django would not be called, and opens a connection more."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with needed("Chromium", chromium, NoBrowser) as running:
        yield running
        connections.close_all()
