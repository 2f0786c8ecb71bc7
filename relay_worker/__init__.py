"""The deployable service: the engine of `email_relay.relay` under Celery, configured by the environment."""

from __future__ import annotations

from relay_worker.celery import app

__all__ = ["app"]
