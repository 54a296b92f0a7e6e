"""Contrast in cells: analytic tubes, mass, subtraction, roadmaps, what a frame costs; the view from the front."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.anatomy.arterial_cells import arterial_cells, cell_ways_mm, tumour_cells
from spineviz.anatomy.arteries import ArterialTree, Branch
from spineviz.anatomy.structure import RANKS, Cells, Structure
from spineviz.film.painter import Painter
from spineviz.film.screen import _shapes, cuts
from spineviz.film.shot import FluoroShot, SectionShot, StageShot
from spineviz.geometry.curves import Curve
from spineviz.geometry.fields import box, capsule, ellipsoid, sphere
from spineviz.geometry.frames import Frame, rotation_about
from spineviz.geometry.operators import moved
from spineviz.physics.transport import FlowTree, Injection, Transport, cut_at_forks
from spineviz.views import attenuation
from spineviz.views.angiography import cell_matrix, shape_path
from spineviz.views.fluoroscopy import Fluoroscope, beam, projection, pulse
from spineviz.views.marks import edge_letters, seen_from
from spineviz.views.projection import Lattice
from spineviz.views.section import plane_frame
from spineviz.views.theme import theme
from spineviz.views.voxels import absorption_per_mm

COEFFICIENT = {"air": 0.0, "water": 0.2, "blood": 0.2, "medium": 1.2, "bone": 0.6, "muscle": 0.2, "steel": 5.0}
UNIT = COEFFICIENT.__getitem__
MORE = COEFFICIENT["medium"] - COEFFICIENT["blood"]
KEYS = count()


def branch(name, line, radius, parent=None, parent_mm=0.0, wall_mm=0.0, kind="segmental"):
    curve = Curve(np.asarray(line, float))
    radii = np.interp(curve.arc_mm, [0, curve.length_mm], np.broadcast_to(radius, 2))
    return Branch(name, parent, kind, curve, radii, parent_mm, wall_mm)


def tree_of(*branches):
    return ArterialTree({b.name: b for b in branches}, None, ("L1", "left"), None, f"tree-{next(KEYS)}")


def line(start, end, step=1.0):
    n = int(np.ceil(np.linalg.norm(np.subtract(end, start)) / step)) + 1
    return np.linspace(start, end, n)


def tube(radius=4.0, length=120.0, cell_mm=4.0):
    """An upright tube through the origin and the cells in it."""
    only = branch("tube", line([0, 0, length / 2], [0, 0, -length / 2]), radius)
    return only, arterial_cells(tree_of(only), cell_mm)[0]


def told(cells, share, name="contrast", role="contrast", material="medium", rank=43):
    full = replace(cells, share=np.broadcast_to(np.asarray(share, float), cells.share.shape).copy())
    field = sphere([0, 0, 0], 1.0)
    return Structure(name, role, material, field, None, f"{name}-{cells.key}", rank, cells=full)


def wire(points, key=None, radius=0.4, name="wire", material="steel"):
    points = np.asarray(points, float)
    room = np.full(len(points), np.pi * radius**2 * np.linalg.norm(np.diff(points, axis=0), axis=1).mean())
    cells = Cells(points, room, np.zeros(len(points), np.int64), np.ones(1), key or f"wire-{next(KEYS)}")
    return told(cells, 1.0, name, "steel", material, RANKS["steel"])


def part(name, field, material="bone", rank=30, role="bone"):
    return Structure(name, role, material, field, None, f"{name}-{next(KEYS)}", rank)


def together(*parts):
    return {p.name: p for p in parts}


def scope(view=None, size=(120, 100), **more):
    return Fluoroscope(size, view or projection("front", field_of_view_mm=60), absorption=UNIT, words=False, **more)


def real(size, view):
    """With the table's materials."""
    return Fluoroscope(size, view, words=False)


def pixel_lattice(seen):
    return Lattice(seen.size_px[1], seen.size_px[0], seen.mm_per_px)


def far_away(view):
    return replace(view, source_to_isocentre_mm=1e8, source_to_detector_mm=1.5e8)


# --- line integrals of cells ---


