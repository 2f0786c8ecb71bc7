"""Django settings of the service: sane defaults in ``./var``, with the environment laid over them."""

from __future__ import annotations

import os
from typing import Any

from email_relay.exceptions import ConfigurationError
from relay_worker import config, values
from relay_worker.var import secret_key, var_folder

_environ = os.environ
_var = var_folder()

SECRET_KEY = config.value(_environ, "SECRET_KEY") or secret_key()
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "relay_worker.urls"
WSGI_APPLICATION = "relay_worker.wsgi.application"
STATIC_URL = "/static/"
(_var / "static").mkdir(exist_ok=True)
STATIC_ROOT = str(_var / "static")
LOGIN_REDIRECT_URL = "/"

INSTALLED_APPS = [
    "email_relay",
    "django_celery_beat",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES: list[dict[str, Any]] = [
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
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = []
X_FRAME_OPTIONS = "SAMEORIGIN"
WHITENOISE_USE_FINDERS = True

_SQLITE: dict[str, Any] = {
    # several processes write: readers never block, writers wait, and a write lock is taken at the start
    "timeout": 30,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}
_url = config.value(_environ, "DATABASE_URL")
_database: dict[str, Any] = (
    values.database(_url) if _url else {"ENGINE": values.ENGINES["sqlite"], "NAME": str(_var / "relay.sqlite3")}
)
if _database["ENGINE"] == values.ENGINES["sqlite"]:
    _database["OPTIONS"] = {**_SQLITE, **_database.get("OPTIONS", {})}
DATABASES: dict[str, dict[str, Any]] = {
    "default": {**_database, "CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True},
}

EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
DJANGO_EMAIL_RELAY: dict[str, Any] = {"DATABASE_ALIAS": "default"}

CELERY_BROKER_URL = config.value(_environ, "CELERY_BROKER_URL") or "filesystem://"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # an outage of any length ends by itself: Celery would end the worker
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {}
if CELERY_BROKER_URL.startswith("filesystem://"):
    for _name in ("queue", "control"):
        (_var / "broker" / _name).mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_var / "broker" / "queue"),
        "data_folder_out": str(_var / "broker" / "queue"),
        "control_folder": str(_var / "broker" / "control"),
        "polling_interval": 0.1,
    }
CELERY_TASK_DEFAULT_QUEUE = "email_relay"
if CELERY_BROKER_URL.startswith(("amqp://", "amqps://", "pyamqp://")):
    CELERY_TASK_DEFAULT_QUEUE_TYPE = "quorum"
    CELERY_WORKER_DETECT_QUORUM_QUEUES = True
    # a delayed task on a quorum queue waits in the server, which takes it from no direct exchange
    CELERY_TASK_DEFAULT_EXCHANGE = "email_relay.tasks"
    CELERY_TASK_DEFAULT_EXCHANGE_TYPE = "topic"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False  # a task carries nothing: a lost one costs a pause, a doubled one nothing either
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SEND_SENT_EVENT = True
CELERY_WORKER_SEND_TASK_EVENTS = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 30.0
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_BEAT_SCHEDULE_FILENAME = str(_var / "celerybeat-schedule")
CELERY_TIMEZONE = "UTC"

LOG_LEVEL = (config.value(_environ, "LOG_LEVEL") or "INFO").upper()
LOG_FORMAT = (config.value(_environ, "LOG_FORMAT") or "text").lower()

METRICS_PORT: int | None = None
"""A worker's own port for its counters, where no site shares its folder."""

ORIGINS = config.overlay(globals(), _environ)
if LOG_LEVEL not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
    raise ConfigurationError("The environment variable LOG_LEVEL must be DEBUG, INFO, WARNING, ERROR or CRITICAL.")
if LOG_FORMAT not in {"text", "json"}:
    raise ConfigurationError("The environment variable LOG_FORMAT must be text or json.")

_FORMATTERS: dict[str, dict[str, Any]] = {
    "text": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
    "json": {"()": "relay_worker.logs.json_formatter"},
}
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    # the other one would be made too, and importing what it needs takes 50 ms
    "formatters": {LOG_FORMAT: _FORMATTERS[LOG_FORMAT]},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        # the filesystem broker has no host to name
        "kombu.connection": {"level": "ERROR"},
        **{name: {"level": "WARNING"} for name in ("httpx", "httpcore", "amqp")},
    },
}
