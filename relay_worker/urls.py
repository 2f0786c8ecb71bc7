"""The service's site: the admin with the dashboard, probes, metrics."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from email_relay.console.pages.dashboard import dashboard
from relay_worker import metrics, probes

admin.site.site_header = admin.site.site_title = "Email relay"

urlpatterns = [
    path("healthz", probes.healthz, name="healthz"),
    path("readyz", probes.readyz, name="readyz"),
    path("metrics", metrics.view, name="metrics"),
    path("admin/", admin.site.urls),
    path("", dashboard, name="start"),
]
