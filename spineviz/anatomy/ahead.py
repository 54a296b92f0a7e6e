"""What takes longest of the body and is the same whatever is planned: made ahead, with two cores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from spineviz.anatomy.column import COLUMN_LEVELS, SACRUM, column
from spineviz.data.aside import make_ahead
from spineviz.data.once import Call

_ARTERIES_FROM = "T2"
"""Arteries are laid along the bones from here down."""
_LYING = 1.0
"""The posture in which the whole body is shown."""
_NEAR_LEVELS = 3
"""So many levels above and below the treated one most sections and radiographs show."""


def bones_ahead() -> None:
    """Make what nerves and arteries are laid by, of every bone from T2 down: its shape, the room in its canal, and how
    far it reaches."""
    make_ahead(_laid_by(_levels_of_arteries()))


def body_calls(treated: str, in_view: Sequence[str], whole: bool) -> list[Call]:
    """What pictures of a patient are made from, most urgent first: of the levels `in_view` the bones, with what discs
    and nerves are laid by, and of those near the `treated` one the rasters that sections and radiographs read. With
    `whole` that of all levels which arteries are laid by, and of the body on its back arteries, outline and pelvis."""
    from spineviz.anatomy.bones import raster_calls, surface_calls

    place = COLUMN_LEVELS.index(treated)
    by_distance = sorted(in_view, key=lambda level: abs(COLUMN_LEVELS.index(level) - place))
    near = [level for level in by_distance if abs(COLUMN_LEVELS.index(level) - place) <= _NEAR_LEVELS]
    out = [] if whole else raster_calls([treated])
    out += _laid_by(_levels_of_arteries()) if whole else _stands_by(by_distance)
    out += surface_calls(by_distance)
    if whole:
        from spineviz.anatomy.arteries import artery_calls
        from spineviz.anatomy.outline import outline_calls
        from spineviz.anatomy.pelvis import pelvis_calls

        out += artery_calls(column(treated, _LYING)) + outline_calls(treated, _LYING) + pelvis_calls()
    return out + raster_calls(near)


def _levels_of_arteries() -> tuple[str, ...]:
    return COLUMN_LEVELS[COLUMN_LEVELS.index(_ARTERIES_FROM) :]


def _stands_by(levels: Iterable[str]) -> list[Call]:
    """What discs and nerves of `levels` are laid by."""
    from spineviz.anatomy.bones import coarse_calls
    from spineviz.anatomy.discs import endplate_sheet
    from spineviz.anatomy.neural import outer_root, sac_stations
    from spineviz.anatomy.vertebra import landmarks_of, spinous_tip

    out: list[Call] = []
    for level in levels:
        out += coarse_calls(level)
        out.append((endplate_sheet, (level, True)))
        if level != SACRUM:
            out.append((endplate_sheet, (level, False)))
            out += [(make, (level,)) for make in (landmarks_of, spinous_tip, sac_stations, outer_root)]
    return list(dict.fromkeys(out))


def _laid_by(levels: Iterable[str]) -> list[Call]:
    """What arteries of `levels` are laid by too."""
    from spineviz.anatomy.arterial_course import body_radius, bone_points

    out: list[Call] = []
    for level in levels:
        out += _stands_by([level])
        if level != SACRUM:
            out += [(make, (level,)) for make in (bone_points, body_radius)]
    return list(dict.fromkeys(out))