@pytest.mark.parametrize("name", ["front", "ap", "lateral"])
@pytest.mark.parametrize(("radius", "share"), [(4.0, 1.0), (9.0, 0.2), (2.5, 0.6)])
def test_a_tube_has_the_chords_that_geometry_gives(name, radius, share):
    _, cells = tube(radius)
    seen = scope(far_away(projection(name, field_of_view_mm=60)), (160, 150))
    image = seen.contrast(together(told(cells, share)))
    away = np.abs(np.arange(160) + 0.5 - 80) * seen.mm_per_px
    profile = image[20:-20].mean(axis=0)
    chord = 2 * np.sqrt(np.maximum(radius**2 - away**2, 0))
    assert profile[79:81].mean() == pytest.approx(2 * radius * share * MORE, rel=0.02)
    clear = np.abs(away - radius) > 1.3
    assert np.abs(profile - share * MORE * chord)[clear].max() < 0.02 * 2 * radius * share * MORE
    # and no pattern of the small volumes shows
    assert image[20:-20, 79:81].std() < 0.05 * profile.max()


def test_a_thin_artery_has_its_section():
    _, cells = tube(0.6)
    seen = scope(far_away(projection("front", field_of_view_mm=60)), (160, 150))
    image = seen.contrast(together(told(cells, 1.0)))
    assert image[20:-20].sum(axis=1).mean() * seen.mm_per_px == pytest.approx(np.pi * 0.36 * MORE, rel=0.01)
    assert image[20:-20].max(axis=1).std() < 0.08 * image.max()


@given(seed=st.integers(0, 99), factor=st.floats(0.0, 3.0), name=st.sampled_from(["front", "lateral", "oblique"]))
@settings(max_examples=12, deadline=None)
def test_a_picture_is_linear_in_the_shares(seed, factor, name):
    _, cells = tube()
    seen, rng = scope(projection(name, field_of_view_mm=60)), np.random.default_rng(seed)
    first, second = rng.uniform(0, 1, (2, len(cells.share)))
    one, two, both = (seen.contrast(together(told(cells, s))) for s in (first, second, first + factor * second))
    assert np.abs(both - one - factor * two).max() < 1e-4 * max(1.0, both.max())


@given(
    x=st.floats(-8, 8), y=st.floats(-60, 60), z=st.floats(-6, 6), size=st.floats(0.3, 3.0), seed=st.integers(0, 99),
    turn=st.floats(-60, 60),
)  # fmt: skip
@settings(max_examples=15, deadline=None)
def test_mass_is_kept_however_coarse_the_volumes(x, y, z, size, seed, turn):
    rng = np.random.default_rng(seed)
    points = np.array([x, y, z]) + rng.uniform(-8, 8, (200, 3))
    cells = Cells(
        points, size**3 * rng.uniform(0.5, 1.5, 200), rng.integers(0, 7, 200), np.zeros(7), f"cloud-{next(KEYS)}"
    )
    share = rng.uniform(0, 1, 7)
    seen = scope(far_away(projection("front", field_of_view_mm=70, turn_deg=turn)), (110, 100))
    if np.abs(seen.projection.flat(points)[0]).max() > 30 - 2 * size:
        return
    image = seen.contrast(together(told(cells, share)))
    assert image.sum() * seen.mm_per_px**2 == pytest.approx((share[cells.cell] * cells.volume_mm3).sum() * MORE, 1e-4)


def test_what_lies_outside_the_picture_does_not_come_in():
    _, cells = tube(radius=1.0)
    aside = replace(cells, points_mm=cells.points_mm + [60.0, 0.0, 0.0], key=cells.key + "-aside")
    assert not scope().contrast(together(told(aside, 1.0))).any()


def test_a_device_has_the_same_shadow_with_and_without_a_matrix():
    seen, device = scope(), wire(line([-10, 4, -20], [12, -9, 20], 0.25))
    cells, lattice = device.cells, pixel_lattice(scope())
    path = shape_path(seen.projection, lattice, cells.points_mm, cells.volume_mm3)
    dense = (cell_matrix(seen.projection, lattice, cells) @ np.ones(1)).reshape(path.shape)
    assert np.abs(path - dense).max() < 1e-5
    added = seen.attenuation(together(device))
    assert np.abs(added - (COEFFICIENT["steel"] - COEFFICIENT["blood"]) * path).max() < 1e-4


