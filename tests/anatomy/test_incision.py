"""Incisions: lengths on the skin, wounds that lie where their fields say, muscles that move and keep their volume."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.anatomy.column import column
from spineviz.anatomy.incision import (
    back_y,
    cut_skin,
    detached,
    displaced_muscles,
    midline_incision,
    nick,
    parted,
    sizes,
)
from spineviz.anatomy.trunk import trunk
from spineviz.anatomy.vertebra import vertebra
from spineviz.data.errors import RequestError
from spineviz.geometry.grids import lattice

levels = st.sampled_from(["T6", "T9", "T12", "L1", "L3"])


def lying(level="L1"):
    return trunk(column(level, 1.0))


def height_of(around, level):
    """The height of the treated vertebra, at the world's origin, in the trunk's frame."""
    return float(around.world_from_trunk.inverse().point(np.zeros(3))[2])


@pytest.fixture(scope="module")
def around():
    return lying()


@pytest.fixture(scope="module")
def wound(around):
    return midline_incision(around, height_of(around, "L1"))


@pytest.fixture(scope="module")
def nicks(around):
    z = height_of(around, "L1")
    spots = [(x, float(back_y(around.skin, np.array([x]), np.array([z]))[0]), z) for x in (35.0, -35.0)]
    return [nick(around, around.world_from_trunk.point(spot)) for spot in spots]


@given(levels, st.floats(-60.0, 60.0), st.floats(-80.0, 80.0))
def test_the_back_lies_on_the_skin(level, x, up):
    around = lying(level)
    z = height_of(around, level) + up
    spot = np.array([[x, float(back_y(around.skin, np.array([x]), np.array([z]))[0]), z]])
    assert abs(float(around.skin.distance(spot)[0])) < 0.05


@settings(max_examples=12)
@given(levels, st.floats(0.1, 1.0))
def test_a_cut_is_as_long_as_asked_however_far_it_is_open(level, opened):
    around = lying(level)
    cut = midline_incision(around, height_of(around, level), opened)
    assert cut.length_mm() == pytest.approx(sizes()["open_length_mm"], abs=0.05)
    assert cut.opening_mm() == pytest.approx(opened * sizes()["open_gape_mm"], rel=2e-3)


def test_a_nick_is_five_millimetres_and_lets_an_eleven_gauge_needle_through(nicks):
    for cut in nicks:
        assert cut.length_mm() == pytest.approx(5.0, abs=0.01)
        assert cut.opening_mm() > 3.05  # 11 gauge
        assert cut.length_mm() < sizes()["half_inch_mm"]


def test_the_length_measured_on_the_surface_is_that_of_the_cut(around, wound):
    """Independent of the formula: the mesh's own points that left the skin span the incision."""
    whole, cut = around.skin_mesh(6.0), cut_skin(around, [wound]).mesh(4.0)
    near = cut.points_mm[np.abs(cut.points_mm[:, 2]) < 110.0]
    dips = near[around.skin.distance(near) < -1.0]
    span = np.ptp(dips[:, 2])  # the wound leaves the skin a little way from its ends
    assert wound.length_mm() - 5.0 < span <= wound.length_mm()
    assert cut.volume_ml < whole.volume_ml


@pytest.mark.parametrize("which", ["wound", "nicks"])
def test_cut_skin_is_closed_and_its_surface_lies_on_its_field(around, wound, nicks, which):
    skin = cut_skin(around, [wound] if which == "wound" else nicks)
    mesh = skin.mesh(4.0)
    assert mesh.is_closed
    assert mesh.pieces == 1
    near = mesh.points_mm[np.abs(mesh.points_mm[:, 2]) < 110.0]
    dips = near[around.skin.distance(near) < -0.5]
    assert len(dips) > 40
    # the walls stand a little behind the layers that line them
    assert np.abs(skin.field(skin.world_from_local.points(dips))).max() < 2.0 * sizes()["edge_mm"]


def test_what_was_cut_out_of_the_skin_is_the_room_of_the_wound(around, wound):
    """The volume that the surface lost is that of the room, counted on a lattice."""
    room, step = wound.room(), 2.0
    points = lattice(room.bounds_mm, step).points()
    inside = room(points) < 0.0
    under = around.skin.distance(points) < 0.0
    counted = float((inside & under).sum()) * step**3 / 1000.0
    far = cut_skin(around, [midline_incision(around, height_of(around, "L1"), 1e-6)]).mesh(4.0).volume_ml
    lost = far - cut_skin(around, [wound]).mesh(4.0).volume_ml
    assert lost == pytest.approx(counted, rel=0.06)


