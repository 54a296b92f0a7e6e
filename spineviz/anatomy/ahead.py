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


def spine_calls(treated: str, in_view: Sequence[str]) -> list[Call]:
    """What pictures of the bones round the `treated` one are made from, most urgent first: of the levels `in_view` the
    bones, with what discs and nerves are laid by, and of the near ones what sections and radiographs read."""
    from spineviz.anatomy.bones import raster_calls, surface_calls

    order = _by_distance(treated, in_view)
    return [
        *raster_calls([treated]), *_stands_by(order), *_root_calls(order), *surface_calls(order),
        *near_calls(treated, in_view),
    ]  # fmt: skip


def way_calls(treated: str, cord: tuple[str, str] | None = None) -> list[Call]:
    """What the way from the groin to the `treated` level is shown by, most urgent first: all bones, the nerves and
    arteries that are laid by them, those of the cord too where they are fed from `cord` (side, level), and their
    surfaces."""
    from spineviz.anatomy.arteries import artery_calls
    from spineviz.anatomy.bones import surface_calls

    arteries = artery_calls(column(treated, _LYING), cord)
    surfaces = surface_calls(_by_distance(treated, COLUMN_LEVELS))
    return [*_laid_by(_ARTERIES_ALONG), *_laid_by(COLUMN_LEVELS), *_root_calls(COLUMN_LEVELS), *arteries, *surfaces]


def near_calls(treated: str, in_view: Sequence[str]) -> list[Call]:
    """What sections and radiographs of the `treated` level read of the bones near it."""
    from spineviz.anatomy.bones import raster_calls

    return raster_calls([level for level in _by_distance(treated, in_view) if _away(treated, level) <= _NEAR_LEVELS])


def canal_calls(treated: str) -> list[Call]:
    """What a tumour in the canal of the `treated` level is drawn by: how cord and sac lie there without one."""
    from spineviz.anatomy.epidural_canal import canal

    return [(canal, (treated,))]


def outline_raster_calls(treated: str) -> list[Call]:
    """What radiographs of the body on its back are seen through: the raster of its outline."""
    from spineviz.anatomy.outline import outline_calls

    raster, _ = outline_calls(column(treated, _LYING))
    return [raster]


def body_calls(treated: str) -> list[Call]:
    """What the whole body on its back is shown by: hips, thigh bones and the outline."""
    from spineviz.anatomy.outline import outline_calls
    from spineviz.anatomy.pelvis import pelvis_calls

    return [*pelvis_calls(), *outline_calls(column(treated, _LYING))]


def _away(treated: str, level: str) -> int:
    return abs(COLUMN_LEVELS.index(level) - COLUMN_LEVELS.index(treated))


def _by_distance(treated: str, levels: Iterable[str]) -> list[str]:
    return sorted(levels, key=lambda level: _away(treated, level))


def _root_calls(levels: Iterable[str]) -> list[Call]:
    from spineviz.anatomy.neural import outer_root

    return [(outer_root, (level,)) for level in levels if level != SACRUM]


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
        out.append((bone_points, (level,)))
        if level != SACRUM:
            out.append((body_radius, (level,)))
    return list(dict.fromkeys(out))
