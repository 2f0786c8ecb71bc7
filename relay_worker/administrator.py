"""The first user of the admin, from the environment; an existing user is left as it is."""

from __future__ import annotations

import os

from relay_worker.config import value


def ensure_administrator() -> bool:
    """Make the user of ``ADMIN_USERNAME`` and ``ADMIN_PASSWORD`` (or ``ADMIN_PASSWORD_FILE``). True if it was made."""
    from django.contrib.auth import get_user_model

    username, password = os.environ.get("ADMIN_USERNAME"), value(os.environ, "ADMIN_PASSWORD")
    if not username or not password:
        return False
    users = get_user_model()
    if users.objects.filter(username=username).exists():
        return False
    users.objects.create_superuser(username, os.environ.get("ADMIN_EMAIL", ""), password)
    return True
