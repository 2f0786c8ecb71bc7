"""The Celery application of contestants that bring none."""

from __future__ import annotations

import os

import django
from celery import Celery

django.setup()
app = Celery("bench", broker=os.environ["CELERY_BROKER_URL"])
app.conf.broker_connection_retry_on_startup = True
app.conf.worker_hijack_root_logger = False
app.autodiscover_tasks(force=True)
app.set_default()
