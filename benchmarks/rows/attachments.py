"""200 messages with 2 MB attachments: the memory of the largest process, and the rate; then many more of them."""

from __future__ import annotations

from functools import partial

from benchmarks import contestants
from benchmarks.arena import Arena
from benchmarks.contestants import Contestant
from benchmarks.messages import ATTACHMENT_BYTES
from benchmarks.processes import PeakMemory, stop
from benchmarks.record import Record, Round
from benchmarks.servers import Watch, execute

COUNT, MANY, QUICK_MANY = 200, 2_000, 600
SIZE = ATTACHMENT_BYTES * 78 // 57  # in base64, with its line ends
COPY = """
INSERT INTO email_relay_message ({columns})
SELECT {columns} FROM (SELECT * FROM email_relay_message LIMIT 200) AS kept, generate_series(1, {times})
"""


def run(place: Arena) -> Record:
    many = QUICK_MANY if place.quick else MANY
    chosen = [
        contestants.worker("worker", 2, place.redis),
        contestants.runrelay(),
        contestants.relay_0_6_0(),
        contestants.post_office(),
    ]
    place.enter(*chosen)
    contenders = {one.name: partial(_round, place, one, COUNT) for one in chosen}
    if place.postfix is not None:
        contenders["postfix, end to end"] = partial(
            place.postfix.end_to_end, COUNT, SIZE, place.sink, place.sink.port, 300
        )
    for one in chosen[:2]:
        contenders[f"{one.name}, {many} of them"] = partial(_round, place, one, many)
    once = {name: 1 for name in contenders if name == "relay-0.6.0" or name.endswith("of them")}
    return {"messages": COUNT, "many": many, "figures": place.interleave(contenders, once)}


def _round(place: Arena, contestant: Contestant, count: int) -> Round:
    contestant.empty()
    contestant.send(COUNT, "attached")
    if count > COUNT:
        _copy(contestant.database, count // COUNT - 1)
    execute(contestant.database, "CHECKPOINT")
    watch = Watch(place.sink, count, 600)
    process = contestant.start(place.sink.port, place.folder)
    memory = PeakMemory(process.pid)
    memory.start()
    try:
        rate = watch.rate()
        peak = memory.largest()
    finally:
        stop(process)
        contestant.empty()
    return {"rate": rate, "peak_mib": peak}


def _copy(database: str, times: int) -> None:
    """The same rows again: the database does in seconds what sending would do in minutes."""
    columns = execute(
        database,
        "SELECT string_agg(column_name, ', ') FROM information_schema.columns "
        "WHERE table_name = 'email_relay_message' AND column_name <> 'id'",
    )[0][0]
    execute(database, COPY.format(columns=columns, times=times))
