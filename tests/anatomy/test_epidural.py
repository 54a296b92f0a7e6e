"""The tumour that grows into the canal, and what it presses aside: it fits, pierces nothing, and gives room back."""

import re
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.anatomy.bones import bone, carved_field
from spineviz.anatomy.column import levels_around
from spineviz.anatomy.discs import discs
from spineviz.anatomy.epidural import NERVES, epidural
from spineviz.anatomy.epidural_canal import canal, flattened
from spineviz.anatomy.epidural_depth import least_depth_mm
from spineviz.anatomy.epidural_shape import lying, nerves
from spineviz.anatomy.sweeps import EVERY_RING_MM
from spineviz.anatomy.tumour import greatest_diameter_mm
from spineviz.anatomy.vertebra import vertebra
from spineviz.data.errors import RequestError
from spineviz.geometry.fields import ellipsoid
from spineviz.geometry.meshes import Mesh, mesh_field

CASES = (("L1", 14.0, "left", 7), ("L1", 14.0, "right", 7), ("T4", 24.0, "left", 5), ("L3", 9.5, "right", 11))
cases = st.sampled_from(CASES)
sides, seeds = st.sampled_from(["left", "right"]), st.integers(0, 10**6)
sizes = st.integers(50, 1060).map(lambda thousandths: thousandths / 1000)


@cache
def made(case):
    return epidural(*case)


@cache
def lie(case, share):
    """The nerves beside the tumour, and how they lay before."""
    before = nerves(case[0])
    return made(case).displaced(before, share), before


def surface(part) -> np.ndarray:
    return part.world_mesh(EVERY_RING_MM).points_mm


def held_by(mesh: Mesh, points: np.ndarray) -> np.ndarray:
    """(N,) whether `mesh` goes round each point once: the solid angles of its triangles (Van Oosterom 1983)."""
    low, high = points.min(0)[2] - 25.0, points.max(0)[2] + 25.0
    corners = mesh.points_mm[mesh.triangles]
    corners = corners[(corners[:, :, 2].max(1) > low) & (corners[:, :, 2].min(1) < high)]
    out = np.zeros(len(points))
    for i, point in enumerate(points):
        a, b, c = np.moveaxis(corners - point, 1, 0)
        la, lb, lc = (np.linalg.norm(v, axis=1) for v in (a, b, c))
        over = np.einsum("ij,ij->i", a, np.cross(b, c))
        under = la * lb * lc + (a * b).sum(1) * lc + (b * c).sum(1) * la + (c * a).sum(1) * lb
        out[i] = 2.0 * np.arctan2(over, under).sum()
    return np.abs(out) / (4 * np.pi) > 0.5


# the tumour ----------------------------------------------------------------------------------------------------------


@settings(max_examples=12)
@given(cases, st.floats(0.05, 1.06))
def test_it_has_the_chosen_diameter_in_one_piece(case, share):
    mesh = made(case).tumour(share).world_mesh(0.8)
    assert greatest_diameter_mm(mesh) == pytest.approx(round(share, 3) * case[1], rel=0.02)
    assert mesh.is_closed
    assert mesh.pieces == 1


@settings(max_examples=12)
@given(cases, sizes, sizes)
def test_a_smaller_share_lies_within_a_larger_one(case, one, other):
    small, large = sorted((one, other))
    part, whole = made(case).tumour(small), made(case).tumour(large)
    assert whole.field(surface(part)).max() < 0.2
    volumes = [grown.world_mesh(0.8).volume_ml for grown in (part, whole)]
    assert volumes[0] * (large / small) ** 3 == pytest.approx(volumes[1], rel=1e-6)
    assert np.abs(part.field(surface(part))).max() < 0.25


@pytest.mark.parametrize("case", CASES)
def test_it_begins_in_the_body_on_its_side_and_grows_through_the_back_wall(case):
    grown, home = made(case), vertebra(case[0])
    assert home.body(grown.root_mm[None])[0] < -0.5
    assert np.sign(grown.root_mm[0]) == (1 if case[2] == "right" else -1)
    points = surface(grown.tumour(1.0))
    behind = points[points[:, 1] < home.landmarks["body-back-centre"][1] - 2.5]
    assert len(behind) > 20
    assert home.canal(behind).max() < 0.5
    assert home.canal(grown.canal_point_mm[None])[0] < 0.0


@pytest.mark.parametrize("case", CASES)
def test_it_enters_no_other_bone_and_no_disc_even_when_swollen(case):
    here, level = lying(case[0]), case[0]
    points = surface(made(case).tumour(1.06))
    around = levels_around(level, 1)
    assert min(bone(here, name).field(points).min() for name in around if name != level) > -0.3
    assert min(disc.field(points).min() for disc in discs(here, around).values()) > -0.3
    front = points[points[:, 1] > vertebra(level).landmarks["body-back-centre"][1] + 1.0]
    assert vertebra(level).field(front).max() < 0.0


