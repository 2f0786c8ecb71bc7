"""The tables of the relay database, their invariants as constraints, and querysets with named filters.

The first nine columns of `Message` are those of django-email-relay 0.x, so that its clients go on inserting. What the
relay writes goes through ``relay/leases.py`` and ``relay/settle.py``; what people and clients write through ``queue.py``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone

from email_relay.compat import check_constraint
from email_relay.conf import source_name
from email_relay.db import DatabaseNow

if TYPE_CHECKING:
    from django.core.mail import EmailMultiAlternatives

PRINTED_RECIPIENTS = 3


class Priority(models.IntegerChoices):
    LOW = 1, "Low"
    MEDIUM = 2, "Medium"
    HIGH = 3, "High"


class Status(models.IntegerChoices):
    QUEUED = 1, "Queued"
    DEFERRED = 2, "Deferred"
    FAILED = 3, "Failed"
    SENT = 4, "Sent"
    SENDING = 5, "Sending"
    HELD = 6, "Held"
    CANCELED = 7, "Canceled"


CLAIMABLE = (Status.QUEUED, Status.DEFERRED)
WAITING = (Status.QUEUED, Status.DEFERRED, Status.HELD)
SETTLED = (Status.FAILED, Status.SENT)


class MessageQuerySet(models.QuerySet["Message"]):
    """Filters named after the states; none of them evaluates anything."""

    def queued(self) -> MessageQuerySet:
        return self.filter(status=Status.QUEUED)

    def deferred(self) -> MessageQuerySet:
        return self.filter(status=Status.DEFERRED)

    def failed(self) -> MessageQuerySet:
        return self.filter(status=Status.FAILED)

    def sent(self) -> MessageQuerySet:
        return self.filter(status=Status.SENT)

    def held(self) -> MessageQuerySet:
        return self.filter(status=Status.HELD)

    def waiting(self) -> MessageQuerySet:
        return self.filter(status__in=WAITING)

    def claimable(self) -> MessageQuerySet:
        """What a relay may take now: queued or deferred, and due."""
        return self.filter(status__in=CLAIMABLE, due_at__lte=DatabaseNow())

    def lapsed(self) -> MessageQuerySet:
        """Held by a relay whose lease ran out."""
        return self.filter(status=Status.SENDING, lease_until__lte=DatabaseNow())

    def without_bodies(self) -> MessageQuerySet:
        return self.defer("mime")


class Message(models.Model):
    """One mail on its way. Its life is the diagram of ``docs/explanation/state-machine.md``."""

    data = models.JSONField(help_text="For people and search; the whole payload in rows written by 0.x clients.")
    priority = models.PositiveSmallIntegerField(choices=Priority.choices, default=Priority.LOW)
    status = models.PositiveSmallIntegerField(choices=Status.choices, default=Status.QUEUED)
    retry_count = models.PositiveSmallIntegerField(default=0)
    log = models.TextField(blank=True, help_text="The last reply or error.")
    created_at = models.DateTimeField(auto_now_add=True, editable=False)
    updated_at = models.DateTimeField(auto_now=True, editable=False)
    sent_at = models.DateTimeField(null=True, blank=True)

    mime = models.BinaryField(null=True, editable=False, help_text="The RFC 5322 message: CRLF, no Bcc.")
    envelope_from = models.TextField(null=True, editable=False)
    recipients = models.JSONField(null=True, editable=False, help_text="The envelope's recipients.")
    pending = models.JSONField(null=True, editable=False, help_text="Recipients still owed; null means all.")
    refused = models.JSONField(null=True, editable=False, help_text="Refused for good: address to reply.")
    message_id = models.CharField(max_length=255, blank=True, default="", editable=False)
    queue_id = models.CharField(max_length=128, blank=True, default="", editable=False)
    size = models.PositiveIntegerField(null=True, editable=False, help_text="Bytes of the rendered message.")
    source = models.CharField(max_length=128, default=source_name, editable=False)
    due_at = models.DateTimeField(default=timezone.now, help_text="When it may next be tried.")
    ready_at = models.DateTimeField(default=timezone.now, editable=False, help_text="When it first became due.")
    expires_at = models.DateTimeField(null=True, blank=True)
    idempotency_key = models.CharField(max_length=255, null=True, blank=True, editable=False)
    lease_token = models.CharField(max_length=32, null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    worker = models.CharField(max_length=255, null=True, editable=False)
    lapse_count = models.PositiveSmallIntegerField(default=0, editable=False)

    objects = models.Manager.from_queryset(MessageQuerySet)()

    class Meta:
        ordering = ["created_at"]
        permissions = [
            ("requeue_message", "Can requeue messages and send them now"),
            ("hold_message", "Can hold and release messages"),
            ("cancel_message", "Can cancel messages"),
            ("view_message_body", "Can read bodies and attachments"),
        ]
        indexes = [
            models.Index(
                fields=["source", "-priority", "due_at"],
                name="email_relay_claim",
                condition=Q(status__in=[1, 2]),
            ),
            models.Index(fields=["lease_until"], name="email_relay_lapse", condition=Q(status=5)),
            models.Index(fields=["sent_at"], name="email_relay_sent", condition=Q(status=4)),
            models.Index(fields=["updated_at"], name="email_relay_ended", condition=Q(status__in=[3, 6, 7])),
            models.Index(fields=["message_id"], name="email_relay_message_id"),
            models.Index(fields=["queue_id"], name="email_relay_queue_id", condition=~Q(queue_id="")),
        ]
        constraints = [
            check_constraint(name="email_relay_status_known", condition=Q(status__gte=1, status__lte=7)),
            check_constraint(name="email_relay_priority_known", condition=Q(priority__gte=1, priority__lte=3)),
            check_constraint(
                name="email_relay_lease_while_sending",
                condition=Q(status=5, lease_token__isnull=False, lease_until__isnull=False)
                | (~Q(status=5) & Q(lease_token__isnull=True, lease_until__isnull=True)),
            ),
            check_constraint(name="email_relay_sent_has_sent_at", condition=~Q(status=4) | Q(sent_at__isnull=False)),
            check_constraint(
                name="email_relay_settled_has_worker",
                condition=~Q(status__in=[3, 4]) | Q(mime__isnull=True) | Q(worker__isnull=False),
            ),
            check_constraint(
                name="email_relay_waiting_no_worker",
                condition=~Q(status__in=[1, 2, 6]) | Q(worker__isnull=True),
            ),
            models.UniqueConstraint(fields=["source", "idempotency_key"], name="email_relay_idempotency"),
        ]

    def __str__(self) -> str:
        to = self.data.get("to", []) if isinstance(self.data, dict) else []
        shown = ", ".join(str(address) for address in to[:PRINTED_RECIPIENTS])
        more = f" and {len(to) - PRINTED_RECIPIENTS} more" if len(to) > PRINTED_RECIPIENTS else ""
        return f"{self.message_id or self.pk} to {shown}{more}" if shown else str(self.message_id or self.pk)

    @property
    def subject(self) -> str:
        return str(self.data.get("subject", "")) if isinstance(self.data, dict) else ""

    @property
    def email(self) -> EmailMultiAlternatives:
        """The message as Django's own class. Raises `UnreadablePayload` if the row cannot be read."""
        from email_relay.payload import to_email

        return to_email(self)


