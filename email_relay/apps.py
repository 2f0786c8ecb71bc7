from __future__ import annotations

from django.apps import AppConfig


class EmailRelayConfig(AppConfig):
    name = "email_relay"
    label = "email_relay"
    verbose_name = "Email relay"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from email_relay import checks  # noqa: F401 - importing registers the checks
