"""Relays of other versions beside ours: an older tree of this code, and 0.6.0 by mistake."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.chaos.fault import NotHere, fault
from tests.chaos.installation import Installation, end_well
from tests.support.environments import PSYCOPG2, current, environment_with
from tests.support.processes import ROOT
from tests.support.projects import Project

MIGRATIONS = "email_relay/migrations"


def git(*arguments: str) -> str:
    try:
        result = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotHere(f"the history of this code is not here: {error}") from error
    return result.stdout.strip()


def older(folder: Path) -> Path:
    """The oldest tree that has today's schema, unpacked."""
    if git("rev-parse", "--is-shallow-repository") == "true":
        raise NotHere("this clone has no history to take an older version from")
    commit = git("log", "-1", "--format=%H", "--", MIGRATIONS)
    if commit == git("rev-parse", "HEAD"):
        raise NotHere("the schema has just changed: there is no older version of the code that has it")
    archive, tree = folder / "older.tar", folder / "older"
    git("archive", "--output", str(archive), commit, "email_relay", "relay_worker")
    tree.mkdir()
    subprocess.run(["tar", "-xf", str(archive), "-C", str(tree)], check=True)
    return tree


@fault("an older version beside this one", LEASE_SECONDS=60)
def two_versions(site: Installation) -> None:
    """As while the relays of a site are replaced one by one."""
    path = os.pathsep.join([str(site.place.folder), str(older(site.place.folder))])
    site.fill()
    with site.relay(PYTHONPATH=path) as old, site.relay() as new:
        site.in_the_middle(5)
        for relay in (old, new):
            relay.wait_ready("relay started")
            site.fill(site.messages // 2)
        site.wait_until_all_sent(old, new)
        rows = site.execute("SELECT DISTINCT split_part(worker, ':', 2)::int FROM email_relay_message")
        assert {pid for (pid,) in rows} == {old.pid, new.pid}, "both have worked"
        end_well([old, new])
    assert not site.charged()


@fault("a relay of 0.6.0 by mistake", LEASE_SECONDS=60)
def by_mistake(site: Installation) -> None:
    """It stops, having sent nothing: what arrived is what was queued, once."""
    try:
        python = environment_with(current(), "django-email-relay==0.6.0", "Django>=4.2,<5", PSYCOPG2)
    except (pytest.skip.Exception, pytest.fail.Exception) as reason:
        raise NotHere(str(reason)) from reason
    old = Project(
        site.place.folder,
        {"default": site.url},
        name="old",
        python=python,
        ours=False,
        EMAIL_HOST=site.smtp.host,
        EMAIL_PORT=site.smtp.port,
    )
    site.fill()
    with old.start("-m", "django", "runrelay") as forgotten, site.relay() as relay:
        # it meets a row of ours at the latest when more come in
        while forgotten.running and site.filled < 20 * site.messages:
            site.fill(20)
            site.smtp.wait_for(site.filled - 20)
        assert forgotten.wait(60) != 0, forgotten.tail()
        site.wait_until_all_sent(relay)
        end_well([relay])
    assert all(b"\r\nchaos" in message.content for message in site.smtp.received), "something was sent blank"
    assert not site.charged()


FAULTS = (two_versions, by_mistake)