def test_two_in_one_place_add_up():
    _, cells = tube()
    seen, device = scope(), wire(line([0, 0, -20], [0, 0, 20], 0.25))
    contrast = told(cells, 0.5)
    alone = seen.attenuation(together(device)), seen.attenuation(together(contrast))
    assert np.abs(seen.attenuation(together(device, contrast)) - sum(alone)).max() < 1e-5


# --- arteries and tumours as cells ---


def forked():
    """A trunk with two branches at its side, which goes on as two."""
    trunk = branch("trunk", line([0, 0, 50], [0, 0, -30]), (6.0, 5.0), kind="aorta")
    side = branch("side", line([0, 0, 20], [30, 0, 10]), 1.2, "trunk", 30.0, 6.0)
    other = branch("other", line([0, 0, -10], [-30, 4, -20]), 1.0, "trunk", 60.0, 5.5)
    right = branch("right", line([0, 0, -30], [24, 0, -70]), (4.0, 3.0), "trunk", 80.0, 0.0)
    left = branch("left", line([0, 0, -30], [-20, 6, -70]), (4.0, 3.5), "trunk", 80.0, 0.0)
    return tree_of(trunk, side, other, right, left)


def test_the_cells_of_a_tree_fill_its_lumens_once():
    tree = forked()
    cells, _ = arterial_cells(tree, 4.0)
    field = tree.field()
    assert field.distance(cells.points_mm).max() < 0.3
    rng = np.random.default_rng(1)
    low, high = field.bounds_mm
    places = rng.uniform(low, high, (400_000, 3))
    filled = (places[:, 2] < 50) & (field.distance(places) < 0)
    for b in tree.branches.values():
        if b.name != "trunk":  # the round ends of the last branches are not filled
            start, end = b.centreline.points_mm[[0, -1]]
            filled &= ((places - end) @ (end - start) < 0) | (np.linalg.norm(places - end, axis=1) > b.radius_mm[-1])
    assert cells.volume_mm3.sum() == pytest.approx(filled.mean() * np.prod(high - low), rel=0.02)


def test_the_forks_of_a_tree_are_evenly_filled():
    tree = forked()
    cells, _ = arterial_cells(tree, 4.0)
    seen = scope(far_away(projection("front", field_of_view_mm=100)), (150, 150))
    image = seen.contrast(together(told(cells, 1.0))) / MORE
    u, v = np.meshgrid((np.arange(150) - 74.5) * seen.mm_per_px, (74.5 - np.arange(150)) * seen.mm_per_px)
    depth = np.arange(-8, 8, 0.25)
    points = np.stack([*np.broadcast_arrays(-u[..., None], depth, v[..., None])], axis=-1).reshape(-1, 3)
    way = (tree.field().distance(points) < 0).reshape(150, 150, -1).sum(axis=2) * 0.25
    fork = (np.abs(u) < 12) & (v < -20) & (v > -42)
    from scipy.ndimage import gaussian_filter

    assert np.abs(gaussian_filter(image, 1.0) - gaussian_filter(way, 1.2))[fork].max() < 0.08 * way.max()


