"""A Dockerfile, read: stages and their steps, in the words of the file."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field

INSTRUCTION = re.compile(r"^(?P<word>[A-Z]+)\s+(?P<rest>.*)$", re.DOTALL)
FLAG = re.compile(r"^--(?P<name>[a-z-]+)=(?P<value>\S+)\s+")


class UnknownInstruction(ValueError):
    """The proof would leave a step out."""


@dataclass(frozen=True)
class Step:
    """``COPY --from=build a b`` is word COPY, flags {"from": "build"}, text "a b"."""

    word: str
    text: str
    flags: dict[str, str] = field(default_factory=dict)

    @property
    def words(self) -> list[str]:
        """The exec form's list, or the words of the shell form."""
        return list(json.loads(self.text)) if self.text.startswith("[") else shlex.split(self.text)


@dataclass(frozen=True)
class Stage:
    """From a FROM to the next."""

    base: str
    name: str
    steps: list[Step] = field(default_factory=list)


def stages(dockerfile: str) -> list[Stage]:
    found: list[Stage] = []
    for line in logical_lines(dockerfile):
        step = parse(line)
        if step.word == "FROM":
            base, *name = step.text.split(" AS ")
            found.append(Stage(base.strip(), name[0].strip() if name else str(len(found))))
        else:
            found[-1].steps.append(step)
    return found


def logical_lines(dockerfile: str) -> list[str]:
    """Without comments and empty lines; a backslash at the end joins."""
    kept = [line for line in dockerfile.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return re.sub(r"\\\n\s*", "", "\n".join(kept)).splitlines()


def parse(line: str) -> Step:
    match = INSTRUCTION.match(line)
    if match is None:
        raise UnknownInstruction(line)
    flags, text = {}, match["rest"].strip()
    while flag := FLAG.match(text):
        flags[flag["name"]] = flag["value"]
        text = text[flag.end() :]
    return Step(match["word"], text, flags)
