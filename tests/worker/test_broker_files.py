"""The filesystem broker: a message appears whole or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty
from threading import Barrier

import pytest
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


def test_who_listens_is_kept_whole_when_many_begin_at_once(tmp_path):
    """Seen red with the stock channel: the table of a new exchange is torn, or forgets some."""
    several, rounds = 4, 30
    start = Barrier(several)

    def bind(number: int) -> None:
        with connection(tmp_path) as link:
            channel = link.channel()
            for turn in range(rounds):
                start.wait()
                channel._queue_bind(f"fan{turn}", "", "", f"listener-{'x' * number}{number}")

    with ThreadPoolExecutor(several) as threads:
        list(threads.map(bind, range(several)))
    with connection(tmp_path) as link:
        assert [len(link.channel().get_table(f"fan{turn}")) for turn in range(rounds)] == [several] * rounds


def test_p8_a_folder_that_was_removed_is_made_again_by_whoever_reads_or_writes(tmp_path):
    folder = tmp_path / "queue"
    with connection(folder) as link:
        channel = link.channel()
        assert channel._size("q") == 0
        folder.rmdir()
        with pytest.raises(Empty):
            channel._get("q")
        folder.rmdir()
        channel._put("q", {"body": "x"})
        assert channel._get("q") == {"body": "x"}
