"""The claim on MariaDB, MySQL and SQLite: the same turns in several statements of one transaction.

The UPDATE names the states it expects, so two relays never take the same message; where the database has SKIP LOCKED
they do not wait for each other either.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import chain, zip_longest
from typing import Any, Iterator, List, Sequence, Set, Tuple

from django.db import connections, transaction
from django.db.models import F, Min, Value

from email_relay.db import DatabaseNow, database_now
from email_relay.models import CLAIMABLE, Message, Priority, Server, Status, Suppression
from email_relay.relay.turns import Turns
from email_relay.relay.vocabulary import FATAL_LAPSES, LAPSED_LOG, LEASED_COLUMNS, SUSPECT_LAPSES

ASSUMED_SIZE = 10_000
Candidate = Tuple[int, int, int]  # id, size, lapses


def execute(
    alias: str, *, token: str, worker: str, server: str, seconds: float, rows: int, size: int, alone: bool, turns: Turns
) -> Sequence[Sequence[Any]]:
    with transaction.atomic(using=alias):
        now = database_now(alias)
        lapsed = _give_lapsed_back(alias, now)
        circuit = Server.objects.using(alias).filter(name=server, opened_at__isnull=False).first()
        candidates = [] if circuit else _by_turns(alias, now, rows, turns, alone=alone)
        suspects = any(lapses >= SUSPECT_LAPSES for _, _, lapses in candidates)
        ids = _fit(candidates, rows, size)
        Message.objects.using(alias).filter(id__in=ids, status__in=CLAIMABLE).update(
            status=Status.SENDING,
            lease_token=token,
            lease_until=now + timedelta(seconds=seconds),
            worker=worker,
            updated_at=DatabaseNow(),
        )
        taken = _taken(alias, ids, token)
    beside = (
        now,
        circuit is not None,
        circuit is not None and circuit.probe_at is not None and circuit.probe_at <= now,
        Suppression.objects.using(alias).exists(),
        suspects,
        lapsed,
    )
    return [(*beside, *row) for row in taken] or [(*beside, None)]


def _give_lapsed_back(alias: str, now: Any) -> bool:
    lapsed = Message.objects.using(alias).filter(status=Status.SENDING, lease_until__lte=now)
    freed = {"lease_token": None, "lease_until": None, "updated_at": DatabaseNow(), "lapse_count": F("lapse_count") + 1}
    # two narrow updates; the first leaves only those behind that may be tried again
    lapsed.filter(lapse_count__gte=FATAL_LAPSES - 1).update(status=Status.FAILED, log=Value(LAPSED_LOG), **freed)
    return lapsed.update(status=Status.QUEUED, worker=None, **freed) > 0


def _by_turns(alias: str, now: Any, rows: int, turns: Turns, *, alone: bool) -> List[Candidate]:
    most = {source: turns.most(source, rows) for source in _sources(alias)}
    by_source = [_of_source(alias, source, now, most[source], alone=alone) for source in most if most[source]]
    return [found for found in chain.from_iterable(zip_longest(*by_source)) if found is not None]


def _sources(alias: str) -> Iterator[str]:
    claimable = Message.objects.using(alias).filter(status__in=CLAIMABLE)
    source = claimable.aggregate(first=Min("source"))["first"]
    while source is not None:
        yield source
        source = claimable.filter(source__gt=source).aggregate(first=Min("source"))["first"]


def _of_source(alias: str, source: str, now: Any, rows: int, *, alone: bool) -> List[Candidate]:
    found: List[Candidate] = []
    for priority in sorted(Priority.values, reverse=True):
        due = Message.objects.using(alias).filter(
            status__in=CLAIMABLE, source=source, priority=priority, due_at__lte=now
        )
        if alone:
            due = due.filter(lapse_count__gte=SUSPECT_LAPSES)
        if connections[alias].features.has_select_for_update_skip_locked:
            due = due.select_for_update(skip_locked=True)
        values = due.order_by("due_at", "id").values_list("id", "size", "lapse_count")[: rows - len(found)]
        found.extend((key, size or ASSUMED_SIZE, lapses) for key, size, lapses in values)
        if len(found) >= rows:
            break
    return found


def _fit(candidates: List[Candidate], rows: int, size: int) -> List[int]:
    sound = [candidate for candidate in candidates if candidate[2] < SUSPECT_LAPSES]
    if not sound:
        return [key for key, _, _ in candidates[:1]]
    ids: List[int] = []
    bytes_taken = 0
    for key, length, _ in sound[:rows]:
        if ids and bytes_taken >= size:
            break
        ids.append(key)
        bytes_taken += length
    return ids


def _taken(alias: str, ids: List[int], token: str) -> List[Tuple[Any, ...]]:
    rows = Message.objects.using(alias).filter(id__in=ids, lease_token=token).values_list(*LEASED_COLUMNS, "data")
    place = {key: at for at, key in enumerate(ids)}
    ordered = sorted(rows, key=lambda row: place[row[0]])
    return [row if row[-2] is None else (*row[:-1], None) for row in ordered]


def extend(alias: str, tokens: List[str], seconds: float) -> Set[str]:
    """Which of the tokens still hold something."""
    with transaction.atomic(using=alias):
        held = Message.objects.using(alias).filter(status=Status.SENDING, lease_token__in=tokens)
        held.update(lease_until=database_now(alias) + timedelta(seconds=seconds))
        return {str(token) for token in held.order_by().values_list("lease_token", flat=True).distinct()}
