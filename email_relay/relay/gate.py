"""The gate before the way out: what may be tried now, and what is judged without speaking to the server."""

from __future__ import annotations

import logging
from typing import Iterable, List, NamedTuple, Set, Tuple

from email_relay.exceptions import UnreadablePayload
from email_relay.models import Suppression
from email_relay.payload import content_of
from email_relay.relay.dispatch import Job
from email_relay.relay.faults import described
from email_relay.relay.leases import Claim, Leased
from email_relay.relay.outcomes import Verdict, failed, held
from email_relay.relay.policy import Policies
from email_relay.relay.transport.base import Parcel

logger = logging.getLogger("email_relay.relay")

SUPPRESSED = "suppressed: this address is on the relay's suppression list"
CHUNK = 500


class Passage(NamedTuple):
    """A message that may go, as it will be judged afterwards, and its job."""

    message: Leased
    job: Job


def sift(alias: str, claim: Claim, policies: Policies) -> Tuple[List[Passage], List[Verdict]]:
    """Split a claim into what goes out and what ends here: expired, unreadable, against the policy, suppressed."""
    passages: List[Passage] = []
    verdicts: List[Verdict] = []
    for message in claim.messages:
        outcome = _judge(message, claim, policies)
        if isinstance(outcome, Verdict):
            verdicts.append(outcome)
        else:
            passages.append(outcome)
    if not claim.suppressing:
        return passages, verdicts
    allowed, stopped = _without_suppressed(alias, passages)
    return allowed, [*verdicts, *stopped]


def _judge(message: Leased, claim: Claim, policies: Policies) -> Passage | Verdict:
    if message.expires_at is not None and message.expires_at <= claim.now:
        return failed(message, f"Expired at {message.expires_at.isoformat()} before it could be delivered.")
    try:
        message, content = _readable(message)
    except UnreadablePayload as error:
        return failed(message, f"Cannot be read: {error}", "Cannot be read.")
    except Exception as error:  # noqa: BLE001
        # whatever a row of strangers makes the renderer raise: it fails alone (P5)
        logger.error("cannot render id=%(id)s: %(error)s", {"id": message.id, "error": described(error)})  # noqa: TRY400
        return failed(message, f"Cannot be read: {type(error).__name__}")
    complaint = policies.complaint(message, content)
    if complaint:
        return held(message, complaint) if policies.holds(message.source) else failed(message, complaint)
    return _passage(message, content)


def _passage(message: Leased, content: bytes) -> Passage | Verdict:
    if not message.owed:
        return failed(message, "Nobody is left to deliver to: every recipient was refused or is suppressed.")
    return Passage(message, Job(Parcel(message.id, message.sender or "", message.owed, content), message.lease))


def _readable(message: Leased) -> Tuple[Leased, bytes]:
    if message.mime is not None:
        if not isinstance(message.recipients, list) or not all(isinstance(to, str) for to in message.owed):
            raise UnreadablePayload("the row has no list of recipients")
        return message, message.mime
    sender, recipients, content = content_of(message)
    return message._replace(sender=sender, recipients=list(recipients)), content


def _without_suppressed(alias: str, passages: Iterable[Passage]) -> Tuple[List[Passage], List[Verdict]]:
    suppressed = _suppressed(alias, [passage.message for passage in passages])
    outcomes = [_passage(_left(one.message, suppressed), one.job.parcel.content) for one in passages]
    return (
        [outcome for outcome in outcomes if isinstance(outcome, Passage)],
        [outcome for outcome in outcomes if isinstance(outcome, Verdict)],
    )


def _left(message: Leased, suppressed: Set[str]) -> Leased:
    stopped = [to for to in message.owed if not suppressed.isdisjoint(_patterns(to))]
    if not stopped:
        return message
    left = [to for to in message.owed if to not in stopped]
    return message._replace(pending=left, refused={**message.refused, **dict.fromkeys(stopped, SUPPRESSED)})


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
