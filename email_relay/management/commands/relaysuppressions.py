"""``relaysuppressions``: who gets no mail, from the shell."""

from __future__ import annotations

import argparse
import json
import re
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from email_relay.console.cli.arguments import UNITS
from email_relay.db import database_now, relay_alias
from email_relay.management.commands.relayqueue import answering
from email_relay.models import Suppression


def duration(text: str) -> timedelta:
    """``90m``, ``2h``, ``30d``."""
    given = re.fullmatch(r"(\d+)([smhd])", text.strip())
    if given is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 2h or 30d")
    return timedelta(**{UNITS[given.group(2)]: int(given.group(1))})


class Command(BaseCommand):
    help = "Shows and changes the suppression list: addresses, and domains written @example.com, that get no mail."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        listing = verbs.add_parser("list", help="What is on the list, with reason and end.")
        listing.add_argument("--json", action="store_true", help="For scripts.")
        add = verbs.add_parser("add", help="Stop mail to these, or change reason and end of what is there.")
        add.add_argument("pattern", nargs="+", metavar="PATTERN", help="An address, or @domain.")
        add.add_argument("--reason", default="", help="Shown in the admin.")
        add.add_argument("--for", type=duration, dest="lasting", metavar="TIME", help="End it after 2h, 30d, …")
        remove = verbs.add_parser("remove", help="Let mail to these go again.")
        remove.add_argument("pattern", nargs="+", metavar="PATTERN", help="As it stands on the list.")

    def handle(self, *_: Any, verb: str, **options: Any) -> None:
        with answering():
            getattr(self, f"_{verb}")(relay_alias(), **options)

    def _list(self, alias: str, **options: Any) -> None:
        found = list(Suppression.objects.using(alias).values("pattern", "reason", "created_at", "expires_at"))
        if options["json"]:
            self.stdout.write(json.dumps(found, default=lambda instant: instant.isoformat()))
            return
        for one in found:
            end = f"until {one['expires_at']:%Y-%m-%d %H:%M}" if one["expires_at"] else "for good"
            self.stdout.write(f"{one['pattern']}  {end}  {one['reason']}".rstrip())

    def _add(self, alias: str, *, pattern: list[str], reason: str, lasting: timedelta | None, **_: Any) -> None:
        wanted = [Suppression(pattern=given, reason=reason) for given in pattern]
        for one in wanted:
            self._check(one)
        expires_at = database_now(alias) + lasting if lasting else None
        for one in wanted:
            Suppression.objects.using(alias).update_or_create(
                pattern=one.pattern, defaults={"reason": reason, "expires_at": expires_at}
            )
        self.stdout.write(f"{len(wanted)} on the list.")

    def _check(self, one: Suppression) -> None:
        try:
            one.clean_fields()
            one.clean()
        except ValidationError as error:
            raise CommandError(f"{one.pattern}: {' '.join(error.messages)}") from error

    def _remove(self, alias: str, *, pattern: list[str], **_: Any) -> None:
        normal = [given.strip().lower() for given in pattern]
        there = Suppression.objects.using(alias).filter(pattern__in=normal)
        absent = set(normal) - set(there.values_list("pattern", flat=True))
        if absent:
            raise CommandError(f"Not on the list: {', '.join(sorted(absent))}. Nothing was removed.")
        there.delete()
        self.stdout.write(f"{len(set(normal))} off the list.")
