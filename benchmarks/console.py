"""How quick the console is over a million sent and fifty thousand queued messages: ``python benchmarks/console.py``.

Makes a PostgreSQL database of its own on 127.0.0.1 (PGUSER, trust) and drops it. Every page is asked for twice over: with
a tenth of the sent messages, and with all of them. Medians, and the pages of the database that were touched, go to
``benchmarks/results/console.md``, the plan of every query of every page to ``console-plans.txt`` beside it. Ends with 1 if a
page of `PROMISED` is slower than it may be.
"""

from __future__ import annotations

import os
import re
import statistics
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"

import django
from django.conf import settings

SENT, QUEUED, BODY, ROUNDS = 1_000_000, 50_000, 1_000, 9
ALLOWED_MS = 300
PROMISED = ("list", "search recipient", "detail", "dashboard")
RESULTS = Path(__file__).resolve().parent / "results"

FILL = """
INSERT INTO email_relay_message (data, priority, status, retry_count, log, created_at, updated_at, sent_at, recipients,
  mime, size, envelope_from, message_id, queue_id, source, worker, due_at, ready_at, lapse_count)
SELECT jsonb_build_object('subject', 'Order ' || n || ' has shipped',
  'to', jsonb_build_array('u' || n %% 200000 || '@example.com')),
  1 + n %% 3, %(status)s, 0, '250 2.0.0 Ok: queued as Q' || n, now() - (%(last)s - n) * interval '2 seconds', now(),
  CASE WHEN %(status)s = 4 THEN now() - (%(last)s - n) * interval '2 seconds' END,
  jsonb_build_array('u' || n %% 200000 || '@example.com'),
  convert_to(E'Subject: Order\\r\\n\\r\\n' || repeat(md5(n::text), %(body)s / 32), 'UTF8'), %(body)s, 'shop@example.org',
  '<' || n || '.%(status)s@example.org>', CASE WHEN %(status)s = 4 THEN 'Q' || n ELSE '' END, 'source' || n %% 10,
  CASE WHEN %(status)s = 4 THEN 'relay-1' END, now(), now(), 0
FROM generate_series(1, %(last)s) n
"""
ATTEMPTS = """
INSERT INTO email_relay_attempt (message_id, number, started_at, finished_at, worker, server, outcome, code, enhanced,
  reply, results)
SELECT id, 1, created_at, created_at, 'relay-1', 'mail:25', 'deferred', 451, '4.7.1', '451 4.7.1 greylisted', '{}'
FROM email_relay_message WHERE id % 10 = 1
"""


