"""Every fault in turn, or a soak: prints messages sent, lost, doubled, and fails if a promise was broken.

``python -m tests.chaos --rounds 20``; ``python -m tests.chaos --soak MINUTES --rate 200``.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections import defaultdict
from pathlib import Path

from tests.chaos.catalogue import FAULTS
from tests.chaos.fault import Fault, NotHere
from tests.chaos.soak import soak
from tests.chaos.tally import Tally, keep_faults, keep_soak, summary, table

MESSAGES = 200
"""For faults whose instant is not random."""
RARELY = 7
"""Those are injected in every seventh round."""


def main() -> int:
    options = arguments()
    random.seed(options.seed)
    print(f"seed {options.seed}", flush=True)
    if options.soak:
        return soaked(options)
    chosen = [fault for fault in FAULTS if not options.only or re.search(options.only, fault.name)]
    return Rounds(options).run(chosen)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=2000, help="for kills and stops at random instants")
    parser.add_argument("--minutes", type=float, help="begin no round after so long")
    parser.add_argument("--only", help="a pattern in a fault's name")
    parser.add_argument("--json", type=Path, help="keep the figures in this file")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the random instants")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="instead: so long under mail, with random faults")
    parser.add_argument("--rate", type=float, default=200, help="messages per second of the soak")
    parser.add_argument("--every", type=float, default=15, help="seconds between two faults of the soak")
    return parser.parse_args()


def soaked(options: argparse.Namespace) -> int:
    verdict = soak(options.soak, options.rate, options.every)
    print(verdict)
    if options.json and verdict.well:
        keep_soak(options.json, verdict.as_dict())
    print("\nEvery promise was kept." if verdict.well else "\nNOT SURVIVED")
    return 0 if verdict.well else 1


class Rounds:
    """What came of each fault, and the verdict."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.began = time.monotonic()
        self.tallies: dict[str, list[Tally]] = defaultdict(list)
        self.broken: list[str] = []
        self.absent: dict[str, str] = {}

    def run(self, faults: list[Fault]) -> int:
        for number in range(1, self.options.rounds + 1):
            if self.options.minutes and time.monotonic() > self.began + 60 * self.options.minutes:
                break
            for fault in faults:
                if fault.at_random or number % RARELY == 1:
                    self.one(number, fault)
        return self.report()

    def one(self, number: int, fault: Fault) -> None:
        if fault.name in self.absent:
            return
        try:
            tally = fault.run(self.options.messages if fault.at_random else min(MESSAGES, self.options.messages))
        except NotHere as reason:
            self.absent[fault.name] = str(reason)
            print(f"NOT RUN: {fault.name}: {reason}", flush=True)
        except AssertionError as error:
            self.broken.append(f"{fault.name}: {error}")
            print(f"round {number}: NOT SURVIVED: {fault.name}: {error}", flush=True)
        else:
            self.tallies[fault.name].append(tally)
            if not tally.well:
                self.broken.append(str(tally))
            print(f"round {number}: {tally}", flush=True)

    def report(self) -> int:
        rows = [summary(found) for found in self.tallies.values()]
        print("\n" + table(rows))
        if self.options.json and not self.broken:
            keep_faults(self.options.json, rows)
        for name, why in self.absent.items():
            print(f"NOT RUN: {name}: {why}")
        print("\n".join(f"FAULT NOT SURVIVED: {what}" for what in self.broken) or "\nEvery promise was kept.")
        return 1 if self.broken else 0


if __name__ == "__main__":
    sys.exit(main())