class Attempt(models.Model):
    """One try that did not simply succeed at once: what was said, to whom, by which relay. Append-only."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    worker = models.CharField(max_length=255)
    server = models.CharField(max_length=255, blank=True)
    outcome = models.CharField(max_length=16)
    code = models.PositiveSmallIntegerField(null=True, blank=True)
    enhanced = models.CharField(max_length=16, blank=True)
    reply = models.TextField(blank=True)
    results = models.JSONField(default=dict, help_text="Recipient to reply.")

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.message_id}: {self.outcome}"


class Server(models.Model):
    """What all relays share about one SMTP server: its circuit, its throttle, its outages of late."""

    name = models.CharField(max_length=255, primary_key=True, help_text="host:port")
    failures = models.PositiveIntegerField(default=0, help_text="Failed probes since the circuit opened.")
    opened_at = models.DateTimeField(null=True, blank=True, help_text="Set while the circuit is open.")
    probe_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True)
    outages = models.JSONField(default=list, help_text="The latest outages as pairs of ISO instants.")
    next_slot_at = models.DateTimeField(null=True, blank=True, help_text="Next free slot of the throttle.")
    next_batch_at = models.DateTimeField(
        null=True, blank=True, help_text="Under EMAIL_MAX_BATCH no drain begins before."
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Pace(models.Model):
    """When a source that has a rate in its policy may send its next message; all relays share it."""

    source = models.CharField(max_length=128, primary_key=True)
    next_at = models.DateTimeField(null=True, blank=True, help_text="Its next free slot.")

    class Meta:
        ordering = ["source"]

    def __str__(self) -> str:
        return self.source


class Worker(models.Model):
    """One relay process, as it last described itself."""

    name = models.CharField(max_length=255, primary_key=True)
    version = models.CharField(max_length=32, blank=True)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    busy = models.BooleanField(default=False)
    idle_until = models.DateTimeField(null=True, blank=True, help_text="Until then inserts wake it by a notification.")
    sessions = models.PositiveSmallIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    heartbeat_result = models.CharField(max_length=255, blank=True)

    class Meta:
        ordering = ["-seen_at"]

    def __str__(self) -> str:
        return self.name


class Suppression(models.Model):
    """An address, or a whole domain written ``@example.com``, that gets no mail."""

    pattern = models.CharField(max_length=255, unique=True)
    reason = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["pattern"]

    def __str__(self) -> str:
        return self.pattern

    @classmethod
    def in_force(cls, alias: str) -> models.QuerySet[Suppression]:
        """Those that have not expired."""
        lasting = Q(expires_at__isnull=True) | Q(expires_at__gt=DatabaseNow())
        return cls._default_manager.using(alias).filter(lasting)

    def clean(self) -> None:
        """Refuse what would stop nobody. Raises `ValidationError`."""
        self.pattern = self.pattern.strip().lower()
        if not re.fullmatch(r"[^\s@]*(@[^\s@]+)+", self.pattern):
            raise ValidationError({"pattern": "Write an address, or a domain as @example.com."})

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.pattern = self.pattern.strip().lower()
        super().save(*args, **kwargs)
