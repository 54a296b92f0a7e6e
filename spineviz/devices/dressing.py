"""The plaster that covers each nick in the end: a layer on the skin, cut to a rounded rectangle."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from spineviz.anatomy.structure import RANKS, Structure
from spineviz.data.assets import asset
from spineviz.data.sourced import sourced_table
from spineviz.geometry.fields import Distances, Field, Points, Vector, as_vector, box
from spineviz.geometry.meshes import Mesh, mesh_field
from spineviz.geometry.operators import union


@cache
def sizes() -> dict[str, float]:
    """Name -> mm of assets/devices/dressing.csv."""
    return {name: row.value for name, row in sourced_table(asset("devices", "dressing.csv")).items()}


def plaster(skin: Field, nick_mm: Vector) -> Field:
    """The plaster over the nick at `nick_mm` (3,) on `skin`, world frame. Inexact."""
    size = sizes()
    thickness = size["thickness_mm"]
    deep = 4 * size["width_mm"]
    cut = box(as_vector(nick_mm), (size["width_mm"], deep, size["length_mm"]), 6.0)

    def distance(points_mm: Points) -> Distances:
        outside = skin.distance(points_mm)
        layer = np.maximum(outside - thickness, -0.5 * thickness - outside)
        return np.maximum(layer, cut.distance(points_mm))

    return Field(distance, cut.bounds_mm, exact=False)


def dressing(skin: Field, skin_key: str, nicks_mm: Sequence[Vector]) -> Structure:
    """The plasters over `nicks_mm` ((3,) each) on `skin`, whose shape `skin_key` names: one structure, world frame."""
    field = union(*(plaster(skin, nick) for nick in nicks_mm))
    made: list[Mesh] = []

    def mesh(spacing_mm: float) -> Mesh:
        if not made:
            made.append(mesh_field(field, 0.8))
        return made[0]

    places = "-".join(f"{value:.2f}" for nick in nicks_mm for value in nick)
    # gauze casts no shadow and lies on no section: like the room's things it is seen on the stage alone
    return Structure("dressing", "ligament", "theatre", field, mesh, f"dressing-{skin_key}-{places}", RANKS["skin"])
