"""A shot told for 16:9 keeps its subject in the picture on an upright and on a square screen."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spineviz.film.fitting import fitted
from spineviz.film.screen import cuts, panels_of, slots_of
from spineviz.film.shot import CardShot, ColumnShot, FluoroShot, SectionShot, Shot, StageShot
from spineviz.views.camera import camera_from
from spineviz.views.designs import DESIGNS, WIDE
from spineviz.views.fluoroscopy import projection
from spineviz.views.layout_narrow import SUBJECT_RATIO
from spineviz.views.stage import StageLook

NARROW = [design for design in DESIGNS.values() if design is not WIDE]
CAMERA = camera_from((300, 10), (0, 0, 0), 300.0)
STAGE = StageShot(CAMERA, StageLook(), CAMERA)
AP, LATERAL = (FluoroShot(projection(name, (0, 0, 0), 100)) for name in ("ap", "lateral"))
SECTION = SectionShot("axial")
SHOTS = {
    "two insets": Shot("stage+insets", stage=STAGE, fluoroscopy=(AP,), section=SECTION),
    "section": Shot("stage+insets", stage=STAGE, section=SECTION, gauges=("wedge",)),
    "in focus": Shot("stage+insets", stage=STAGE, section=SECTION, focus="section"),
    "radiograph": Shot("stage+insets", stage=STAGE, fluoroscopy=(AP,), focus="ap"),
    "alone": Shot("stage", stage=STAGE),
    "room": Shot("table", stage=STAGE, fluoroscopy=(AP,)),
    "two planes": Shot("two-plane", stage=STAGE, fluoroscopy=(AP, LATERAL), section=SECTION),
    "two columns": Shot("columns", columns=tuple(ColumnShot(n, stage=STAGE, below=AP) for n in "ab")),
    "two stages": Shot("columns", columns=tuple(ColumnShot(n, stage=STAGE) for n in "ab")),
    "three columns": Shot("columns", columns=tuple(ColumnShot(n, stage=STAGE, below=AP) for n in "abc")),
}


def fit(shot, design):
    return fitted(shot, slots_of(shot, design), slots_of(shot), design)


def stage_of(shot, design):
    """The stage of a shot as it is fitted, and the size of its picture."""
    name = "stage" if shot.stage is not None else f"{shot.columns[0].name}:stage"
    made = fit(shot, design)
    picture = panels_of(shot, design)[name].picture
    return (made.stage or made.columns[0].stage), (picture.w, picture.h)


@pytest.mark.parametrize("design", NARROW, ids=[design.aspect for design in NARROW])
@pytest.mark.parametrize("name", SHOTS)
@given(across=st.floats(-1.0, 1.0), up=st.floats(-0.75, 0.75))
def test_what_the_wide_picture_is_about_stays_in_the_narrow_one(name, design, across, up):
    """A point of its middle (SUBJECT_RATIO times its height across) is in the narrow picture too."""
    wide_stage, wide_size = stage_of(SHOTS[name], WIDE)
    reach = min(wide_size[0], SUBJECT_RATIO * wide_size[1])
    pixel = (wide_size[0] / 2 + 0.49 * 0.85 * across * reach, wide_size[1] / 2 + 0.49 * up * wide_size[1])
    camera = wide_stage.camera
    point = camera.position_mm + 300.0 * camera.ray(pixel, wide_size)
    stage, size = stage_of(SHOTS[name], design)
    (at,), _ = stage.camera.project([point], size)
    assert 0.0 < at[0] < size[0]
    assert 0.0 < at[1] < size[1]


@pytest.mark.parametrize("name", SHOTS)
def test_at_16_9_nothing_is_fitted(name):
    assert fit(SHOTS[name], WIDE) is SHOTS[name]


@pytest.mark.parametrize("design", NARROW, ids=[design.aspect for design in NARROW])
def test_labels_are_placed_with_the_camera_that_is_drawn(design):
    for shot in SHOTS.values():
        made = fit(shot, design)
        for stage in (made.stage, *(column.stage for column in made.columns)):
            assert stage is None or stage.place_camera == stage.camera


@pytest.mark.parametrize("design", NARROW, ids=[design.aspect for design in NARROW])
def test_a_title_s_backdrop_comes_from_beside_the_words_into_the_picture(design):
    """At 16:9 it stands 0.42 of the height right of the middle: off a narrow screen."""
    shot = Shot("card", card=CardShot("title", backdrop=replace(STAGE, camera=CAMERA.shifted(0.42, 0.04))))
    camera = fit(shot, design).card.backdrop.camera
    (at,), _ = camera.project([(0, 0, 0)], (design.width, design.height))
    assert 0.2 < at[0] / design.width < 0.85
    assert 0.15 < at[1] / design.height < 0.6


@pytest.mark.parametrize("design", NARROW, ids=[design.aspect for design in NARROW])
def test_a_change_of_scale_passes_over_and_a_change_of_focus_does_not(design):
    shot = SHOTS["two insets"]
    calm, told = (fit(replace(shot, focus=focus), design).stage for focus in ("", "section"))
    assert not cuts(calm, replace(calm, camera=calm.camera.widened(1.02)))
    assert cuts(calm, replace(calm, camera=calm.camera.widened(1.2)))
    heights = [panels_of(replace(shot, focus=focus), design)["stage"].picture.h for focus in ("", "section")]
    per_px = [stage.camera.visible_height_mm() / h for stage, h in zip((calm, told), heights, strict=True)]
    assert per_px[0] == pytest.approx(per_px[1], rel=1e-9)


def test_the_stage_is_as_large_as_its_narrow_side_lets_it_be():
    """Upright no smaller than at 16:9 but for a few percent; on a square screen with two insets about half."""
    sizes = {}
    for aspect, design in DESIGNS.items():
        stage, (_, height) = stage_of(SHOTS["two insets"], design)
        sizes[aspect] = height / stage.camera.visible_height_mm()
    assert sizes["9:16"] > 0.95 * sizes["16:9"]
    assert sizes["1:1"] > 0.45 * sizes["16:9"]
    assert np.isfinite(list(sizes.values())).all()
