"""Writes every page that is drawn from the code: ``make pages``, or ``python tests/pages/write.py``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from core import states_page
from pages import features_table, reference_page

if __name__ == "__main__":
    for drawn in (states_page, reference_page, features_table):
        drawn.PAGE.write_text(drawn.page())
