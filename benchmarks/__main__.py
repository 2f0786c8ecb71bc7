"""``python -m benchmarks``: each row beside its peers in one run, interleaved rounds, medians, ratios and targets.

Exits with 0 if every target that was measured is met, 1 if one is missed, 2 if a row could not be measured.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
import traceback
from typing import Callable

from benchmarks import record, report
from benchmarks.arena import Arena, arena, surroundings
from benchmarks.rows import ROWS

Row = Callable[[Arena], record.Record]


def measure(name: str, row: Row, rounds: int, *, quick: bool) -> bool:
    """Run one row and keep what it found; False if it could not be measured."""
    print(f"{name}: began at {time.strftime('%H:%M:%S')}", flush=True)
    began = time.monotonic()
    try:
        with arena(rounds, quick=quick) as place:
            about = surroundings(place)
            found = row(place)
    except (Exception, SystemExit):  # noqa: BLE001 - the other rows can still be measured
        traceback.print_exc()
        return False
    record.keep(name, {"row": name, **about, "seconds": round(time.monotonic() - began), **found})
    return True


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "rows", nargs="*", metavar="ROW", help=f"all, report (measure nothing), or any of {', '.join(ROWS)}"
    )
    parser.add_argument("--rounds", type=int, default=None, help="default: 5; with --quick 3")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, messages and rows; the figures say so")
    options = parser.parse_args()
    if unknown := set(options.rows) - {"all", "report", *ROWS}:
        parser.error(f"there is no row {', '.join(sorted(unknown))}")
    return options


def interrupt(*_: object) -> None:
    """Ended from outside: what was made is still taken away."""
    raise KeyboardInterrupt


def main() -> int:
    options = parse()
    signal.signal(signal.SIGTERM, interrupt)
    rounds = options.rounds or (3 if options.quick else 5)
    chosen = [] if options.rows == ["report"] else [name for name in options.rows if name != "all"] or list(ROWS)
    unmeasured = [name for name in chosen if not measure(name, ROWS[name], rounds, quick=options.quick)]
    missed = report.write()
    for name in unmeasured:
        print(f"not measured: {name}")
    return 2 if unmeasured else int(missed)


if __name__ == "__main__":
    sys.exit(main())
