"""What is measured: one module for each row, each with a ``run`` that says what it found."""

from __future__ import annotations

from benchmarks.rows import attachments, beside, drain, enqueue, fairness, idle, latency, profile, scaling, slow

ROWS = {
    "drain": drain.short,
    "drain-long": drain.long,
    "slow": slow.run,
    "latency": latency.run,
    "enqueue": enqueue.run,
    "attachments": attachments.run,
    "beside": beside.run,
    "fairness": fairness.run,
    "scaling": scaling.run,
    "idle": idle.run,
    "profile": profile.run,
}
