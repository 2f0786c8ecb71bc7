"""Payloads of the very first releases take the names later ones use; same name and effect as in 0.x."""

from __future__ import annotations

from typing import Any

from django.db import migrations


def _renamed(data: dict[str, Any]) -> dict[str, Any]:
    html = data.pop("html_message", None)
    data["body"] = data.pop("message", "")
    data["to"] = data.pop("recipient_list", [])
    data.update(cc=[], bcc=[], reply_to=[], extra_headers={})
    data["alternatives"] = [[html, "text/html"]] if html else []
    return data


def rename_payload_keys(apps: Any, schema_editor: Any) -> None:
    messages = apps.get_model("email_relay", "Message").objects.using(schema_editor.connection.alias)
    for message in messages.iterator():
        if isinstance(message.data, dict) and "recipient_list" in message.data:
            message.data = _renamed(message.data)
            message.save(update_fields=["data"])


class Migration(migrations.Migration):
    dependencies = [("email_relay", "0001_initial")]

    operations = [migrations.RunPython(rename_payload_keys, migrations.RunPython.noop)]
