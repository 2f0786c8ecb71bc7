from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("email_relay", "0005_pace")]

    operations = [
        migrations.AddField(
            model_name="server",
            name="next_batch_at",
            field=models.DateTimeField(
                blank=True, help_text="Under EMAIL_MAX_BATCH no drain begins before.", null=True
            ),
        ),
    ]