@settings(max_examples=25)
@given(cases, sizes, sizes)
def test_the_canal_never_has_less_room_the_smaller_it_gets(case, one, other):
    small, large = sorted((one, other))
    before = nerves(case[0])
    assert made(case).measures(before, small).canal_share >= made(case).measures(before, large).canal_share


@settings(max_examples=5)
@given(st.sampled_from(["T4", "T11", "L2", "L4"]), st.floats(5.0, 20.0), sides, seeds)
def test_any_tumour_fits_where_it_is_not_refused(level, diameter_mm, side, seed):
    grown = epidural(level, round(diameter_mm, 1), side, seed)
    assert greatest_diameter_mm(grown.tumour(1.0).world_mesh(0.8)) == pytest.approx(diameter_mm, rel=0.025)
    shares = [grown._canal_share(size) for size in np.linspace(0.0, 1.06, 30)]
    assert shares[0] == 1.0
    assert (np.diff(shares) <= 0.0).all()
    assert shares[-1] > 0.4


@pytest.mark.parametrize("case", CASES[:3])
def test_the_canal_share_is_what_the_field_leaves_free(case):
    grown, home = made(case), vertebra(case[0])
    low, high = home.canal.bounds_mm
    middle = float(home.landmarks["canal-centre"][2])
    x, y = np.meshgrid(np.arange(low[0], high[0], 0.37), np.arange(low[1], high[1], 0.37))
    free = []
    for up in np.arange(-9.0, 9.01, 1.5):
        points = np.column_stack([x.ravel(), y.ravel(), np.full(x.size, middle + up)])
        points = points[home.canal.contains(points)]
        free.append(1.0 - grown.tumour(1.0).field.contains(points).mean())
    assert grown.measures(nerves(case[0]), 1.0).canal_share == pytest.approx(min(free), abs=0.012)


# what it presses aside -----------------------------------------------------------------------------------------------


@settings(max_examples=14)
@given(cases, st.sampled_from([0.6, 0.7, 0.85, 0.95, 1.0, 1.05]))
def test_nothing_is_pierced(case, share):
    now, before = lie(case, share)
    tumour = made(case).tumour(share).field
    own = carved_field(case[0])
    for name, part in now.items():
        assert tumour(surface(part)).min() > -0.1, name
        assert own(surface(part)).min() > min(own(surface(before[name])).min(), 0.45) - 0.1, name


@settings(max_examples=10)
@given(cases, st.sampled_from([0.8, 1.0, 1.05]))
def test_the_cord_keeps_its_volume(case, share):
    now, before = lie(case, share)
    assert now["cord"].world_mesh(1.0).volume_ml == pytest.approx(before["cord"].world_mesh(1.0).volume_ml, rel=0.01)


def test_a_flattened_outline_keeps_its_area():
    turn = 2 * np.pi * np.arange(96) / 96
    oval = 1.0 / np.hypot(np.cos(turn) / 4.5, np.sin(turn) / 3.0)
    towards = np.array([-0.6, -0.8, 0.0])
    table = flattened(np.stack([oval, oval]), np.array([1.0, 0.8]), towards)
    area = (table**2).sum(1)
    assert table[0] == pytest.approx(oval, abs=0.02)
    assert area[1] == pytest.approx(area[0], rel=0.005)
    along = np.abs(table * (np.column_stack([np.cos(turn), np.sin(turn)]) @ towards[:2])).max(1)
    assert along[1] == pytest.approx(0.8 * along[0], rel=0.01)


def test_a_cord_without_room_behind_gets_flatter_at_an_equal_volume():
    now, before = lie(CASES[2], 1.05)
    assert made(CASES[2]).push(1.05).flat.min() < 0.95
    volumes = [part["cord"].world_mesh(1.0).volume_ml for part in (now, before)]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.01)
    depths = [made(CASES[2]).measures(before, share).cord_depth_mm for share in (0.0, 1.05)]
    assert depths[1] < depths[0] - 0.1


@pytest.mark.parametrize("case", [CASES[0], CASES[2]])
def test_the_cord_stays_in_the_sac_and_fluid_between_them(case):
    now, before = lie(case, 1.05)
    moved = made(case).push(1.05)
    rng = np.random.default_rng(5)
    points = rng.uniform([-8.0, -30.0, -9.0], [8.0, -12.0, 12.0], (4000, 3))
    in_cord, in_sac = (before[name].field(points) for name in ("cord", "dura"))
    inside = points[in_cord < -0.2][:60]
    fluid = points[(in_cord > 0.3) & (in_sac < -0.3)][:120]
    sac, cord = (now[name].world_mesh(1.0) for name in ("dura", "cord"))
    assert held_by(sac, moved.forward(inside)).all()
    assert held_by(cord, moved.forward(inside)).all()
    assert held_by(sac, moved.forward(fluid)).mean() > 0.9  # a surface of triangles cuts its own corners
    assert not held_by(cord, moved.forward(fluid)).any()


