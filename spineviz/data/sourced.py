"""A figure from the literature, together with where it is from and how sure it is."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sourced:
    """One number with its origin.

    Attributes:
        value: the number.
        unit: "mm", "deg", "mL" and the like; empty for a pure ratio.
        citation: where it was published, or "chosen for legibility".
        mark: how sure it is: verified, transcribed, memory, derived, constructed or chosen, perhaps with a remark.
    """

    value: float
    unit: str
    citation: str
    mark: str


_COLUMNS = ("name", "value", "unit", "citation", "mark")


def sourced_table(path: Path) -> dict[str, Sourced]:
    """The rows of a CSV file with the columns name, value, unit, citation and mark, by name.

    Lines that start with # are remarks. Raises ValueError, naming file and row, for a missing column, a name that
    comes twice, a value that is no number, or a row without citation or mark.
    """
    lines = [line for line in path.read_text("utf-8").splitlines() if line.strip() and not line.startswith("#")]
    reader = csv.DictReader(lines)
    missing = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise ValueError(f"{path.name}: the column {missing[0]} is missing; it needs {', '.join(_COLUMNS)}")
    out: dict[str, Sourced] = {}
    for row in reader:
        name = row["name"]
        if name in out:
            raise ValueError(f"{path.name}: the row {name} comes twice")
        try:
            value = float(row["value"])
        except (TypeError, ValueError):
            raise ValueError(f"{path.name}: row {name}: value must be a number, got {row['value']!r}") from None
        if not row["citation"] or not row["mark"]:
            raise ValueError(f"{path.name}: row {name} has no citation or no mark")
        out[name] = Sourced(value, row["unit"] or "", row["citation"], row["mark"])
    return out
