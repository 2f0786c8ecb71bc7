"""Every branch on Django's version, in one place."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings
from django.db import models

HAS_MAILERS = django.VERSION >= (6, 1)


def check_constraint(*, name: str, condition: models.Q) -> models.CheckConstraint:
    """A check constraint; ``check=`` became ``condition=`` in Django 5.1."""
    keyword = "condition" if django.VERSION >= (5, 1) else "check"
    arguments: dict[str, Any] = {keyword: condition, "name": name}
    return models.CheckConstraint(**arguments)


def mailers_setting() -> dict[str, dict[str, Any]]:
    """``MAILERS`` where Django knows it (6.1) and the project sets it; otherwise an empty dictionary."""
    if not HAS_MAILERS or not settings.is_overridden("MAILERS"):
        return {}
    return dict(settings.MAILERS)