@settings(max_examples=10)
@given(cases, st.sampled_from([0.8, 1.0, 1.05]), st.integers(0, 10**6))
def test_the_map_is_undone_and_folds_nowhere(case, share, seed):
    moved = made(case).push(share)
    if moved is None:
        return
    outline = np.concatenate([surface(nerves(case[0])[name]) for name in ("cord", "dura", "roots")])
    near = outline[np.abs(outline[:, 2]) < 18.0]
    points = near[np.random.default_rng(seed).integers(0, len(near), 300)] * 0.999
    assert moved.inverse(moved.forward(points)) == pytest.approx(points, abs=0.06)
    step = 1e-4
    columns = [
        (moved.forward(points + shift) - moved.forward(points - shift)) / (2 * step) for shift in step * np.eye(3)
    ]
    assert np.linalg.det(np.stack(columns, axis=-1)).min() > 0.0


@pytest.mark.parametrize("case", CASES)
def test_nothing_moves_more_than_1_2_vertebrae_away(case):
    now, before = lie(case, 1.05)
    rest = canal(case[0])
    for name in now:
        was, is_ = surface(before[name]), surface(now[name])
        far = (was[:, 2] < rest.height_mm[0] - 0.8) | (was[:, 2] > rest.height_mm[-1] + 0.8)
        assert far.any()
        assert (was[far] == is_[far]).all()
        assert np.abs(was[:, 2] - is_[:, 2]).max() < 2.0


def test_what_is_not_reached_is_the_same_object():
    grown, before = made(CASES[0]), nerves("L1")
    for share in (0.0, 0.2, 0.4):
        assert grown.push(share) is None
        assert all(part is before[name] for name, part in grown.displaced(before, share).items())
    other = {**before, "L1": bone(lying("L1"), "L1")}
    now = grown.displaced(other, 1.0)
    assert now["L1"] is other["L1"]
    assert set(now) == set(other)


def test_what_is_moved_keeps_its_name_and_tells_its_size_in_the_key():
    now, before = lie(CASES[0], 1.0)
    for name, part in now.items():
        assert name in NERVES
        was = before[name]
        assert (part.name, part.role, part.material, part.rank) == (was.name, was.role, was.material, was.rank)
        assert part.key.startswith(was.key)
        assert part.key.endswith("-1.000")
        low, high = part.field.bounds_mm
        assert ((surface(part) > low - 0.01) & (surface(part) < high + 0.01)).all()
        near = np.abs(surface(part)[:, 2]) < 15.0
        assert part.field(surface(part)[near]) == pytest.approx(was.field(surface(was)[near]), abs=0.05)
    assert made(CASES[0]).displaced(before, 0.9996)["cord"].key == now["cord"].key


def test_the_left_mirrors_the_right():
    flip = np.array([-1.0, 1.0, 1.0])
    left, right = made(CASES[0]), made(CASES[1])
    points = np.random.default_rng(2).uniform([-9.0, -30.0, -15.0], [9.0, -8.0, 20.0], (2000, 3))
    assert left.tumour(0.8).field(points * flip) == pytest.approx(right.tumour(0.8).field(points), abs=1e-5)
    a, b = left.push(1.0).forward(points * flip), right.push(1.0).forward(points)
    assert np.quantile(np.abs(a - b * flip), 0.99) < 0.02
    one, other = (grown.measures(nerves("L1"), 1.0) for grown in (left, right))
    assert one.canal_share == pytest.approx(other.canal_share, abs=1e-9)
    assert one.neural_mm == pytest.approx(other.neural_mm, abs=0.1)


# what is measured ----------------------------------------------------------------------------------------------------


def test_the_default_touches_the_cord_without_pressing_it_flat():
    """Grade 1c: the sac is indented, the cord touched, its depth kept, and fluid behind it."""
    grown, before = made(CASES[0]), nerves("L1")
    healthy, full = grown.measures(before, 0.0), grown.measures(before, 1.0)
    assert grown.has_cord
    assert (healthy.diameter_mm, healthy.canal_share, healthy.neural_mm) == (0.0, 1.0, np.inf)
    assert 0.6 < full.canal_share < 0.75
    assert full.diameter_mm == pytest.approx(14.0, rel=0.02)
    assert 0.0 <= full.neural_mm < 0.5
    assert full.cord_depth_mm == pytest.approx(healthy.cord_depth_mm, rel=0.03)
    now, _ = lie(CASES[0], 1.0)
    z = float(grown.canal_point_mm[2])
    cord, sac = (surface(now[name]) for name in ("cord", "dura"))
    backs = [part[np.abs(part[:, 2] - z) < 2.0][:, 1].min() for part in (cord, sac)]
    assert backs[0] - backs[1] > 0.8
    moved = np.linalg.norm(cord - surface(before["cord"]), axis=1).max()
    assert 1.0 < moved < 3.0


