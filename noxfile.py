"""The client and the engine on the Pythons, Djangos, databases and drivers they promise to run on.

Interpreters are looked for on PATH and in ``~/.pyenv/versions``. Each session leaves its counts in
``.nox/matrix/*.json``; ``nox -s table`` puts them together in ``docs/matrix.json``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import nox

ROOT = Path(__file__).resolve().parent
RESULTS = ROOT / ".nox" / "matrix"
FOLDERS = ("tests/client", "tests/migrations", "tests/relay", "tests/console", "tests/infrastructure", "tests/security")
TOOLS = (
    "pytest>=8",
    "pytest-django>=4.8",
    "pytest-timeout",
    "pytest-rerunfailures",
    "pytest-xdist",
    "hypothesis",
    "cryptography",
)
DRIVERS = {
    "psycopg2": ("postgresql", ["psycopg2-binary>=2.9,<3"]),
    "psycopg3": ("postgresql", ["psycopg[binary]>=3.2,<4"]),
    "pymysql": ("mariadb", ["PyMySQL>=1.1,<2"]),
    "sqlite": ("sqlite", []),
}
PAIRS = (
    ("3.8", "3.2", "psycopg2"),
    ("3.8", "3.2", "sqlite"),
    ("3.8", "4.1", "pymysql"),
    ("3.9", "4.1", "psycopg2"),
    ("3.9", "4.2", "psycopg3"),
    ("3.10", "4.2", "psycopg2"),
    ("3.11", "5.2", "psycopg3"),
    ("3.11", "5.2", "pymysql"),
    ("3.12", "6.0", "psycopg3"),
    ("3.13", "6.1", "psycopg2"),
    ("3.13", "6.1", "psycopg3"),
    ("3.13", "6.1", "sqlite"),
)

nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"
os.environ["PATH"] = os.pathsep.join(
    [os.environ["PATH"], *(str(folder) for folder in sorted(Path.home().glob(".pyenv/versions/*/bin")))]
)


def cells() -> Iterator[nox.param]:
    for python, django, driver in PAIRS:
        yield nox.param(python, django, driver, id=f"{python}-django{django}-{driver}")


@nox.session
@nox.parametrize(["python", "django", "driver"], list(cells()))
def client(session: nox.Session, django: str, driver: str) -> None:
    """One Python, one Django, one driver."""
    database, packages = DRIVERS[driver]
    session.install("-e", ".", f"Django~={django}.0", *packages, *TOOLS)
    RESULTS.mkdir(parents=True, exist_ok=True)
    name = f"{session.python}-{django}-{driver}"
    report = RESULTS / f"{name}.xml"
    folders = session.posargs or [folder for folder in FOLDERS if (ROOT / folder).is_dir()]
    try:  # without CI: a cell has one driver, and skips what needs another
        session.run("pytest", "-q", "-n", "2", "--dist", "loadscope", f"--junitxml={report}", *folders,
                    env={"EMAIL_RELAY_TEST_DB": database, "CI": None})  # fmt: skip
    finally:
        if report.exists():
            cell = {"python": session.python, "django": django, "database": database, "driver": driver}
            report.with_suffix(".json").write_text(json.dumps({**cell, **counts(report)}, indent=1) + "\n")


def counts(report: Path) -> dict[str, int]:
    """Tests run, failed and skipped, of a JUnit report."""
    suite = next(ET.parse(report).iter("testsuite"))  # noqa: S314 - our own file
    number = {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
    return {
        "tests": number["tests"],
        "failed": number["failures"] + number["errors"],
        "skipped": number["skipped"],
    }


@nox.session(python=False)
def table(session: nox.Session) -> None:
    """Put the results together for the documentation."""
    found = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    (ROOT / "docs" / "matrix.json").write_text(json.dumps(found, indent=1) + "\n")
    session.log(f"{len(found)} results")
