"""What 1.0 keeps about a message beyond the columns of 0.x: envelope and bytes, lease, instants; and its own tables."""

from __future__ import annotations

from typing import Any

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

from email_relay.compat import check_constraint
from email_relay.conf import source_name
from email_relay.migrations._columns import AddColumn

SENT = 4
NOW = {"postgresql": "statement_timestamp()", "mysql": "(utc_timestamp(6))"}


def give_sent_rows_an_instant(apps: Any, schema_editor: Any) -> None:
    messages = apps.get_model("email_relay", "Message").objects.using(schema_editor.connection.alias)
    messages.filter(status=SENT, sent_at=None).update(sent_at=models.F("updated_at"))


def let_the_role_be_the_source(apps: Any, schema_editor: Any) -> None:
    """Of rows that clients of 0.x write from now on; who wrote the earlier ones nobody knows."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE email_relay_message ALTER COLUMN source SET DEFAULT current_user")


class Migration(migrations.Migration):
    dependencies = [
        ("email_relay", "0002_auto_20231030_1304"),
    ]

    operations = [
        migrations.CreateModel(
            name="Attempt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveSmallIntegerField()),
                ("started_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField()),
                ("worker", models.CharField(max_length=255)),
                ("server", models.CharField(blank=True, max_length=255)),
                ("outcome", models.CharField(max_length=16)),
                ("code", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("enhanced", models.CharField(blank=True, max_length=16)),
                ("reply", models.TextField(blank=True)),
                ("results", models.JSONField(default=dict, help_text="Recipient to reply.")),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="Server",
            fields=[
                ("name", models.CharField(help_text="host:port", max_length=255, primary_key=True, serialize=False)),
                (
                    "failures",
                    models.PositiveIntegerField(default=0, help_text="Failed probes since the circuit opened."),
                ),
                ("opened_at", models.DateTimeField(blank=True, help_text="Set while the circuit is open.", null=True)),
                ("probe_at", models.DateTimeField(blank=True, null=True)),
                ("last_error", models.TextField(blank=True)),
                ("outages", models.JSONField(default=list, help_text="The latest outages as pairs of ISO instants.")),
                (
                    "next_slot_at",
                    models.DateTimeField(blank=True, help_text="Next free slot of the throttle.", null=True),
                ),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="Suppression",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("pattern", models.CharField(max_length=255, unique=True)),
                ("reason", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ["pattern"],
            },
        ),
        migrations.CreateModel(
            name="Worker",
            fields=[
                ("name", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("version", models.CharField(blank=True, max_length=32)),
                ("started_at", models.DateTimeField()),
                ("seen_at", models.DateTimeField()),
                ("busy", models.BooleanField(default=False)),
                (
                    "idle_until",
                    models.DateTimeField(
                        blank=True, help_text="Until then inserts wake it by a notification.", null=True
                    ),
                ),
                ("sessions", models.PositiveSmallIntegerField(default=0)),
                ("heartbeat_at", models.DateTimeField(blank=True, null=True)),
                ("heartbeat_result", models.CharField(blank=True, max_length=255)),
            ],
            options={
                "ordering": ["-seen_at"],
            },
        ),
        migrations.AlterModelOptions(
            name="message",
            options={
                "ordering": ["created_at"],
                "permissions": [
                    ("requeue_message", "Can requeue messages and send them now"),
                    ("hold_message", "Can hold and release messages"),
                    ("cancel_message", "Can cancel messages"),
                    ("view_message_body", "Can read bodies and attachments"),
                ],
            },
        ),
        AddColumn(
            model_name="message",
            name="due_at",
            field=models.DateTimeField(default=django.utils.timezone.now, help_text="When it may next be tried."),
            default=NOW,
        ),
        migrations.AddField(
            model_name="message",
            name="envelope_from",
            field=models.TextField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="message",
            name="expires_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="message",
            name="idempotency_key",
            field=models.CharField(blank=True, editable=False, max_length=255, null=True),
        ),
        AddColumn(
            model_name="message",
            name="lapse_count",
            field=models.PositiveSmallIntegerField(default=0, editable=False),
            default="0",
        ),
        migrations.AddField(
            model_name="message",
            name="lease_token",
            field=models.CharField(editable=False, max_length=32, null=True),
        ),
        migrations.AddField(
            model_name="message",
            name="lease_until",
            field=models.DateTimeField(editable=False, null=True),
        ),
        AddColumn(
            model_name="message",
            name="message_id",
            field=models.CharField(blank=True, default="", editable=False, max_length=255),
            default="''",
        ),
        migrations.AddField(
            model_name="message",
            name="mime",
            field=models.BinaryField(help_text="The RFC 5322 message: CRLF, no Bcc.", null=True),
        ),
        migrations.AddField(
            model_name="message",
            name="pending",
            field=models.JSONField(editable=False, help_text="Recipients still owed; null means all.", null=True),
        ),
        AddColumn(
            model_name="message",
            name="queue_id",
            field=models.CharField(blank=True, default="", editable=False, max_length=128),
            default="''",
        ),
        AddColumn(
            model_name="message",
            name="ready_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now, editable=False, help_text="When it first became due."
            ),
            default=NOW,
        ),
        migrations.AddField(
            model_name="message",
            name="recipients",
            field=models.JSONField(editable=False, help_text="The envelope's recipients.", null=True),
        ),
        migrations.AddField(
            model_name="message",
            name="refused",
            field=models.JSONField(editable=False, help_text="Refused for good: address to reply.", null=True),
        ),
        migrations.AddField(
            model_name="message",
            name="size",
            field=models.PositiveIntegerField(editable=False, help_text="Bytes of the rendered message.", null=True),
        ),
        AddColumn(
            model_name="message",
            name="source",
            field=models.CharField(default="", editable=False, max_length=128),
            default="''",
        ),
        migrations.RunPython(let_the_role_be_the_source, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="message",
            name="source",
            field=models.CharField(default=source_name, editable=False, max_length=128),
        ),
        migrations.AddField(
            model_name="message",
            name="worker",
            field=models.CharField(editable=False, max_length=255, null=True),
        ),
        migrations.AlterField(
            model_name="message",
            name="data",
            field=models.JSONField(
                help_text="For people and search; the whole payload in rows written by 0.x clients."
            ),
        ),
        migrations.AlterField(
            model_name="message",
            name="log",
            field=models.TextField(blank=True, help_text="The last reply or error."),
        ),
        migrations.AlterField(
            model_name="message",
            name="status",
            field=models.PositiveSmallIntegerField(
                choices=[
                    (1, "Queued"),
                    (2, "Deferred"),
                    (3, "Failed"),
                    (4, "Sent"),
                    (5, "Sending"),
                    (6, "Held"),
                    (7, "Canceled"),
                ],
                default=1,
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                fields=["source", "-priority", "due_at"],
                condition=models.Q(("status__in", [1, 2])),
                name="email_relay_claim",
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(condition=models.Q(("status", 5)), fields=["lease_until"], name="email_relay_lapse"),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(condition=models.Q(("status", 4)), fields=["sent_at"], name="email_relay_sent"),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                condition=models.Q(("status__in", [3, 6, 7])), fields=["updated_at"], name="email_relay_ended"
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(fields=["message_id"], name="email_relay_message_id"),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                condition=models.Q(("queue_id", ""), _negated=True), fields=["queue_id"], name="email_relay_queue_id"
            ),
        ),
        migrations.RunPython(give_sent_rows_an_instant, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="message",
            constraint=check_constraint(
                condition=models.Q(("status__gte", 1), ("status__lte", 7)), name="email_relay_status_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="message",
            constraint=check_constraint(
                condition=models.Q(("priority__gte", 1), ("priority__lte", 3)), name="email_relay_priority_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="message",
            constraint=check_constraint(
                condition=models.Q(
                    models.Q(("lease_token__isnull", False), ("lease_until__isnull", False), ("status", 5)),
                    models.Q(
                        models.Q(("status", 5), _negated=True),
                        ("lease_token__isnull", True),
                        ("lease_until__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="email_relay_lease_while_sending",
            ),
        ),
        migrations.AddConstraint(
            model_name="message",
            constraint=check_constraint(
                condition=models.Q(models.Q(("status", 4), _negated=True), ("sent_at__isnull", False), _connector="OR"),
                name="email_relay_sent_has_sent_at",
            ),
        ),
        migrations.AddConstraint(
            model_name="message",
            constraint=check_constraint(
                condition=models.Q(
                    models.Q(("status__in", [3, 4]), _negated=True),
                    ("mime__isnull", True),
                    ("worker__isnull", False),
                    _connector="OR",
                ),
                name="email_relay_settled_has_worker",
            ),
        ),
        migrations.AddConstraint(
            model_name="message",
            constraint=check_constraint(
                condition=models.Q(
                    models.Q(("status__in", [1, 2, 6]), _negated=True), ("worker__isnull", True), _connector="OR"
                ),
                name="email_relay_waiting_no_worker",
            ),
        ),
        migrations.AddConstraint(
            model_name="message",
            constraint=models.UniqueConstraint(fields=("source", "idempotency_key"), name="email_relay_idempotency"),
        ),
        migrations.AddField(
            model_name="attempt",
            name="message",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="attempts", to="email_relay.message"
            ),
        ),
    ]
