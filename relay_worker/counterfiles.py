"""The counters' files: several workers and their pool processes write, the site and the worker's own port read.

Under one folder every worker has a ``run-*`` of its own for the files of its processes (``prometheus_client``'s multiprocess
mode), and holds a lock in it for as long as one of them lives; a lock tells that in other containers too, where a pid
says nothing. The files of those that ended are added up in ``past``: by a process at its own end, and for those that were
killed by the next worker that starts. So the number of files stays small, and a counter never falls, which Prometheus would take
for a restart and count anew.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client import values
from prometheus_client.core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
LOCK = "lock"


class CounterFiles:
    """A collector for a registry. `begin` makes this process, and those it forks, write."""

    _alive: Any = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self) -> None:
        """From here on new metrics are written to files. Raises `OSError`."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(self.folder, fcntl.LOCK_EX):
            self._add_up()
            run = Path(tempfile.mkdtemp(prefix="run-", dir=self.folder))
            # kept open, here and in the children, until the last of them is gone
            self._alive = (run / LOCK).open("w")
            fcntl.flock(self._alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.environ[FOLDER] = str(run)
        # it chose by the environment when it was imported, which Celery's command does early, for Flower
        values.ValueClass = values.MultiProcessValue()

    def collect(self) -> Iterable[Metric]:
        """The sum over all workers of this folder, those of the past included."""
        if not (self.folder / LOCK).exists():
            return []
        with _locked(self.folder, fcntl.LOCK_SH):
            files = sorted(map(str, self.folder.glob("*/*.db")))
            return list(MultiProcessCollector.merge(files))

    def end(self) -> None:
        """This process counts no more: its files are added up at once, as a pool may renew its processes for ever."""
        values.ValueClass.close_all_files()
        with _locked(self.folder, fcntl.LOCK_EX):
            for file in Path(os.environ[FOLDER]).glob(f"*_{os.getpid()}.db"):
                self._add(file)
                file.unlink()

    def _add_up(self) -> None:
        for run in self.folder.glob("run-*"):
            if _ended(run):
                for file in run.glob("*.db"):
                    self._add(file)
                shutil.rmtree(run)

    def _add(self, file: Path) -> None:
        past = self.folder / "past"
        past.mkdir(exist_ok=True)
        sums = MmapedDict(str(past / f"{file.name.split('_')[0]}_past.db"))
        try:
            for key, value, *_ in MmapedDict.read_all_values_from_file(str(file)):
                sums.write_value(key, sums.read_value(key)[0] + value, 0.0)
        finally:
            sums.close()


@contextmanager
def _locked(folder: Path, kind: int) -> Iterator[None]:
    """Nobody reads while files are added up. The reader may be a user that cannot write here."""
    with (folder / LOCK).open("a" if kind == fcntl.LOCK_EX else "r") as lock:
        fcntl.flock(lock, kind)
        yield


def _ended(run: Path) -> bool:
    try:
        with (run / LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
