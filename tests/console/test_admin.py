"""The admin's pages as their users and as intruders meet them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from email_relay.models import Attempt, Message, Status, Suppression

LIST = "admin:email_relay_message_changelist"
PAGES = ("frame", "html", "source", "eml")


def url(name, *args):
    return reverse(f"admin:email_relay_message_{name}", args=args)


def test_list_shows_state_and_never_loads_bodies(operator, queued):
    queued("ann@example.com", status=Status.DEFERRED, log="451 4.7.1 try later")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        page = operator.get(reverse(LIST))
    assert b"ann@example.com" in page.content
    assert b"451 4.7.1 try later" in page.content
    assert not [q for q in queries if '"mime"' in q["sql"] or "`mime`" in q["sql"]]
    assert not [
        q
        for q in queries
        if "COUNT(" in q["sql"].upper() and "LIMIT" not in q["sql"].upper() and "email_relay_message" in q["sql"]
    ]


@pytest.mark.parametrize("term", ["ann@example.com", "Ann@EXAMPLE.com", "4XYZ", "subject:invoice", "Invoice 17"])
def test_search_finds(operator, queued, term):
    wanted = queued("ann@example.com", subject="Your invoice 17", queue_id="4XYZ")
    if term == "Ann@EXAMPLE.com":
        Message.objects.filter(pk=wanted.pk).update(recipients=["Ann@example.com"])
    queued("bob@example.com", subject="Other")
    found = operator.get(reverse(LIST), {"q": term}).context["cl"].result_list
    assert [row.pk for row in found] == [wanted.pk]


def test_search_by_message_id_and_row_number(operator, queued):
    wanted = queued()
    queued()
    for term in (wanted.message_id, wanted.message_id.strip("<>"), str(wanted.pk)):
        found = operator.get(reverse(LIST), {"q": term}).context["cl"].result_list
        assert [row.pk for row in found] == [wanted.pk]


def test_search_finds_rows_of_old_clients(operator, queued):
    wanted = queued(recipients=None, mime=None, data={"to": ["old@example.com"], "subject": "s"})
    found = operator.get(reverse(LIST), {"q": "old@example.com"}).context["cl"].result_list
    assert [row.pk for row in found] == [wanted.pk]


@pytest.mark.parametrize(
    "filters",
    [
        {"state": "failed"},
        {"from": "billing"},
        {"urgency": "3"},
        {"created": "1h", "state": "failed"},
        {"domain": "example.net"},
    ],
)
def test_filters(operator, queued, filters):
    wanted = queued("x@example.net", status=Status.FAILED, source="billing", priority=3)
    queued("y@example.com", source="shop", priority=1)
    found = operator.get(reverse(LIST), filters).context["cl"].result_list
    assert [row.pk for row in found] == [wanted.pk]


def test_due_filter(operator, queued):
    due = queued()
    queued(due_at=timezone.now() + timedelta(hours=1))
    assert [row.pk for row in operator.get(reverse(LIST), {"due": "now"}).context["cl"].result_list] == [due.pk]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"after": "2026-01-10"}, ["tenth", "twelfth"]),
        ({"before": "2026-01-10"}, ["first", "tenth"]),
        ({"after": "2026-01-02", "before": "2026-01-11"}, ["tenth"]),
        ({"after": "2026-01-10", "before": "2026-01-10", "q": "subject:t"}, ["tenth"]),
        ({"after": "", "before": ""}, ["first", "tenth", "twelfth"]),
    ],
)
def test_date_filter_and_a_subject_within_it(operator, queued, query, found):
    """Days begin and end at the site's midnight, and both ends are in."""
    for subject, at in (("first", "01T12:00"), ("tenth", "10T23:30"), ("twelfth", "12T00:00")):
        queued(subject=subject, created_at=datetime.fromisoformat(f"2026-01-{at}:00+01:00"))
    listed = operator.get(reverse(LIST), query).context["cl"]
    assert [row.subject for row in reversed(listed.result_list)] == found


def test_forms_of_the_filters_keep_what_else_is_chosen(operator, queued):
    queued()
    page = operator.get(
        reverse(LIST), {"state": "queued", "after": "2026-01-10", "domain": "example.com"}
    ).content.decode()
    dates, domain = re.findall(r'<form method="get" class="relay-domain.*?</form>', page, re.DOTALL)
    assert 'name="state" value="queued"' in dates
    assert 'name="domain" value="example.com"' in dates
    assert 'name="after" value="2026-01-10"' in domain


def test_nonsense_in_the_address_bar_is_no_error(operator, queued):
    queued()
    for query in (
        {"state": "x"},
        {"urgency": "x"},
        {"q": "\x00"},
        {"q": "9" * 40},
        {"created": "x"},
        {"q": "@"},
        {"after": "2026-13-99", "before": "x"},
        {"before": "9999-12-31"},
    ):
        assert operator.get(reverse(LIST), query).status_code == 200


