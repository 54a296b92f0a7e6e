"""What takes longest of the body and is the same whatever is planned: made ahead, with two cores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from spineviz.anatomy.column import COLUMN_LEVELS, SACRUM, column
from spineviz.data.aside import make_ahead
from spineviz.data.once import Call

_ARTERIES_ALONG = COLUMN_LEVELS[COLUMN_LEVELS.index("T2") :]
"""The bones along which arteries are laid."""
_LYING = 1.0
"""The posture in which the whole body is shown."""
_NEAR_LEVELS = 3
"""So many levels above and below the treated one most sections and radiographs show."""


def bones_ahead() -> None:
    """Make what nerves and arteries are laid by, of every bone from T2 down: its shape, the room in its canal, and how
    far it reaches."""
    make_ahead(_laid_by(_ARTERIES_ALONG))


def body_calls(treated: str, in_view: Sequence[str], whole: bool) -> list[Call]:
    """What pictures of a patient are made from, most urgent first: of the levels `in_view` the bones, with what discs
    and nerves are laid by, and of those near the `treated` one the rasters that sections and radiographs read. With
    `whole` that of all levels which arteries are laid by, and of the body on its back arteries, outline and pelvis."""
    from spineviz.anatomy.bones import raster_calls, surface_calls
    from spineviz.anatomy.neural import outer_root

    place = COLUMN_LEVELS.index(treated)
    by_distance = sorted(in_view, key=lambda level: abs(COLUMN_LEVELS.index(level) - place))
    near = [level for level in by_distance if abs(COLUMN_LEVELS.index(level) - place) <= _NEAR_LEVELS]
    out = _laid_by(_ARTERIES_ALONG) if whole else [*raster_calls([treated]), *_stands_by(by_distance)]
    roots = _ARTERIES_ALONG if whole else by_distance
    out += [(outer_root, (level,)) for level in roots if level != SACRUM]
    if whole:
        from spineviz.anatomy.arteries import artery_calls
        from spineviz.anatomy.groin import vein_calls
        from spineviz.anatomy.outline import outline_calls
        from spineviz.anatomy.pelvis import pelvis_calls

        lying = column(treated, _LYING)
        out += [*artery_calls(lying), *vein_calls(lying)]
        return [*out, *surface_calls(by_distance), *raster_calls(near), *outline_calls(lying), *pelvis_calls()]
    return [*out, *surface_calls(by_distance), *raster_calls(near)]


def _stands_by(levels: Iterable[str]) -> list[Call]:
    """What discs and nerves of `levels` are laid by."""
    from spineviz.anatomy.bones import coarse_calls
    from spineviz.anatomy.discs import endplate_sheet
    from spineviz.anatomy.neural import sac_stations
    from spineviz.anatomy.vertebra import landmarks_of, spinous_tip

    out: list[Call] = []
    for level in levels:
        out += [*coarse_calls(level), (endplate_sheet, (level, True))]
        if level != SACRUM:
            out.append((endplate_sheet, (level, False)))
            out += [(make, (level,)) for make in (landmarks_of, spinous_tip, sac_stations)]
    return list(dict.fromkeys(out))


def _laid_by(levels: Iterable[str]) -> list[Call]:
    """What arteries of `levels` are laid by too."""
    from spineviz.anatomy.arterial_course import body_radius, bone_points
    from spineviz.anatomy.ribs import rib_sweep, rib_table

    out: list[Call] = []
    for level in levels:
        out += _stands_by([level])
        if level in rib_table():
            out.append((rib_sweep, (level,)))
        if level != SACRUM:
            out += [(make, (level,)) for make in (bone_points, body_radius)]
    return list(dict.fromkeys(out))
