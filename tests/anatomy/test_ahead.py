"""What is made ahead is what pictures ask for: nothing else of its kind is made, and nothing of it in vain."""

import pytest

from spineviz.anatomy.ahead import body_calls, spine_calls, way_calls
from spineviz.anatomy.arteries import arterial_tree
from spineviz.anatomy.column import SACRUM, column
from spineviz.anatomy.groin import vein_calls
from spineviz.anatomy.patient import levels_in_view, patient
from spineviz.anatomy.vertebra import vertebra
from spineviz.anatomy.whole_body import whole_body

IN_VIEW = levels_in_view("L1")


def made_by(look, calls):
    """Which calls of the functions in `calls` are made when `look` runs."""
    functions = dict.fromkeys(function for function, _ in calls)
    for function in (*functions, vertebra):  # a vertebra that stands keeps its landmarks
        function.cache_clear()
    look()
    return {(function, arguments) for function in functions for arguments, _ in function._made}


@pytest.fixture(scope="module")
def of_a_broken_spine():
    def look():
        parts = patient("L1").structures(collapse=1.0, lying=1.0, surroundings="spine")
        for name, part in parts.items():
            part.mesh(1.2)
            if name in IN_VIEW and name != SACRUM:
                part.core.distance(part.field.bounds_mm)

    return made_by(look, spine_calls("L1", IN_VIEW))


def test_the_bones_of_a_view_are_made_ahead_with_what_is_laid_by_them(of_a_broken_spine):
    ahead = set(spine_calls("L1", IN_VIEW))
    further = {(function.__name__, *arguments) for function, arguments in of_a_broken_spine - ahead}
    # the raster of a bone at the edge of the view, of which nothing else is shown
    near_edge = {"carved_half", "_raw_half", "landmarks_of", "spinous_tip", "_core_half"}
    assert {name for name, *_ in further} <= near_edge, further


def test_little_is_made_ahead_that_no_picture_shows(of_a_broken_spine):
    unused = {
        (function.__name__, *arguments) for function, arguments in set(spine_calls("L1", IN_VIEW)) - of_a_broken_spine
    }
    # above the uppermost bone in view there is no disc
    assert {name for name, *_ in unused - {("endplate_sheet", IN_VIEW[0], True)}} <= {
        "spinous_tip", "carved_half", "_core_half",
    }  # fmt: skip


def test_the_way_from_the_groin_is_made_ahead():
    lying = column("L1", lying=1.0)
    ahead = set(way_calls("L1"))

    def look():
        arterial_tree(lying, "left T12")
        whole_body(lying)

    made = made_by(look, way_calls("L1"))
    assert made <= ahead
    unused = {(function.__name__, *arguments) for function, arguments in ahead - made}
    assert {name for name, *_ in unused} <= {"body_radius", "endplate_sheet", "bone_points", "_surface"}, unused
    assert len(unused) < 0.1 * len(ahead), unused


def test_the_whole_body_and_its_veins_are_made_ahead():
    parts = whole_body(column("L1", lying=1.0))

    def look():
        for name in ("body", "hip-left", "femur-left", "vena-cava"):
            parts[name].mesh(4.0)

    calls = [*body_calls("L1"), *vein_calls("L1")]
    made = made_by(look, calls)
    left = {(function, arguments) for function, arguments in made if arguments[-1] == "left"}  # mirror images
    assert set(calls) == made - left
