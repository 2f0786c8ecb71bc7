"""The filesystem broker: a message appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

from kombu import Connection
from kombu.transport import TRANSPORT_ALIASES

import relay_worker  # noqa: F401 - importing the app installs the transport
from relay_worker.filesystem import Channel


def connection(folder: Path) -> Connection:
    options = {"data_folder_in": str(folder), "data_folder_out": str(folder), "control_folder": str(folder / "control")}
    return Connection("filesystem://", transport_options=options)


def test_ours_stands_under_the_url():
    assert TRANSPORT_ALIASES["filesystem"] == "relay_worker.filesystem:Transport"


def test_messages_come_out_in_the_order_they_went_in(tmp_path):
    with connection(tmp_path) as link:
        queue = link.SimpleQueue("q")
        for number in range(20):
            queue.put({"number": number})
        got = []
        for _ in range(20):
            message = queue.get(timeout=30)
            got.append(message.payload["number"])
            message.ack()
        queue.close()
    assert got == list(range(20))


def test_nothing_is_seen_under_its_final_name_before_it_is_whole(tmp_path, monkeypatch):
    """Seen red with the stock channel: it writes into the final file."""
    seen = []
    write = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda self, data: (seen.append(self.name), write(self, data))[1])
    with connection(tmp_path) as link:
        channel = link.channel()
        assert isinstance(channel, Channel)
        channel._put("q", {"body": "x"})
    assert seen
    assert not [name for name in seen if name.endswith(".msg")]
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".q.msg")]
