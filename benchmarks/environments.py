"""One virtual environment per contestant, made once and kept in a cache folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HOME = Path(os.environ.get("EMAIL_RELAY_BENCH_HOME", Path(tempfile.gettempdir()) / "email-relay-bench"))
ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = {
    "ours": ["-e", f"{ROOT}[worker]"],
    "relay-0.6.0": ["Django==5.2.*", "psycopg2-binary", "django-email-relay==0.6.0"],
    "post-office": ["Django==5.2.*", "psycopg2-binary", "django-post-office==3.12.0"],
    "celery-email": [
        "Django==5.2.*",
        "psycopg2-binary",
        "django-celery-email==3.0.0",
        "celery==5.7.*",
        "redis",
        "packaging",
    ],
    "mailer": ["Django==5.2.*", "psycopg2-binary", "django-mailer==2.3.2"],
}


def python(name: str) -> str:
    """The interpreter of a contestant, as its users would install it."""
    folder, wanted = HOME / f"venv-{name}", "\n".join(REQUIREMENTS[name])
    ready = folder / "ready"
    if not ready.exists() or ready.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(folder / "bin" / "python"), "-m", "pip", "install", "-q", *REQUIREMENTS[name]], check=True)
        ready.write_text(wanted)
    return str(folder / "bin" / "python")