@given(cell_mm=st.floats(1.5, 40.0), first=st.floats(0.02, 79.9), second=st.floats(0.02, 79.9))
@settings(max_examples=25, deadline=None)
def test_cells_are_in_the_order_of_the_flow_s_concentrations(cell_mm, first, second):
    trunk = branch("trunk", line([0, 0, 50], [0, 0, -30]), 5.0)
    side = branch("side", line([0, 0, 50 - first], [30, 0, 10]), 1.2, "trunk", first, 5.0)
    other = branch("other", line([0, 0, 50 - second], [-30, 4, -20]), 1.0, "trunk", second, 5.0)
    tree = tree_of(trunk, side, other)
    lengths = [b.length_mm for b in tree.branches.values()]
    forks = cut_at_forks([-1, 0, 0], [0.0, first, second], lengths)
    flow = Transport(
        FlowTree(forks.parent, forks.length_mm, np.full(len(forks.parent), 2.0), 10.0), (Injection(0, 3.0, 1.0),)
    )
    each = flow.concentration(2.0, cell_mm)
    cells, where = arterial_cells(tree, cell_mm)
    assert len(np.concatenate(each)) == len(cells.share)
    at = 0
    for piece, held in enumerate(each):
        name = list(tree.branches)[forks.vessel[piece]]
        begin, ways = where[name]
        inside = ways[at - begin : at - begin + len(held) + 1]
        assert inside[[0, -1]] == pytest.approx([forks.first_mm[piece], forks.last_mm[piece]], abs=1e-9)
        assert np.ptp(np.diff(inside)) < 1e-9
        at += len(held)


def test_every_small_volume_is_in_the_cell_of_its_way():
    tree = forked()
    cells, where = arterial_cells(tree, 3.0, ["side", "right"])
    assert set(where) == {"side", "right"}
    for name, (first, ways) in where.items():
        assert ways == pytest.approx(cell_ways_mm(tree, name, 3.0))
        mine = (cells.cell >= first) & (cells.cell < first + len(ways) - 1)
        start, end = tree.branch(name).centreline.points_mm[[0, -1]]
        way = (cells.points_mm[mine] - start) @ (end - start) / np.linalg.norm(end - start)
        index = cells.cell[mine] - first
        assert (way > ways[index] - 1e-6).all()
        assert (way < ways[index + 1] + 1e-6).all()


def test_where_the_tree_ends_but_not_the_vessel_no_stump_shows():
    plain, fading = (branch("b", line([0, 0, 40], [0, 0, -40]), 1.0, kind=kind) for kind in ("feeder", "muscular"))
    whole, less = (arterial_cells(tree_of(b), 4.0)[0] for b in (plain, fading))
    held = [np.bincount(c.cell, c.volume_mm3) for c in (whole, less)]
    assert held[1][:12] == pytest.approx(held[0][:12], rel=1e-9)
    assert (np.diff(held[1][12:]) < 0).all()
    assert held[1][-1] < 0.02 * held[0][-1]


@pytest.mark.parametrize("cell_mm", [3.0, 5.0])
def test_a_tumour_s_cells_hold_its_room_unevenly(cell_mm):
    field = ellipsoid([3, -2, 5], [8, 6, 7])
    cells = tumour_cells(field, "t", cell_mm)
    assert cells.volume_mm3.sum() == pytest.approx(4 / 3 * np.pi * 8 * 6 * 7, rel=0.01)
    assert field.distance(cells.points_mm).max() < 0.5
    assert 12 < len(cells.share) < 120
    assert set(cells.cell) == set(range(len(cells.share)))
    deep = field.distance(cells.points_mm) < -1.0
    assert 0.1 < cells.volume_mm3[deep].std() / cells.volume_mm3[deep].mean() < 0.8
    again, other = tumour_cells(field, "t", cell_mm), tumour_cells(field, "t", cell_mm, seed=8)
    assert np.array_equal(cells.volume_mm3, again.volume_mm3)
    assert cells.key == again.key != other.key


def test_wrong_requests_for_cells_are_named():
    with pytest.raises(ValueError, match="cell_mm must be more than 0, got 0"):
        arterial_cells(forked(), 0)
    with pytest.raises(ValueError, match="cell_mm must be more than 0, got -1"):
        tumour_cells(sphere([0, 0, 0], 3.0), "t", -1)


# --- subtraction ---


def bones():
    return (
        part("trunk", box([0, 0, 0], [260, 180, 400], 60.0), "muscle", RANKS["skin"], "skin"),
        part("vertebra", box([0, -15, 0], [34, 30, 26], 3.0)),
        part("rib", capsule([-60, -10, 14], [60, 0, 2], 4.0)),
    )


