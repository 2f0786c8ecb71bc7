"""The reference of the management commands, from their own parsers."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Iterable, Iterator

from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

COMMON = {option for action in BaseCommand().create_parser("", "")._actions for option in action.option_strings}


def command_names() -> list[str]:
    return sorted(name for name, app in get_commands().items() if app == "email_relay")


def parser_of(name: str) -> argparse.ArgumentParser:
    return load_command_class("email_relay", name).create_parser("manage.py", name)


def subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def markdown() -> str:
    return "\n".join(line for name in command_names() for line in _command(name))


def _command(name: str) -> Iterator[str]:
    parser, verbs = parser_of(name), subparsers(parser_of(name))
    yield from (f"## `manage.py {name}`", "", parser.description or "", "")
    yield from _options(parser._actions)
    shared = _shared(verbs)
    helps = _helps(parser)
    for verb, sub in verbs.items():
        yield from (f"### `{name} {verb}`", "", sub.description or helps.get(verb, ""), "")
        yield from _options([action for action in sub._actions if _key(action) not in shared])
        if any(_key(action) in shared for action in sub._actions):
            yield from (f"Takes the [filters](#filters-of-{name}).", "")
    if shared:
        yield from (f"### Filters of {name}", "", "Conditions that must all hold.", "")
        yield from _options(shared.values())


def _shared(verbs: dict[str, argparse.ArgumentParser]) -> dict[str, argparse.Action]:
    """What most verbs take, but not all: the filters."""
    counts = Counter(_key(action) for verb in verbs.values() for action in verb._actions if _is_ours(action))
    often = {key for key, count in counts.items() if len(verbs) > count > len(verbs) // 2}
    return {_key(action): action for verb in verbs.values() for action in verb._actions if _key(action) in often}


def _key(action: argparse.Action) -> str:
    return " ".join(action.option_strings) or action.dest


def _helps(parser: argparse.ArgumentParser) -> dict[str, str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return {choice.dest: choice.help or "" for choice in action._choices_actions}
    return {}


def _options(actions: Iterable[argparse.Action]) -> Iterator[str]:
    rows = [_row(action) for action in actions if _is_ours(action)]
    if rows:
        yield from ("| option | meaning |", "|---|---|", *rows, "")


def _is_ours(action: argparse.Action) -> bool:
    hidden = isinstance(action, (argparse._SubParsersAction, argparse._HelpAction)) or action.help == argparse.SUPPRESS
    return not hidden and COMMON.isdisjoint(action.option_strings)


def _row(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    shown = " / ".join(f"`{option}{value}`" for option in action.option_strings) or f"`{action.metavar or action.dest}`"
    choices = f" One of {', '.join(map(str, action.choices))}." if action.choices else ""
    return f"| {shown} | {(action.help or '').replace('|', '/')}{choices} |"