@pytest.mark.parametrize("case", CASES)
def test_room_comes_back_as_it_shrinks(case):
    grown, before = made(case), nerves(case[0])
    found = [grown.measures(before, share) for share in (1.0, 0.9, 0.8, 0.7)]
    neural, depth = [m.neural_mm for m in found], [m.cord_depth_mm for m in found]
    assert (np.diff(neural) > -0.15).all()
    assert neural[-1] > neural[0] + 0.8
    assert (np.diff(depth) > -0.02).all()
    if not grown.has_cord:
        assert depth[-1] > depth[0] + 0.5


def test_below_the_cord_the_nearest_root_is_measured():
    grown = made(CASES[3])
    assert not grown.has_cord
    now, _ = lie(CASES[3], 1.0)
    ways = grown.tumour(1.0).field(surface(now["roots"]))
    assert grown.measures(nerves("L3"), 1.0).neural_mm == pytest.approx(max(0.0, ways.min()), abs=1e-9)


def test_the_depth_of_an_egg():
    mesh = mesh_field(ellipsoid([1.0, -2.0, 3.0], [4.0, 3.0, 8.0]), 0.25)
    assert least_depth_mm(mesh, 3.0, 1.0) == pytest.approx(6.0, rel=0.01)
    # at half the width the chord is cos 30 degrees of the depth
    assert least_depth_mm(mesh, 3.0, 0.5) == pytest.approx(6.0 * np.cos(np.pi / 6), rel=0.01)
    assert least_depth_mm(mesh, 7.0, 1.0) == pytest.approx(6.0 * np.cos(np.pi / 6), rel=0.01)


@settings(max_examples=8)
@given(cases, st.floats(0.6, 1.0), st.floats(0.1, 0.7))
def test_the_dead_centre_lies_inside(case, share, dead):
    grown = made(case)
    core = grown.dead_core(share, dead)
    tumour = grown.tumour(share)
    assert (core.name, core.role, core.rank) == ("necrosis", "necrosis", tumour.rank + 1)
    assert tumour.field(surface(core)).max() < -0.3
    assert np.abs(core.field(surface(core))).max() < 0.2
    assert core.world_mesh(0.8).volume_ml == pytest.approx(
        round(dead, 3) ** 3 * tumour.world_mesh(0.8).volume_ml, rel=1e-6
    )


def test_where_nothing_died_there_is_no_dead_centre():
    assert made(CASES[0]).dead_core(0.9, 0.0) is None
    assert made(CASES[0]).dead_core(0.0, 0.5) is None


def test_what_lodged_in_it_goes_with_it():
    grown = made(CASES[0])
    points = grown.tumour(1.0).world_mesh(1.0).points_mm
    assert grown.shrunk_points(points, 0.7) == pytest.approx(grown.tumour(0.7).world_mesh(1.0).points_mm, abs=1e-9)


def test_its_part_in_the_bone_stays_in_the_bone():
    grown = made(CASES[0])
    part = grown.bone_part
    points = surface(part)
    assert grown.tumour(1.0).field(points).max() < 0.3
    assert points[:, 1].min() > vertebra("L1").landmarks["body-back-centre"][1]
    assert np.abs(part.field(points)).max() < 0.3


# refusals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("T3",), r"spine.level: 'T3' .*T4 to L4"),
        (("L5",), r"spine.level: 'L5' .*T4 to L4"),
        (("L1", 14.0, "middle"), r"tumour.side: .*'middle'.*left or right"),
        (("L1", 3.0), r"tumour.diameter_mm: 3 .*4 or more"),
        (("L1", float("nan")), r"tumour.diameter_mm: nan"),
    ],
)
def test_wrong_requests_are_refused_by_key(arguments, said):
    with pytest.raises(RequestError, match=said):
        epidural(*arguments)


def test_too_large_a_tumour_is_refused_with_one_that_fits():
    with pytest.raises(RequestError, match=r"tumour.diameter_mm: 60 .*T8; give 4 to \d+") as refusal:
        epidural("T8", 60.0)
    largest = float(re.findall(r"to (\d+)", str(refusal.value))[-1])
    assert greatest_diameter_mm(epidural("T8", largest).tumour(1.0).world_mesh(0.8)) == pytest.approx(largest, rel=0.02)


@pytest.mark.parametrize("share", [-0.1, 1.2])
def test_a_share_that_it_was_not_made_for_is_refused(share):
    with pytest.raises(RequestError, match=r"tumour: .* give 0 to 1.06"):
        made(CASES[0]).tumour(share)
