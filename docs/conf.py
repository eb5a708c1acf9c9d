"""How sphinx makes the user guide and the API reference: `sphinx-build -W docs build/docs`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

project = "fltlab"
author = "the founders of fltlab"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_heading_anchors = 3
exclude_patterns = ["examples"]
# Pages also link to what is no page: sources, drivers, suites, which one reads in the repository.
suppress_warnings = ["myst.xref_missing"]
default_role = "code"
html_theme = "furo"
html_title = "fltlab"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True, "show-inheritance": False}
