"""Hip bones and thigh bones: sizes, joints, and that nothing lies in anything else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.anatomy.arterial_course import femoral_places, world_from_pelvis
from spineviz.anatomy.arterial_data import SIDES, groin
from spineviz.anatomy.arteries import arterial_tree
from spineviz.anatomy.bones import near_field
from spineviz.anatomy.column import column
from spineviz.anatomy.outline import body_outline
from spineviz.anatomy.pelvis import pelvis_structures
from spineviz.anatomy.sacrum import sacrum_structure
from spineviz.data.tables import LEVELS

LYING = column("L1", lying=1.0)
INWARD = world_from_pelvis(LYING).inverse()
PARTS = pelvis_structures(LYING)


def points_of(name):
    return INWARD.points(PARTS[name].world_mesh(2.0).points_mm)


def holes(mesh):
    """How many handles a closed surface of one piece has (Euler: V - E + F = 2 - 2 g)."""
    edges = np.sort(np.concatenate([mesh.triangles[:, pair] for pair in ([0, 1], [1, 2], [2, 0])]), axis=1)
    euler = len(np.unique(mesh.triangles)) - len(np.unique(edges, axis=0)) + len(mesh.triangles)
    return (2 - euler) // 2


def test_it_is_as_wide_as_people_are():
    both = np.concatenate([points_of(f"hip-{side}") for side in SIDES])
    assert np.ptp(both[:, 0]) == pytest.approx(280.0, abs=5.0)
    right = points_of("hip-right")
    front = right[(right[:, 2] > -40) & (right[:, 2] < 0)]
    spine = front[np.argmax(front[:, 1])]  # the anterior superior iliac spine
    assert 2 * spine[0] == pytest.approx(240.0, abs=5.0)
    assert right[:, 2].min() == pytest.approx(-185.0, abs=5.0)
    ischial = right[(np.abs(right[:, 2] + 113.0) < 6.0) & (right[:, 1] < -20.0)]
    assert 2 * ischial[:, 0].min() == pytest.approx(105.0, abs=5.0)


def test_the_inlet_is_as_wide_as_people_s():
    above = points_of("hip-right")
    top = above[above[:, 0] < 12.0]
    top = top[np.argmax(top[:, 2])] * [0.0, 1.0, 1.0]  # of the symphysis
    above = above[above[:, 2] > -95.0]  # the brim and the wing above it
    down = top / np.linalg.norm(top)
    way = above @ down  # from the promontory to the symphysis
    clear = [above[np.abs(way - at) < 2.5, 0].min() for at in np.arange(25.0, 100.0, 2.5)]
    assert 2 * max(clear) == pytest.approx(130.0, abs=5.0)
    assert 25.0 < 2.5 * np.argmax(clear) + 25.0 < 100.0  # the widest place is neither at the sacrum nor in front


def test_the_obturator_foramen_is_the_only_hole():
    for side in SIDES:
        assert holes(PARTS[f"hip-{side}"].mesh(2.0)) == 1
        assert holes(PARTS[f"femur-{side}"].mesh(2.0)) == 0
    assert holes(PARTS["symphysis"].mesh(2.0)) == 0
    # a line through it from within to without meets no bone, one to the acetabulum does
    field = PARTS["hip-right"].field
    frame = world_from_pelvis(LYING)
    shares = np.linspace(0.0, 1.0, 200)[:, None]

    def clearance(start, end):
        return field.distance(frame.points(np.array(start) + shares * (np.array(end) - start))).min()

    assert clearance([20.0, 10.0, -118.0], [80.0, 50.0, -150.0]) > 4.0
    assert clearance([20.0, 10.0, -118.0], femoral_places("right")["head"]) < -1.2


def test_the_head_has_its_published_size_and_room_in_the_acetabulum():
    for side in SIDES:
        head = femoral_places(side)["head"]
        radius = groin("femoral_head_diameter_mm") / 2
        outward = np.array([0.74, 0.40, -0.54]) * (head / np.abs(head)) ** [1, 0, 0]
        upper = points_of(f"femur-{side}")
        away = np.linalg.norm(upper - head, axis=1)
        assert away[(upper - head) @ outward < -8.0] == pytest.approx(radius, abs=0.6)
        cup = PARTS[f"hip-{side}"].field.distance(PARTS[f"femur-{side}"].world_mesh(2.0).points_mm)
        assert 1.2 < cup.min() < 3.0
        hip = points_of(f"hip-{side}")
        off = np.linalg.norm(hip - head, axis=1)
        hollow = off[(off < radius + 5.0) & ((hip - head) @ outward < 4.0)]
        assert 2 * np.median(hollow) == pytest.approx(50.0, abs=5.0)  # the acetabulum
        assert off.min() > radius + 1.0


def test_the_neck_stands_at_125_degrees_to_the_shaft_and_is_turned_forward():
    upper = PARTS["femur-right"].mesh(2.0).points_mm
    head = femoral_places("right")["head"]
    low = [upper[np.abs(upper[:, 2] - z) < 4.0].mean(0) for z in (-190.0, -310.0)]
    shaft = (low[1] - low[0]) / np.linalg.norm(low[1] - low[0])
    off = np.linalg.norm(upper - head, axis=1)
    neck = upper[(off > 26.5) & (off < 31.0)].mean(0) - head  # the ring in which a ball round the head cuts the neck
    angle = 180.0 - np.rad2deg(np.arccos(shaft @ neck / np.linalg.norm(neck)))
    assert angle == pytest.approx(125.0, abs=4.0)
    assert np.rad2deg(np.arctan2(-neck[1], neck[0])) == pytest.approx(12.0, abs=4.0)


def test_bones_touch_neither_sacrum_nor_arteries():
    sacrum = sacrum_structure(LYING).field
    tree = arterial_tree(LYING, "none")
    for name, part in PARTS.items():
        points = part.world_mesh(2.0).points_mm
        assert sacrum.distance(points).min() > 1.0, name
        for branch in tree.branches.values():
            assert (part.field.distance(branch.centreline.points_mm) - branch.radius_mm).min() > 0.5, (
                name,
                branch.name,
            )


def test_the_ilium_meets_the_sacrum_in_a_narrow_joint():
    true = near_field("sacrum")  # the carved bone's field itself only promises the sign far from it
    inward = LYING.world_from_sacrum.inverse()
    for side in SIDES:
        gap = true.distance(inward.points(PARTS[f"hip-{side}"].world_mesh(2.0).points_mm))
        assert 1.0 < gap.min() < 2.0
        assert (gap < 2.0).sum() > 60  # a face, not a point


def test_the_cortex_is_a_thin_shell_of_the_same_field():
    points = np.concatenate([PARTS["hip-right"].world_mesh(2.0).points_mm[::40], [[0.0, 0.0, 0.0]]])
    for side in SIDES:
        for part in ("hip", "femur"):
            bone = PARTS[f"{part}-{side}"]
            assert (bone.role, bone.material, bone.core_material) == ("bone", "cortical", "trabecular")
            shell = bone.core.distance(points) - bone.field.distance(points)
            assert shell == pytest.approx(shell[0], abs=1e-5)
            assert 1.5 <= shell[0] <= 2.5


def test_left_mirrors_right_and_surfaces_are_closed():
    for part in ("hip", "femur"):
        right, left = (points_of(f"{part}-{side}") for side in SIDES)
        assert left == pytest.approx(right * [-1.0, 1.0, 1.0], abs=1e-9)
        for side in SIDES:
            mesh = PARTS[f"{part}-{side}"].world_mesh(2.0)
            assert mesh.is_closed
            assert mesh.pieces == 1
            assert mesh.volume_ml > 0
            assert np.abs(PARTS[f"{part}-{side}"].field.distance(mesh.points_mm)).max() < 1.2


def test_lying_the_bones_are_within_the_skin():
    body = body_outline(LYING).field
    for name, part in PARTS.items():
        assert body.distance(part.world_mesh(2.0).points_mm).max() < -3.0, name


@pytest.mark.parametrize("lying", [0.0, 0.35, 0.7, 1.0])
def test_neck_and_rim_keep_apart_in_every_posture(lying):
    parts = pelvis_structures(column("L1", lying=lying))
    for side in SIDES:
        gap = parts[f"hip-{side}"].field.distance(parts[f"femur-{side}"].world_mesh(2.0).points_mm)
        assert 1.2 < gap.min() < 4.0


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(LEVELS), st.floats(0.0, 1.0))
def test_hip_bones_stand_with_the_sacrum_and_thighs_in_the_trunks_line(level, lying):
    here = column(level, lying=round(lying, 3))
    carried = here.world_from_sacrum @ LYING.world_from_sacrum.inverse()
    there = pelvis_structures(here)
    for name in ("hip-right", "hip-left", "symphysis"):
        one = carried.points(PARTS[name].world_mesh(2.0).points_mm[::50])
        assert one == pytest.approx(there[name].world_mesh(2.0).points_mm[::50], abs=1e-6)
    line = here.world_from_vertebra("T1").origin_mm - here.world_from_sacrum.origin_mm
    for side in SIDES:
        head = femoral_places(side)["head"]
        thigh = there[f"femur-{side}"].world_from_local
        assert thigh.point(head) == pytest.approx(world_from_pelvis(here).point(head), abs=1e-6)
        assert thigh.rotation[:, 2] == pytest.approx(line / np.linalg.norm(line), abs=1e-6)


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(LEVELS), st.floats(0.0, 1.0))
def test_what_is_called_the_world_changes_nothing(level, lying):
    one, two = column("L1", lying=round(lying, 3)), column(level, lying=round(lying, 3))
    carried = two.world_from_sacrum @ one.world_from_sacrum.inverse()
    there = pelvis_structures(two)
    for name, part in pelvis_structures(one).items():
        points = carried.points(part.world_mesh(2.0).points_mm[::50])
        assert points == pytest.approx(there[name].world_mesh(2.0).points_mm[::50], abs=1e-6)
