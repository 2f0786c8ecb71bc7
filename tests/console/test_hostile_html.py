"""A hostile mail in a real browser: it must neither run nor ask for anything."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from email_relay.console.pages import body
from tests.support.waiting import wait_until

OWNED = "window.top.document.title = 'owned'"
ASKS = {
    "import": '<style>@import url("{evil}/import");</style>',
    "background": '<style>body {{ background: url("{evil}/background") }}</style>',
    "font": '<style>@font-face {{ font-family: x; src: url("{evil}/font") }} p {{ font-family: x }}</style>',
    "inline-style": '<p style="background: url({evil}/inline-style)">styled</p>',
    "legacy-background": '<table background="{evil}/legacy-background"><tr><td>x</td></tr></table>',
    "stylesheet": '<link rel="stylesheet" href="{evil}/stylesheet">',
    "prefetch": '<link rel="prefetch" href="{evil}/prefetch">',
    "preload": '<link rel="preload" as="image" href="{evil}/preload">',
    "icon-image": '<img src="{evil}/icon-image">',
    "srcset": '<img srcset="{evil}/srcset 1x">',
    "svg": '<svg><image href="{evil}/svg"/></svg>',
    "frame": '<iframe src="{evil}/frame"></iframe>',
    "object": '<object data="{evil}/object" type="text/html"></object>',
    "embed": '<embed src="{evil}/embed" type="text/html">',
    "video": '<video src="{evil}/video" autoplay muted></video>',
    "poster": '<video poster="{evil}/poster"></video>',
    "audio": '<audio src="{evil}/audio" autoplay></audio>',
    "script": '<script src="{evil}/script"></script>',
    "fetch": '<script>fetch("{evil}/fetch")</script>',
    "onload": "<svg onload=\"fetch('{evil}/onload')\"></svg>",
    "onerror": "<img src=x onerror=\"fetch('{evil}/onerror')\">",
    "autofocus": "<input autofocus onfocus=\"fetch('{evil}/autofocus')\">",
    "srcdoc": "<iframe srcdoc='<img src=\"{evil}/srcdoc\">'></iframe>",
}
"""Each asks the server for its own name, if it is let."""
RUNS = f"<script>{OWNED}; alert(1); window.open('about:blank')</script><img src=x onerror=\"{OWNED}\">"
REFRESH = '<meta http-equiv="refresh" content="0;url={evil}/refresh">'
BASE = '<base href="{evil}/" target="_top">'
CLICKS = """<form action="{evil}/form" method="post" target="_top"><button id="send">send</button></form>
<a id="link" href="{evil}/link">a link</a> <a id="top" href="{evil}/top" target="_top">another</a>
<a id="new" href="{evil}/new" target="_blank">a third</a> <a id="script" href="javascript:alert(1)">a fourth</a>
<a id="ping" href="#mark" ping="{evil}/ping">a fifth</a>
<p id="mark">the words of the mail</p>"""
CONNECTS = '<link rel="preconnect" href="{evil}"><link rel="dns-prefetch" href="{evil}">'
HOSTILE = "".join([CONNECTS, *ASKS.values(), RUNS, REFRESH, BASE, CLICKS])


class Evil(ThreadingHTTPServer):
    """A web server that remembers whatever is asked of it, and counts whoever connects."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.connections = 0
        super().__init__(("127.0.0.1", 0), Remember)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def get_request(self):
        self.connections += 1
        return super().get_request()


class Remember(BaseHTTPRequestHandler):
    server: Evil

    def do_GET(self):
        self.server.asked.append(self.path.strip("/"))
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET  # noqa: N815 - the name is the base class's

    def log_message(self, *_):
        pass


@pytest.fixture
def evil():
    with Evil() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def operator_page(live_server, browser, admin_user):
    """A page of somebody who is logged in. What it asks for, opens and says is kept in ``told``."""
    session = Client()
    session.force_login(admin_user)
    context = browser.new_context()
    cookie = session.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
    page = context.new_page()
    page.told = []
    context.on("requestfinished", lambda request: page.told.append(request.url))  # a blocked one is only begun
    context.on("page", lambda opened: page.told.append(f"new window {opened.url}"))
    page.on("dialog", lambda dialog: (page.told.append(f"dialog {dialog.message}"), dialog.dismiss()))
    yield page
    context.close()


def heard_last(page, live_server, evil):
    """Have the browser ask the server itself: it would have been heard, and what it asked before has been."""
    page.goto(f"{evil.url}/last")
    wait_until(lambda: "last" in evil.asked, what="the browser's own request")
    return [path for path in evil.asked if path not in {"last", "favicon.ico"}]


@pytest.mark.django_db(transaction=True)
def test_hostile_html_does_nothing_in_the_preview(live_server, operator_page, evil, queued):
    row = queued(html=HOSTILE.format(evil=evil.url))
    page = operator_page
    page.goto(live_server.url + reverse("admin:email_relay_message_change", args=[row.pk]))
    title, address = page.title(), page.url
    page.locator("iframe.relay-preview").scroll_into_view_if_needed()
    mail = page.frame_locator("iframe.relay-preview").frame_locator("iframe")
    mail.locator("#mark").wait_for()
    for clicked in ("send", "top", "new", "script", "ping", "link"):  # the last one is blocked into an empty frame
        mail.locator(f"#{clicked}").click(no_wait_after=True)
    page.wait_for_load_state("networkidle")
    assert (page.title(), page.url) == (title, address)
    assert [told for told in page.told if not told.startswith((live_server.url, "data:"))] == []
    assert evil.connections == 0
    assert heard_last(page, live_server, evil) == []


@pytest.mark.django_db(transaction=True)
def test_hostile_html_does_nothing_in_a_window_of_its_own(live_server, operator_page, evil, queued):
    row = queued(html=HOSTILE.format(evil=evil.url))
    page = operator_page
    page.goto(live_server.url + reverse("admin:email_relay_message_html", args=[row.pk]))
    page.locator("#mark").wait_for()
    page.wait_for_load_state("networkidle")
    assert page.title() != "owned"
    assert [told for told in page.told if not told.startswith((live_server.url, "data:"))] == []
    assert evil.connections == 0
    assert heard_last(page, live_server, evil) == []


@pytest.mark.django_db(transaction=True)
def test_without_the_policy_each_of_these_tricks_works(live_server, operator_page, evil, queued, monkeypatch):
    """Else the tests above would prove nothing."""
    monkeypatch.setitem(body._answer.__kwdefaults__, "policy", "")
    monkeypatch.setattr(body, "preview_html", lambda content: content.html)
    row = queued(html="".join([*ASKS.values(), RUNS]).format(evil=evil.url))
    page = operator_page
    page.goto(live_server.url + reverse("admin:email_relay_message_html", args=[row.pk]))
    wait_until(lambda: set(ASKS) <= set(evil.asked), 30, lambda: f"{set(ASKS) - set(evil.asked)}")
    assert page.title() == "owned"
    assert "dialog 1" in page.told
    page.wait_for_load_state("networkidle")
