"""How quick the console is over a million sent and fifty thousand queued messages: ``python benchmarks/console.py``.

Makes a PostgreSQL database of its own on 127.0.0.1 (PGUSER, trust) and drops it. Prints the median of each page and
the plan of the slowest query of each.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"

import django
from django.conf import settings

ROWS, QUEUED, ROUNDS = 1_000_000, 50_000, 9

FILL = """
INSERT INTO email_relay_message (data, priority, status, retry_count, log, created_at, updated_at, sent_at, recipients,
  message_id, queue_id, source, worker, due_at, ready_at, lapse_count)
SELECT jsonb_build_object('subject', 'Order ' || n || ' has shipped',
  'to', jsonb_build_array('u' || n %% 200000 || '@example.com')),
  1 + n %% 3, %(status)s, 0, '250 2.0.0 Ok', now() - (%(rows)s - n) * interval '2 seconds', now(),
  CASE WHEN %(status)s = 4 THEN now() - (%(rows)s - n) * interval '2 seconds' END,
  jsonb_build_array('u' || n %% 200000 || '@example.com'), '<' || n || '.%(status)s@example.org>', 'Q' || n, 'source' || n %% 10,
  CASE WHEN %(status)s = 4 THEN 'relay-1' END, now(), now(), 0
FROM generate_series(1, %(rows)s) n
"""


def main() -> None:
    from django.db import connection

    settings.ALLOWED_HOSTS = ["testserver"]
    connection.creation.create_test_db(verbosity=0, serialize=False)
    try:
        fill(connection)
        measure(connection)
    finally:
        connection.creation.destroy_test_db(settings.DATABASES["default"]["NAME"], verbosity=0)


def fill(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        cursor.execute("SET maintenance_work_mem = '256MB'")
        cursor.execute(FILL % {"status": 4, "rows": ROWS})
        cursor.execute(FILL % {"status": 1, "rows": QUEUED})
        cursor.execute("VACUUM ANALYZE email_relay_message")


def measure(connection: Any) -> None:
    from django.contrib.auth.models import User
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.urls import reverse

    client = Client()
    client.force_login(User.objects.create_superuser("bench", password="x"))
    listed = reverse("admin:email_relay_message_changelist")
    pages = {
        "list": listed,
        "list, queued": f"{listed}?state=queued",
        "list, failed": f"{listed}?state=failed",
        "list, held": f"{listed}?state=held",
        "list, sent": f"{listed}?state=sent",
        "search recipient": f"{listed}?q=u4711@example.com",
        "search recipient, none": f"{listed}?q=nobody@example.com",
        "search Message-ID": f"{listed}?q=<4711.4@example.org>",
        "search queue id": f"{listed}?q=Q4711",
        "search subject, 1 day": f"{listed}?q=subject:order 99",
        "detail": reverse("admin:email_relay_message_change", args=[4711]),
        "dashboard": reverse("admin:email_relay_message_dashboard"),
    }
    for name, address in pages.items():
        taken = []
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            assert client.get(address).status_code == 200
            taken.append(time.perf_counter() - begin)
        with CaptureQueriesContext(connection) as queries:
            client.get(address)
        print(f"{name:26} {statistics.median(taken) * 1000:7.0f} ms, {len(queries)} queries", flush=True)
        slowest = max(queries, key=lambda query: float(query["time"]))
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN " + slowest["sql"].replace("%", "%%"), [])
            plan = [row[0] for row in cursor.fetchall()]
        print(f"    {slowest['time']} s: {slowest['sql'][:150]}")
        print("\n".join(f"      {line}" for line in plan[:8]), flush=True)


if __name__ == "__main__":
    sys.modules.setdefault("pytest", sys.modules[__name__])  # the settings start a server for tests only
    django.setup()
    main()
