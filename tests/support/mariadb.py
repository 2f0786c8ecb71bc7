"""The MariaDB of the tests: TEST_MARIADB_URL, or the one on this machine's usual port."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

from tests.support.ports import listens
from tests.support.urls import parse_url

VARIABLE = "TEST_MARIADB_URL"
LOCAL = "mysql://root@127.0.0.1:3306/mysql"


class NoServer(Exception):
    """There is no MariaDB, or no driver for it."""


def install_driver() -> None:
    """Let Django take PyMySQL for mysqlclient; it insists on a version number of the latter."""
    import pymysql

    pymysql.version_info = (2, 2, 7, "final", 0)
    pymysql.__version__ = "2.2.7"
    pymysql.install_as_MySQLdb()


def server_url() -> str:
    if importlib.util.find_spec("pymysql") is None:
        raise NoServer("PyMySQL is not installed")
    url = os.environ.get(VARIABLE)
    if url:
        return url
    if not listens(3306):
        raise NoServer(f"nothing listens on 127.0.0.1:3306, and {VARIABLE} is not set")
    return LOCAL


def connect(url: str) -> Any:
    """A connection in autocommit mode."""
    import pymysql

    database = parse_url(url)
    return pymysql.connect(
        host=database["HOST"],
        port=int(database["PORT"] or 3306),
        user=database["USER"],
        password=database["PASSWORD"],
        database=database["NAME"],
        autocommit=True,
    )
