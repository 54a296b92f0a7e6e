"""The body's outline: one smooth body that holds everything, its trunk the trunk's own skin."""

import numpy as np
import pytest

from spineviz.anatomy.arteries import arterial_tree
from spineviz.anatomy.column import COLUMN_LEVELS, column
from spineviz.anatomy.outline import body_outline, entry_on_body
from spineviz.anatomy.ribs import rib_structures
from spineviz.anatomy.trunk import trunk
from spineviz.data.errors import RequestError

LYING = column("L1", lying=1.0)


def test_its_trunk_is_the_trunks_own_skin():
    here = trunk(LYING)
    points = here.skin_mesh(14.0).points_mm
    ahead = (points[:, 2] > -60) & (points[:, 2] < 110) & (points[:, 1] > float(here.skin.middle_y.mean()))
    away = body_outline(LYING).field.distance(here.world_from_trunk.points(points[ahead]))
    assert np.abs(away).max() < 4.0


def test_it_holds_arteries_and_ribs():
    body = body_outline(LYING).field
    for branch in arterial_tree(LYING, "none").branches.values():
        assert (body.distance(branch.centreline.points_mm) + branch.radius_mm).max() < -3.0, branch.name
    for part in rib_structures(LYING, COLUMN_LEVELS[3:12]).values():
        assert body.distance(part.world_mesh(4.0).points_mm).max() < 1.0


def test_the_surface_is_closed_one_piece_symmetric_and_lies_on_the_field():
    body = body_outline(LYING)
    mesh = body.world_mesh(8.0)
    assert mesh.is_closed
    assert mesh.pieces == 1
    assert len(mesh.triangles) <= 40_000
    assert np.abs(body.field.distance(mesh.points_mm)).max() < 1.5
    assert np.abs(body.field.distance(mesh.points_mm * [-1, 1, 1])).max() < 3.0
    assert 40.0 < mesh.volume_ml / 1000.0 < 110.0  # litres of a person


def test_a_line_leaves_it_where_the_field_says():
    start = np.array([0.0, 0.0, -100.0])
    out = entry_on_body(LYING, start, (0.0, 1.0, 0.0))
    assert body_outline(LYING).field.distance(out[None])[0] == pytest.approx(0.0, abs=0.05)
    with pytest.raises(RequestError, match="start_mm"):
        entry_on_body(LYING, (0.0, 900.0, 0.0), (0.0, 1.0, 0.0))


def test_moving_the_world_moves_it():
    other = column("T8", lying=1.0)
    carried = other.world_from_sacrum @ LYING.world_from_sacrum.inverse()
    points = body_outline(LYING).world_mesh(8.0).points_mm[::400]
    assert np.abs(body_outline(other).field.distance(carried.points(points))).max() < 4.0
