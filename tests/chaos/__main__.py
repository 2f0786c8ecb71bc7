"""``python -m tests.chaos --rounds 20``: every fault in turn; prints messages sent, lost, doubled, and fails if any was lost."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from tests.chaos.faults import FAULTS, MESSAGES, inject
from tests.chaos.installation import Installation, Tally
from tests.support.databases import postgresql_database
from tests.support.smtpserver import SmtpServer


def one_round(fault, messages: int) -> Tally:
    with tempfile.TemporaryDirectory() as folder, postgresql_database("chaos") as url, SmtpServer() as smtp:
        return inject(fault, Installation(Path(folder), url, smtp), messages)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--only", help="part of a fault's name")
    options = parser.parse_args()
    chosen = [fault for fault in FAULTS if not options.only or options.only in fault.__name__]
    tallies: dict[str, list[Tally]] = defaultdict(list)
    for number in range(1, options.rounds + 1):
        for fault in chosen:
            tally = one_round(fault, options.messages)
            tallies[tally.fault].append(tally)
            print(f"round {number}: {tally}", flush=True)
    return report(tallies)


def report(tallies: dict[str, list[Tally]]) -> int:
    print(
        f"\n{'fault injected':30} {'rounds':>7} {'sent':>8} {'lost':>6} {'doubled':>8} {'mean':>6} {'most':>5} {'allowed':>8}"
    )
    for fault, found in tallies.items():
        doubled = [tally.doubled for tally in found]
        print(
            f"{fault:30} {len(found):7} {sum(t.sent for t in found):8} {sum(t.lost for t in found):6} {sum(doubled):8} "
            f"{sum(doubled) / len(found):6.1f} {max(doubled):5} {sum(t.allowed for t in found):8}"
        )
    bad = [tally for found in tallies.values() for tally in found if not tally.well]
    print("\n".join(f"FAULT NOT SURVIVED: {tally}" for tally in bad) or "\nEvery promise was kept.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