def test_subtraction_holds_no_bone_and_no_device():
    _, cells = tube(1.0)
    contrast = told(cells, 0.7)
    device = wire(line([5, 0, -20], [5, 0, 20], 0.25))
    seen = scope()
    alone = seen.brightness(together(contrast), 1.0, mode="subtraction")
    assert np.array_equal(alone, seen.brightness(together(contrast, *bones(), device), 1.0, mode="subtraction"))
    assert not np.array_equal(alone, seen.brightness(together(device), 1.0, mode="subtraction"))
    # unless the device is what is asked for
    shown = seen.contrast(together(contrast, *bones(), device), ("wire",))
    assert np.array_equal(shown, seen.contrast(together(device), ("steel",)))
    assert shown.any()


def test_an_artery_is_dark_and_a_blush_mid_grey_on_a_pale_ground():
    seen = real((160, 150), projection("front", field_of_view_mm=60))
    _, artery = tube(1.0)
    blush = tumour_cells(sphere([15, 0, 0], 6.0), "blush")
    picture = seen.brightness(
        together(
            told(artery, 1.0, material="iohexol-300"), told(blush, 0.06, "blush", material="iohexol-300")
        ),
        mode="subtraction",
    )  # fmt: skip
    centre = int(80 - 15 / seen.mm_per_px)
    assert picture[20:-20, 79:81].mean() < 0.4
    assert 0.4 < picture[72:78, centre - 3 : centre + 4].mean() < 0.65
    assert picture[:, 110:].mean() == pytest.approx(beam("angiogram_ground"), abs=0.01)


def test_an_angiogram_has_the_noise_of_two_pictures():
    seen = scope(projection("front", field_of_view_mm=40), (200, 200))
    first, second = (seen.brightness({}, time_s, mode="subtraction") for time_s in (0.0, 1.0))
    swing = (beam("angiogram_ground") - 0.04) / beam("angiogram_window")
    one = swing / np.sqrt(beam("angiogram_quanta_per_mm2")) / max(seen.mm_per_px, 0.33)
    assert first.std() == pytest.approx(np.sqrt(2) * one, rel=0.02)
    # the mask is the same picture for all
    assert (first - second).std() == pytest.approx(np.sqrt(2) * one, rel=0.02)
    assert first.std() < 0.04


def test_an_angiogram_runs_at_its_own_rate():
    _, cells = tube()
    things, each = together(told(cells, 0.5)), 1.0 / beam("angiogram_frames_per_s")
    assert 2.0 <= beam("angiogram_frames_per_s") <= beam("pulses_per_s")
    seen = scope(seed=3)
    first = seen.image(things, 0.1 * each, mode="subtraction")
    assert np.array_equal(first, seen.image(things, 0.9 * each, mode="subtraction"))
    assert np.array_equal(first, scope(seed=3).image(things, 0.5 * each, mode="subtraction"))
    for other in (
        seen.image(things, 1.1 * each, mode="subtraction"),
        scope(seed=4).image(things, 0.1 * each, mode="subtraction"),
    ):
        assert not np.array_equal(first, other)
    still = [seen.image(things, time_s, live=False, mode="subtraction") for time_s in (0.0, 9.0)]
    assert np.array_equal(*still)
    shot = FluoroShot(projection("front"), mode="subtraction")
    painter = Painter(theme("dark"))
    assert painter.pulse(shot, 1.1 * each) == pulse(1.1 * each, "subtraction") == 1
    assert painter.pulse_start_s(shot, 1.1 * each) == pytest.approx(each)


# --- roadmap ---


def test_vessels_of_a_roadmap_are_brighter_than_the_ground_than_bone_than_devices():
    _, cells = tube(3.0)
    map_ = told(cells, 0.8, "roadmap", "roadmap", "iohexol-300")
    across = wire(line([-25, 0, 8], [25, 0, 8], 0.25), radius=0.45)
    seen = real((180, 160), projection("front", field_of_view_mm=70))
    flesh, _, _ = bones()
    slab = part("vertebra", box([15, -15, -14], [12, 40, 18], 2.0))
    picture = seen.brightness(together(flesh, slab, map_, across), live=False, mode="roadmap")

    def at(x, z):
        (column, row) = seen.project([[x, 0, z]])[0][0].astype(int)
        return picture[row - 1 : row + 2, column - 1 : column + 2].mean()

    vessel, ground, bone = at(0, -14), at(-20, -14), at(15, -14)
    assert vessel > 0.8 > ground + 0.2
    assert ground > bone + 0.005
    assert bone > 0.3
    row = int(seen.project([[0, 0, 8]])[0][0][1])
    for x in (0, -15):  # in the vessel and beside it
        column = int(seen.project([[x, 0, 8]])[0][0][0])
        assert picture[row - 1 : row + 2, column - 4 : column + 5].min(axis=0).mean() < 0.25


