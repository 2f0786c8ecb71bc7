from __future__ import annotations

import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError

from email_relay.exceptions import ConfigurationError
from email_relay.readiness import missing_migrations
from email_relay.relay.faults import described
from email_relay.relay.runner import Runner


class Command(BaseCommand):
    help = "Delivers what the relay database holds, until it is told to stop (SIGTERM, SIGINT)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="Drain what is due, then exit; for cron.")

    def handle(self, *_: Any, once: bool, **__: Any) -> None:
        runner = self._runner()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: runner.stop())
        if once:
            self._once(runner)
        else:
            runner.run()

    def _runner(self) -> Runner:
        try:
            complaint = missing_migrations()
            if complaint:
                raise CommandError(complaint)
            return Runner()
        except ConfigurationError as error:
            raise CommandError(str(error)) from error
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(f"The relay database cannot be reached ({type(error).__name__}).") from error

    def _once(self, runner: Runner) -> None:
        try:
            report = runner.once()
        except (DatabaseError, InterfaceError) as error:
            # not "from" it: its text may quote a row (P13)
            raise CommandError(f"The relay database is in trouble: {described(error)}") from None
        self.stdout.write(
            f"sent {report.sent}, deferred {report.deferred}, failed {report.failed}, "
            f"returned {report.returned} ({report.reason})"
        )
