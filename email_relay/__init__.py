"""Mail of many Django projects, queued in one database and relayed to the SMTP server that only the premises can reach."""

__version__ = "1.0.0"
