"""The trunk: the spine lies inside it at its depth, and it stands with the column whichever level is treated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.anatomy.column import column
from spineviz.anatomy.fracture import fracture
from spineviz.anatomy.trunk import Strand, lofted, trunk
from spineviz.anatomy.vertebra import vertebra
from spineviz.data.errors import RequestError
from spineviz.data.tables import LEVELS

levels = st.sampled_from(LEVELS)
shares = st.sampled_from([0.0, 0.5, 1.0])


def bone_points(here, level):
    """Landmarks of `level` in the world, (K, 3) mm."""
    marks = vertebra(level).landmarks
    own = np.array([mark for name, mark in marks.items() if not name.endswith("normal")])
    return here.world_from_vertebra(level).points(own)


def test_a_lofted_cylinder_has_the_volume_that_geometry_gives():
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    rings = [np.column_stack([20 * np.cos(angle), 10 * np.sin(angle), np.full(400, z)]) for z in (0.0, 15.0, 50.0)]
    mesh = lofted(rings)
    assert mesh.is_closed
    assert mesh.volume_ml == pytest.approx(np.pi * 20 * 10 * 50 / 1000, rel=1e-3)


def test_a_strand_is_an_elliptic_tube():
    strand = Strand(np.array([0.0, 100.0]), np.full(2, 30.0), np.zeros(2), np.full(2, 8.0), np.full(2, 4.0))
    points = np.array([[38.0, 0, 50], [30, 4, 50], [-38, 0, 50], [30, 0, 100], [30, 0, 104], [30, 0, 50]])
    assert strand.distance(points) == pytest.approx([0, 0, 0, -4, 4, -4])
    mesh = strand.mesh(3.0)
    assert mesh.is_closed
    assert mesh.pieces == 2
    assert mesh.volume_ml == pytest.approx(2 * np.pi * 8 * 4 * 100 / 1000, rel=0.02)


@settings(max_examples=10)
@given(levels, shares)
def test_every_vertebra_lies_under_the_skin(treated, lying):
    here = column(treated, lying)
    around = trunk(here)
    for level in LEVELS:
        assert around.distance(bone_points(here, level)).max() < -4.0


@settings(max_examples=10)
@given(levels, shares)
def test_the_trunk_is_the_same_whichever_level_is_treated(treated, lying):
    """Seen from the column, skin and muscles do not depend on where the world's origin lies."""
    one, other = trunk(column(treated, lying)), trunk(column("L1", lying))
    shift = one.spine[0] - other.spine[0]
    assert one.spine - shift == pytest.approx(other.spine, abs=1e-6)
    points = np.random.default_rng(4).uniform([-190, -140, -150], [190, 180, 320], (500, 3))
    # heights are tabulated every 2 mm from the lower end, which a shift moves with them
    assert one.skin.distance(points + shift) == pytest.approx(other.skin.distance(points), abs=1e-6)
    for name in ("erector", "psoas"):
        assert one.muscles[name].distance(points + shift) == pytest.approx(
            other.muscles[name].distance(points), abs=1e-6
        )


def test_skin_to_lamina_is_40_to_50_mm_at_l1():
    here = column("L1", 1.0)
    base = vertebra("L1").landmarks["spinous-base"]
    for x in (-16.0, 16.0):
        start = np.array([x, base[1], base[2]])
        skin = trunk(here).entry_on_skin(start, [0, -1, 0])
        assert 40.0 <= np.linalg.norm(skin - start) <= 50.0


def test_the_trunk_is_about_20_cm_deep_where_the_rays_pass():
    for treated in ("T8", "L1", "L4"):
        around = trunk(column(treated, 1.0))
        front, back = (around.entry_on_skin([0.0, 0.0, 0.0], [0.0, s, 0.0])[1] for s in (1.0, -1.0))
        assert 185.0 < front - back < 245.0


@settings(max_examples=30)
@given(
    shares,
    st.tuples(st.floats(-30, 30), st.floats(-40, 15), st.floats(-60, 60)),
    st.tuples(st.floats(-1, 1), st.floats(-1, -0.3), st.floats(-0.5, 0.5)),
)
def test_a_line_enters_where_the_skin_is(lying, start, direction):
    around = trunk(column("L1", lying))
    skin = around.entry_on_skin(start, direction)
    assert np.abs(around.distance(skin[None])) < 1e-6
    assert np.cross(skin - np.array(start), direction) == pytest.approx(np.zeros(3), abs=1e-6)
    between = np.array(start) + np.linspace(0, 0.999, 200)[:, None] * (skin - np.array(start))
    assert (around.distance(between) < 0).all()


def test_a_line_that_starts_outside_is_refused():
    with pytest.raises(RequestError, match=r"start_mm: .*outside the skin"):
        trunk(column("L1")).entry_on_skin([0, -300, 0], [0, -1, 0])


@pytest.mark.parametrize("lying", [0.0, 1.0])
def test_skin_is_closed_and_its_field_agrees(lying):
    around = trunk(column("L1", lying)).structures()
    skin = around["skin"]
    mesh = skin.world_mesh(6.0)
    assert mesh.is_closed
    assert mesh.pieces == 1
    distance = np.abs(skin.field(mesh.points_mm))
    assert np.quantile(distance, 0.97) < 1e-6  # the flat ends apart
    low, high = mesh.bounds_mm
    count = 60_000
    dice = np.random.default_rng(0).uniform(low, high, (count, 3))
    share = (skin.field(dice) < 0).mean()
    assert share * np.prod(high - low) / 1000 == pytest.approx(mesh.volume_ml, rel=0.02)
    assert skin.core is not None
    assert (skin.core(dice) >= skin.field(dice)).all()


def test_skin_is_the_same_on_both_sides_and_has_a_furrow():
    around = trunk(column("L1", 1.0))
    points = np.random.default_rng(2).uniform([-190, -140, -200], [190, 180, 250], (400, 3))
    assert around.distance(points * [-1, 1, 1]) == pytest.approx(around.distance(points), abs=1e-9)
    middle, beside = (around.entry_on_skin([x, -40.0, 0.0], [0, -1, 0])[1] for x in (0.0, 38.0))
    assert middle - beside > 5.0


@pytest.mark.parametrize("treated", ["T6", "L1"])
def test_no_lung_or_muscle_lies_in_the_canal_and_no_lung_in_a_vertebra(treated):
    here = column(treated, 1.0)
    parts = trunk(here).structures()
    for level in LEVELS:
        room = here.world_from_vertebra(level).points([vertebra(level).landmarks["canal-centre"]])
        assert parts["muscle"].field(room) > 3.0
        corners = [m for n, m in vertebra(level).landmarks.items() if n.endswith("-rim")]
        assert (parts["lungs"].field(here.world_from_vertebra(level).points([*corners, np.zeros(3)])) > 3.0).all()


def test_two_lungs_lie_within_the_chest():
    parts = trunk(column("T8")).structures()
    mesh = parts["lungs"].world_mesh(8.0)
    assert mesh.is_closed
    assert mesh.pieces == 2
    assert 3000 < mesh.volume_ml < 6500  # two adult lungs
    assert parts["skin"].core is not None
    assert (parts["skin"].core(mesh.points_mm) < 0).all()


def test_the_trunk_bends_with_the_fracture():
    broken = fracture("L1", "wedge", 0.5)
    bent, straight = trunk(column("L1", 0.0, broken.upper_endplate_motion(1.0))), trunk(column("L1"))
    assert bent.key != straight.key
    here = column("L1", 0.0, broken.upper_endplate_motion(1.0))
    assert bent.distance(bone_points(here, "T3")).max() < -4.0
