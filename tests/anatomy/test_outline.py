"""The body's outline: one smooth body that holds everything, its trunk the trunk's own skin."""

import numpy as np
import pytest

from spineviz.anatomy.arterial_course import femoral_places, world_from_pelvis
from spineviz.anatomy.arterial_data import SIDES
from spineviz.anatomy.arteries import arterial_tree
from spineviz.anatomy.column import COLUMN_LEVELS, column
from spineviz.anatomy.outline import body_outline, entry_on_body
from spineviz.anatomy.ribs import rib_structures
from spineviz.anatomy.sacrum import sacrum_structure
from spineviz.anatomy.trunk import trunk
from spineviz.data.errors import RequestError

LYING = column("L1", lying=1.0)


def test_its_trunk_is_the_trunks_own_skin():
    here = trunk(LYING)
    points = here.skin_mesh(14.0).points_mm
    between_arms = np.abs(points[:, 0]) < 140.0
    ahead = (points[:, 2] > -60) & (points[:, 2] < 110) & (points[:, 1] > float(here.skin.middle_y.mean()))
    away = body_outline(LYING).field.distance(here.world_from_trunk.points(points[ahead & between_arms]))
    assert np.abs(away).max() < 1.0


def test_it_holds_arteries_and_ribs():
    body = body_outline(LYING).field
    for branch in arterial_tree(LYING, "none").branches.values():
        assert (body.distance(branch.centreline.points_mm) + branch.radius_mm).max() < -3.0, branch.name
    for part in rib_structures(LYING, COLUMN_LEVELS[3:12]).values():
        assert body.distance(part.world_mesh(4.0).points_mm).max() < 1.0
    heads = [world_from_pelvis(LYING).point(femoral_places(side)["head"]) for side in SIDES]
    assert (body.distance(np.array(heads)) + 24.0).max() < -15.0
    assert body.distance(sacrum_structure(LYING).world_mesh(4.0).points_mm).max() < -5.0


def test_it_has_the_proportions_of_an_adult():
    body = body_outline(LYING)
    inward = trunk(LYING).world_from_trunk.inverse()
    points = inward.points(body.world_mesh(8.0).points_mm)
    size = np.ptp(points, axis=0)
    assert 1650.0 < size[2] < 1900.0  # crown to sole
    hips = (
        trunk(LYING).world_from_trunk.inverse().point(world_from_pelvis(LYING).point(femoral_places("right")["head"]))
    )
    head = points[points[:, 2] > points[:, 2].max() - 150.0]
    assert 130.0 < np.ptp(head[:, 0]) < 175.0
    crotch = np.column_stack([np.zeros(60), np.full(60, hips[1] - 20.0), hips[2] - np.arange(60.0) * 5.0])
    outside = body.field.distance(trunk(LYING).world_from_trunk.points(crotch)) > 0.0
    assert 60.0 < 5.0 * int(np.argmax(outside)) < 130.0  # the legs part below the hip joints


def test_a_soft_hollow_lies_in_the_groin_along_the_ligament():
    """Across the crease skin stands back from the straight line between belly and thigh."""
    inward = trunk(LYING).world_from_trunk
    hips = inward.inverse().points([world_from_pelvis(LYING).point(femoral_places(s)["head"]) for s in SIDES]).mean(0)
    for x, z in ((74.0, 16.0), (-74.0, 16.0)):
        over = inward.points(hips + np.array([[x, 0.0, z + 32.0], [x, 0.0, z], [x, 0.0, z - 32.0]]))
        front = inward.rotation[:, 1]
        above, at, below = ((entry_on_body(LYING, start, front) - start) @ front for start in over)
        assert 1.0 < (above + below) / 2 - at < 10.0


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
