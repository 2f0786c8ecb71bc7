from __future__ import annotations

from typing import Any, Iterator

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections, router

from email_relay.db import APP_LABEL, relay_alias
from email_relay.grants import ClientRole, RelayRole, script


class Command(BaseCommand):
    help = "Prints SQL that gives PostgreSQL roles the least rights they need; for psql, as the owner of the tables."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--role", help="The role a client project connects as.")
        parser.add_argument("--source", help="The SOURCE of that project; the role's own name by default.")
        parser.add_argument("--legacy", action="store_true", help="That project may still run django-email-relay 0.x.")
        parser.add_argument("--relay", metavar="ROLE", help="The role the relays connect as.")
        parser.add_argument(
            "--console",
            action="store_true",
            help="The relay's role also works on the other apps' tables in this database, such as those of the admin.",
        )
        parser.add_argument("--schema", default="public", help="Where the tables are.")

    def handle(self, *_: Any, **options: Any) -> None:
        if not options["role"] and not options["relay"]:
            raise CommandError("Name a role: --role for a client project, --relay for the relays.")
        if options["role"] == options["relay"]:
            raise CommandError("The relays' role may queue mail too, for any source: give it --relay alone.")
        if connections[relay_alias()].vendor != "postgresql":
            raise CommandError("Roles with column rights and row-level security are there on PostgreSQL alone.")
        try:
            self.stdout.write("\n".join(self._scripts(**options)), ending="")
        except ValueError as error:
            raise CommandError(str(error)) from error

    def _scripts(self, **options: Any) -> Iterator[str]:
        if options["relay"]:
            others = tuple(_other_tables(relay_alias())) if options["console"] else ()
            relay = RelayRole(options["relay"], options["schema"], others)
            yield script(relay.statements(), "The relays.")
        if options["role"]:
            source = options["source"] or options["role"]
            client = ClientRole(options["role"], source, options["schema"], options["legacy"])
            yield script(client.statements(), f"The client project {source}.")


def _other_tables(alias: str) -> Iterator[str]:
    for model in apps.get_models(include_auto_created=True):
        meta = model._meta  # noqa: SLF001 - Django's documented Model._meta API
        ours = meta.app_label == APP_LABEL
        if not ours and meta.managed and not meta.proxy and router.allow_migrate_model(alias, model):
            yield meta.db_table
