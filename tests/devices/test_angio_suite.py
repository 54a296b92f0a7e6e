"""The angiography suite: the patient lies on the table, the groins are open, and nothing runs through anything."""

from __future__ import annotations

import numpy as np
import pytest

from spineviz.anatomy.column import column
from spineviz.anatomy.outline import body_outline
from spineviz.devices import angio_suite as suite
from spineviz.devices import theatre
from spineviz.views.theme import theme

LEVELS = ["T5", "L1", "L4"]


@pytest.fixture(scope="module", params=LEVELS)
def level(request):
    return request.param


def room_points(level, *names):
    """(N, 3) the surfaces of these parts, or of "body", as they stand in the room."""
    parts = {**suite.angio_suite(level), "body": body_outline(column(level, lying=1.0))}
    points = np.concatenate([parts[name].world_mesh(11.0).points_mm for name in names])
    return suite.world_from_room(level).inverse().points(points)


def from_room(level, points):
    return suite.world_from_room(level).points(points)


def test_every_part_is_closed_has_a_colour_and_a_matching_name(level):
    for name, part in suite.angio_suite(level).items():
        mesh = part.world_mesh(12.0)
        assert part.name == name
        assert part.material == "theatre"  # neither radiographs nor sections show it
        assert mesh.is_closed, name
        assert mesh.volume_ml > 0, name
        theme("dark").colour(part.role)


def test_surfaces_lie_on_their_fields(level):
    for name, part in suite.angio_suite(level).items():
        points = part.world_mesh(12.0).points_mm
        assert np.percentile(np.abs(part.field(points)), 60) < 3.0 or (part.field(points) < 3.0).all(), name


def test_an_equal_key_is_an_equal_surface():
    rooms = [suite.angio_suite(level) for level in LEVELS] + [theatre.theatre("L1"), theatre.theatre("T6")]
    kept = {}
    for room in rooms:
        for part in room.values():
            points = part.mesh(12.0).points_mm
            first = kept.setdefault(part.key, points)
            assert first.shape == points.shape, part.key
            assert np.abs(first - points).max() < 1e-9, part.key


def test_the_patient_lies_on_the_back_on_the_mattress(level):
    body, mattress = room_points(level, "body"), suite.angio_suite(level)["mattress"]
    # the front of the trunk looks up: the treated vertebra lies nearer to the back than to the belly
    near = body[np.abs(body[:, 2]) < 40.0]
    assert near[:, 1].max() > 0.0 > near[:, 1].min()
    assert near[:, 1].max() > 0.9 * -near[:, 1].min()
    deep = -mattress.field(from_room(level, body)).min()
    assert 5.0 < deep < 45.0  # in the pillow's softness at most
    table = room_points(level, "table")
    for axis in (0, 2):
        assert table[:, axis].min() - 25.0 < body[:, axis].min()
        assert table[:, axis].max() + 25.0 > body[:, axis].max()
    assert table[:, 1].max() < body[:, 1].min() + 1.0


def test_both_groins_are_open_and_the_belly_is_covered(level):
    sheet = room_points(level, "drape")
    radius = suite.suite_sizes()["window_radius_mm"]
    for x, _, z in suite.groins(level):
        away = np.hypot(sheet[:, 0] - x, sheet[:, 2] - z)
        assert radius - 6.0 < away.min() < radius + 6.0
    right, left = suite.groins(level)
    assert right[0] > 0.0 > left[0]
    middle = np.array([0.0, (right + left)[2] / 2])
    between = np.linalg.norm(sheet[:, [0, 2]] - middle, axis=1)
    assert between.min() < 15.0  # the two are two


def test_the_sheet_lies_over_the_body(level):
    body, sheet = body_outline(column(level, lying=1.0)), suite.angio_suite(level)["drape"]
    assert body.field(sheet.world_mesh(12.0).points_mm).min() > -9.0
    assert sheet.world_mesh(12.0).pieces == 1


def test_nothing_runs_through_the_c_arm(level):
    parts = {**suite.angio_suite(level), "body": body_outline(column(level, lying=1.0))}
    ring = np.concatenate([parts[n].world_mesh(11.0).points_mm for n in parts if n.startswith("c-arm")])
    others = ("body", "table", "table-column", "mattress", "drape", "operator-gown", "operator-gloves", "operator-cap")
    for name in (*others, "assistant-apron", "assistant-scrubs", "boom", "instrument-table"):
        assert parts[name].field(ring).min() > 0.0, name


def test_the_team_stands_clear_of_table_and_body(level):
    parts = {**suite.angio_suite(level), "body": body_outline(column(level, lying=1.0))}
    for who in ("operator-gown", "operator-legs", "assistant-apron", "assistant-legs", "assistant-scrubs"):
        surface = parts[who].world_mesh(11.0).points_mm
        for name in ("body", "table", "table-column", "mattress", "instrument-table", "boom"):
            assert parts[name].field(surface).min() > 0.0, (who, name)
    assert parts["operator-gown"].field(parts["assistant-apron"].world_mesh(11.0).points_mm).min() > 0.0


