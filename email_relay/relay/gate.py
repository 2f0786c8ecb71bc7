"""The gate before the way out: what may be tried now, and what is judged without speaking to the server."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Iterable, List, Set, Tuple

from email_relay.exceptions import UnreadablePayload
from email_relay.models import Suppression
from email_relay.payload import content_of
from email_relay.relay.dispatch import Job
from email_relay.relay.leases import Claim, Leased
from email_relay.relay.outcomes import Verdict, failed
from email_relay.relay.policy import Policies
from email_relay.relay.transport.base import Parcel

SUPPRESSED = "suppressed: this address is on the relay's suppression list"
CHUNK = 500


@dataclass(frozen=True)
class Passage:
    """A message that may go, as it will be judged afterwards, and its job."""

    message: Leased
    job: Job


def sift(alias: str, claim: Claim, policies: Policies) -> Tuple[List[Passage], List[Verdict]]:
    """Split a claim into what goes out and what is failed here: expired, unreadable, against the policy, suppressed."""
    passages: List[Passage] = []
    verdicts: List[Verdict] = []
    suppressed = _suppressed(alias, claim.messages) if claim.suppressing else set()
    for message in claim.messages:
        outcome = _judge(message, claim, policies, suppressed)
        if isinstance(outcome, Verdict):
            verdicts.append(outcome)
        else:
            passages.append(outcome)
    return passages, verdicts


def _judge(message: Leased, claim: Claim, policies: Policies, suppressed: Set[str]) -> Passage | Verdict:
    if message.expires_at is not None and message.expires_at <= claim.now:
        return failed(message, f"Expired at {message.expires_at.isoformat()} before it could be delivered.")
    try:
        message, content = _readable(message)
    except UnreadablePayload as error:
        return failed(message, f"Cannot be read: {error}")
    complaint = policies.complaint(message, content)
    if complaint:
        return failed(message, complaint)
    message = _without_suppressed(message, suppressed)
    if not message.owed:
        return failed(message, "Nobody is left to deliver to: every recipient was refused or is suppressed.")
    return Passage(message, Job(Parcel(message.id, message.sender or "", message.owed, content), message.lease))


def _readable(message: Leased) -> Tuple[Leased, bytes]:
    if message.mime is not None:
        if not isinstance(message.recipients, list):
            raise UnreadablePayload("the row has no list of recipients")
        return message, message.mime
    sender, recipients, content = content_of(message)
    return replace(message, sender=sender, recipients=list(recipients)), content


def _without_suppressed(message: Leased, suppressed: Set[str]) -> Leased:
    stopped = [to for to in message.owed if not suppressed.isdisjoint(_patterns(to))]
    if not stopped:
        return message
    left = [to for to in message.owed if to not in stopped]
    return replace(message, pending=left, refused={**message.refused, **dict.fromkeys(stopped, SUPPRESSED)})


def _suppressed(alias: str, messages: Iterable[Leased]) -> Set[str]:
    wanted = sorted({pattern for message in messages for to in message.owed for pattern in _patterns(to)})
    found: Set[str] = set()
    for start in range(0, len(wanted), CHUNK):
        found.update(
            Suppression.in_force(alias)
            .filter(pattern__in=wanted[start : start + CHUNK])
            .values_list("pattern", flat=True)
        )
    return found


def _patterns(address: str) -> Tuple[str, str]:
    lowered = address.lower()
    return lowered, f"@{lowered.rpartition('@')[2]}"