def test_detail_tells_the_story(operator, queued):
    row = queued(status=Status.DEFERRED, html="<p>hi</p>", pending=["ann@example.com"])
    now = timezone.now()
    Attempt.objects.create(
        message=row,
        number=1,
        started_at=now,
        finished_at=now,
        worker="relay-1",
        server="mail:25",
        outcome="deferred",
        code=451,
        reply="451 greylisted",
        results={"ann@example.com": "451 greylisted"},
    )
    page = operator.get(url("change", row.pk)).content.decode()
    for words in ("451 greylisted", "relay-1 via mail:25", "Attempt 1", "notes.txt", "the text body", "Send now"):
        assert words in page
    assert url("frame", row.pk) in page


def test_text_of_a_mail_is_escaped(operator, queued):
    row = queued(subject="<script>alert(1)</script>", log="<img src=x onerror=alert(2)>")
    for address in (url("change", row.pk), reverse(LIST)):
        page = operator.get(address).content
        assert b"<script>alert" not in page
        assert b"<img src=x" not in page


def test_bodies_are_served_inert(operator, queued):
    row = queued(html="<script>alert(1)</script>")
    for name in ("html", "source", "eml"):
        answer = operator.get(url(name, row.pk))
        policy = answer["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "sandbox" in policy
        assert "script" not in policy
        assert answer["X-Content-Type-Options"] == "nosniff"
    frame = operator.get(url("frame", row.pk))
    assert b'sandbox=""' in frame.content
    assert "frame-src 'self'" in frame["Content-Security-Policy"]


def test_attachment_is_a_download(operator, queued):
    row = queued()
    answer = operator.get(url("attachment", row.pk, 1))
    assert answer.content.strip() == b"the attached words"  # Django 6.0 ends the last line
    assert answer["Content-Disposition"].startswith("attachment;")
    assert operator.get(url("attachment", row.pk, 2)).status_code == 404


def test_eml_is_the_message_byte_for_byte(operator, queued):
    row = queued()
    assert operator.get(url("eml", row.pk)).content == bytes(row.mime)


def test_p13_bodies_are_hidden_from_whom_they_are_not_for(client, person, queued, settings):
    row = queued(html="<p>secret</p>")
    client.force_login(person("view_message"))
    for name in PAGES:
        assert client.get(url(name, row.pk)).status_code == 403
    assert client.get(url("attachment", row.pk, 1)).status_code == 403
    assert b"the text body" not in client.get(url("change", row.pk)).content
    client.force_login(person("view_message", "view_message_body"))
    assert b"the text body" in client.get(url("change", row.pk)).content
    settings.DJANGO_EMAIL_RELAY = {"CONSOLE_SHOW_BODIES": False}
    assert b"the text body" not in client.get(url("change", row.pk)).content
    assert client.get(url("source", row.pk)).status_code == 403


def test_action_on_a_selection_asks_before_it_cancels(operator, queued):
    row, other = queued(), queued()
    form = {"action": "cancel", "_selected_action": [str(row.pk)], "index": "0"}
    page = operator.post(reverse(LIST), form)
    assert b"Yes, cancel" in page.content
    assert Message.objects.filter(status=Status.CANCELED).count() == 0
    operator.post(reverse(LIST), {**form, "confirmed": "yes"})
    row.refresh_from_db()
    other.refresh_from_db()
    assert (row.status, other.status) == (Status.CANCELED, Status.QUEUED)


def test_action_on_a_whole_filter(operator, queued):
    failed = [queued(status=Status.FAILED) for _ in range(3)]
    held = queued(status=Status.HELD)
    form = {"action": "requeue", "_selected_action": [str(failed[0].pk)], "index": "0", "select_across": "1"}
    page = operator.post(f"{reverse(LIST)}?state=failed", form)
    assert b"everything the filter selects" in page.content
    operator.post(f"{reverse(LIST)}?state=failed", {**form, "confirmed": "yes"})
    assert Message.objects.filter(status=Status.QUEUED).count() == 3
    held.refresh_from_db()
    assert held.status == Status.HELD


def test_actions_are_offered_by_permission(client, person, queued):
    queued()
    client.force_login(person("view_message", "hold_message"))
    page = client.get(reverse(LIST)).content
    assert b'value="hold"' in page
    assert b'value="cancel"' not in page


def test_messages_are_neither_added_changed_nor_deleted(operator, queued):
    row = queued()
    assert operator.get(reverse("admin:email_relay_message_add")).status_code == 403
    assert operator.post(url("change", row.pk), {}).status_code == 403
    assert operator.post(url("delete", row.pk), {"post": "yes"}).status_code == 403


def test_suppressions_are_kept_by_hand(operator):
    operator.post(reverse("admin:email_relay_suppression_add"), {"pattern": " Ann@Example.com", "reason": "asked"})
    assert Suppression.objects.get().pattern == "ann@example.com"
    assert operator.get(reverse("admin:email_relay_suppression_changelist")).status_code == 200


def test_history_of_a_message(operator, queued):
    row = queued()
    operator.post(url("act", row.pk, "hold"))
    assert b"Hold: 1 of 1 held" in operator.get(url("history", row.pk)).content
