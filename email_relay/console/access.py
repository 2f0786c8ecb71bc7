"""Who may do and see what."""

from __future__ import annotations

from django.http import HttpRequest

from email_relay.conf import relay_settings


def has_permission(request: HttpRequest, codename: str) -> bool:
    return request.user.has_perm(f"email_relay.{codename}")


def may_view(request: HttpRequest) -> bool:
    """True for staff who may view messages."""
    user = request.user
    return bool(user.is_active and user.is_staff and has_permission(request, "view_message"))


def may_see_bodies(request: HttpRequest) -> bool:
    """True if neither ``CONSOLE_SHOW_BODIES`` nor the user's permissions hide bodies and attachments."""
    return relay_settings().CONSOLE_SHOW_BODIES and has_permission(request, "view_message_body")
