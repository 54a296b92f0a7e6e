"""The fracture as a deformation: invertible, smooth, exact in what it measures, and nowhere near the canal."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.anatomy.bones import carved_mesh
from spineviz.anatomy.fracture import SHAPES, Fracture, fracture, fracture_table, ramp, rims
from spineviz.anatomy.vertebra import vertebra
from spineviz.data.errors import RequestError
from spineviz.data.tables import LEVELS
from spineviz.geometry.fields import Field
from spineviz.geometry.frames import Frame
from spineviz.geometry.meshes import Mesh

CRUSHED_BACK = fracture_table()["crush_posterior_share"].value

fractures = st.builds(
    fracture,
    st.sampled_from(LEVELS),
    st.sampled_from(SHAPES),
    st.floats(0.05, 0.6),
    st.integers(0, 2**31 - 1),
)
amounts = st.floats(0.0, 1.0)


def cloud(seed: int, count: int = 400) -> np.ndarray:
    """Points all over and round a vertebra, mm."""
    return np.random.default_rng(seed).uniform([-35, -75, -40], [35, 35, 40], (count, 3))


def inside_body(broken: Fracture, count: int = 400) -> np.ndarray:
    """Points of the healthy body's box, mm."""
    r = rims(broken.level)
    low = [-r.half_width_mm, r.upper_back[1], r.lower_back[2]]
    high = [r.half_width_mm, r.upper_front[1] + 1.0, max(r.upper_back[2], r.upper_front[2])]
    return np.random.default_rng(3).uniform(low, high, (count, 3))


# the ramps ------------------------------------------------------------------------------------------------------------


def test_a_symmetric_ramp_is_what_calculus_says():
    rise = ramp((0.0, 0.0), (1.0, 1.0), (2.0, 0.0))
    s = np.array([-3.0, 0.0, 0.5, 1.0, 1.5, 2.0, 9.0])
    assert rise(s) == pytest.approx([0.0, 0.0, 0.125, 0.5, 0.875, 1.0, 1.0])
    assert rise.slope(s) == pytest.approx([0.0, 0.0, 0.5, 1.0, 0.5, 0.0, 0.0])


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=5), st.floats(-5.0, 0.95), st.integers(0, 99))
def test_a_ramp_is_undone_exactly(inner, steepness, seed):
    rise = ramp((0.0, 0.0), *[(i + 1.0, slope + 0.05) for i, slope in enumerate(inner)], (len(inner) + 1.0, 0.0))
    s = np.random.default_rng(seed).uniform(-1.0, len(inner) + 2.0, 50)
    share = np.full(50, steepness / rise.slopes.max())
    assert rise.solve(s - share * rise(s), share) == pytest.approx(s, abs=1e-9)


# the deformation ------------------------------------------------------------------------------------------------------


@given(fractures, amounts, st.integers(0, 10**6))
def test_inverse_undoes_forward_and_forward_inverse(broken, amount, seed):
    points = cloud(seed)
    assert broken.inverse(broken.forward(points, amount), amount) == pytest.approx(points, abs=1e-6)
    assert broken.forward(broken.inverse(points, amount), amount) == pytest.approx(points, abs=1e-6)


@given(fractures, amounts)
def test_nothing_folds_over(broken, amount):
    assert broken.least_volume_share(cloud(5, 3000), amount) > 0.02


@given(fractures, st.floats(0.1, 1.0))
def test_the_volume_share_is_the_determinant_of_finite_differences(broken, amount):
    points, step = inside_body(broken, 40), 1e-5
    sides = [
        (broken.forward(points + step * axis, amount) - broken.forward(points - step * axis, amount)) / (2 * step)
        for axis in np.eye(3)
    ]
    expected = np.linalg.det(np.stack(sides, axis=2))
    said = broken.volume_share(points, amount)
    # where a slope bends, the differences straddle it
    assert np.quantile(np.abs(said - expected), 0.9) < 1e-6
    assert said == pytest.approx(expected, abs=2e-3)
    assert broken.least_volume_share(points, amount) == said.min()


