"""The column: where every vertebra and the sacrum stand, for a posture and a fracture, from discs and segment angles.

The treated vertebra is the world: its own frame is the identity in every posture. The others are chained to it through
their end-plates, half of a disc's angle on either side of its middle, so that the height published for the middle of
a disc and the angle published for a segment both hold.

Sign of an angle: positive is kyphotic (a disc or a body lower in front).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from spineviz.anatomy.structure import Structure
from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.tables import LEVELS, morphometry, sourced_table
from spineviz.geometry.fields import Points, Vector
from spineviz.geometry.frames import Frame, rotation_about, translation

SACRUM = "sacrum"
COLUMN_LEVELS: tuple[str, ...] = (*LEVELS, SACRUM)
"""From above downward; the sacrum last."""

Deformation = Callable[[Points], Points]
"""Healthy points (N, 3) of a vertebra to where they now are, both in that vertebra's frame, mm."""

_X = np.array([1.0, 0.0, 0.0])


def level_above(level: str) -> str | None:
    """The neighbour above `level` (a vertebra or "sacrum"), None above T1."""
    index = COLUMN_LEVELS.index(level)
    return COLUMN_LEVELS[index - 1] if index else None


def level_below(level: str) -> str | None:
    """The neighbour below `level`, "sacrum" below L5, None below the sacrum."""
    index = COLUMN_LEVELS.index(level)
    return COLUMN_LEVELS[index + 1] if index + 1 < len(COLUMN_LEVELS) else None


def levels_between(top: str, bottom: str) -> tuple[str, ...]:
    """`top` to `bottom`, both with, from above downward; "sacrum" may be the bottom."""
    return COLUMN_LEVELS[COLUMN_LEVELS.index(top) : COLUMN_LEVELS.index(bottom) + 1]


def levels_around(level: str, reach: int = 4) -> tuple[str, ...]:
    """`level` with up to `reach` neighbours on either side, the sacrum counted as one."""
    index = COLUMN_LEVELS.index(level)
    return COLUMN_LEVELS[max(0, index - reach) : index + reach + 1]


def tilt_deg(upper: Frame, lower: Frame) -> float:
    """The sagittal angle from `lower` to `upper`, deg, positive where `upper` leans forward (kyphosis)."""
    seen = lower.inverse().rotation @ upper.rotation
    return float(np.rad2deg(np.arctan2(seen[1, 2], seen[2, 2])))


def segment_angle_deg(level: str, lying: float = 0.0) -> float:
    """The angle of the segment below `level`: its upper end-plate to the upper end-plate below, deg.

    `lying` is 0 standing to 1 lying. Standing values are the table's (their sums are the published curves: 50.5 deg
    L1-S1, 43.4 deg T1-T12). Lying, the lordosis flattens as published for 627 volunteers (PMC6680033): the two lowest
    segments by their share of it, those above by theirs, within each in proportion. For the kyphosis no published
    share was found (curvature.csv, constructed).
    """
    standing = morphometry()[level]["segment_angle_below_deg"].value
    return standing * (1.0 + lying * (_lying_share(level) - 1.0))


@cache
def _lying_share(level: str) -> float:
    curve = sourced_table(asset("anatomy", "curvature.csv"))
    if level.startswith("T"):
        return curve["kyphosis_lying_share"].value
    low_standing = curve["lordosis_standing_L4_S1_deg"].value
    low_lying = curve["lordosis_lying_L4_S1_deg"].value
    if level in ("L4", "L5"):
        return low_lying / low_standing
    return (curve["lordosis_lying_T12_S1_deg"].value - low_lying) / (
        curve["lordosis_standing_T12_S1_deg"].value - low_standing
    )


@cache
def endplates(level: str) -> tuple[Frame, Frame]:
    """The upper and the lower end-plate of `level` in its own frame (z up, y forward); the sacrum has only an upper
    one, which is its frame, and it is given twice."""
    if level == SACRUM:
        return Frame(), Frame()
    from spineviz.anatomy.vertebra_joints import plates

    upper, lower = plates(level)  # the same frames as vertebra(level).frames, without building the bone
    return upper.vertebra_from_plate, lower.vertebra_from_plate


@cache
def below_from_above(level: str, lying: float = 0.0) -> Frame:
    """Carries points of the vertebra below `level` into the frame of `level` (the chain's one link)."""
    below = level_below(level)
    if below is None:
        raise RequestError(f"level: nothing stands below {level}; give T1 to L5")
    above_upper, above_lower = endplates(level)
    # the segment's angle holds the body's own wedge; what is left is the disc's
    disc_deg = segment_angle_deg(level, lying) - tilt_deg(above_upper, above_lower)
    height_mm = morphometry()[level]["disc_below_height_mm"].value
    half = rotation_about(_X, disc_deg / 2)
    through_disc = half @ translation((0.0, 0.0, -height_mm)) @ half
    return above_lower @ through_disc @ endplates(below)[0].inverse()


Shape = tuple[str, float, tuple[float, ...]]
"""A column in plain numbers: its treated level, its share of lying, and rotation and origin of its collapse, if any."""


