"""A hostile mail in a real browser: it must neither run nor ask for anything."""

from __future__ import annotations

import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from tests.support.waiting import wait_until

webdriver = pytest.importorskip("selenium.webdriver")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver on PATH"),
]

HOSTILE = """
<style>@import url({evil}/import.css); body {{ background: url({evil}/background.png) }}
@font-face {{ font-family: x; src: url({evil}/font.woff) }} p {{ font-family: x }}</style>
<link rel="stylesheet" href="{evil}/link.css"><link rel="prefetch" href="{evil}/prefetch">
<meta http-equiv="refresh" content="0;url={evil}/refresh"><base href="{evil}/">
<script>window.top.document.title = "owned"; fetch("{evil}/fetch")</script>
<script src="{evil}/script.js"></script>
<img src="{evil}/pixel.png" onerror="window.top.document.title = 'owned'"><img src=x onerror="top.document.title='owned'">
<svg><image href="{evil}/svg.png"/><script>top.document.title = "owned"</script></svg>
<iframe src="{evil}/frame"></iframe><object data="{evil}/object"></object><embed src="{evil}/embed">
<video src="{evil}/video" autoplay></video><audio src="{evil}/audio" autoplay></audio>
<form action="{evil}/form" id="f"><input name="a" autofocus onfocus="top.document.title='owned'"><button id="send">send</button></form>
<p id="mark">the words of the mail</p><a id="link" href="{evil}/link">a link</a>
"""


@pytest.fixture
def evil():
    """A web server that remembers whatever is asked of it."""
    asked = []

    class Remember(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        do_POST = do_GET  # noqa: N815 - the name is the base class's

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Remember)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def browser(tmp_path):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        f"--user-data-dir={tmp_path}",
    ):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


@pytest.mark.django_db(transaction=True)
def test_hostile_html_does_nothing(live_server, browser, evil, queued, admin_user):
    address, asked = evil
    row = queued(html=HOSTILE.format(evil=address))
    session = Client()
    session.force_login(admin_user)
    browser.get(f"{live_server.url}/admin/login/")
    browser.add_cookie(
        {"name": settings.SESSION_COOKIE_NAME, "value": session.cookies[settings.SESSION_COOKIE_NAME].value}
    )
    browser.get(live_server.url + reverse("admin:email_relay_message_change", args=[row.pk]))
    title = browser.title
    preview = browser.find_element("css selector", "iframe.relay-preview")
    browser.execute_script("arguments[0].scrollIntoView()", preview)
    browser.switch_to.frame(preview)
    wait_until(lambda: browser.find_elements("tag name", "iframe"), timeout=60, what="the frame around the preview")
    browser.switch_to.frame(browser.find_element("tag name", "iframe"))
    wait_until(lambda: browser.find_elements("id", "mark"), timeout=60, what="the mail's words in the preview")
    browser.find_element("id", "send").click()
    browser.find_element("id", "link").click()
    browser.switch_to.default_content()
    # a page of our own that asks the same server proves that it would have been heard, and comes after all the rest
    browser.get(f"{live_server.url}/admin/jsi18n/")
    browser.get(f"{address}/last")
    wait_until(lambda: "/last" in asked, timeout=60, what="the browser's own request")
    assert [path for path in asked if path not in {"/last", "/favicon.ico"}] == []
    assert title != "owned"