def main() -> int:
    from django.db import connection

    settings.ALLOWED_HOSTS = ["testserver"]
    load = os.getloadavg()[0]
    connection.creation.create_test_db(verbosity=0, serialize=False)
    try:
        fill(connection, sent=SENT // 10)
        few = measure(connection)
        fill(connection, sent=SENT)
        many = measure(connection)
    finally:
        connection.creation.destroy_test_db(settings.DATABASES["default"]["NAME"], verbosity=0)
    report(few, many, load)
    return int(any(many[name]["ms"] > ALLOWED_MS for name in PROMISED))


def fill(connection: Any, *, sent: int) -> None:
    """The queue anew: the same backlog and the same last hours, before them more or less that was sent."""
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        cursor.execute("SET maintenance_work_mem = '256MB'")
        cursor.execute("TRUNCATE email_relay_message, email_relay_attempt RESTART IDENTITY")
        for status, rows in ((4, sent), (1, QUEUED)):
            cursor.execute(FILL % {"status": status, "last": rows, "body": BODY})
        cursor.execute("UPDATE email_relay_message SET source = 'rare' WHERE id <= 10")
        cursor.execute(ATTEMPTS)
        cursor.execute("VACUUM ANALYZE email_relay_message, email_relay_attempt")


def pages() -> dict[str, str]:
    from django.urls import reverse

    listed = reverse("admin:email_relay_message_changelist")
    day = (datetime.now(tz=timezone.utc) - timedelta(days=12)).date()
    return {
        "list": listed,
        "list, queued": f"{listed}?state=queued",
        "list, failed": f"{listed}?state=failed",
        "list, held": f"{listed}?state=held",
        "list, sent": f"{listed}?state=sent",
        "list, due now": f"{listed}?due=now",
        "list, source": f"{listed}?from=source3",
        "list, rare source": f"{listed}?from=rare",
        "list, priority": f"{listed}?urgency=3",
        "list, domain": f"{listed}?domain=example.com",
        "list, one day of old": f"{listed}?after={day}&before={day}",
        "search recipient": f"{listed}?q=u4711@example.com",
        "search recipient, none": f"{listed}?q=nobody@example.com",
        "search Message-ID": f"{listed}?q=<4711.4@example.org>",
        "search queue id": f"{listed}?q=Q4711",
        "search subject, 1 day": f"{listed}?q=subject:order 99",
        "detail": reverse("admin:email_relay_message_change", args=[4711]),
        "dashboard": reverse("admin:email_relay_message_dashboard"),
    }


def measure(connection: Any) -> dict[str, dict[str, Any]]:
    from django.contrib.auth.models import User
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client()
    client.force_login(User.objects.get_or_create(username="bench", is_staff=True, is_superuser=True)[0])
    found = {}
    for name, address in pages().items():
        taken = []
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            assert client.get(address).status_code == 200
            taken.append(time.perf_counter() - begin)
        with CaptureQueriesContext(connection) as queries:
            client.get(address)
        statements = [query["sql"] for query in queries if "email_relay_" in query["sql"]]
        found[name] = {
            "ms": statistics.median(taken) * 1000,
            "queries": len(queries),
            "plans": [(sql, plan(connection, sql)) for sql in statements],
        }
        print(f"{name:26} {found[name]['ms']:6.0f} ms", flush=True)
    return found


def plan(connection: Any, sql: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, SUMMARY OFF) {sql}")
        return [row[0] for row in cursor.fetchall()]


def touched(page: dict[str, Any]) -> int:
    """Pages of the database that the page's queries looked at, each query's topmost node telling for all of it."""
    total = 0
    for _, lines in page["plans"]:
        buffers = next((line for line in lines if "Buffers: shared" in line), "")
        total += sum(int(number) for number in re.findall(r"(?:hit|read)=(\d+)", buffers))
    return total


def report(few: dict[str, Any], many: dict[str, Any], load: float) -> None:
    lines = [
        f"Median of {ROUNDS}, over {QUEUED:,} queued messages and bodies of {BODY:,} bytes; the load before was {load:.1f}. "
        "A buffer is a page of 8 kB that the queries touched.",
        "",
        f"| page | {SENT // 10:,} sent | buffers | {SENT:,} sent | buffers | queries |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, page in many.items():
        cells = [f"{state[name]['ms']:.0f} ms | {touched(state[name]):,}" for state in (few, many)]
        lines.append(f"| {name} | {' | '.join(cells)} | {page['queries']} |")
    (RESULTS / "console.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines), flush=True)
    with (RESULTS / "console-plans.txt").open("w") as kept:
        for name, page in many.items():
            kept.write(f"=== {name}: {page['ms']:.0f} ms\n")
            for sql, plan_lines in page["plans"]:
                kept.write(f"\n{shortened(sql)}\n" + "".join(f"    {shortened(line)}\n" for line in plan_lines))
            kept.write("\n")


def shortened(line: str) -> str:
    """Without the list of columns, which is always the same."""
    return re.sub(r'("email_relay_message"\."\w+", ){4,}', "..., ", line)[:600]


if __name__ == "__main__":
    sys.modules.setdefault("pytest", sys.modules[__name__])  # the settings start a server for tests only
    django.setup()
    sys.exit(main())
