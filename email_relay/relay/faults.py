"""How a fault of ours is logged: its type and where it arose, never its text, which may quote a mail (P13)."""

from __future__ import annotations

import traceback
from pathlib import PurePath

FRAMES = 6


def described(error: BaseException) -> str:
    """An error in one line: "KeyError at mime.py:12 < gate.py:80 < drain.py:190", the innermost frame first."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    places = " < ".join(f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(error).__name__} at {places}" if places else type(error).__name__
