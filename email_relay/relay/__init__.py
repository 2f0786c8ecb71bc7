"""The engine that drains the relay database over SMTP. It knows nothing of Celery."""