def test_only_a_roadmap_shows_a_roadmap():
    _, cells = tube(3.0)
    map_ = told(cells, 0.8, "roadmap", "roadmap")
    plain, mapped = together(*bones()), together(*bones(), map_)
    seen = scope()
    for mode in ("live", "subtraction"):
        assert np.array_equal(seen.brightness(plain, mode=mode), seen.brightness(mapped, mode=mode))
    assert np.array_equal(seen.attenuation(plain), seen.attenuation(mapped))
    assert not np.array_equal(seen.brightness(plain, mode="roadmap"), seen.brightness(mapped, mode="roadmap"))
    mapped["roadmap"] = replace(map_, field=sphere([0, 0, 0], 20.0))
    painter, plane = Painter(theme("dark")), plane_frame("axial")
    drawn = (painter.section((60, 50), things, plane, SectionShot("axial"), 8.0) for things in (plain, mapped))
    assert np.array_equal(*drawn)
    drawn = []
    painter._stages[(60, 50), False] = SimpleNamespace(draw=lambda things, *_: drawn.append(set(things)))
    painter.stage((60, 50), mapped, StageShot(None, None))
    assert drawn == [set(plain)]


# --- the same brightness, and what a frame costs ---


def test_contrast_darkens_only_where_it_is():
    _, cells = tube(1.5)
    seen, things = real((120, 100), projection("front", field_of_view_mm=60)), together(*bones())
    contrast = told(cells, 1.0, material="iohexol-300")
    difference = seen.brightness(things | together(contrast), 0.0) - seen.brightness(things, 0.0)
    assert np.abs(difference[:, :30]).max() < 0.03
    assert difference[20:-20, 59:61].mean() < -0.15


def test_moving_contrast_costs_neither_cubes_nor_a_matrix(monkeypatch):
    made = []
    for name in ("voxels", "cell_matrix"):
        asked = getattr(attenuation, name)
        monkeypatch.setattr(attenuation, name, lambda *a, n=name, f=asked: (made.append(n), f(*a))[1])
    _, cells = tube(2.0)
    parts, seen = bones(), scope()

    def frame(share, mode):
        things = together(*parts, told(cells, share), told(cells, 1.0, "roadmap", "roadmap"))
        return seen.brightness(things, 0.0, mode=mode)

    first = frame(0.1, "live")
    assert made.count("cell_matrix") == 1
    made.clear()
    pictures = [frame(share, mode) for share in (0.2, 0.5, 0.9) for mode in ("live", "subtraction", "roadmap")]
    assert made == []
    assert pictures[6].mean() < pictures[3].mean() < pictures[0].mean() < first.mean()


def test_arteries_without_contrast_are_not_seen(monkeypatch):
    asked = []
    monkeypatch.setattr(attenuation, "voxels", lambda s, *more: asked.append(s.name))
    vessel = part("aorta", capsule([0, 0, -50], [0, 0, 50], 8.0), "blood", 42, "artery")
    assert not scope().attenuation(together(vessel)).any()
    assert asked == []


def test_a_film_draws_anew_when_only_the_contents_change():
    _, cells = tube()
    first, same, other = (together(told(cells, share)) for share in (0.2, 0.2, 0.3))
    assert _shapes(first) == _shapes(same) != _shapes(other)


def test_a_change_of_mode_is_a_cut():
    view = projection("front")
    assert cuts(FluoroShot(view), FluoroShot(view, mode="subtraction"))
    assert not cuts(FluoroShot(view, mode="roadmap"), FluoroShot(view, mode="roadmap"))


