"""The traffic chart: an SVG drawn here, so that no script or file from elsewhere is needed."""

from __future__ import annotations

from typing import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from email_relay.console.traffic import Minute

WIDTH, HEIGHT, FLOOR = 720, 160, 140
LABELS = 4


def chart(minutes: Sequence[Minute]) -> SafeString:
    """Stacked bars, one a minute: sent below, failed on top. Colours come from the style sheet's classes."""
    most = max((minute.sent + minute.failed for minute in minutes), default=0)
    step = WIDTH / max(len(minutes), 1)
    bars = format_html_join("", "{}", ((_bar(m, i * step, step, most),) for i, m in enumerate(minutes)))
    return format_html(
        '<svg class="relay-chart" viewBox="0 0 {} {}" role="img" aria-label="{}" preserveAspectRatio="none">'
        '<line class="axis" x1="0" y1="{}" x2="{}" y2="{}"/>{}</svg>',
        WIDTH,
        HEIGHT - 18,
        f"Messages per minute over the last {len(minutes)} minutes, at most {most} in one",
        FLOOR,
        WIDTH,
        FLOOR,
        bars,
    )


def _bar(minute: Minute, x: float, step: float, most: int) -> SafeString:
    if not minute.sent and not minute.failed:
        return SafeString("")
    sent = FLOOR * minute.sent / most
    failed = FLOOR * minute.failed / most
    title = f"{localtime(minute.at):%H:%M}: {minute.sent} sent, {minute.failed} failed"
    return format_html(
        "<g><title>{}</title>{}{}</g>",
        title,
        _rectangle("sent", x, step, FLOOR - sent, sent),
        _rectangle("failed", x, step, FLOOR - sent - failed, failed),
    )


def _rectangle(kind: str, x: float, step: float, y: float, height: float) -> SafeString:
    if height <= 0:
        return SafeString("")
    return format_html(
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>',
        kind,
        f"{x:.1f}",
        f"{y:.1f}",
        f"{max(step - 0.8, 0.5):.1f}",
        f"{max(height, 1):.1f}",
    )


def labels(minutes: Sequence[Minute]) -> list[str]:
    """A few clock times under the chart, from its first minute to its last."""
    if len(minutes) < LABELS:
        return [f"{localtime(minute.at):%H:%M}" for minute in minutes]
    places = [round(i * (len(minutes) - 1) / (LABELS - 1)) for i in range(LABELS)]
    return [f"{localtime(minutes[place].at):%H:%M}" for place in places]