@dataclass(frozen=True, eq=False)
class Column:
    """The column in one posture.

    Attributes:
        treated: the level that is the world.
        lying: 0 standing to 1 lying.
        collapse: rigid motion in the world of everything above the treated vertebra (what the fracture does to its
            upper end-plate), or None.
        frames: world_from_vertebra of every level and of the sacrum.
    """

    treated: str
    lying: float
    collapse: Frame | None
    frames: dict[str, Frame] = field(repr=False)

    def world_from_vertebra(self, level: str) -> Frame:
        """Where `level` (T1 to L5, or "sacrum") stands; RequestError for another name."""
        if level not in self.frames:
            raise RequestError(f"level: {level!r} is no level; give T1 to L5 or sacrum")
        return self.frames[level]

    @property
    def world_from_sacrum(self) -> Frame:
        """The sacrum's frame: the middle of the upper end-plate of S1, z its normal, y forward."""
        return self.frames[SACRUM]

    def is_above(self, level: str) -> bool:
        """Whether `level` lies above the treated one (and so moves with the collapse)."""
        return COLUMN_LEVELS.index(level) < COLUMN_LEVELS.index(self.treated)

    def relative(self, level: str, to: str) -> Frame:
        """The frame that carries points of `level` into the frame of `to`."""
        return self.frames[to].inverse() @ self.frames[level]

    @property
    def pose_key(self) -> str:
        """Text that is the same for the same posture: treated level, share of lying, collapse."""
        moved = "" if self.collapse is None else np.array2string(np.round(self.collapse.matrix[:3], 5).ravel())
        return f"{self.treated}|{self.lying:.5f}|{moved}"

    @property
    def shape(self) -> Shape:
        """What tells this column from another, to the last digit; `column_of` makes it again."""
        moved = self.collapse
        numbers = () if moved is None else (*moved.rotation.ravel().tolist(), *moved.origin_mm.tolist())
        return self.treated, self.lying, numbers

    def relative_key(self, level: str, to: str) -> str:
        """Text that is the same wherever `level` and `to` stand to each other in the same way."""
        crossed = self.collapse is not None and self.is_above(level) != self.is_above(to)
        moved = np.array2string(np.round(self.collapse.matrix[:3], 5).ravel()) if crossed and self.collapse else ""
        return f"{level}-{to}|{self.lying:.5f}|{moved}|{self.treated if moved else ''}"

    def vertical(self) -> Vector:
        """(3,) the direction that is up for a standing person, in the world: the sacral end-plate slopes by 39.1 deg
        (curvature.csv)."""
        slope = sourced_table(asset("anatomy", "curvature.csv"))["sacral_slope_standing_deg"].value
        # the end-plate's normal leans forward by the slope, so up lies behind it
        return self.world_from_sacrum.vector(rotation_about(_X, slope).rotation @ np.array([0.0, 0.0, 1.0]))


def column(treated: str = "L1", lying: float = 0.0, collapse: Frame | None = None) -> Column:
    """The column with `treated` as the world.

    Args:
        treated: T1 to L5.
        lying: 0 standing to 1 lying.
        collapse: rigid motion, in the world, of all that stands above the treated vertebra.

    Raises RequestError, naming the key, for another level or share.
    """
    if treated not in LEVELS:
        raise RequestError(f"spine.level: {treated!r} is no level; give T1 to L5")
    if not 0.0 <= lying <= 1.0:
        raise RequestError(f"lying: {lying:g} is not a share; give 0 (standing) to 1 (lying)")
    share = float(lying)
    frames = {treated: Frame()}
    index = COLUMN_LEVELS.index(treated)
    for i in range(index, len(COLUMN_LEVELS) - 1):
        here, below = COLUMN_LEVELS[i], COLUMN_LEVELS[i + 1]
        frames[below] = frames[here] @ below_from_above(here, share)
    for i in range(index, 0, -1):
        here, above = COLUMN_LEVELS[i], COLUMN_LEVELS[i - 1]
        frames[above] = frames[here] @ below_from_above(above, share).inverse()
    if collapse is not None:
        for level in COLUMN_LEVELS[:index]:
            frames[level] = collapse @ frames[level]
    return Column(treated, share, collapse, frames)


def column_of(shape: Shape) -> Column:
    """The column of that `shape`."""
    treated, lying, moved = shape
    return column(treated, lying, Frame(np.reshape(moved[:9], (3, 3)), np.array(moved[9:])) if moved else None)


def column_structures(
    column: Column,
    levels: Iterable[str],
    deformation: Deformation | None = None,
    deformation_key: str = "",
    neural: bool = True,
    ribs: bool = True,
) -> dict[str, Structure]:
    """All healthy structures of `levels`: bones, discs, sacrum, ribs, cord, dura and roots.

    Args:
        column: the posture.
        levels: vertebrae in view, and "sacrum" if it is; from above downward.
        deformation: what the fracture does to the treated body (healthy points to fractured ones, in the treated
            vertebra's frame); the two discs beside it follow. The treated bone itself is given healthy here: whoever
            owns the fracture replaces it.
        deformation_key: text that names the deformation's shape and amount; equal text, equal shape.
        neural: with "cord" (where it reaches into the view), "dura" and "roots".
        ribs: with "ribs-right" and "ribs-left" of the thoracic levels in view.

    Returns a dict by name: "T12", "disc-T12-L1", "sacrum", "cord", "dura", "roots", "ribs-right", "ribs-left".
    A rigid part's mesh is made once in its own frame; `world_from_local` carries it.
    """
    from spineviz.anatomy.bones import bone
    from spineviz.anatomy.discs import discs
    from spineviz.anatomy.neural import neural_structures
    from spineviz.anatomy.ribs import rib_structures
    from spineviz.anatomy.sacrum import sacrum_structure

    view = tuple(levels)
    out: dict[str, Structure] = {}
    for level in view:
        out[level] = sacrum_structure(column) if level == SACRUM else bone(column, level)
    out.update(discs(column, view, deformation, deformation_key))
    if ribs:
        out.update(rib_structures(column, view))
    if neural:
        out.update(neural_structures(column, view))
    return out
