"""kombu's filesystem transport, with messages that appear whole: written beside the queue, then renamed into it.

The stock one opens the file under its final name before it writes, so a reader may take it empty.
"""

from __future__ import annotations

import time
import uuid
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
        folder = Path(self.data_folder_out)
        part = folder / f"{name}.part"
        part.write_bytes(str_to_bytes(dumps(message)))
        part.replace(folder / name)


class Transport(StockTransport):
    Channel = Channel


def install() -> None:
    """Put it under the URL ``filesystem://``."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:Transport"
