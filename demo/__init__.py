"""``make demo``: mail of two Django projects on its way through the relay database and the worker to an SMTP server."""
