"""Debian's Chromium without a window, driven by Playwright."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Iterator

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


class NoBrowser(Exception):
    """There is no Chromium on this machine, or nothing to drive it with."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser of our own; raises NoBrowser."""
    binary = shutil.which("chromium")
    if binary is None:
        raise NoBrowser("no chromium on PATH")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise NoBrowser(str(error)) from error
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()
