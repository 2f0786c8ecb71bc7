"""Large bodies out of PostgreSQL as they are: COPY in its binary format carries one byte for each.

The drivers' ordinary way writes a body as hexadecimal text: twice the bytes over the wire and in memory, and most of what a
large message costs the relay.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, Dict, Sequence

from django.db import connections

BODIES = "COPY (SELECT id, mime FROM email_relay_message WHERE id IN ({})) TO STDOUT (FORMAT binary)"
SIGNATURE = b"PGCOPY\n\xff\r\n\0"
HEADER = len(SIGNATURE) + 8
ROW = Struct(">hiqi")
"""How many fields follow, the id behind its length, the length of the body."""


class Bodies(Dict[int, bytes]):
    """By id. A file for the driver to write to: PostgreSQL sends each row as one piece, the first behind a header."""

    def write(self, piece: bytes) -> int:
        start = HEADER if piece.startswith(SIGNATURE) else 0
        body = start + ROW.size
        if len(piece) >= body:
            _, _, key, length = ROW.unpack_from(piece, start)
            if length >= 0:
                self[key] = piece[body : body + length]
        return len(piece)


def fetch(alias: str, ids: Sequence[int]) -> Bodies:
    """The bodies of these messages, as far as they exist."""
    bodies, statement = Bodies(), BODIES.format(", ".join(str(int(key)) for key in ids))
    connection = connections[alias]
    with connection.cursor() as cursor, connection.wrap_database_errors:
        raw: Any = cursor.cursor
        if hasattr(raw, "copy_expert"):
            raw.copy_expert(statement, bodies)
        else:
            with raw.copy(statement) as copy:
                for piece in copy:
                    bodies.write(bytes(piece))
    return bodies