@given(fractures, amounts, st.integers(0, 10**6))
def test_healthy_places_and_volume_shares_come_in_one_go(broken, amount, seed):
    seen = np.concatenate([cloud(seed, 100), inside_body(broken, 100)])
    healthy, share = broken.healthy_share(seen, amount)
    assert (healthy == broken.inverse(seen, amount)).all()
    assert share == pytest.approx(broken.volume_share(healthy, amount), abs=1e-6)


@given(fractures, amounts, st.integers(0, 10**6))
def test_where_healthy_points_lie_and_their_volume_shares_come_in_one_go(broken, amount, seed):
    healthy = np.concatenate([cloud(seed, 100), inside_body(broken, 100)])
    there, share = broken.carried(healthy, amount)
    assert (there == broken.forward(healthy, amount)).all()
    assert (share == broken.volume_share(healthy, amount)).all()


def test_what_is_remembered_of_the_last_points_is_never_another_answer():
    broken, points = fracture("L1"), inside_body(fracture("L1"), 50)
    first = broken.inverse(points, 1.0)
    expected = first.copy()
    first += 5.0  # the caller's own
    assert (broken.inverse(points, 1.0) == expected).all()
    points[7] += 0.5  # the same array, another point
    again = broken.inverse(points, 1.0)
    assert (np.delete(again, 7, 0) == np.delete(expected, 7, 0)).all()
    assert (again[7] != expected[7]).any()
    assert (broken.inverse(points, 0.5) == fracture("L1").inverse(points, 0.5)).all()
    squeezed = broken.warped(vertebra("L1").fast, 0.5)(points)
    assert (broken.warped(vertebra("L1").fast, 0.5)(points) == squeezed).all()
    assert (fracture("L1").warped(vertebra("L1").fast, 0.5)(points) == squeezed).all()


@pytest.mark.parametrize(("level", "shape"), [("T6", "crush"), ("L1", "wedge"), ("L4", "biconcave")])
def test_the_volume_shares_add_up_to_what_is_left_of_the_bone(level, shape):
    broken, here = fracture(level, shape, 0.5), vertebra(level)
    step = 0.8
    low, high = here.field.bounds_mm
    axes = [np.arange(a, b, step) for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    bone = points[here.fast(points) < 0]
    left_ml = broken.volume_share(bone, 1.0).sum() * step**3 / 1000
    lost_ml = len(bone) * step**3 / 1000 - left_ml
    healthy = here.mesh(1.2)
    assert lost_ml == pytest.approx(healthy.volume_ml - broken.deformed(healthy, 1.0).volume_ml, rel=0.03)


@given(fractures, amounts)
def test_heights_keep_their_order_along_every_upright_line(broken, amount):
    foot = inside_body(broken, 30)[:, :2]
    z = np.linspace(-30, 30, 200)
    lines = np.concatenate([np.column_stack([np.full(200, x), np.full(200, y), z]) for x, y in foot])
    healthy = broken.inverse(lines, amount)[:, 2].reshape(len(foot), -1)
    assert (np.diff(healthy, axis=1) > 0).all()


@given(fractures, st.floats(0.0, 0.95), st.floats(0.001, 0.05))
def test_a_small_step_of_collapse_moves_points_a_little(broken, amount, step):
    points = cloud(11)
    moved = broken.forward(points, amount + step) - broken.forward(points, amount)
    lost_mm = broken.height_loss * 32.0  # no body is taller
    assert np.linalg.norm(moved, axis=1).max() <= 3.0 * lost_mm * step


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("level", "loss"), [("T5", 0.6), ("L1", 0.35)])
def test_the_slope_is_continuous(level, shape, loss):
    """The largest second difference over h halves with h; across a crease it would stay."""
    broken = fracture(level, shape, loss)
    for axis in range(3):
        largest = []
        for h in (0.008, 0.004):
            # beyond the body in front there is nothing to keep smooth
            way = np.arange(-32.0, rims(level).upper_front[1] + 3.0 if axis == 1 else 32.0, h)
            for start in inside_body(broken, 8):
                line = np.tile(start, (len(way), 1))
                line[:, axis] = way
                second = np.diff(broken.forward(line, 1.0), n=2, axis=0)
                largest.append(np.abs(second).max() / h)
        coarse, fine = np.array(largest).reshape(2, -1)
        assert (fine < 0.7 * coarse + 1e-6).all()


