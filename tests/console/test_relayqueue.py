"""``relayqueue``, a test to a verb."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from django.utils import timezone

from email_relay.management.commands import relayqueue
from email_relay.models import Message, Status, Worker


def run(*words):
    out = io.StringIO()
    call_command("relayqueue", *words, stdout=out)
    return out.getvalue()


def run_json(*words):
    return json.loads(run(*words, "--json"))


def test_status(queued):
    now = timezone.now()
    queued(source="shop", due_at=now - timedelta(minutes=10))
    queued(source="shop", status=Status.FAILED)
    queued(source="bill", status=Status.SENT)
    Worker.objects.create(name="relay-1", started_at=now, seen_at=now)
    told = run_json("status")
    assert told["due"] == 1
    assert told["sources"] == {"shop": {"QUEUED": 1, "FAILED": 1}}
    assert told["oldest_due_seconds"] >= 600
    assert told["sent_last_hour"] == 1
    assert "relay-1" in run("status")


def test_status_fails_if_the_oldest_is_too_old(queued):
    queued(due_at=timezone.now() - timedelta(minutes=10))
    run("status", "--fail-if-older-than", "3600")
    with pytest.raises(CommandError) as caught:
        run("status", "--fail-if-older-than", "300")
    assert caught.value.returncode == 2


def test_list_filters(queued):
    wanted = queued("ann@example.com", status=Status.DEFERRED, source="shop")
    queued("bob@example.com", source="bill")
    for words in (
        ["--status", "deferred"],
        ["--source", "shop"],
        ["--recipient", "ann@example.com"],
        [str(wanted.pk)],
        ["--message-id", wanted.message_id],
    ):
        assert [row["id"] for row in run_json("list", *words)] == [wanted.pk]
    assert "ann@example.com" in run("list")
    assert len(run_json("list", "--since", "1h", "--domain", "example.com", "--subject", "hello", "--limit", "1")) == 1


def test_list_leaves_sent_out_unless_asked(queued):
    sent = queued(status=Status.SENT)
    assert run_json("list") == []
    assert [row["id"] for row in run_json("list", "--status", "sent")] == [sent.pk]


def test_p13_terminals_are_safe_and_bodies_stay_out(queued):
    row = queued(subject="plain", log="\x1b[2Jgone")
    shown = run("list") + run("show", str(row.pk)) + run("show", str(row.pk), "--json")
    assert "\x1b" not in shown
    assert "the text body" not in shown


def test_show(queued):
    row = queued(status=Status.DEFERRED, log="451 later")
    told = run_json("show", str(row.pk))
    assert told["status"] == "DEFERRED"
    assert told["recipients"] == [{"address": "ann@example.com", "state": "owed", "reply": ""}]
    assert "Queued" in run("show", str(row.pk))
    with pytest.raises(CommandError, match="no message"):
        run("show", "0")


@pytest.mark.parametrize(
    ("verb", "before", "after"),
    [
        ("requeue", Status.FAILED, Status.QUEUED),
        ("hold", Status.QUEUED, Status.HELD),
        ("release", Status.HELD, Status.QUEUED),
        ("cancel", Status.DEFERRED, Status.CANCELED),
    ],
)
def test_steering(queued, verb, before, after):
    row, other = queued(status=before, source="a"), queued(status=before, source="b")
    assert run_json(verb, "--source", "a", "--yes") == {"verb": verb, "matched": 1, "changed": 1}
    row.refresh_from_db()
    other.refresh_from_db()
    assert (row.status, other.status) == (after, before)


def test_flush_makes_deferred_due(queued):
    row = queued(status=Status.DEFERRED, due_at=timezone.now() + timedelta(hours=1))
    assert run_json("flush")["changed"] == 1
    assert Message.objects.claimable().get() == row


def test_steering_wants_a_selection(queued):
    queued()
    with pytest.raises(CommandError, match="Say which"):
        run("hold")
    assert run_json("hold", "--all", "--yes")["changed"] == 1


@pytest.mark.parametrize(("answer", "after"), [("n", Status.QUEUED), ("y", Status.CANCELED)])
def test_cancel_asks(queued, monkeypatch, answer, after):
    row = queued()
    monkeypatch.setattr("builtins.input", lambda _: answer)
    try:
        run("cancel", str(row.pk))
    except CommandError:
        assert answer == "n"
    row.refresh_from_db()
    assert row.status == after


def test_purge(queued, settings):
    settings.DJANGO_EMAIL_RELAY = {"MESSAGES_RETENTION_SECONDS": 60}
    queued(status=Status.SENT, sent_at=timezone.now() - timedelta(hours=1))
    kept = queued()
    assert run_json("purge", "--yes")["sent"] == 1
    assert Message.objects.get() == kept


def test_export_writes_the_bytes(queued, tmp_path, settings):
    row = queued()
    run("export", str(row.pk), "--directory", str(tmp_path))
    assert (tmp_path / f"{row.pk}.eml").read_bytes() == bytes(row.mime)
    settings.DJANGO_EMAIL_RELAY = {"CONSOLE_SHOW_BODIES": False}
    with pytest.raises(CommandError, match="CONSOLE_SHOW_BODIES"):
        run("export", str(row.pk), "--directory", str(tmp_path))


def test_watch(queued):
    queued()
    assert run("watch", "--count", "2", "--interval", "0").count("due now        1") == 2


def test_unmigrated_and_absent_databases_are_said_so(db, monkeypatch):
    monkeypatch.setattr(relayqueue, "missing_migrations", lambda: "Run migrate.")
    with pytest.raises(CommandError, match="Run migrate") as caught:
        run("status")
    assert caught.value.returncode == 3

    def away():
        raise DatabaseError("connection refused")

    monkeypatch.setattr(relayqueue, "missing_migrations", away)
    with pytest.raises(CommandError, match="cannot be asked: connection refused"):
        run("status")