def test_two_stand_at_the_patients_right_and_face_the_groin(level):
    groin = suite.groins(level)[0]
    for who in ("operator", "assistant"):
        mask, cap = (room_points(level, f"{who}-{part}").mean(0) for part in ("mask", "cap"))
        assert cap[0] > groin[0] + 200.0
        looks, to = (mask - cap)[[0, 2]], (groin - cap)[[0, 2]]
        assert looks @ to / (np.linalg.norm(looks) * np.linalg.norm(to)) > 0.95
        shoes = room_points(level, f"{who}-shoes")
        assert shoes[:, 1].min() == pytest.approx(suite.suite_sizes()["floor_mm"], abs=8.0)
        assert cap[1] > shoes[:, 1].max() + 1400.0


def test_the_detector_hangs_over_the_belly_and_the_tube_under_the_table(level):
    detector, ring = room_points(level, "c-arm-detector"), room_points(level, "c-arm-ring")
    place = suite.angio_suite(level)["c-arm-ring"].world_from_local
    up = suite.world_from_room(level).inverse().vector(place.vector((0.0, -1.0, 0.0)))
    assert up == pytest.approx([0.0, 1.0, 0.0], abs=1e-9)
    table, body = room_points(level, "table"), room_points(level, "body")
    assert ring[:, 1].min() < table[:, 1].min() - 100.0
    assert detector[:, 1].max() > body[:, 1].max()
    middle = suite.world_from_room(level).inverse().point(place.origin_mm)
    assert middle[2] > suite.groins(level)[0, 2] + 300.0  # parked out of the hands' way
    assert np.abs(body[:, 2] - middle[2]).min() < 10.0


def test_all_stands_on_the_floor(level):
    floor = suite.suite_sizes()["floor_mm"]
    for name in ("table-column", "c-arm-trim", "instrument-legs"):
        assert room_points(level, name)[:, 1].min() == pytest.approx(floor, abs=16.0), name


def test_screens_look_at_the_operator(level):
    stand = suite.angio_suite(level)["boom-screens"].world_from_local
    to = from_room(level, room_points(level, "operator-glasses")).mean(0) - stand.origin_mm
    across = to - (to @ suite.up_in_room(level)) * suite.up_in_room(level)
    assert stand.vector((0.0, 0.0, -1.0)) @ across / np.linalg.norm(across) > 0.99
    # what is shown stands before the screens
    here = stand.inverse()
    image, screen = (
        here.points(suite.angio_suite(level)[f"boom-{part}"].world_mesh(12.0).points_mm)
        for part in ("images", "screens")
    )
    assert image[:, 2].min() < screen[:, 2].min()


def test_up_in_the_room_is_the_front_of_the_trunk(level):
    up = suite.up_in_room(level)
    assert np.linalg.norm(up) == pytest.approx(1.0)
    assert up[0] == pytest.approx(0.0, abs=1e-9)
    assert up[1] > 0.9


@pytest.mark.parametrize("c_arm_deg", [-30.0, 30.0])
def test_the_c_slides_in_its_cradle_and_stays_clear(level, c_arm_deg):
    parts = {**suite.angio_suite(level, c_arm_deg), "body": body_outline(column(level, lying=1.0))}
    frontal = suite.angio_suite(level)
    ring, base = parts["c-arm-ring"].world_from_local, parts["c-arm-base"].world_from_local
    assert base.matrix == pytest.approx(frontal["c-arm-base"].world_from_local.matrix)
    assert ring.origin_mm == pytest.approx(frontal["c-arm-ring"].world_from_local.origin_mm)  # about the beam's middle
    leans = suite.world_from_room(level).inverse().vector(ring.vector((0.0, -1.0, 0.0)))
    assert leans[1] == pytest.approx(np.cos(np.deg2rad(c_arm_deg)))
    assert leans[[0, 2]] * np.sign(c_arm_deg) == pytest.approx(np.abs(leans[[0, 2]]))  # more: to the right and head
    surface = np.concatenate([parts[n].world_mesh(11.0).points_mm for n in parts if n.startswith("c-arm")])
    for name in ("body", "table", "table-column", "mattress", "drape", "operator-gown", "operator-gloves", "boom"):
        assert parts[name].field(surface).min() > 20.0, name


def test_an_angle_that_the_table_forbids_is_told():
    with pytest.raises(ValueError, match="c_arm_deg must be -30 to 30, got 31"):
        suite.angio_suite("L1", 31.0)
    with pytest.raises(ValueError, match="c_arm_deg"):
        suite.angio_suite("L1", float("nan"))


def test_without_its_sheet_the_room_is_the_same():
    bare = suite.angio_suite("L1", drape=False)
    assert bare.keys() == suite.angio_suite("L1").keys() - {"drape"}
