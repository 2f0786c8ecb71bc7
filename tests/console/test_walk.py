"""An operator's ways through the console of a running service: web pages, relay, database and mail server are real."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import needed
from tests.console.office import PASSWORD, USER, Office
from tests.e2e.service import SENT
from tests.support import databases, postgres
from tests.support.smtpserver import Script, SmtpServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow
QUEUED, HELD, CANCELED = 1, 6, 7
NEWS = 60
"""More than one page of the list."""


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    folder = tmp_path_factory.mktemp("office")
    with needed("PostgreSQL", databases.postgresql_database, postgres.NoServer) as url, SmtpServer(Script()) as smtp:
        office = Office(folder, url, smtp)
        office.migrate()
        with office.web():
            yield office


@pytest.fixture
def visit(office, browser):
    """A page of a browser that has never been here. Whatever fails to load or to run fails the test."""
    context = browser.new_context()
    page = context.new_page()
    troubles: list[Any] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("response", lambda answer: troubles.append(answer.url) if answer.status >= 400 else None)
    context.on("request", lambda asked: None if asked.url.startswith(office.site) else troubles.append(asked.url))
    yield page
    context.close()
    assert troubles == []


def log_in(page, office):
    """From the start page, which asks who is there."""
    page.goto(office.site)
    page.fill("input[name=username]", USER)
    page.fill("input[name=password]", PASSWORD)
    page.click("input[type=submit]")
    page.get_by_text("Due now").wait_for()


def search(page, words):
    page.click("text=Messages >> nth=0")
    page.fill("#searchbar", words)
    page.press("#searchbar", "Enter")
    page.wait_for_url("**q=*")


def run_action(page, label):
    page.select_option("select[name=action]", label=label)
    page.click("button[name=index]")


@pytest.mark.parametrize(
    ("reply", "verb"),
    [("451 4.7.1 Greylisted, come back later", "Send now"), ("554 5.7.1 We do not like your face", "Requeue")],
    ids=["deferred", "failed"],
)
def test_my_reset_mail_never_came(office, visit, reply, verb):
    """Find one recipient's mail, read why it was not taken, have it sent again, see it sent."""
    page, smtp = visit, office.smtp
    smtp.script.on_rcpt = lambda address: reply if "to1@" in address else None
    before = office.states()[SENT]
    with office.relay() as relay:
        office.clients("shop", count=4)
        wait_until(lambda: office.rows("id", f"log LIKE '%{reply[10:30]}%'"), 60, relay.tail)
        log_in(page, office)
        search(page, "to1@example.com")
        assert page.locator("#result_list tbody tr").first.inner_text().count("to1@example.com") == 1
        page.locator("#result_list tbody tr a").first.click()
        story = page.locator(".relay-timeline").inner_text()
        assert reply in story, "the server's own words"
        assert "127.0.0.1" in story, "which server said it"
        smtp.script.on_rcpt = None
        page.get_by_role("button", name=verb).click()
        page.get_by_text("The message was").wait_for()
        wait_until(lambda: shown_status(page) == "Sent", 60, relay.tail)
        assert "Sent" in page.locator(".relay-timeline").inner_text()
        page.get_by_role("link", name="History").click()
        assert f"{verb}: 1 of 1" in page.locator("#change-history").inner_text()
    assert office.states()[SENT] == before + 4
    assert any("to1@example.com" in message.rcpt_to for message in smtp.received)


def shown_status(page) -> str:
    page.reload()
    return page.locator(".relay-head .relay-status").inner_text()


def test_stop_that_newsletter(office, visit):
    """Hold all of it by a filter, let two go, give up the rest; the other mail is left alone."""
    page, smtp = visit, office.smtp
    office.clients("newsletter", count=NEWS)
    office.clients("crm", count=1)
    log_in(page, office)
    page.click("text=Messages >> nth=0")
    page.locator("#changelist-filter").get_by_role("link", name="newsletter").click()
    page.check("#action-toggle")
    page.get_by_role("button", name=f"Select all {NEWS} messages").click()
    run_action(page, "Hold selected messages")
    assert f"everything the filter selects: {NEWS} messages" in page.locator("#content").inner_text()
    assert states(office, "newsletter") == {QUEUED}, "it asks first"
    page.get_by_role("button", name="Yes, hold").click()
    page.get_by_text(f"{NEWS} of {NEWS} messages were held").wait_for()
    assert (states(office, "newsletter"), states(office, "crm")) == ({HELD}, {QUEUED})

    for number in (0, 1):
        page.locator("input.action-select").nth(number).check()
    run_action(page, "Release selected messages")
    page.get_by_text("2 of 2 messages were released").wait_for()

    page.locator("#changelist-filter").get_by_role("link", name="Held").click()
    page.check("#action-toggle")
    page.get_by_role("button", name=f"Select all {NEWS - 2} messages").click()
    run_action(page, "Cancel selected messages")
    page.get_by_role("button", name="Yes, cancel").click()
    page.get_by_text(f"{NEWS - 2} of {NEWS - 2} messages were canceled").wait_for()

    arrived = len(smtp.received)
    with office.relay() as relay:
        wait_until(
            lambda: len(office.rows("id", f"source IN ('crm', 'newsletter') AND status = {SENT}")) == 3, 60, relay.tail
        )
    assert len(smtp.received) == arrived + 3
    assert len(office.rows("id", f"source = 'newsletter' AND status = {CANCELED}")) == NEWS - 2
    page.goto(f"{office.site}/admin/email_relay/message/?state=canceled&from=newsletter")
    page.locator("#result_list tbody tr a").first.click()
    page.get_by_role("link", name="History").click()
    written = page.locator("#change-history").inner_text()
    assert f"Hold: {NEWS} of {NEWS} held" in written
    assert f"Cancel: {NEWS - 2} of {NEWS - 2} canceled" in written


def states(office, source):
    return {status for (status,) in office.rows("status", f"source = '{source}'")}


def test_the_dashboard_refreshes_itself(office, visit):
    """New mail appears on the page without a hand on it."""
    page = visit
    log_in(page, office)
    page.evaluate("window.untouched = true")
    due = int(page.locator(".relay-tile strong").first.inner_text())
    office.clients("late", count=1)
    page.locator(".relay-tile strong").first.get_by_text(str(due + 1), exact=True).wait_for(timeout=60_000)
    assert page.evaluate("window.untouched"), "no reload"
