"""Pure: which limits ``SOURCE_POLICIES`` may hold, and what is wrong with a given one."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, Mapping

FAIL, HOLD = "fail", "hold"


def _patterns(value: Any) -> bool:
    return isinstance(value, (list, tuple, set, frozenset)) and all(isinstance(one, str) and one for one in value)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


KEYS: Dict[str, Callable[[Any], bool]] = {
    "senders": _patterns,
    "recipient_domains": _patterns,
    "max_recipients": _count,
    "max_bytes": _count,
    "messages_per_minute": _count,
    "on_violation": lambda value: value in (FAIL, HOLD),
}
MEANT = {
    _patterns: "a list of texts",
    _count: "a whole number, at least 1",
    KEYS["on_violation"]: f"{FAIL!r} or {HOLD!r}",
}


def complaint(value: Any) -> str | None:
    """What is wrong, as the end of a sentence; None if nothing is."""
    if not isinstance(value, Mapping):
        return "must map a source's name (or '*') to a dictionary of limits"
    return next((found for source, limits in value.items() for found in _wrong(source, limits)), None)


def _wrong(source: Any, limits: Any) -> Iterator[str]:
    if not isinstance(source, str) or not isinstance(limits, Mapping):
        yield "must map a source's name (or '*') to a dictionary of limits"
        return
    for key, value in limits.items():
        if key not in KEYS:
            yield f"has for {source!r} an unknown limit {key!r}; known are {', '.join(KEYS)}"
        elif not KEYS[key](value):
            yield f"has for {source!r} a wrong {key!r}: it must be {MEANT[KEYS[key]]}"
