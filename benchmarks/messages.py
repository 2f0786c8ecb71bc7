"""What both sides of a measurement know of the messages sent."""

from __future__ import annotations

WATCHED = "watched@example.com"
"""The recipient by whom a message is known among all others."""
ATTACHMENT_BYTES = 2 * 1024 * 1024
TEXT = "Line of a newsletter that says very little.\n" * 30
HTML = "<p>Line of a newsletter that says <b>very</b> little.</p>\n" * 45
