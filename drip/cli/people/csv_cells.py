"""CSV as it is written: no cell that a spreadsheet would take for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_row(values: Iterable[Any]) -> str:
    """One record without its line end."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([csv_cell(value) for value in values])
    return text.getvalue()


def csv_cell(value: Any) -> str:
    """A cell: what looks like a formula gets a ' in front (https://owasp.org/www-community/attacks/CSV_Injection)."""
    text = "" if value is None else str(value)
    return "'" + text if text.startswith(_FORMULA) else text