# --- from the front ---


def test_from_the_front_the_patient_s_left_is_on_screen_right():
    view = projection("front", field_of_view_mm=90)
    assert view.name == "front"
    assert edge_letters(view.world_from_view) == {"left": "R", "right": "L", "top": "H", "bottom": "F"}
    assert seen_from(view.world_from_view) == "seen from the front"
    flat, _ = view.flat([[-20.0, 0.0, 10.0]])
    assert flat[0] == pytest.approx([20.0, 10.0])
    assert view.source_mm[1] < 0 < view.world_from_detector.origin_mm[1]


@pytest.mark.parametrize(("turn", "tilt"), [(0.0, 0.0), (20.0, 0.0), (-15.0, 10.0)])
def test_the_front_view_is_that_from_behind_of_a_patient_turned_round(turn, tilt):
    half = rotation_about([0, 0, 1], 180.0)
    fields = {"a": box([8, 5, 3], [14, 8, 12], 1.0), "b": sphere([-12, -14, -9], 6.0)}
    here = together(*(part(n, f) for n, f in fields.items()))
    round_ = together(*(part(n, moved(f, half)) for n, f in fields.items()))
    front = scope(projection("front", (0, 0, 0), 60, turn, tilt)).attenuation(here)
    # what stands in front and turns to the right turns, for a patient turned round, to the left
    behind = scope(projection("ap", (0, 0, 0), 60, -turn, tilt)).attenuation(round_)
    assert np.abs(front - behind).max() < 0.03 * front.max()


def test_what_lies_at_the_isocentre_s_depth_is_mirrored():
    ball = together(part("ball", ellipsoid([9.0, 0, 4.0], [5.0, 2.0, 3.0])))
    front, behind = (scope(projection(name, field_of_view_mm=60)).attenuation(ball) for name in ("front", "ap"))
    assert np.abs(front - behind[:, ::-1]).max() < 0.03 * front.max()


def test_turning_the_detector_to_the_right_shows_what_lies_in_front_further_left():
    straight, turned = (projection("front", turn_deg=turn) for turn in (0.0, 20.0))
    assert turned.world_from_detector.origin_mm[0] > 100 > abs(straight.world_from_detector.origin_mm[0])
    assert projection("front", tilt_deg=15).world_from_detector.origin_mm[2] > 50
    place = [[0.0, 30.0, 0.0]]
    # the eye stands at the patient's right, so that what is nearer to it moves to the patient's left, screen right
    assert turned.flat(place)[0][0, 0] > straight.flat(place)[0][0, 0] + 5


def test_planes_are_turned_as_the_patient_lies():
    letters = {kind: edge_letters(plane_frame(kind, uppermost="front")) for kind in ("axial", "sagittal", "coronal")}
    assert letters["axial"] == {"left": "R", "right": "L", "top": "A", "bottom": "P"}
    assert letters["coronal"] == {"left": "R", "right": "L", "top": "H", "bottom": "F"}
    assert letters["sagittal"] == edge_letters(plane_frame("sagittal"))
    for kind in letters:
        frame = plane_frame(kind, (1, 2, 3), "front")
        assert np.linalg.det(frame.rotation) == pytest.approx(1.0)
        assert frame.origin_mm == pytest.approx([1, 2, 3])
    half = rotation_about([0, 0, 1], 180.0)
    turned = half @ Frame(plane_frame("axial").rotation, np.zeros(3))
    assert turned.rotation == pytest.approx(plane_frame("axial", uppermost="front").rotation)
    with pytest.raises(ValueError, match=r"uppermost 'side'; there is back, front"):
        plane_frame("axial", uppermost="side")


def test_contrast_of_the_table_is_what_the_blood_is_not():
    _, cells = tube(2.0)
    seen = real((100, 90), far_away(projection("front", field_of_view_mm=40)))
    image = seen.contrast(together(told(cells, 0.5, material="iohexol-300")))
    more = absorption_per_mm("iohexol-300") - absorption_per_mm("blood")
    assert image[20:-20, 49:51].mean() == pytest.approx(0.5 * 4.0 * more, rel=0.02)
