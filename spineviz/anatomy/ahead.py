"""What takes longest of the spine, made ahead with two cores."""

from __future__ import annotations

from spineviz.anatomy.column import COLUMN_LEVELS, SACRUM
from spineviz.data.aside import Call, make_ahead


def bones_ahead() -> None:
    """Make what nerves and arteries are laid by, of every bone from T2 down: its shape, the room in its canal, and how
    far it reaches."""
    from spineviz.anatomy.arterial_course import body_radius, bone_points
    from spineviz.anatomy.bones import CARVE_SPACING_MM, carved_half
    from spineviz.anatomy.discs import endplate_sheet
    from spineviz.anatomy.neural import sac_stations
    from spineviz.anatomy.vertebra import landmarks_of, spinous_tip

    calls: list[Call] = []
    for level in COLUMN_LEVELS[COLUMN_LEVELS.index("T2") :]:
        calls.append((carved_half, (level, CARVE_SPACING_MM)))
        calls.append((endplate_sheet, (level, True)))
        if level != SACRUM:
            calls.append((endplate_sheet, (level, False)))
            calls += [(make, (level,)) for make in (landmarks_of, spinous_tip, sac_stations, bone_points, body_radius)]
    make_ahead(calls)
