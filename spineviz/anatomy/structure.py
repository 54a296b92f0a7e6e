"""What exists at a moment: the one thing that stage, section, fluoroscopy, labels, gauges and export read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from spineviz.geometry.fields import Distances, Field, Points
from spineviz.geometry.frames import Frame
from spineviz.geometry.meshes import Mesh


@dataclass(frozen=True, eq=False)
class Cells:
    """What is spread unevenly through a shape: small volumes, in cells whose content changes while the volumes stand.

    Attributes:
        points_mm: (N, 3) middles of the small volumes, world frame.
        volume_mm3: (N,) what room each takes.
        cell: (N,) the cell, 0 to C - 1, that each belongs to.
        share: (C,) the concentration in each cell now; 1 is the material undiluted.
        key: names points, volumes and cells, not the shares: with an equal key only `share` differs.
    """

    points_mm: Points
    volume_mm3: Distances
    cell: NDArray[np.int64]
    share: Distances
    key: str


@dataclass(frozen=True, eq=False)
class Remains:
    """Of which healthy structure something is what is left, so that what was made of that serves for this too.

    Attributes:
        of: the healthy structure; at any spacing its surface has the same triangles.
        carried: world points (N, 3) of it -> where they lie now, (N, 3), and what is left of the room there, (N,).
    """

    of: Structure
    carried: Callable[[Points], tuple[Points, Distances]]


@dataclass(frozen=True, eq=False)
class Structure:
    """One named part.

    Attributes:
        name: as `spineviz export` names it ("L1", "disc-L1-L2", "cement").
        role: its colour in the theme ("bone", "disc", "cord", "tumour", "cement", "steel", "skin").
        material: its row of assets/anatomy/attenuation.csv.
        field: the shape in the world frame.
        mesh: spacing in mm -> the surface in the local frame; the maker caches it.
        key: names the local surface; with equal key and spacing the surface is the same, so drawers may keep it.
        world_from_local: where the local surface stands.
        rank: where two structures overlap, the higher rank wins.
        core: the inside of the cortex (world frame), which is of `core_material`; None where there is no cortex.
        bone_share: world points (N, 3) -> bone volume share BV/TV (N,) of the trabecular core, or of the whole where
            there is no core; None: the same everywhere, as the material says.
        healthy: world points (N, 3) -> where the tissue that is there now lay in the healthy bone, (N, 3) in the world,
            so that a texture is carried along; None: it has not moved.
        cells: the material diluted in blood or tissue (contrast, drug): where it is and how much of it; None: all of
            the shape is the material.
        lasting: the surface is the same in every posture and at every moment, so that a drawer may take its time to
            make it light.
        remains: of what it is left, where it was crushed; its core is bone that was crushed, not lost.
        parts: rigid things that together are this one and share no room, each with a name, key and place of its own,
            so that what was made of them serves while they move against each other; (): it is of one piece.
        runs_on: names the hollow that it makes with others that run on in it, whose walls end there: as glass none of
            them shows within another. "": it makes none.
    """

    name: str
    role: str
    material: str
    field: Field
    mesh: Callable[[float], Mesh]
    key: str
    rank: int
    world_from_local: Frame = attribute(default_factory=Frame)
    core: Field | None = None
    core_material: str | None = None
    bone_share: Callable[[Points], Distances] | None = None
    healthy: Callable[[Points], Points] | None = None
    cells: Cells | None = None
    lasting: bool = False
    remains: Remains | None = None
    parts: tuple[Structure, ...] = ()
    runs_on: str = ""

    def world_mesh(self, spacing_mm: float) -> Mesh:
        """The surface in the world frame, with vertices about `spacing_mm` apart."""
        return self.mesh(spacing_mm).moved(self.world_from_local)


RANKS = {
    "skin": 0, "muscle": 5, "lung": 8, "fat": 10, "dura": 14, "cord": 16, "root": 17, "disc": 20, "bone": 30,
    "cleft": 35, "rim": 37, "tumour": 40, "channel": 44, "cavity": 45, "cement": 50, "balloon": 54, "steel": 60,
    "marker": 62,
}  # fmt: skip
"""Which material wins where two overlap, by kind."""


_T = TypeVar("_T")


def remembered(kept: OrderedDict[Any, _T], key: Any, make: Callable[[], _T], most: int = 8) -> _T:
    """kept[key], made if it is not there; of more than `most` the one longest unused is let go."""
    if key in kept:
        kept.move_to_end(key)
        return kept[key]
    out = make()
    kept[key] = out
    while len(kept) > most:
        kept.popitem(last=False)
    return out
