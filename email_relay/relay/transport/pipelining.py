"""What this process has learned of a server's PIPELINING."""

from __future__ import annotations

import logging
from dataclasses import dataclass

logger = logging.getLogger("email_relay.relay")


@dataclass
class Pipelining:
    """Shared by the sessions to one server. ``proven``: an envelope behind a final dot was answered as it should be.
    ``broken``: the answers did not fit the commands; from then on the dialogue is plain.
    """

    proven: bool = False
    broken: bool = False

    def distrust(self, server: str) -> None:
        if not self.broken:
            self.broken = True
            logger.warning("server=%s breaks on PIPELINING: going on without", server)
