"""``relaysuppressions``, a test to a verb."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.utils import timezone

from email_relay.models import Suppression

pytestmark = pytest.mark.django_db


def run(*words):
    out = io.StringIO()
    call_command("relaysuppressions", *words, stdout=out)
    return out.getvalue()


def test_add_and_list():
    run("add", " Ann@Example.com", "@blocked.example", "--reason", "asked", "--for", "30d")
    told = {one["pattern"]: one for one in json.loads(run("list", "--json"))}
    assert set(told) == {"ann@example.com", "@blocked.example"}
    assert told["@blocked.example"]["reason"] == "asked"
    end = Suppression.objects.get(pattern="ann@example.com").expires_at
    assert abs(end - timezone.now() - timedelta(days=30)) < timedelta(hours=1)
    assert "ann@example.com  until" in run("list")


def test_add_again_changes_reason_and_end():
    run("add", "ann@example.com", "--for", "2h")
    run("add", "ANN@example.com", "--reason", "for good")
    one = Suppression.objects.get()
    assert (one.reason, one.expires_at) == ("for good", None)
    assert "for good" in run("list")


def test_remove():
    run("add", "ann@example.com", "bob@example.com")
    run("remove", "Ann@example.com")
    assert [one.pattern for one in Suppression.objects.all()] == ["bob@example.com"]


def test_remove_of_what_is_not_there_removes_nothing():
    run("add", "ann@example.com")
    with pytest.raises(CommandError, match=r"Not on the list: bob@example\.com"):
        run("remove", "ann@example.com", "bob@example.com")
    assert Suppression.objects.count() == 1


@pytest.mark.parametrize("pattern", ["example.com", "ann", "", "ann@", "a b@example.com", "x" * 256 + "@example.com"])
def test_p12_what_would_stop_nobody_is_refused(pattern):
    with pytest.raises(CommandError):
        run("add", "bob@example.com", pattern)
    assert not Suppression.objects.exists()
    with pytest.raises(ValidationError):
        Suppression(pattern=pattern).full_clean()


def test_a_duration_is_checked():
    with pytest.raises(CommandError, match="no duration"):
        run("add", "ann@example.com", "--for", "soon")