@given(fractures)
def test_at_amount_0_nothing_moves(broken):
    points = cloud(2, 50)
    assert (broken.forward(points, 0.0) == points).all()
    assert (broken.inverse(points, 0.0) == points).all()


# what stays -----------------------------------------------------------------------------------------------------------


@given(fractures, amounts)
def test_pedicles_and_arch_stay_where_they_are(broken, amount):
    here = vertebra(broken.level)
    names = ("spinous-tip", "spinous-base", "transverse-tip-left", "superior-facet-right",
             "inferior-facet-left", "pedicle-upper-outer-right", "pedicle-upper-outer-left")  # fmt: skip
    marks = np.array(
        [here.landmarks[n] for n in names] + [here.frames[f"pedicle-{s}"].origin_mm for s in ("left", "right")]
    )
    assert (broken.forward(marks, amount) == marks).all()


@given(fractures.filter(lambda f: f.shape != "crush"), amounts)
def test_the_back_wall_is_intact(broken, amount):
    r = rims(broken.level)
    points = cloud(7, 2000)
    behind = points[points[:, 1] <= max(r.upper_back[1], r.lower_back[1], r.back_wall[1])]
    assert (broken.forward(behind, amount) == behind).all()


@settings(max_examples=30)
@given(fractures, amounts)
def test_the_canal_is_not_narrowed(broken, amount):
    """Where no bone of the body stands above or below a point of the canal, none comes there."""
    here, r = vertebra(broken.level), rims(broken.level)
    y = max(r.upper_back[1], r.lower_back[1], r.back_wall[1])
    x, z = r.canal_half_width_mm, np.arange(r.lower_back[2] - 3.0, r.upper_back[2] + 3.0, 0.7)
    foot = np.random.default_rng(1).uniform([-x, y - 9.0], [x, y + 1.0], (60, 2))
    columns = np.concatenate([np.column_stack([np.tile(f, (len(z), 1)), z]) for f in foot])
    in_canal = here.canal.contains(columns)
    free = (here.body(columns).reshape(len(foot), -1) > 0).all(axis=1).repeat(len(z))
    points = columns[in_canal & free]
    assert len(points) > 50
    assert (here.body(broken.inverse(points, amount)) > 0).all()


# what is measured -----------------------------------------------------------------------------------------------------


@given(fractures, amounts)
def test_heights_are_those_asked_for(broken, amount):
    healthy, now = broken.heights(0.0), broken.heights(amount)
    left = 1.0 - broken.height_loss * amount
    if broken.shape == "biconcave":
        assert now.middle_mm == pytest.approx(left * healthy.middle_mm, rel=0.01)
        assert now.anterior_mm == pytest.approx(healthy.anterior_mm, rel=0.01)
        assert now.posterior_mm == pytest.approx(healthy.posterior_mm, rel=1e-9)
        return
    assert now.anterior_mm == pytest.approx(left * healthy.anterior_mm, rel=0.01)
    if broken.shape == "wedge":
        assert now.posterior_mm == pytest.approx(healthy.posterior_mm, rel=1e-9)
    else:
        assert now.middle_mm == pytest.approx(left * healthy.middle_mm, rel=0.01)
        back = 1.0 - CRUSHED_BACK * broken.height_loss * amount
        assert now.posterior_mm == pytest.approx(back * healthy.posterior_mm, rel=0.01)


def test_the_default_wedge_has_its_published_angles():
    broken = fracture("L1")
    assert broken.heights(1.0).wedge_deg == pytest.approx(17.0, abs=0.3)
    assert broken.heights(broken.lying_amount).wedge_deg == pytest.approx(12.6, abs=0.3)
    healthy, standing, lying = (broken.heights(a).anterior_mm for a in (0.0, 1.0, broken.lying_amount))
    assert (lying - standing) / (healthy - standing) == pytest.approx(1 / 3, abs=0.02)