def test_layers_of_the_wall_follow_one_another_and_are_closed(wound):
    layers = wound.layers("wound")
    assert list(layers) == ["wound-skin", "wound-fat", "wound-fascia", "wound-lining", "wound-bed"]
    z = np.array([(wound.low_mm + wound.high_mm) / 2])
    for layer in layers.values():
        assert layer.mesh(1.0).is_closed
        assert layer.mesh(1.0).volume_ml > 0.0
    edge = float(wound.half_gape(z)[0]) + 0.2
    skin = float(back_y(wound.trunk.skin, np.array([wound.half_gape(z)[0]]), z)[0])
    depths = np.arange(0.2, float(wound.fascia_mm(z)[0]), 0.2)
    line = wound.trunk.world_from_trunk.points(
        np.column_stack([np.full_like(depths, edge), skin + depths, np.full_like(depths, z[0])])
    )
    found = [[name for name in list(layers)[:3] if layers[name].field(point[None])[0] <= 0.02] for point in line]
    assert all(found)
    first = [names[0] for names in found]
    assert first == sorted(first, key=["wound-skin", "wound-fat", "wound-fascia"].index)
    assert set(first) == {"wound-skin", "wound-fat", "wound-fascia"}


def across_the_wound(around, wound, step_mm=0.4):
    """Points of an axial plane through the middle of the wound, trunk's frame: its room and 30 mm round it."""
    (x0, y0, _), (x1, y1, _) = wound.room().bounds_mm
    x, y = np.arange(x0 - 30, x1 + 30, step_mm), np.arange(y0, y1, step_mm)
    grid = np.stack(np.meshgrid(x, y, indexing="ij"), -1).reshape(-1, 2)
    return np.column_stack([grid, np.full(len(grid), (wound.low_mm + wound.high_mm) / 2)])


def test_the_room_of_a_wound_is_one_room(around, wound):
    """No film stands between the opening and the room behind the muscles."""
    points = across_the_wound(around, wound)
    room = wound.room()(points)
    under = float(wound.fascia_mm(points[:1, 2])[0])
    skin = back_y(around.skin, np.clip(points[:, 0], -25.0, 25.0), points[:, 2])
    near = (np.abs(points[:, 0]) < 20.0) & (np.abs(points[:, 1] - skin - under) < 1.5)
    assert near.sum() > 100
    assert room[near].max() < -0.5


def test_skin_is_told_of_only_on_the_outside(around, wound):
    """What is nearer to the cut skin's surface than skin is thick, and to no layer of the wound, is skin."""
    points = across_the_wound(around, wound)
    world = around.world_from_trunk.points(points)
    skin = cut_skin(around, [wound])
    hidden = [*wound.layers("wound").values(), displaced_muscles(around, detached(around, wound))]
    told = (skin.field(world) < 0.0) & (skin.field(world) > -1.8)
    told &= np.min([part.field(world) for part in hidden], axis=0) > 0.0
    assert told.sum() > 100
    assert around.skin.distance(points[told]).min() > -2.5


def test_nothing_of_a_wound_under_the_sheet_comes_out_beside_it(wound):
    """The floor rises to the wound's ends within the opening, not through the muscles beside it."""
    bed = wound.layers("wound")["wound-bed"].mesh(1.0).points_mm
    z = bed[:, 2]
    beside = np.abs(bed[:, 0] - wound.aside_mm) - wound.half_gape(z) > 3.0
    deep = bed[:, 1] - back_y(wound.trunk.skin, wound.aside_mm + wound.half_gape(z), z)
    assert beside.sum() > 50
    assert (deep[beside] > wound.fascia_mm(z[beside]) - 0.5).all()


def test_nicks_that_would_run_together_are_refused(around, nicks):
    with pytest.raises(RequestError, match="run together"):
        cut_skin(around, [nicks[0], nicks[0]])


