"""Sphinx: MyST sources, furo, pages generated from the code by `_ext`."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

import generated

generated.set_up_django()

from email_relay import __version__

project = "django-email-relay"
author = "The django-email-relay developers"
copyright = "2026, the django-email-relay developers"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "generated"]
myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 4
exclude_patterns = ["_build"]
suppress_warnings = ["myst.xref_ambiguous"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
add_module_names = False

html_theme = "furo"
html_title = f"django-email-relay {version}"
html_static_path = ["_static"]
html_show_sourcelink = False

linkcheck_ignore = ["http://localhost"]
