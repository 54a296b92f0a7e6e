"""The body as chemoembolization shows it: the column down to the groins, its nerves, ribs, pelvis, veins and outline.

On the back, from T3 to the thighs, whatever level is treated: the way leads through all of it. The arteries are a tree
of their own (arteries.py), the tumour and what it presses aside too (epidural.py).
"""

from __future__ import annotations

from collections import OrderedDict
from types import MappingProxyType
from typing import TYPE_CHECKING

from spineviz.anatomy.column import COLUMN_LEVELS, Column, column_structures
from spineviz.anatomy.groin import groin_structures
from spineviz.anatomy.outline import body_outline
from spineviz.anatomy.pelvis import pelvis_structures
from spineviz.anatomy.structure import remembered
from spineviz.anatomy.trunk import trunk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spineviz.anatomy.structure import Structure

TOP = "T3"
"""The uppermost vertebra in view: one above the highest segmental artery."""


_kept: OrderedDict[str, Mapping[str, Structure]] = OrderedDict()


def _made(here: Column) -> Mapping[str, Structure]:
    levels = COLUMN_LEVELS[COLUMN_LEVELS.index(TOP) :]
    inside = trunk(here).structures()
    return MappingProxyType(
        {
            **column_structures(here, levels),
            **pelvis_structures(here),
            **groin_structures(here),
            "muscle": inside["muscle"],
            "lungs": inside["lungs"],
            "body": body_outline(here),
        }
    )


def whole_body(here: Column) -> Mapping[str, Structure]:
    """Everything by name, world frame: "T3" to "L5", "sacrum", discs, "cord", "dura", "roots", ribs, what pelvis.py and
    groin.py build, "muscle", "lungs" and the outline "body". Equal columns, the same object."""
    return remembered(_kept, here.pose_key, lambda: _made(here), 4)
