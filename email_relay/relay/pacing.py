"""The pace of sources that have a rate in their policy: a slot for each message, over all relays.

A source whose next slot is still to come is *closed*: a claim passes it by, so that its backlog costs nothing and delays nobody.
An open one gives a claim one message, and the relay that moves the slot on may send it; others give theirs back.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Dict, List, Sequence, Tuple

from django.db import transaction

from email_relay.db import database_now
from email_relay.models import Message, Pace
from email_relay.relay.leases import Leased
from email_relay.relay.policy import EVERYBODY_ELSE, Policies
from email_relay.relay.turns import ALL, Turns


class Pacing:
    """One drain's view of the slots. Without a rate in any policy it asks the database nothing."""

    def __init__(self, alias: str, policies: Policies) -> None:
        self.alias = alias
        self.policies = policies
        self._paced = policies.paced()
        self._passed_by: Dict[str, datetime] = {}

    def turns(self) -> Turns:
        """Which sources the next claim passes by, and which give it one message."""
        if not self._paced:
            return ALL
        rest = self._paced.get(EVERYBODY_ELSE, False)
        unlike_the_rest = tuple(source for source, paced in self._paced.items() if paced != rest)
        self._passed_by = self._closed()
        return Turns(tuple(self._passed_by), unlike_the_rest, listed_are_paced=not rest)

    def admit(self, messages: Sequence[Leased]) -> Tuple[List[Leased], List[Leased]]:
        """Those that have a slot, and those for which another relay was quicker."""
        admitted: List[Leased] = []
        early: List[Leased] = []
        for message in messages:
            interval = self.policies.interval(message.source) if self._paced else 0.0
            (admitted if not interval or self._take_slot(message.source, interval) else early).append(message)
        return admitted, early

    def seconds_to_turn(self) -> float | None:
        """How long until a source opens that the last claim passed by and that has mail due; None where there is none.

        It may have opened since then: 0.
        """
        for source, opens in sorted(self._passed_by.items(), key=lambda item: item[1]):
            if Message.objects.using(self.alias).claimable().filter(source=source).exists():
                return max(0.0, (opens - database_now(self.alias)).total_seconds())
        return None

    def _closed(self) -> Dict[str, datetime]:
        """The sources whose next slot is to come, and when it comes."""
        coming = Pace.objects.using(self.alias).filter(next_at__gt=database_now(self.alias))
        opens = dict(coming.values_list("source", "next_at"))
        return {source: at for source, at in opens.items() if at is not None and self.policies.interval(source)}

    def _take_slot(self, source: str, interval: float) -> bool:
        with transaction.atomic(using=self.alias):
            Pace.objects.using(self.alias).get_or_create(source=source)
            row = Pace.objects.using(self.alias).select_for_update().get(source=source)
            now = database_now(self.alias)
            if row.next_at is not None and row.next_at > now:
                return False
            row.next_at = now + timedelta(seconds=interval)
            row.save(using=self.alias, update_fields=["next_at"])
        return True
