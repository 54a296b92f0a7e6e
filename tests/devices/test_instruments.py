"""The instruments of kyphoplasty: what runs in what, where they stand, and that field and surface are one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.data.errors import RequestError
from spineviz.devices.cannula import cannula_structures, dilator_structure
from spineviz.devices.catalogue import (
    balloon_sizes,
    cannula_size,
    cannula_sizes,
    drill_mm,
    filler_mm,
    kyphoplasty_parts,
    needle_before,
    needle_sizes,
    pin_length_mm,
    pin_mm,
    tool_length_mm,
)
from spineviz.devices.drill import channel_structure, drill_structures
from spineviz.devices.filler import filler_structures
from spineviz.devices.needle import NeedleShape, needle_structures
from spineviz.devices.pin import pin_structures
from spineviz.devices.tamp import tamp_structures, working_ends_mm
from spineviz.geometry.fields import capsule

LONG = 125.0
TIP = np.array([7.0, 9.0, -2.0])
FORWARD = np.array([-0.25, 0.95, -0.18]) / np.linalg.norm([-0.25, 0.95, -0.18])
TOOL = tool_length_mm(LONG, 30.0)


def instruments(gauge, balloon=15, tip=TIP, forward=FORWARD, turn_deg=0.0, plunger=0.3, side="right"):
    """Every instrument of one side with its tip at the same place."""
    cone = dilator_structure(side, gauge, LONG, tip, forward)
    return {
        **cannula_structures(side, gauge, LONG, tip, forward),
        cone.name: cone,
        **pin_structures(side, 230.0, tip, forward),
        **drill_structures(side, gauge, TOOL, tip, forward, turn_deg),
        **tamp_structures(side, balloon, TOOL, tip, forward),
        **filler_structures(side, gauge, TOOL, tip, forward, plunger),
    }


EVERY = [(g, n) for g in cannula_sizes() for n in instruments(g)]


@pytest.mark.parametrize(("gauge", "name"), EVERY)
def test_surface_is_closed_and_lies_on_the_field(gauge, name):
    structure = instruments(gauge)[name]
    mesh = structure.world_mesh(0.5)
    assert mesh.is_closed
    assert mesh.volume_ml > 0
    distance = structure.field(mesh.points_mm)
    if mesh.pieces == 1:
        assert np.abs(distance).max() < 1e-6
    else:  # where the pieces of a hub run through each other, their surfaces lie inside
        assert distance.max() < 1e-6
        assert np.mean(np.abs(distance) < 1e-6) > 0.6
    low, high = structure.field.bounds_mm
    assert (mesh.points_mm >= low - 1e-6).all()
    assert (mesh.points_mm <= high + 1e-6).all()


@pytest.mark.parametrize(("gauge", "name"), EVERY)
def test_exact_fields_are_1_lipschitz_and_measure_to_the_surface(gauge, name):
    structure = instruments(gauge)[name]
    turned_parts = {"cannula", "dilator", "pin", "tamp", "tamp-stylet", "tamp-neck", "marker-front", "marker-rear",
                    "filler", "filler-handle", "filler-plunger"}  # fmt: skip
    assert structure.field.exact == (name.removesuffix("-right") in turned_parts)
    if not structure.field.exact:
        return
    rng = np.random.default_rng(4)
    mesh = structure.world_mesh(0.5)
    near = mesh.points_mm[rng.integers(len(mesh.points_mm), size=3000)] + rng.normal(0, 1.5, (3000, 3))
    steps = rng.normal(0, 0.4, (3000, 3))
    change = np.abs(structure.field(near + steps) - structure.field(near))
    assert (change <= np.linalg.norm(steps, axis=1) + 1e-9).all()
    # as long as the way to the surface, no longer: walking it, along the gradient, arrives there
    step = 1e-5
    slope = np.stack([structure.field(near + step * e) - structure.field(near - step * e) for e in np.eye(3)], 1)
    smooth = np.abs(np.linalg.norm(slope / (2 * step), axis=1) - 1) < 1e-4
    assert smooth.mean() > 0.98
    landed = near - structure.field(near)[:, None] * slope / (2 * step)
    assert np.abs(structure.field(landed[smooth])).max() < 1e-3


@pytest.mark.parametrize("gauge", cannula_sizes())
def test_open_tubes_hold_the_steel_that_calculus_gives(gauge):
    flats = 48 / (2 * np.pi) * np.sin(2 * np.pi / 48)
    made, size = instruments(gauge), cannula_size(gauge)
    wall = np.pi / 4 * (size.outer_mm**2 - size.inner_mm**2) * LONG / 1000
    assert made["cannula-right"].mesh(0.5).volume_ml == pytest.approx(wall * flats, rel=1e-9)
    outer, thick = filler_mm(gauge), kyphoplasty_parts()["tube_wall_mm"]
    wall = np.pi / 4 * (outer**2 - (outer - 2 * thick) ** 2) * TOOL / 1000
    assert made["filler-right"].mesh(0.5).volume_ml == pytest.approx(wall * flats, rel=1e-9)


# what runs in what ----------------------------------------------------------------------------------------------------


def clear_of(inner, *outer):
    """The least distance of the surfaces of `inner` from the bodies of `outer`."""
    points = np.concatenate([s.world_mesh(0.5).points_mm for s in inner])
    return min(float(s.field(points).min()) for s in outer)


@pytest.mark.parametrize(("gauge", "length_mm"), [(g, x) for g, s in cannula_sizes().items() for x in s.lengths_mm])
@pytest.mark.parametrize("beyond_mm", [-40.0, 0.0, 30.0])
def test_no_instrument_touches_the_cannula_that_it_runs_in(gauge, length_mm, beyond_mm):
    cannula = cannula_structures("right", gauge, length_mm, TIP, FORWARD).values()
    long = tool_length_mm(length_mm, 30.0)
    at = TIP + beyond_mm * FORWARD
    running = [
        drill_structures("right", gauge, long, at, FORWARD, 33.0),
        filler_structures("right", gauge, long, at, FORWARD, 0.0),
        filler_structures("right", gauge, long, at, FORWARD, 1.0),
        *(tamp_structures("right", balloon, long, at, FORWARD) for balloon in balloon_sizes()),
    ]
    for tool in running:
        assert clear_of(tool.values(), *cannula) > 0.05, list(tool)


@pytest.mark.parametrize(("gauge", "balloon"), list(product(cannula_sizes(), balloon_sizes())))
def test_every_folded_balloon_and_what_carries_it_pass_every_cannula(gauge, balloon):
    size, bore = balloon_sizes()[balloon], cannula_size(gauge).inner_mm
    assert max(size.folded_mm, size.shaft_mm, size.marker_outer_mm) < bore - 0.1
    assert size.folded_mm > size.marker_outer_mm > size.rod_mm > size.stylet_mm  # the sleeve lies round all the rest
    assert size.folded_mm <= drill_mm(gauge)  # and fits the channel


@pytest.mark.parametrize("gauge", needle_sizes())
def test_the_pin_passes_every_needle_and_stands_out_behind_it(gauge):
    over = NeedleShape(gauge, LONG, stylet=False)
    needle = needle_structures("needle-right", over, TIP, FORWARD).values()  # hub and handle are open too
    pin = pin_structures("right", pin_length_mm(LONG), TIP + 5 * FORWARD, FORWARD, gauge).values()
    assert clear_of(pin, *needle) > 0.05
    assert pin_mm(gauge) < needle_sizes()[gauge].inner_mm
    back = min(float(p) for s in pin for p in (s.world_mesh(0.5).points_mm - TIP) @ FORWARD)
    assert back < -LONG - 30.0


@pytest.mark.parametrize(("gauge", "before"), [(g, n) for g in cannula_sizes() for n in needle_sizes() if n > g])
def test_the_dilator_fills_the_cannula_and_slides_over_the_pin(gauge, before):
    cone = dilator_structure("right", gauge, LONG, TIP, FORWARD, before)
    cannula = cannula_structures("right", gauge, LONG, TIP, FORWARD).values()
    pin = pin_structures("right", 230.0, TIP + 15 * FORWARD, FORWARD, before).values()
    assert -1e-9 < clear_of([cone], *cannula) < 0.1  # its cap rests on the hub
    assert clear_of(pin, cone) > 0.05
    ahead = (cone.world_mesh(0.5).points_mm - TIP) @ FORWARD
    assert ahead.max() == pytest.approx(kyphoplasty_parts()["dilator_ahead_mm"])


@pytest.mark.parametrize("gauge", cannula_sizes())
@pytest.mark.parametrize("balloon", balloon_sizes())
def test_parts_of_one_instrument_do_not_share_room(gauge, balloon):
    made = instruments(gauge, balloon)
    assert clear_of([made["tamp-stylet-right"]], made["tamp-right"]) > -1e-9
    for end in ("front", "rear"):
        ring = made[f"marker-{end}-right"]
        assert clear_of([ring], made["tamp-right"], made["tamp-stylet-right"], made["tamp-neck-right"]) > -1e-9
    assert clear_of([made["tamp-neck-right"]], made["tamp-right"]) > -1e-9
    assert clear_of([made["filler-plunger-right"]], made["filler-right"], made["filler-handle-right"]) > 0.05


@pytest.mark.parametrize("gauge", cannula_sizes())
def test_the_access_needle_is_thinner_than_the_cannula(gauge):
    outer = cannula_size(gauge).outer_mm
    largest = needle_before(gauge)
    assert largest.outer_mm < outer
    assert all(s.outer_mm <= largest.outer_mm or s.outer_mm >= outer for s in needle_sizes().values())
    for wanted, size in needle_sizes().items():
        assert needle_before(gauge, wanted) == (size if size.outer_mm < outer else largest)


def test_what_the_catalogue_does_not_hold_is_refused():
    with pytest.raises(RequestError, match=r"cannula\.gauge: 11 .* 8 or 10"):
        cannula_structures("right", 11, LONG, TIP, FORWARD)
    with pytest.raises(RequestError, match=r"balloon\.length_mm: 12 .* 10, 15, 20"):
        tamp_structures("right", 12, TOOL, TIP, FORWARD)
    with pytest.raises(RequestError, match=r"cannula\.gauge: 9"):
        needle_before(9)


# where they stand -----------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.floats(-80, 80), st.floats(-80, 80), st.sampled_from(list(cannula_sizes())))
def test_everything_turns_with_its_direction(medial_deg, down_deg, gauge):
    a, b = np.radians([medial_deg, down_deg])
    forward = np.array([np.sin(a) * np.cos(b), np.cos(a) * np.cos(b), -np.sin(b)])
    tip = np.array([3.0, -20.0, 11.0])
    straight, leaning = instruments(gauge), instruments(gauge, tip=tip, forward=forward)
    for name, structure in leaning.items():
        points = structure.world_mesh(0.5).points_mm
        along = (points - tip) @ forward
        before = straight[name].world_mesh(0.5).points_mm
        assert np.allclose(along, (before - TIP) @ FORWARD, atol=1e-9)
        across = np.linalg.norm(points - tip - along[:, None] * forward, axis=1)
        assert np.allclose(across, np.linalg.norm(before - TIP - along[:, None] * FORWARD, axis=1), atol=1e-9)
        assert structure.field(points).max() < 1e-6
        assert structure.key == straight[name].key


def test_tips_stand_where_they_are_put():
    made = instruments(8)
    for name in ("cannula-right", "pin-right", "drill-right", "tamp-right", "filler-right"):
        along = (made[name].world_mesh(0.5).points_mm - TIP) @ FORWARD
        assert along.max() == pytest.approx(0.0, abs=1e-9), name


def test_keys_are_equal_just_where_shapes_are():
    meshes = {}
    for gauge, balloon, plunger, turn in product(cannula_sizes(), balloon_sizes(), (0.2, 0.9), (0.0, 50.0)):
        tip = TIP + balloon
        for name, structure in instruments(gauge, balloon, tip, plunger=plunger, turn_deg=turn).items():
            mesh = structure.mesh(0.5)
            if structure.key in meshes:
                assert np.array_equal(meshes[structure.key].points_mm, mesh.points_mm), name
            meshes[structure.key] = mesh
    shapes = {mesh.points_mm.tobytes() for mesh in meshes.values()}
    assert len(shapes) == len(meshes)


@pytest.mark.parametrize("balloon", balloon_sizes())
def test_markers_stand_as_far_apart_as_the_balloon_is_long(balloon):
    made = tamp_structures("left", balloon, TOOL, TIP, FORWARD)
    rear, front = working_ends_mm(balloon, TIP, FORWARD)
    assert np.linalg.norm(front - rear) == pytest.approx(balloon)
    for end, place in (("rear", rear), ("front", front)):
        points = made[f"marker-{end}-left"].world_mesh(0.5).points_mm
        assert np.allclose((points.min(0) + points.max(0)) / 2, place, atol=1e-3)
        assert made[f"marker-{end}-left"].material == "platinum"
    assert (TIP - front) @ FORWARD == pytest.approx(balloon_sizes()[balloon].nose_mm)


@pytest.mark.parametrize("balloon", balloon_sizes())
def test_the_neck_lies_within_the_folded_balloon_and_holds_the_rear_marker(balloon):
    size, made = balloon_sizes()[balloon], tamp_structures("right", balloon, TOOL, TIP, FORWARD)
    rear, front = working_ends_mm(balloon, TIP, FORWARD)
    folded = capsule(rear, front, size.folded_radius_mm)
    assert folded(made["tamp-neck-right"].world_mesh(0.5).points_mm).max() < 0.0
    ring, neck = (made[f"{name}-right"].world_mesh(0.5).points_mm @ FORWARD for name in ("marker-rear", "tamp-neck"))
    assert neck.min() < ring.min()
    assert neck.max() > ring.max() + 1.0


def test_the_shaft_ends_behind_the_balloon():
    size = balloon_sizes()[15]
    mesh = tamp_structures("right", 15, TOOL, TIP, FORWARD)["tamp-right"].world_mesh(0.5)
    rear, _ = working_ends_mm(15, TIP, FORWARD)
    along = (mesh.points_mm - rear) @ FORWARD
    across = np.linalg.norm(mesh.points_mm - rear - along[:, None] * FORWARD, axis=1)
    assert across[along > -size.marker_length_mm / 2].max() < size.marker_outer_mm / 2


# the drill ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gauge", cannula_sizes())
def test_flutes_wind_to_the_right(gauge):
    """Turned on and moved on by the same share of the pitch, a right-handed screw covers itself."""
    bit = drill_structures("right", gauge, TOOL, [0, 0, 0], [0, 0, 1])["drill-right"]
    rng = np.random.default_rng(5)
    radius, pitch = drill_mm(gauge) / 2, kyphoplasty_parts()["drill_pitch_mm"]
    points = rng.uniform([-radius, -radius, -30], [radius, radius, -8], (4000, 3))
    step = 3.7
    turn = 2 * np.pi * step / pitch
    moved = np.column_stack([
        points[:, 0] * np.cos(turn) - points[:, 1] * np.sin(turn),
        points[:, 0] * np.sin(turn) + points[:, 1] * np.cos(turn),
        points[:, 2] + step,
    ])  # fmt: skip
    assert np.allclose(bit.field(moved), bit.field(points), atol=1e-6)
    inside = bit.field.contains(points[np.hypot(*points[:, :2].T) < radius]).mean()
    assert 0.4 < inside < 0.8  # what the grooves leave


def test_the_drill_turns_with_its_angle():
    still, turned = (drill_structures("right", 8, TOOL, TIP, FORWARD, turn) for turn in (0.0, 25.0))
    axis = np.cross(np.eye(3), FORWARD)  # the matrix of FORWARD x
    angle = np.radians(25.0)
    matrix = np.eye(3) + np.sin(angle) * axis + (1 - np.cos(angle)) * axis @ axis  # Rodrigues
    for name in still:
        points = still[name].world_mesh(0.5).points_mm
        assert np.allclose(turned[name].world_mesh(0.5).points_mm, TIP + (points - TIP) @ matrix.T, atol=1e-9)
        assert turned[name].key == still[name].key


@pytest.mark.parametrize("gauge", cannula_sizes())
def test_the_drill_lies_within_the_channel_that_it_cuts(gauge):
    radius = drill_mm(gauge) / 2
    channel = channel_structure("right", radius, TIP - 20 * FORWARD, TIP)
    bit = drill_structures("right", gauge, TOOL, TIP, FORWARD, 71.0)["drill-right"].world_mesh(0.5).points_mm
    within = (bit - TIP) @ FORWARD > -19.0
    assert channel.field(bit[within]).max() < 1e-6
    point = radius / np.tan(np.radians(59))
    known = np.pi * radius**2 * (20 - point + point / 3) / 1000
    assert channel.world_mesh(0.5).is_closed
    assert channel.world_mesh(0.5).volume_ml == pytest.approx(known, rel=0.004)
    assert channel.field.exact
    assert (channel.role, channel.material) == ("channel", "blood")


@given(st.floats(0.2, 40.0))
def test_a_channel_of_any_depth_is_closed(long_mm):
    channel = channel_structure("left", 1.6, TIP - long_mm * FORWARD, TIP)
    mesh = channel.world_mesh(0.5)
    assert mesh.is_closed
    along = (mesh.points_mm - TIP) @ FORWARD
    assert along.max() == pytest.approx(0.0, abs=1e-9)
    assert along.min() == pytest.approx(-long_mm, abs=0.006)


def test_a_channel_without_length_or_width_is_refused():
    with pytest.raises(ValueError, match="length and width"):
        channel_structure("right", 0.0, TIP - FORWARD, TIP)
    with pytest.raises(ValueError, match="length and width"):
        channel_structure("right", 1.6, TIP, TIP)


# the filler -----------------------------------------------------------------------------------------------------------


def test_the_plunger_drives_the_cement_to_the_end_of_the_tube():
    def face_mm(share):
        made = filler_structures("right", 10, TOOL, TIP, FORWARD, share)
        return float(((made["filler-plunger-right"].world_mesh(0.5).points_mm - TIP) @ FORWARD).max())

    assert face_mm(1.0) == pytest.approx(0.0, abs=1e-9)
    assert -TOOL < face_mm(0.0) < -0.9 * TOOL
    assert face_mm(0.5) == pytest.approx((face_mm(0.0) + face_mm(1.0)) / 2)
    with pytest.raises(ValueError, match="plunger"):
        filler_structures("right", 10, TOOL, TIP, FORWARD, 1.2)


def test_the_plunger_moves_without_a_new_shape():
    full, empty = (filler_structures("right", 8, TOOL, TIP, FORWARD, share) for share in (0.0, 1.0))
    assert [s.key for s in full.values()] == [s.key for s in empty.values()]
