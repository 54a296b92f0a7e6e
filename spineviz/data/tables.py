"""The table of vertebral measurements, T1 to L5."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.sourced import Sourced, sourced_table

__all__ = ["LEVELS", "Sourced", "known_level", "level_below", "morphometry", "sourced_table"]

LEVELS = (*(f"T{i}" for i in range(1, 13)), *(f"L{i}" for i in range(1, 6)))
"""The vertebrae that the table holds, from the top down."""

_MARK_OF = {
    "EPWu_mm": "mark_EPWu",
    "EPWl_mm": "mark_EPWl_EPD",
    "EPDu_mm": "mark_EPWl_EPD",
    "EPDl_mm": "mark_EPWl_EPD",
    "VBHp_panjabi_mm": "mark_VBHp_panjabi",
    "VBHp_use_mm": "mark_VBH_use",
    "VBHa_use_mm": "mark_VBH_use",
    "VBHp_ct_meta_mm": "mark_VBH_use",
    "VBHa_ct_meta_mm": "mark_VBH_use",
    "vb_wedge_deg": "mark_wedge",
    "SCW_mm": "mark_canal",
    "SCD_mm": "mark_canal",
    "SCW_use_mm": "mark_canal_use",
    "SCD_use_mm": "mark_canal_use",
    "PDW_right_panjabi_mm": "mark_PDW",
    "PDW_left_panjabi_mm": "mark_PDW",
    "PDW_zindrick_mm": "mark_PDW",
    "PDW_lien_mm": "mark_PDW",
    "PDH_zindrick_mm": "mark_PDH",
    "PDH_lien_mm": "mark_PDH",
    "pedicle_transverse_medial_deg": "mark_pedicle_angles",
    "pedicle_sagittal_cephalad_deg": "mark_pedicle_angles",
    "pedicle_centre_to_centre_mm": "mark_ctc",
    "SP_length_mm": "mark_SP",
    "SP_slope_below_horizontal_deg": "mark_SP",
    "TPW_tip_to_tip_mm": "mark_TPW",
    "disc_below_height_mm": "mark_disc",
    "segment_angle_below_deg": "mark_segment_angle",
}

_CITATION_OF = {
    "EPW": "Panjabi 1991, Spine 16:888; Panjabi 1992, Spine 17:299",
    "EPD": "Panjabi 1991, Spine 16:888; Panjabi 1992, Spine 17:299",
    "VBHp_panjabi": "Panjabi 1991, Spine 16:888; Panjabi 1992, Spine 17:299",
    "VBH": "T1-T12 from Panjabi 1991, Spine 16:888; L1-L5 Bonczar 2024, Surg Radiol Anat 47:22",
    "vb_wedge": "PMC2899959, mean of women and men, T9-L5; T1-T8 constructed",
    "SCW_use": "T1-T12 Panjabi 1991, Spine 16:888; L1-L5 Bonczar 2024, Surg Radiol Anat 47:22",
    "SCD_use": "T1-T12 Panjabi 1991, Spine 16:888; L1-L5 Bonczar 2024, Surg Radiol Anat 47:22",
    "SC": "Panjabi 1991, Spine 16:888; Panjabi 1992, Spine 17:299",
    "PDW_right": "Panjabi 1991, Spine 16:888; Panjabi 1992, Spine 17:299",
    "PDW_left": "Panjabi 1991, Spine 16:888; Panjabi 1992, Spine 17:299",
    "PDW_zindrick": "Zindrick 1987, Spine 12:160",
    "PDH_zindrick": "Zindrick 1987, Spine 12:160",
    "PDW_lien": "Lien 2007, Eur Spine J (PMC2200778)",
    "PDH_lien": "Lien 2007, Eur Spine J (PMC2200778)",
    "pedicle_centre": "Lien 2007, Eur Spine J (PMC2200778)",
    "pedicle_": "Zindrick 1987, Spine 12:160",
    "SP_slope": "Kaur 2016 (PMC4857161) at T1, T6, T12; others approximation",
    "SP_": "approximation of a public 3-D spine program; no paper",
    "TPW": "Tan 2004, Eur Spine J 13:137, scaled by 1.143",
    "tan2004": "Tan 2004, Eur Spine J 13:137",
    "disc_": "T1-T11 Fletcher 2015, doi:10.1007/s00586-015-3925-y, interpolated; T12-L5 Bach 2019",
    "segment_": "L1-L5 doi:10.1038/s41598-022-21840-x table 2; T1-T12 constructed to verified totals",
    "vb_volume": "derived from the other columns",
    "cement": "derived from the other columns",
}


def _citation(column: str) -> str:
    """The longest key of `_CITATION_OF` with which `column` begins names its source."""
    keys = [key for key in _CITATION_OF if column.startswith(key)]
    return _CITATION_OF[max(keys, key=len)]


def _unit(column: str) -> str:
    for ending, unit in (("_mm", "mm"), ("_deg", "deg"), ("_ml", "mL"), ("pct_ml", "mL")):
        if column.endswith(ending):
            return unit
    return ""


@cache
def morphometry(path: Path | None = None) -> dict[str, dict[str, Sourced]]:
    """Every published number of every vertebra: level -> column -> `Sourced`; cells that are empty are left out.

    Which column counts for which dimension is said in assets/anatomy/SOURCES.md. `path` reads another file than
    assets/anatomy/morphometry.csv. Raises ValueError, naming level and column, for a cell that is no number.
    """
    source = path or asset("anatomy", "morphometry.csv")
    out: dict[str, dict[str, Sourced]] = {}
    with source.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            level = row.pop("level")
            cells: dict[str, Sourced] = {}
            for column, text in row.items():
                if column.startswith("mark_") or not text:
                    continue
                try:
                    value = float(text)
                except ValueError:
                    raise ValueError(f"{source.name}: {level}: {column} must be a number, got {text!r}") from None
                mark = row.get(_MARK_OF.get(column, "")) or ("transcribed" if column.startswith("tan") else "derived")
                cells[column] = Sourced(value, _unit(column), _citation(column), mark)
            out[level] = cells
    return out


def known_level(level: str) -> str:
    """`level` itself; RequestError, naming what there is, for one that the table has not."""
    if level not in LEVELS:
        raise RequestError(f"spine.level: there is no vertebra {level!r}; give T1 to T12 or L1 to L5")
    return level


def level_below(level: str) -> str | None:
    """The next vertebra down, or None below L5."""
    place = LEVELS.index(known_level(level))
    return LEVELS[place + 1] if place + 1 < len(LEVELS) else None
