"""kombu's filesystem transport, safe for several processes that start at once.

Messages appear whole: written beside the queue, then renamed into it; the stock transport opens the file under its final
name before it writes, so a reader may take it empty. And the list of who listens to a broadcast is changed by one at a
time: two that make it together would leave a file that nobody can read, and a worker that Flower never sees. A folder that
was removed is made again.
"""

from __future__ import annotations

import fcntl
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.filesystem import Channel as StockChannel
from kombu.transport.filesystem import Transport as StockTransport
from kombu.utils.encoding import str_to_bytes
from kombu.utils.json import dumps


class Channel(StockChannel):
    def _put(self, queue: str, message: Any, **_: Any) -> None:  # type: ignore[override]
        name = f"{time.time_ns()}_{uuid.uuid4().hex}.{queue}.msg"
        folder = _made(self.data_folder_out)
        part = folder / f"{name}.part"
        part.write_bytes(str_to_bytes(dumps(message)))
        part.replace(folder / name)

    def _get(self, queue: str, *arguments: Any) -> Any:
        _made(self.data_folder_in)
        return super()._get(queue, *arguments)

    def _size(self, queue: str) -> int:
        _made(self.data_folder_in)
        return int(super()._size(queue))

    def get_table(self, exchange: str) -> Any:
        with self._alone():
            return super().get_table(exchange)

    def _queue_bind(self, *arguments: Any) -> None:
        with self._alone():
            super()._queue_bind(*arguments)

    def _delete(self, *arguments: Any, **options: Any) -> None:
        with self._alone():
            super()._delete(*arguments, **options)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (_made(self.control_folder) / "lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
            yield


def _made(folder: str | Path) -> Path:
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    return path


class Transport(StockTransport):
    Channel = Channel


def install() -> None:
    """Put it under the URL ``filesystem://``."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:Transport"
