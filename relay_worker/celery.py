"""The Celery app: ``celery -A relay_worker worker -B``."""

from __future__ import annotations

import os

from celery import Celery

from relay_worker import filesystem, redact

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "relay_worker.settings")
filesystem.install()
redact.hide_from_remote_control()

app = Celery("relay_worker")
app.config_from_object("django.conf:settings", namespace="CELERY")
# a connection serves many drains; a drain that meets a broken one closes it
app.conf["CELERY_DB_REUSE_MAX"] = 1000
app.conf.imports = ("relay_worker.tasks",)


@app.on_after_configure.connect
def _complete(sender: Celery, **_: object) -> None:
    from relay_worker.schedule import beat_schedule

    sender.conf.beat_schedule = {**beat_schedule(), **(sender.conf.beat_schedule or {})}


from relay_worker import bootsteps  # noqa: E402 - it needs the app

bootsteps.install(app)
