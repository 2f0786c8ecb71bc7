"""Django settings of the test suite: one database and no router, which is all a small project has.

EMAIL_RELAY_TEST_DB chooses ``postgresql`` (the default), ``mariadb`` or ``sqlite``.
"""

from __future__ import annotations

import os
import sys
import tempfile

from tests.support import mariadb, postgres
from tests.support.urls import parse_url

SECRET_KEY = "only for tests"
USE_TZ = True
TIME_ZONE = "Europe/Berlin"
ROOT_URLCONF = "tests.urls"
STATIC_URL = "/static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.admin",
    "django.contrib.staticfiles",
    "email_relay",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# tools that only read these settings (mypy, makemigrations --check) must not start a server
UNDER_TEST = "pytest" in sys.modules
VENDOR = os.environ.get("EMAIL_RELAY_TEST_DB", "postgresql")
NAME = f"email_relay_{os.getpid()}"


def database() -> dict[str, object]:
    if VENDOR == "sqlite":
        file = tempfile.gettempdir() + f"/{NAME}.sqlite3"  # in memory, threads would share one connection
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": file,
            "TEST": {"NAME": file},
            "OPTIONS": {"timeout": 30},
        }
    if VENDOR == "mariadb":
        mariadb.install_driver()
        url = mariadb.server_url() if UNDER_TEST else mariadb.LOCAL
        return dict(parse_url(url), NAME=NAME, OPTIONS={"charset": "utf8mb4"})
    url = postgres.server_url() if UNDER_TEST else "postgresql://127.0.0.1:5432"
    return dict(parse_url(url), NAME=NAME)


DATABASES = {"default": database()}
