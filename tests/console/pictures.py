"""The pictures of the documentation: ``python -m tests.console.pictures`` takes them anew, of a service with sample mail.

Needs PostgreSQL, Chromium, and Pillow to make the files small.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from tests.console.office import PASSWORD, USER, Office
from tests.support.browser import chromium
from tests.support.databases import postgresql_database
from tests.support.ports import free_port
from tests.support.processes import ROOT, environment
from tests.support.smtpserver import SmtpServer
from tests.support.waiting import wait_until

FOLDER = ROOT / "docs" / "_static" / "console"
WIDTHS = {"desktop": 1280, "phone": 390}
COLOURS = 64


class Camera:
    """A browser of one width."""

    def __init__(self, browser: Any, width: str) -> None:
        self.width = width
        self.page = browser.new_page(reduced_motion="reduce")
        self.resize(900)

    def resize(self, height: int) -> None:
        self.page.set_viewport_size({"width": WIDTHS[self.width], "height": height})

    def shoot(self, name: str, *, tallest: int = 1700) -> None:
        self.page.wait_for_load_state("networkidle")
        height = min(int(self.page.evaluate("document.documentElement.scrollHeight")), tallest)
        taken = self.page.screenshot(
            full_page=True, clip={"x": 0, "y": 0, "width": WIDTHS[self.width], "height": height}
        )
        picture = Image.open(io.BytesIO(taken)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        picture.save(FOLDER / f"{name}-{self.width}.png", optimize=True)

    def log_in(self, site: str) -> None:
        self.page.goto(site)
        self.shoot("login", tallest=400)
        self.page.fill("input[name=username]", USER)
        self.page.fill("input[name=password]", PASSWORD)
        self.page.click("input[type=submit]")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with postgresql_database("pictures") as url, SmtpServer() as smtp, tempfile.TemporaryDirectory() as folder:
        port = free_port()
        office = Office(Path(folder), url, smtp, FLOWER_PORT=port)
        office.migrate()
        env = environment({**office.env, "DJANGO_SETTINGS_MODULE": "relay_worker.settings"})
        subprocess.run([sys.executable, "-m", "tests.console.sample"], env=env, cwd=ROOT, check=True)
        with chromium() as browser:
            cameras = [Camera(browser, width) for width in WIDTHS]
            with office.web():
                for camera in cameras:
                    console(camera, office.site)
            flower(cameras, office, port)


def console(camera: Camera, site: str) -> None:
    page, messages = camera.page, f"{site}/admin/email_relay/message/"
    camera.log_in(site)
    camera.shoot("dashboard")
    page.goto(messages)
    camera.shoot("list", tallest=1000)
    page.goto(f"{messages}?q=ann@example.com")
    page.locator("#result_list tbody tr a").first.click()
    page.frame_locator("iframe.relay-preview").frame_locator("iframe").locator("h1").wait_for()
    camera.resize(1600)  # what is out of sight is not painted
    camera.shoot("detail", tallest=1860)
    camera.resize(900)
    page.goto(f"{messages}?from=newsletter&state=held")
    page.check("#action-toggle")
    page.select_option("select[name=action]", label="Cancel selected messages")
    page.click("button[name=index]")
    camera.shoot("confirm", tallest=500)
    page.goto(f"{site}/admin/email_relay/suppression/")
    camera.shoot("suppressions", tallest=620)


def flower(cameras: list[Camera], office: Office, port: int) -> None:
    """Of a worker that works."""
    site = f"http://127.0.0.1:{port}"
    with office.worker(), office.process("-m", "celery", "-A", "relay_worker", "flower"):
        page = cameras[0].page
        wait_until(lambda: is_up(page, site), 60, "Flower", interval=0.5)
        for number in range(1, 4):
            office.clients("shop", "billing", count=5)
            office.smtp.wait_for(10 * number)
        task = telling_task(page, site)
        for camera in cameras:
            camera.page.goto(f"{site}/workers")
            camera.shoot("flower-workers", tallest=600)
            camera.page.goto(task)
            camera.shoot("flower-task", tallest=1000)


def is_up(page: Any, site: str) -> bool:
    from playwright.sync_api import Error

    try:
        page.goto(f"{site}/workers")
    except Error:
        return False
    return bool(page.get_by_text("celery@").count())


def telling_task(page: Any, site: str) -> str:
    """The address of one whose result speaks of mail."""
    page.goto(f"{site}/tasks")
    page.locator("a[href*='/task/']").first.wait_for()
    for address in page.locator("a[href*='/task/']").evaluate_all("links => links.map(link => link.href)"):
        page.goto(address)
        if page.get_by_text("'shop'").count():
            return str(address)
    raise SystemExit("no task tells of mail")


if __name__ == "__main__":
    main()
