"""The tables of the sizing page, from what the benchmarks kept: no figure on that page is typed by hand."""

from __future__ import annotations

from typing import Any

from benchmarks import record, report

ABSENT = "None has been kept yet."
OURS = ("worker", "runrelay", "1 process", "4 processes")
SERVERS = {
    "drain": "A server that takes at once; `worker` has two processes, `runrelay` is one",
    "slow": "A server that answers 20 ms late, the same programs",
    "scaling": "A server that answers 50 ms late, one worker",
}
MILLION, GIBIBYTE = 1_000_000, 1024**3
VOLUMES = {
    "table, bodies kept": "table",
    "table, bodies purged": "table_without_body",
    "indexes": "indexes",
    "table and indexes just after a drain": "after_drain",
    "WAL of queueing": "wal_queue",
    "WAL of sending": "wal_send",
}
COUNTS = {"transactions of queueing": "commits_queue", "transactions of sending": "commits_send"}


def rates() -> str:
    """What this package did in the rows of `make bench`; its peers stand on the page of the measurements."""
    kept = record.kept()
    parts = [part for name, title in SERVERS.items() if name in kept for part in (f"{title}:", _ours(kept[name]))]
    return "\n\n".join(parts) or ABSENT


def hosts() -> str:
    """The scale-out measurement, and what it was made with."""
    kept = record.kept().get("scale-out")
    if kept is None:
        return ABSENT
    with_what = (
        f"Each reply {1000 * kept['late']:.0f} ms late, {kept['sessions']} sessions for each process, "
        f"{kept['messages']} messages, {kept['machine']}; `{kept['command'].strip()}`:"
    )
    return f"{with_what}\n\n{report.details(kept)}"


def database() -> str:
    kept = record.kept().get("sizing")
    if kept is None:
        return ABSENT
    each = kept["bytes"]
    rows = [(name, f"{each[key] * MILLION / GIBIBYTE:.2f} GiB") for name, key in VOLUMES.items()]
    rows += [(name, f"{each[key] * MILLION:,.0f}") for name, key in COUNTS.items()]
    head = [f"| a million messages of {each['message_bytes']:.0f} bytes | |", "|---|---|"]
    made = f"Reckoned from {kept['messages']:,} messages; {kept['machine']}, {kept['database']}."
    return "\n".join([*head, *(f"| {name} | {value} |" for name, value in rows), "", made])


def _ours(kept: dict[str, Any]) -> str:
    return report.details({**kept, "figures": {key: kept["figures"][key] for key in OURS if key in kept["figures"]}})