@settings(max_examples=10)
@given(levels, st.floats(0.05, 1.0))
def test_muscles_held_aside_keep_their_volume(level, share):
    around = lying(level)
    cut = midline_incision(around, height_of(around, level))
    before = displaced_muscles(around, None).mesh(4.0)
    after = displaced_muscles(around, detached(around, cut, share)).mesh(4.0)
    assert after.is_closed
    assert after.volume_ml == pytest.approx(before.volume_ml, rel=1e-3)
    moved = np.linalg.norm(after.points_mm - before.points_mm, axis=1)
    assert moved.max() > 0.95 * share * sizes()["muscle_aside_mm"]


@settings(max_examples=20)
@given(levels, st.floats(0.05, 1.0), st.integers(0, 1000))
def test_detaching_there_and_back_is_nothing(level, share, seed):
    around = lying(level)
    change = detached(around, midline_incision(around, height_of(around, level)), share)
    points = np.random.default_rng(seed).uniform([3.0, -90.0, -60.0], [70.0, -40.0, 60.0], (80, 3))
    points *= np.where(np.arange(80) % 2, 1.0, -1.0)[:, None] ** [1, 0, 0]
    assert change.back(change.forward(points)) == pytest.approx(points, abs=1e-9)
    assert (change.gap_mm(change.forward(points)) <= 0.0).all()


def test_the_laminae_lie_bare_in_the_open_wound(around, wound):
    """Straight out from laminae and spinous process there is neither skin nor muscle; before there were both."""
    closed, opened = displaced_muscles(around, None), displaced_muscles(around, detached(around, wound))
    skin = cut_skin(around, [wound])
    out = -around.world_from_trunk.rotation[:, 1]
    home = vertebra("L1")
    base = home.landmarks["spinous-base"]
    for start in (home.landmarks["spinous-tip"], base + [10.0, 0.0, 0.0], base - [10.0, 0.0, 0.0]):
        ray = start + np.arange(6.0, 90.0, 1.0)[:, None] * out
        assert opened.field(ray).min() > 0.0
        assert skin.field(ray).min() > 0.0
        assert around.structures()["skin"].field(ray).min() < 0.0
    beside = base + [10.0, 0.0, 0.0] + np.arange(6.0, 90.0, 1.0)[:, None] * out
    assert closed.field(beside).min() < 0.0


def needle_lines(around):
    z = height_of(around, "L1")
    lines = []
    for x in (36.0, -36.0):
        y = float(back_y(around.skin, np.array([x]), np.array([z]))[0])
        way = np.array([-0.25 * np.sign(x), 0.95, -0.15])
        lines.append((around.world_from_trunk.point((x, y, z)), around.world_from_trunk.vector(way)))
    return lines


def test_fibres_are_parted_round_a_needle_and_not_taken_away(around):
    lines = needle_lines(around)
    change = parted(around, lines)
    before, after = displaced_muscles(around, None), displaced_muscles(around, change)
    assert after.mesh(4.0).is_closed
    assert after.mesh(4.0).volume_ml == pytest.approx(before.mesh(4.0).volume_ml, rel=0.02)
    for start, way in lines:
        axis = start + np.arange(0.0, 70.0, 0.5)[:, None] * way
        crossed = before.field(axis) < -2.0
        assert crossed.sum() > 20
        # no muscle within an 11 gauge needle's radius
        for aside in (-1.5, 0.0, 1.5):
            assert after.field(axis[crossed] + [aside, 0.0, 0.0]).min() > 0.0


def test_fibres_lie_where_they_lay_away_from_the_needle(around):
    change = parted(around, needle_lines(around))
    points = np.random.default_rng(3).uniform([-80.0, -90.0, -150.0], [80.0, -30.0, 150.0], (400, 3))
    far = np.abs(points[:, 2] - height_of(around, "L1")) > 45.0
    assert np.array_equal(change.forward(points)[far], points[far])
    near = points[change.gap_mm(change.forward(points)) <= 0.0]
    assert change.back(change.forward(near)) == pytest.approx(near, abs=1e-6)


def test_inputs_are_left_as_they_were(around, wound):
    mesh = around.skin_mesh(6.0)
    points = mesh.points_mm.copy()
    cut_skin(around, [wound]).mesh(4.0)
    change = parted(around, needle_lines(around))
    given_points = points[:50].copy()
    change.forward(given_points)
    change.back(given_points)
    assert np.array_equal(mesh.points_mm, points)
    assert np.array_equal(given_points, points[:50])
