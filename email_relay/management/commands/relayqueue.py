"""``relayqueue``: mailq, postqueue and postsuper for the relay database."""

from __future__ import annotations

import argparse
import logging
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError

from email_relay.conf import relay_settings
from email_relay.console.bulk import apply, ids_of
from email_relay.console.cli import printing
from email_relay.console.cli.arguments import add_filters, selection
from email_relay.console.cli.progress import progress
from email_relay.console.content import bytes_of
from email_relay.console.overview import as_dict, overview
from email_relay.console.selection import newest_order
from email_relay.console.verbs import VERBS, Verb
from email_relay.db import relay_alias
from email_relay.exceptions import ConfigurationError, UnreadablePayload
from email_relay.models import Message, MessageQuerySet, Status
from email_relay.readiness import missing_migrations
from email_relay.relay import retention

logger = logging.getLogger("email_relay.console")

TOO_OLD = 2
UNKNOWN = 3
"""Exit codes, as monitoring programs know them: critical, and cannot tell."""

STEERING = {
    "requeue": "Try failed and canceled messages anew.",
    "hold": "Keep messages from being tried until they are released.",
    "release": "Let held messages go.",
    "cancel": "Never send these messages.",
}


class Command(BaseCommand):
    help = (
        "Shows the queue and steers it. Exit codes: 0 all is well, 1 a verb could not be carried out, "
        "2 the oldest due message is older than allowed, 3 the relay database cannot be asked."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        status = self._verb(verbs, "status", "How the queue stands, and whether the relay is alive.", filters=False)
        status.add_argument("--fail-if-older-than", type=float, metavar="SECONDS", help="Exit 2 if mail is due longer.")
        watch = self._verb(verbs, "watch", "The status again and again, until interrupted.", filters=False)
        watch.add_argument("--interval", type=float, default=5, metavar="SECONDS")
        watch.add_argument("--count", type=int, metavar="TIMES", help="Stop after so many.")
        listing = self._verb(verbs, "list", "Messages, newest first; without a filter those that are not sent.")
        listing.add_argument("--limit", type=int, default=50, metavar="N")
        show = self._verb(verbs, "show", "One message: envelope, replies, time line.", filters=False)
        show.add_argument("id", type=int)
        for name, meaning in STEERING.items():
            self._steering(self._verb(verbs, name, meaning))
        self._steering(self._verb(verbs, "flush", "Try waiting messages now; without a filter all that are deferred."))
        self._steering(self._verb(verbs, "purge", "Delete what is older than its retention.", filters=False))
        export = self._verb(verbs, "export", "Write messages as .eml files.")
        export.add_argument("--directory", required=True, type=Path, metavar="DIR")

    def _verb(self, verbs: Any, name: str, meaning: str, *, filters: bool = True) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = verbs.add_parser(name, help=meaning, description=meaning)
        parser.add_argument("--json", action="store_true", help="For scripts.")
        if filters:
            add_filters(parser)
        return parser

    def _steering(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--yes", action="store_true", help="Do not ask.")
        parser.add_argument(
            "--all", action="store_true", dest="everything", help="Mean every message, without a filter."
        )

    def handle(self, *_: Any, verb: str, **options: Any) -> None:
        with answering():
            complaint = missing_migrations()
            if complaint:
                raise CommandError(complaint, returncode=UNKNOWN)
            if verb in STEERING:
                self._steer(VERBS[verb], options)
            else:
                getattr(self, f"_{verb}")(options)

    def _status(self, options: dict[str, Any]) -> None:
        state = overview()
        told = [printing.as_json(as_dict(state))] if options["json"] else printing.overview_lines(state)
        self._write(told)
        limit, oldest = options["fail_if_older_than"], state.oldest_due
        if limit is not None and oldest is not None and oldest.total_seconds() > limit:
            raise CommandError(f"The oldest due message has waited {printing.age(oldest)}.", returncode=TOO_OLD)

    def _watch(self, options: dict[str, Any]) -> None:
        rounds = 0
        try:
            while True:
                self._status({**options, "fail_if_older_than": None})
                rounds += 1
                if rounds == options["count"]:
                    return
                time.sleep(options["interval"])
        except KeyboardInterrupt:
            return

    def _list(self, options: dict[str, Any]) -> None:
        chosen = selection(options)
        messages = chosen.apply(everything().without_bodies())
        if chosen.is_empty:
            messages = messages.exclude(status=Status.SENT)
        narrow = not chosen.is_empty and set(chosen.statuses) != {Status.SENT}
        found = list(messages.order_by(*newest_order(narrow=narrow))[: max(options["limit"], 0)])
        if options["json"]:
            self._write([printing.as_json([printing.row(message) for message in found])])
        else:
            self._write(printing.list_lines(found))

    def _show(self, options: dict[str, Any]) -> None:
        message = everything().without_bodies().filter(pk=options["id"]).first()
        if message is None:
            raise CommandError(f"There is no message {options['id']}.")
        told = [printing.as_json(printing.story(message))] if options["json"] else printing.story_lines(message)
        self._write(told)

    def _flush(self, options: dict[str, Any]) -> None:
        if selection(options).is_empty:
            options = {**options, "status": ["deferred"]}
        self._steer(VERBS["send_now"], options)

    def _steer(self, verb: Verb, options: dict[str, Any]) -> None:
        chosen = selection(options)
        if chosen.is_empty and not options["everything"]:
            raise CommandError("Say which messages: row numbers, a filter, or --all.")
        alias = relay_alias()
        ids = ids_of(chosen.apply(everything()))
        self._confirm(f"{verb.label} {len(ids)} messages?", options, needed=verb.destructive or options["everything"])
        with progress(verb.label, len(ids), wanted=not options["json"]) as advance:
            outcome = apply(verb, ids, alias, advance)
        logger.info("relayqueue verb=%s matched=%d changed=%d", verb.name, outcome.matched, outcome.changed)
        told = {"verb": verb.name, "matched": outcome.matched, "changed": outcome.changed}
        plain = f"{outcome.changed} of {outcome.matched} messages {verb.past}."
        self._write([printing.as_json(told) if options["json"] else plain])

    def _purge(self, options: dict[str, Any]) -> None:
        self._confirm("Delete what is older than its retention?", options, needed=True)
        counts = retention.purge().as_dict()
        plain = ", ".join(f"{count} {name}" for name, count in counts.items())
        self._write([printing.as_json(counts) if options["json"] else f"Purged: {plain}."])

    def _export(self, options: dict[str, Any]) -> None:
        if not relay_settings().CONSOLE_SHOW_BODIES:
            raise CommandError("CONSOLE_SHOW_BODIES is False: bodies are not shown here.")
        chosen = selection(options)
        if chosen.is_empty:
            raise CommandError("Say which messages: row numbers or a filter.")
        directory: Path = options["directory"]
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        ids = ids_of(chosen.apply(everything()))
        with progress("Export", len(ids), wanted=not options["json"]) as advance:
            written = sum(self._export_one(pk, directory, advance) for pk in ids)
        told = {"matched": len(ids), "written": written, "directory": str(directory)}
        self._write(
            [printing.as_json(told) if options["json"] else f"{written} of {len(ids)} messages in {directory}."]
        )

    def _export_one(self, pk: int, directory: Path, advance: Any) -> int:
        advance(1)
        message = everything().filter(pk=pk).first()
        if message is None:
            return 0
        try:
            (directory / f"{pk}.eml").write_bytes(bytes_of(message))
        except UnreadablePayload as error:
            self.stderr.write(f"{pk}: {error}")
            return 0
        return 1

    def _confirm(self, question: str, options: dict[str, Any], *, needed: bool) -> None:
        if not needed or options["yes"]:
            return
        try:
            answer = input(f"{question} [y/N] ")
        except EOFError:
            answer = ""
        if answer.strip().lower() not in {"y", "yes"}:
            raise CommandError("Nothing was done. With --yes it is not asked.")

    def _write(self, lines: Any) -> None:
        for line in lines:
            self.stdout.write(line)


def everything() -> MessageQuerySet:
    return Message.objects.using(relay_alias()).all()


@contextmanager
def answering() -> Iterator[None]:
    """Say in one sentence that the database or the settings are in the way."""
    try:
        yield
    except ConfigurationError as error:
        raise CommandError(str(error), returncode=UNKNOWN) from error
    except (DatabaseError, InterfaceError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise CommandError(f"The relay database cannot be asked: {reason}", returncode=UNKNOWN) from error
