"""``email-relay``: the service's commands for a machine with no Django project of its own."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

USAGE = """email-relay COMMAND [options]

  check       settings, database, migrations, broker, SMTP login and healthcheck, one by one
  migrate     make or update the tables of the relay
  worker      the Celery worker with beat (celery -A relay_worker worker -B)
  beat        beat alone, where several workers run
  flower      Flower
  web         admin, dashboard, probes and metrics
  run         the relay without Celery (manage.py runrelay)
  queue       look at and steer the queue (manage.py relayqueue)
  suppressions look at and change the list of those who get no mail (manage.py relaysuppressions)
  grants      SQL for roles with the least rights (manage.py relaygrants)
  settings    the settings in force and where they came from
  manage      any other command of Django
"""
MANAGEMENT = {"queue": "relayqueue", "suppressions": "relaysuppressions", "grants": "relaygrants"}

SHOWN = (
    *("DATABASES", "CELERY_BROKER_URL", "EMAIL_BACKEND", "EMAIL_HOST", "EMAIL_PORT", "EMAIL_HOST_USER"),
    *("EMAIL_HOST_PASSWORD", "EMAIL_USE_TLS", "EMAIL_USE_SSL", "EMAIL_TIMEOUT", "LOG_LEVEL"),
)
"""What ``settings`` always tells; whatever else the environment sets comes behind."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "relay_worker.settings")
    if not given or given[0] in {"-h", "--help", "help"}:
        print(USAGE, end="")
        return 0
    command, rest = given[0], given[1:]
    if command in COMMANDS:
        return _explained(lambda: COMMANDS[command](rest))
    if command in MANAGEMENT:
        return _explained(lambda: _manage([MANAGEMENT[command], *rest]))
    print(f"email-relay: no command {command!r}\n\n{USAGE}", file=sys.stderr, end="")
    return 2


def _explained(run: Callable[[], int]) -> int:
    from email_relay.exceptions import ConfigurationError

    try:
        return run()
    except ConfigurationError as error:
        print(f"email-relay: {error}", file=sys.stderr)
        return 2


def _manage(arguments: list[str]) -> int:
    from django.core.management import execute_from_command_line

    execute_from_command_line(["email-relay", *arguments])
    return 0


def _migrate(rest: list[str]) -> int:
    """Migrate under a lock of the database; ``--wait SECONDS`` waits for one that is still starting."""
    import django

    django.setup()
    from relay_worker.administrator import ensure_administrator
    from relay_worker.migrating import all_applied, alone, explained, wait_for_database

    options = argparse.ArgumentParser(prog="email-relay migrate", add_help=False)
    options.add_argument("--wait", type=float, default=0)
    options.add_argument("-v", "--verbosity", default="1")
    given, rest = options.parse_known_args(rest)
    wait_for_database(given.wait)
    with alone(), explained():
        # Django looks into tables that a role without DDL need not see, even with nothing to do
        if rest or not all_applied():
            _manage(["migrate", "--verbosity", given.verbosity, *rest])

    if ensure_administrator():
        print("The first user of the admin was made.")
    return 0


def _run(rest: list[str]) -> int:
    import django

    django.setup()
    from relay_worker import counters

    counters.install()
    return _manage(["runrelay", *rest])


def _check(rest: list[str]) -> int:
    import django

    django.setup()
    from relay_worker import checkup, liveness

    known = {check.__name__: check for check in (*checkup.ALL, *liveness.ALL)}
    options = argparse.ArgumentParser(prog="email-relay check")
    options.add_argument("--only", nargs="+", choices=list(known), help="these checks alone")
    # what a running process says is not asked unless named: this command comes before the first start
    wanted = options.parse_args(rest).only or [check.__name__ for check in checkup.ALL]
    findings = [known[name]() for name in wanted]
    for finding in findings:
        print(f"{'ok  ' if finding.good else 'FAIL'} {finding.name:<12} {finding.detail}")
    return 0 if all(finding.good for finding in findings) else 1


def _settings(rest: list[str]) -> int:
    import dataclasses

    from django.conf import settings

    from email_relay.conf import EMAIL_RELAY_SETTINGS_NAME, relay_settings
    from relay_worker.redact import shown

    origins: dict[str, str] = getattr(settings, "ORIGINS", {})
    others = {path.split("__")[0] for path in origins} - {*SHOWN, EMAIL_RELAY_SETTINGS_NAME}
    for name in (*SHOWN, *sorted(others)):
        print(f"{name} = {shown(name, getattr(settings, name, None))!r}  ({_origin(name, origins)})")
    for name, value in dataclasses.asdict(relay_settings()).items():
        path = f"DJANGO_EMAIL_RELAY__{name}"
        print(f"{path} = {shown(name, value)!r}  ({_origin(path, origins)})")
    return 0


def _origin(name: str, origins: dict[str, str]) -> str:
    own = {"DATABASES": "DATABASE_URL"}.get(name, name)
    for variable in (own, f"{own}_FILE"):
        if variable in os.environ:
            return f"environment: {variable}"
    path = name.split("__")
    nested = sorted(variable for where, variable in origins.items() if where.split("__")[: len(path)] == path)
    return f"environment: {', '.join(nested)}" if nested else "default"


def _celery(arguments: list[str]) -> Callable[[list[str]], int]:
    def run(rest: list[str]) -> int:
        from relay_worker.celery import app

        app.start([*arguments, *rest])
        return 0

    return run


def _web(rest: list[str]) -> int:
    """gunicorn, on 0.0.0.0:8000 unless told otherwise."""
    import django

    django.setup()
    from relay_worker.administrator import ensure_administrator

    ensure_administrator()
    bind = [] if any(option.startswith(("-b", "--bind")) for option in rest) else ["--bind", "0.0.0.0:8000"]
    arguments = [sys.executable, "-m", "gunicorn", "relay_worker.wsgi:application", "--workers", "2", *bind, *rest]
    os.execv(sys.executable, arguments)  # noqa: S606 - gunicorn gets the signals itself  # nosec B606


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "check": _check,
    "migrate": _migrate,
    "settings": _settings,
    "worker": _celery(["worker", "-B"]),
    "beat": _celery(["beat"]),
    "flower": _celery(["flower"]),
    "web": _web,
    "run": _run,
    "manage": _manage,
}

if __name__ == "__main__":
    raise SystemExit(main())
