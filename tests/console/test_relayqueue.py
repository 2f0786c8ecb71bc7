"""``relayqueue``, a test to a verb."""

from __future__ import annotations

import argparse
import io
import json
import sys
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from django.utils import timezone

from email_relay.management.commands import relayqueue
from email_relay.models import Attempt, Message, Status, Worker


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
    now = timezone.now()
    Attempt.objects.create(message=row, number=1, started_at=now, finished_at=now, worker="relay-1", outcome="deferred",
                           reply="451 later", results={"ann@example.com": "451 later", "b@example.com": "250 ok"})  # fmt: skip
    shown = run("show", str(row.pk))
    for words in ("Queued", "Attempt 1: deferred  relay-1", "ann@example.com: 451 later", "b@example.com: 250 ok"):
        assert words in shown
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


def nobody_answers(_):
    raise EOFError


@pytest.mark.parametrize("words", [["cancel", "--source", "tests"], ["purge"], ["hold", "--all"], ["requeue", "--all"]])
@pytest.mark.parametrize("answer", [lambda _: "n", lambda _: "", nobody_answers], ids=["no", "nothing", "no terminal"])
def test_what_does_harm_asks(queued, monkeypatch, settings, words, answer):
    settings.DJANGO_EMAIL_RELAY = {"MESSAGES_RETENTION_SECONDS": 60}
    waiting, old = queued(source="tests"), queued(status=Status.SENT, sent_at=timezone.now() - timedelta(hours=1))
    monkeypatch.setattr("builtins.input", answer)
    with pytest.raises(CommandError, match="Nothing was done") as caught:
        run(*words)
    assert caught.value.returncode == 1
    assert Message.objects.queued().get() == waiting
    assert Message.objects.sent().get() == old


def test_yes_is_an_answer(queued, monkeypatch):
    row = queued()
    monkeypatch.setattr("builtins.input", lambda _: "y")
    assert run("cancel", str(row.pk)) == "1 of 1 messages canceled.\n"
    assert Message.objects.get().status == Status.CANCELED


def verbs():
    parser = relayqueue.Command().create_parser("manage.py", "relayqueue")
    [action] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return action.choices


def test_the_verbs_are_all_there_and_speak_json():
    wanted = "status list show requeue cancel hold release flush purge export watch"
    assert sorted(verbs()) == sorted(wanted.split())
    for name, parser in verbs().items():
        assert "--json" in parser.format_help(), name


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("words", "title"), [(["hold", "--all", "--yes"], "Hold"), (["export", "--source", "tests"], "Export")]
)
def test_a_terminal_sees_how_far_a_bulk_verb_is(queued, monkeypatch, tmp_path, words, title):
    pytest.importorskip("rich")
    for _ in range(3):
        queued(source="tests")
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    words = [*words, "--directory", str(tmp_path)] if title == "Export" else words
    out = run(*words)
    assert title in terminal.getvalue()
    assert "100%" in terminal.getvalue()
    assert title not in out
    terminal.seek(0)
    terminal.truncate()
    run(*words, "--json")
    assert terminal.getvalue() == "", "scripts are not told"


def test_without_rich_a_bulk_verb_says_only_what_it_did(queued, monkeypatch):
    queued()
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setattr("sys.stderr", Terminal())
    assert run("hold", "--all", "--yes") == "1 of 1 messages held.\n"
    assert sys.stderr.getvalue() == ""


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
    lines = run("watch", "--count", "2", "--interval", "0", "--json").splitlines()
    assert [json.loads(line)["due"] for line in lines] == [1, 1]


def test_watch_ends_without_a_word_when_interrupted(queued, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)
    assert run("watch").count("due now") == 1


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