@pytest.mark.parametrize("level", ["T8", "L1"])
def test_angle_and_front_height_are_seen_on_the_drawn_surface(level):
    """Lines from rim to rim on the outline of the mesh in the mid-sagittal plane, as one lays them on a radiograph."""
    broken, here, r = fracture(level), vertebra(level), rims(level)
    healthy = here.mesh(0.5)
    before = healthy.points_mm
    middle = (np.abs(before[:, 0]) < 0.4) & (before[:, 1] > r.lower_back[1] - 1.0)
    # the crests of the healthy rims, foremost and hindmost, followed through the collapse
    crests = {}
    for end, up in (("upper", 1.0), ("lower", -1.0)):
        for way, sign in (("front", 1.0), ("back", -1.0)):
            edge = np.flatnonzero(middle & (sign * before[:, 1] > 0.6 * sign * getattr(r, f"{end}_{way}")[1]))
            crests[end, way] = edge[np.argmax(up * before[edge, 2])]
    for amount in (0.0, broken.lying_amount, 1.0):
        after = broken.deformed(healthy, amount).points_mm
        at = {key: after[index, 1:] for key, index in crests.items()}
        rise = {e: np.subtract(at[e, "front"], at[e, "back"]) for e in ("upper", "lower")}
        slope = {e: rise[e][1] / rise[e][0] for e in rise}
        said = broken.heights(amount)
        tilt = np.rad2deg(np.arctan(slope["lower"]) - np.arctan(slope["upper"]))
        assert tilt == pytest.approx(said.wedge_deg, abs=1.0)
        front = float(r.upper_front[1])
        reach = {e: at[e, "front"][1] + (front - at[e, "front"][0]) * slope[e] for e in rise}
        assert reach["upper"] - reach["lower"] == pytest.approx(said.anterior_mm, abs=0.6)


@given(fractures, amounts, amounts)
def test_more_collapse_is_more_wedge(broken, a, b):
    low, high = sorted((a, b))
    if broken.shape != "biconcave":
        assert broken.heights(low).wedge_deg <= broken.heights(high).wedge_deg + 1e-9


@given(fractures)
def test_lying_gives_a_part_back_and_less_of_it_the_worse_the_fracture(broken):
    worse = fracture(broken.level, broken.shape, min(0.6, broken.height_loss + 0.05))
    assert 0.4 < broken.lying_amount <= worse.lying_amount < 1.0
    assert broken.amount(1.0, 0.0) == 1.0
    assert broken.amount(1.0, 1.0) == pytest.approx(broken.lying_amount)
    assert broken.amount(0.0, 1.0) == 0.0


# lift -----------------------------------------------------------------------------------------------------------------


