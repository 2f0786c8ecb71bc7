from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("email_relay", "0004_database_defaults")]

    operations = [
        migrations.CreateModel(
            name="Pace",
            fields=[
                ("source", models.CharField(max_length=128, primary_key=True, serialize=False)),
                ("next_at", models.DateTimeField(blank=True, help_text="Its next free slot.", null=True)),
            ],
            options={"ordering": ["source"]},
        ),
    ]
