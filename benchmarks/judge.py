"""The targets: what each row must reach beside its references of the same run. Pure; records in, lines out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Optional, Tuple

from benchmarks.record import Record, median, quantile

NEVER_HIGHER = 1.1
"""Two peaks of memory that differ by less are the same."""
ONE_QUERY = 1.1
"""As PostgreSQL counts: some seconds late, and its autovacuum with it. A log of the statements has exactly one."""
WORKER, RUNRELAY = "worker", "runrelay"
Named = Tuple[str, float]
MaybeNamed = Tuple[str, Optional[float]]


@dataclass(frozen=True)
class Line:
    """One target. *ours* and *reference* are in *unit*; *reached* is 1 where the target is just met, more beyond it."""

    row: str
    work: str
    subject: str
    ours: float
    unit: str
    reference_name: str
    reference: float | None
    target: str
    reached: float
    higher_is_better: bool = True
    as_speed: bool = False
    """The ratio says how many times as fast: of two durations, the other way round."""

    @property
    def met(self) -> bool:
        return self.reached >= 1

    @property
    def ratio(self) -> float | None:
        if not self.reference or not self.ours:
            return None
        return self.reference / self.ours if self.as_speed else self.ours / self.reference

    @property
    def verdict(self) -> str:
        if self.met:
            return "met"
        if not self.reached:
            return "missed altogether"
        missed = 1 - self.reached if self.higher_is_better else 1 / self.reached - 1
        return f"missed by {100 * missed:.0f} %"


def judge(records: dict[str, Record]) -> list[Line]:
    """In the order of the work: what was not measured has no line."""
    return [
        line for name, lines in JUDGES for record in [records.get(name)] if record for line in lines(record, records)
    ]


def at_least(row: str, work: str, times: float, ours: Named, unit: str, reference: Named) -> Line:
    """So many times the reference, of what is better when there is more of it."""
    return Line(row, work, *ours, unit, *reference, f"≥ {times:g} ×", ours[1] / reference[1] / times)


def faster(row: str, work: str, times: float, ours: Named, unit: str, reference: Named) -> Line:
    """So many times as fast as the reference, of what takes its time."""
    reached = reference[1] / ours[1] / times
    return Line(row, work, *ours, unit, *reference, f"≥ {times:g} ×", reached, as_speed=True)


def at_most(row: str, work: str, limit: float, ours: Named, unit: str, reference: MaybeNamed) -> Line:
    """No more than a figure, whatever the reference does."""
    reached = limit / ours[1] if ours[1] else float(limit)
    return Line(row, work, *ours, unit, *reference, f"≤ {limit:g} {unit}", reached, higher_is_better=False)


def at_most_times(row: str, work: str, times: float, ours: Named, unit: str, reference: Named) -> Line:
    """No more than so many times the reference."""
    reached = times * reference[1] / ours[1]
    return Line(row, work, *ours, unit, *reference, f"≤ {times:g} ×", reached, higher_is_better=False)


def of(record: Record, name: str, key: str) -> float | None:
    return median(record.get("figures", {}).get(name, []), key)


def named(record: Record, key: str, *names: str) -> Iterator[Named]:
    """Those of the names that were measured, with their medians."""
    for name in names:
        value = of(record, name, key)
        if value:
            yield name, value


def _drain(record: Record, _records: dict[str, Record]) -> list[Line]:
    row, work = record["row"], f"drain {record['messages']:,} messages"
    lines = []
    for ours in named(record, "rate", WORKER):
        best = max(named(record, "rate", "post-office", "celery-email"), key=lambda peer: peer[1], default=None)
        lines += [at_least(row, work, 20, ours, "/s", peer) for peer in named(record, "rate", "relay-0.6.0")]
        lines += [at_least(row, work, 5, ours, "/s", best)] if best else []
        lines += [at_least(row, work, 0.8, ours, "/s", peer) for peer in named(record, "rate", "smtplib loop")]
        lines += [at_least(row, work, 3, ours, "/s", peer) for peer in named(record, "rate", "postfix, flush")]
    return lines


def _slow(record: Record, _records: dict[str, Record]) -> list[Line]:
    work = f"drain {record['messages']:,}, each answer 20 ms late"
    targets = {"relay-0.6.0": 40, "post-office": 1, "postfix, end to end": 1}
    return [
        faster("slow", work, times, ours, "s", peer)
        for ours in named(record, "seconds", WORKER, RUNRELAY)
        for name, times in targets.items()
        for peer in named(record, "seconds", name)
    ]


def _latency(record: Record, _records: dict[str, Record]) -> list[Line]:
    spent = record["latencies"]
    middle = {name: quantile(measured, 0.5) for name, measured in spent.items()}
    late = {name: quantile(measured, 0.99) for name, measured in spent.items()}
    reference = ("runmailer_pg", middle["runmailer_pg"])
    return [
        at_most_times("latency", "latency, p50", 1, (RUNRELAY, middle[RUNRELAY]), "ms", reference),
        at_most(
            "latency",
            "latency with Celery, p50",
            25,
            (WORKER, middle[WORKER]),
            "ms",
            ("postfix", middle.get("postfix")),
        ),
        at_most(
            "latency", "latency with Celery, p99", 100, (WORKER, late[WORKER]), "ms", ("postfix", late.get("postfix"))
        ),
    ]


def _cpu(record: Record, records: dict[str, Record]) -> list[Line]:
    work = "CPU of the relay a message, without its start"
    references = ("relay-0.6.0", "postfix, end to end")
    lines = [
        at_most("drain-long", work, 0.2, ours, "ms", (name, of(record, name, "steady_ms")))
        for ours in named(record, "steady_ms", WORKER, RUNRELAY)
        for name in references
    ]
    enqueue = records.get("enqueue", {})
    ours = [of(enqueue, "client", "cpu_ms"), of(record, WORKER, "steady_ms")]
    old = [of(enqueue, "relay-0.6.0", "cpu_ms"), of(record, "relay-0.6.0", "steady_ms")]
    if all([*ours, *old]):
        both, old_both = (sum(part or 0 for part in parts) for parts in (ours, old))
        title = "CPU of client and relay together"
        lines.append(at_most_times("enqueue", title, 1, ("client + worker", both), "ms", ("relay-0.6.0", old_both)))
    return lines


def _attachments(record: Record, _records: dict[str, Record]) -> list[Line]:
    row, work, lines = "attachments", f"{record['messages']} attachments of 2 MB", []
    for ours in named(record, "peak_mib", WORKER, RUNRELAY):
        name, old = ours[0], of(record, "relay-0.6.0", "peak_mib")
        lines.append(at_most(row, f"{work}: largest process", 120, ours, "MiB", ("relay-0.6.0", old)))
        for many in named(record, "peak_mib", f"{name}, {record['many']} of them"):
            title = f"{record['many']:,} attachments of 2 MB: largest process"
            same = (f"{name}, {record['messages']} of them", ours[1])
            lines.append(at_most_times(row, title, NEVER_HIGHER, (name, many[1]), "MiB", same))
        for rate in named(record, "rate", name):
            postfix = named(record, "rate", "postfix, end to end")
            lines += [at_least(row, f"{work}: rate", 1, rate, "/s", peer) for peer in postfix]
    return lines


def _beside(record: Record, _records: dict[str, Record]) -> list[Line]:
    figures, empty, lines = record["figures"], "an empty table", []
    for ours in named(record, "idle_ms", "500,000 sent"):
        poll, work = (RUNRELAY, ours[1]), "idle poll beside 500,000 sent"
        lines += [at_most("beside", work, 1, poll, "ms", peer) for peer in record["peers_idle_ms"].items()]
    for name in figures:
        if name == empty:
            continue
        for key, what in (("claim_ms", "claim 100 of"), ("drain_ms", "drain")):
            work = f"{what} 1,000 due beside {name}"
            for _, ours_ms in named(record, key, name):
                lines += [
                    at_most_times("beside", work, 1.2, (RUNRELAY, ours_ms), "ms", alone)
                    for alone in named(record, key, empty)
                ]
        lines.append(_same_plan(record, name, empty))
    return lines


def _same_plan(record: Record, name: str, empty: str) -> Line:
    """About the same buffers; a plan other than beside half a million misses it altogether.

    On a table of nothing but what is due PostgreSQL reads that table from end to end: its plan is no reference.
    """
    ours, alone = float(record["buffers"][name]), float(record["buffers"][empty])
    same = record["steps"][name] == record["steps"]["500,000 sent"] and not any(map(_reads_all, record["steps"][name]))
    target = "the same plan, ≤ 1.2 ×" if same else "the same plan (it is another), ≤ 1.2 ×"
    reached = 1.2 * alone / ours if same else 0.0
    work = f"buffers of a claim beside {name}"
    return Line("beside", work, RUNRELAY, ours, "buffers", empty, alone, target, reached, higher_is_better=False)


def _reads_all(step: str) -> bool:
    return step.startswith("Seq Scan on email_relay_message")


def _fairness(record: Record, _records: dict[str, Record]) -> list[Line]:
    alone, beside = (quantile(record["latencies"][name], 0.95) for name in ("alone", "beside a backlog"))
    work = f"one message while another source has {record['messages']:,} waiting, p95"
    return [at_most_times("fairness", work, 3, (RUNRELAY, beside), "ms", ("alone", alone))]


def _scaling(record: Record, _records: dict[str, Record]) -> list[Line]:
    [one], [four] = (list(named(record, "rate", name)) for name in ("1 process", "4 processes"))
    return [at_least("scaling", f"drain {record['messages']:,}, each answer 50 ms late", 3.5, four, "/s", one)]


def _idle(record: Record, _records: dict[str, Record]) -> list[Line]:
    asked = [(name, of(record, f"{name}, polling", "transactions_a_poll")) for name in (WORKER, RUNRELAY)]
    used = [(name, of(record, name, "core_percent")) for name in (WORKER, RUNRELAY)]
    nothing = ("", None)
    return [
        *(
            at_most("idle", "idle: queries a poll", ONE_QUERY, (name, value or 0.0), "queries", nothing)
            for name, value in asked
        ),
        *(at_most("idle", "idle: CPU", 1, (name, value or 0.0), "% of a core", nothing) for name, value in used),
    ]


JUDGES = (
    ("drain", _drain),
    ("drain-long", _drain),
    ("slow", _slow),
    ("latency", _latency),
    ("drain-long", _cpu),
    ("attachments", _attachments),
    ("beside", _beside),
    ("fairness", _fairness),
    ("scaling", _scaling),
    ("idle", _idle),
)
