"""Further databases for the running process: an alias for a URL, as long as the context lasts."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import Any, Iterator

from django.db import connections

from tests.support import mariadb
from tests.support.projects import database


@contextmanager
def alias_for(url: str, alias: str = "fresh", **options: Any) -> Iterator[Any]:
    """The connection of *alias*, which Django knows meanwhile; a path stands for an SQLite file."""
    if url.startswith("mysql:"):
        mariadb.install_driver()
    defaults = {**copy.deepcopy(connections.databases["default"]), "USER": "", "PASSWORD": "", "HOST": "", "PORT": ""}
    entry = {"OPTIONS": {}, **database(url)}
    entry["OPTIONS"] = {**entry["OPTIONS"], **options}
    connections.databases[alias] = {**defaults, **entry}
    try:
        yield connections[alias]
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.databases[alias]
