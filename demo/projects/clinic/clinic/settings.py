"""A clinic, as a client of the relay: its own database, the relay's beside it, and the router between them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from demo.url import database

SECRET_KEY = "only for the demonstration"
USE_TZ = True
TIME_ZONE = "Asia/Tokyo"
INSTALLED_APPS = ["email_relay", "clinic"]

DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
    "email_relay_db": database(os.environ["RELAY_DATABASE_URL"]),
}
DATABASE_ROUTERS = ["email_relay.db.EmailDatabaseRouter"]
EMAIL_BACKEND = "email_relay.backend.RelayDatabaseEmailBackend"
DEFAULT_FROM_EMAIL = "Klinik <klinik@example.org>"
ADMINS = [("Desk", "desk@example.org")]