@given(fractures, st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_lift_takes_its_share_of_what_posture_leaves(broken, collapse, lying, lift):
    without = broken.amount(collapse, lying)
    assert broken.amount(collapse, lying, 0.0) == without
    assert broken.amount(collapse, lying, lift) == pytest.approx((1.0 - lift) * without)
    assert broken.amount(collapse, lying, 1.0) == 0.0


@given(fractures, st.floats(0.0, 0.99), st.floats(0.005, 1.0))
def test_every_lift_raises_the_end_plate(broken, lift, step):
    before, after, healthy = (
        broken.heights(broken.amount(1.0, 1.0, share)) for share in (lift, min(1.0, lift + step), 1.0)
    )
    assert healthy == broken.heights(0.0)
    assert before.middle_mm < after.middle_mm <= healthy.middle_mm
    if broken.shape == "biconcave":  # only the middle has sunk
        assert after.anterior_mm == pytest.approx(before.anterior_mm, abs=0.02)
        assert after.wedge_deg == pytest.approx(before.wedge_deg, abs=0.1)
    else:
        assert before.anterior_mm < after.anterior_mm <= healthy.anterior_mm + 1e-9
        assert before.wedge_deg > after.wedge_deg >= healthy.wedge_deg - 1e-9


def turned_deg(motion: Frame) -> float:
    """How far forward `motion` turns in the sagittal plane."""
    return float(np.rad2deg(np.arctan2(-motion.rotation[2, 1], motion.rotation[1, 1])))


@given(fractures.filter(lambda f: f.shape != "biconcave"), st.floats(0.0, 0.99))
def test_the_column_comes_back_with_the_end_plate(broken, lift):
    lying, lifted, healthy = (broken.amount(1.0, 1.0, share) for share in (0.0, lift, 1.0))
    turned = turned_deg(broken.upper_endplate_motion(lifted))
    assert 0.0 < turned <= turned_deg(broken.upper_endplate_motion(lying))
    assert broken.upper_endplate_motion(healthy).matrix == pytest.approx(np.eye(4), abs=1e-12)
    if broken.shape == "wedge":
        wedge = broken.heights(lifted).wedge_deg - broken.heights(healthy).wedge_deg
        assert turned == pytest.approx(wedge, abs=1e-6)


def sagittal_section(mesh: Mesh, behind_mm: float) -> np.ndarray:
    """Where the surface meets the mid-sagittal plane in front of `behind_mm`, (K, 2) y and z in mm."""
    points, sides = mesh.points_mm, np.concatenate([mesh.triangles[:, pair] for pair in ([0, 1], [1, 2], [2, 0])])
    x = points[:, 0] - 0.013  # no vertex lies there
    one, other = sides[(x[sides[:, 0]] < 0) != (x[sides[:, 1]] < 0)].T
    share = (x[one] / (x[one] - x[other]))[:, None]
    cut = (points[one] + share * (points[other] - points[one]))[:, 1:]
    return cut[cut[:, 0] > behind_mm]


def straight_edge(section: np.ndarray, up: float) -> tuple[np.ndarray, np.ndarray]:
    """Where a straight edge laid on the upper (`up` 1) or lower (-1) end-plate touches in front and behind."""
    middle = (section[:, 0].min() + section[:, 0].max()) / 2
    front, back = section[section[:, 0] > middle], section[section[:, 0] < middle]
    along = np.array([1.0, 0.0])
    for _ in range(12):
        normal = up * np.array([-along[1], along[0]])
        fore, aft = front[np.argmax(front @ normal)], back[np.argmax(back @ normal)]
        along = (fore - aft) / np.linalg.norm(fore - aft)
    return fore, aft


def on_the_surface(broken: Fracture, amount: float) -> tuple[float, float]:
    """Wedge angle (degrees) and front height (mm) by straight edges on the surface that is exported at `amount`."""
    surface = broken.deformed(carved_mesh(broken.level, 0.8), amount)
    section = sagittal_section(surface, vertebra(broken.level).landmarks["canal-centre"][1])
    upper, lower = straight_edge(section, 1.0), straight_edge(section, -1.0)
    slope = [np.rad2deg(np.arctan2(*(fore - aft)[::-1])) for fore, aft in (upper, lower)]
    return slope[1] - slope[0], float(np.linalg.norm(upper[0] - lower[0]))


@settings(max_examples=40)
@given(fractures.filter(lambda f: f.level in LEVELS[4:]), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_heights_and_angle_are_those_of_straight_edges_on_the_exported_surface(broken, lying, lift):
    """A straight edge rests on the bend of a sunken end-plate, not on its corners: it says up to an eighth of the
    lost angle more than the lines between the corners, and 0.7 degrees either way on the healthy body."""
    amount = broken.amount(1.0, lying, lift)
    said = broken.heights(amount)
    lost_deg = max(said.wedge_deg - broken.heights(0.0).wedge_deg, 0.0)
    angle_deg, front_mm = on_the_surface(broken, amount)
    assert angle_deg == pytest.approx(said.wedge_deg, abs=0.7 + 0.125 * lost_deg)
    assert front_mm == pytest.approx(said.anterior_mm, abs=0.15 + 0.06 * lost_deg)


@pytest.mark.parametrize(("level", "shape"), [("T8", "wedge"), ("L1", "wedge"), ("L3", "crush")])
def test_the_exported_surface_rises_with_every_lift(level, shape):
    broken = fracture(level, shape)
    angles, fronts = zip(
        *(on_the_surface(broken, broken.amount(1.0, 1.0, lift)) for lift in np.linspace(0, 1, 11)), strict=True
    )
    assert (np.diff(angles) < 0).all()
    assert (np.diff(fronts) > 0).all()


@given(fractures.filter(lambda f: f.shape == "wedge"), st.floats(0.05, 1.0))
def test_the_column_above_follows_the_rims(broken, amount):
    r, motion = rims(broken.level), broken.upper_endplate_motion(amount)
    front, back = broken.forward(np.array([r.upper_front, r.upper_back]), amount)
    carried = motion.vector(r.upper_front - r.upper_back)
    assert np.cross(carried, front - back) == pytest.approx(np.zeros(3), abs=1e-6)  # parallel
    # it slides back a little, as it turns about the disc's edge
    assert np.linalg.norm(motion.point(r.upper_back) - back) < 1.6
    assert motion.rotation @ motion.rotation.T == pytest.approx(np.eye(3), abs=1e-12)


def test_a_biconcave_fracture_leaves_the_column_where_it_is():
    motion = fracture("L2", "biconcave", 0.5).upper_endplate_motion(1.0)
    assert motion.rotation == pytest.approx(Frame().rotation, abs=0.01)
    assert motion.origin_mm == pytest.approx(np.zeros(3), abs=0.25)


# surfaces -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "shape", "loss"), [("L1", "wedge", 0.35), ("T6", "crush", 0.6), ("L4", "biconcave", 0.5)]
)
def test_surface_and_field_of_the_broken_bone_agree(level, shape, loss):
    broken, here = fracture(level, shape, loss), vertebra(level)
    healthy = here.mesh(1.6)
    mesh = broken.deformed(healthy, 1.0)
    assert mesh.is_closed
    assert mesh.pieces == 1
    assert (mesh.triangles == healthy.triangles).all()
    field = broken.warped(here.field, 1.0)
    assert (field.bounds_mm[0] <= mesh.points_mm.min(0)).all()
    assert (field.bounds_mm[1] >= mesh.points_mm.max(0)).all()
    near = mesh.points_mm[::40]
    assert np.abs(field(near)).max() <= np.abs(here.field(healthy.points_mm[::40])).max() + 1e-6
    lost_ml = healthy.volume_ml - mesh.volume_ml
    # the volume lost is the body's area times the mean drop, counted column by column
    r = rims(level)
    x, y = np.meshgrid(np.arange(-r.half_width_mm - 3, r.half_width_mm + 3, 0.7), np.arange(-25, 28, 0.7))
    foot = np.column_stack([x.ravel(), y.ravel()])
    z = np.arange(-22.0, 22.0, 0.7)
    lines = np.concatenate([np.column_stack([foot, np.full(len(foot), height)]) for height in z])
    fast = here.fast
    before = (fast(lines) < 0).sum()
    after = (fast(broken.inverse(lines, 1.0)) < 0).sum()
    assert (before - after) * 0.7**3 / 1000 == pytest.approx(lost_ml, rel=0.03, abs=0.05)


@pytest.mark.parametrize(
    ("level", "shape", "loss"), [("L1", "wedge", 0.35), ("T6", "wedge", 0.6), ("L4", "crush", 0.5)]
)
@pytest.mark.parametrize("lying", [0.0, 1.0])
def test_the_broken_field_never_promises_more_bone_than_there_is(level, shape, loss, lying):
    """Margins of a needle are read off this field: the true way to the surface is at least what it says."""
    from scipy.spatial import cKDTree

    broken, here = fracture(level, shape, loss), vertebra(level)
    amount = broken.amount(1.0, lying)
    whole = cKDTree(here.mesh(0.8).points_mm)
    exact = Field(lambda p: -whole.query(p)[0], here.field.bounds_mm)  # of inner points
    surface = cKDTree(broken.deformed(here.mesh(0.8), amount).points_mm)
    healthy = inside_body(broken, 4000)
    healthy = healthy[here.field(healthy) < -0.3]
    points = broken.forward(healthy, amount)
    said, true = -broken.warped(exact, amount)(points), surface.query(points)[0]
    near = true < 3.0  # what a margin is about; deep inside it may be off by more
    assert near.sum() > 500
    assert (said[near] <= 1.1 * true[near] + 0.25).all()
    assert (said <= 1.25 * true + 0.25).mean() > 0.97


@pytest.mark.parametrize("level", ["T1", "T9", "L1", "L5"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_cleft_is_closed_and_lies_wholly_inside_the_trabecular_bone(level, shape):
    for loss in (0.1, 0.35, 0.6):
        broken = fracture(level, shape, loss)
        for collapse, lying, lift in ((0.4, 0.0, 0.0), (1.0, 0.0, 0.0), (1.0, 1.0, 0.0), (1.0, 1.0, 0.5)):
            amount = broken.amount(collapse, lying, lift)
            mesh = broken.cleft_mesh(amount, 1.0, lying)
            assert mesh.is_closed
            assert mesh.pieces == 1
            assert mesh.volume_ml > 0
            assert vertebra(level).core(broken.inverse(mesh.points_mm, amount)).max() < 0


@settings(max_examples=25)
@given(fractures, st.floats(0.3, 1.0), st.floats(0.0, 1.0))
def test_surface_and_field_of_the_cleft_agree(broken, collapse, lying):
    amount = broken.amount(collapse, lying)
    mesh, gap = broken.cleft_mesh(amount, 1.0, lying), broken.cleft(amount, lying)
    assert gap(mesh.points_mm) == pytest.approx(np.zeros(len(mesh.points_mm)), abs=0.02)
    assert (gap.bounds_mm[0] <= mesh.points_mm.min(0)).all()
    assert (gap.bounds_mm[1] >= mesh.points_mm.max(0)).all()


def test_lying_opens_the_cleft():
    broken = fracture("L1")
    volumes = [broken.cleft_mesh(broken.amount(1.0, lying), 0.7, lying).volume_ml for lying in np.linspace(0, 1, 6)]
    assert (np.diff(volumes) > 0).all()
    assert volumes[-1] > 3 * volumes[0]


def test_the_standing_cleft_is_a_thin_line_that_grows_as_the_body_gives_way():
    broken = fracture("L1")
    gaping = [broken.cleft_thickness_mm(amount, 0.0) for amount in np.linspace(0.0, 1.0, 21)]
    assert (np.diff(gaping) > 0).all()
    assert gaping[-1] == pytest.approx(fracture_table()["cleft_closed_mm"].value)


@given(fractures, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_lifting_closes_the_cleft(broken, lift, more):
    further = lift + (1.0 - lift) * more
    before, after = (broken.cleft_thickness_mm(broken.amount(1.0, 1.0, share)) for share in (lift, further))
    assert after <= before + 1e-12
    assert before - after <= 1.5 * fracture_table()["cleft_open_mm"].value * (further - lift) + 1e-9  # continuous
    assert broken.cleft_thickness_mm(broken.lying_amount) == pytest.approx(fracture_table()["cleft_open_mm"].value)
    assert broken.cleft_thickness_mm(broken.amount(1.0, 1.0, 1.0)) == 0.0


def test_a_healthy_body_has_no_cleft():
    broken = fracture("L1")
    assert broken.cleft_thickness_mm(0.0) == 0.0
    assert len(broken.cleft_mesh(0.0, 1.0).points_mm) == 0
    assert (broken.cleft(0.0)(cloud(1)) > 0).all()


# requests -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("L1", "burst", 0.35), r"fracture.shape: .*'burst'.*wedge, biconcave, crush"),
        (("L1", "wedge", 0.61), r"fracture.height_loss: 0.61.*0.05 to 0.6"),
        (("L1", "wedge", float("nan")), r"fracture.height_loss: nan"),
        (("C7", "wedge", 0.35), r"spine.level.*'C7'"),
    ],
)
def test_wrong_requests_are_refused_by_key(arguments, said):
    with pytest.raises(RequestError, match=said):
        fracture(*arguments)


def test_the_same_seed_breaks_the_same_way_and_another_does_not():
    points = inside_body(fracture("L1"))
    one, same, other = (fracture("L1", seed=s).forward(points, 1.0) for s in (7, 7, 8))
    assert (one == same).all()
    assert np.abs(one - other).max() > 0.1
