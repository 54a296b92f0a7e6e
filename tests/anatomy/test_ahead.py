"""What is made ahead is what pictures ask for: nothing else of its kind is made, and next to nothing in vain."""

import json
import subprocess
import sys

HEAD = """
import json

from spineviz.anatomy.ahead import body_calls, canal_calls, outline_raster_calls, spine_calls, way_calls
from spineviz.anatomy.arteries import arterial_tree
from spineviz.anatomy.column import SACRUM, column
from spineviz.anatomy.epidural import epidural
from spineviz.anatomy.groin import vein_calls
from spineviz.anatomy.patient import levels_in_view, patient
from spineviz.anatomy.whole_body import whole_body

IN_VIEW = levels_in_view("L1")
"""

TAIL = """
functions = dict.fromkeys(function for function, _ in ahead)
made = {(function, arguments) for function in functions for arguments, _ in function._made}
told = lambda calls: sorted([function.__name__, *map(str, arguments)] for function, arguments in calls)
print(json.dumps([told(made - set(ahead)), told(set(ahead) - made)]))
"""


def further_and_unused(look: str) -> tuple[set[tuple[str, ...]], set[tuple[str, ...]]]:
    """The calls that `look` makes beside those of `ahead`, and those of `ahead` that it does not make; in a process of
    its own, in which nothing has been made before."""
    command = [sys.executable, "-c", HEAD + look + TAIL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    further, unused = json.loads(done.stdout)
    return {tuple(call) for call in further}, {tuple(call) for call in unused}


def test_the_bones_of_a_view_are_made_ahead_with_what_is_laid_by_them():
    further, unused = further_and_unused("""
ahead = spine_calls("L1", IN_VIEW)
parts = patient("L1").structures(collapse=1.0, lying=1.0, surroundings="spine")
for name, part in parts.items():
    part.mesh(1.2)
    if name in IN_VIEW and name != SACRUM:
        part.core.distance(part.field.bounds_mm)
""")
    # of a bone at the edge of the view, which itself is not shown, and of the lowest ones, whose raster is read here
    assert {name for name, *_ in further} <= {"carved_half", "_raw_half", "landmarks_of", "spinous_tip", "_core_half"}
    # where no needle goes nobody asks for the tips; above the uppermost bone in view there is no disc
    assert {name for name, *_ in unused} <= {"spinous_tip", "endplate_sheet"}
    assert {call for call in unused if call[0] == "endplate_sheet"} <= {("endplate_sheet", "T10", "True")}


def test_the_way_from_the_groin_is_made_ahead():
    further, unused = further_and_unused("""
ahead = way_calls("L1", ("left", "T12"))
arterial_tree(column("L1", lying=1.0), "left T12")
whole_body(column("L1", lying=1.0))
""")
    assert not further
    assert {name for name, *_ in unused} <= {"body_radius", "endplate_sheet", "bone_points", "_surface"}
    assert len(unused) < 20


def test_the_whole_body_and_its_veins_are_made_ahead():
    further, unused = further_and_unused("""
ahead = [*body_calls("L1"), *vein_calls("L1")]
parts = whole_body(column("L1", lying=1.0))
for name in ("body", "hip-left", "femur-left", "vena-cava"):
    parts[name].mesh(4.0)
""")
    assert further == {("_surface", "hip", "left"), ("_surface", "femur", "left")}  # mirror images
    assert not unused


def test_where_a_tumour_presses_on_cord_or_roots_and_what_radiographs_look_through_are_made_ahead():
    further, unused = further_and_unused("""
ahead = [*canal_calls("L1"), *outline_raster_calls("L1")]
body = whole_body(column("L1", lying=1.0))
epidural("L1", 14.0, "left", 7).displaced(body, 1.0)
body["body"].field.distance(body["body"].field.bounds_mm)
""")
    assert not further
    assert not unused
