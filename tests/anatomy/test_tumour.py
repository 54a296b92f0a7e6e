"""The tumour: as large as asked, on its side, inside the body, and growing evenly."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.anatomy.fracture import SHAPES, fracture
from spineviz.anatomy.patient import patient
from spineviz.anatomy.tumour import greatest_diameter_mm, tumour
from spineviz.anatomy.vertebra import vertebra
from spineviz.data.errors import RequestError
from spineviz.data.tables import LEVELS
from spineviz.geometry.fields import sphere
from spineviz.geometry.meshes import Mesh, mesh_field

sides = st.sampled_from(["left", "right"])
seeds = st.integers(0, 10**6)


def test_the_greatest_diameter_of_a_ball_is_twice_its_radius():
    assert greatest_diameter_mm(mesh_field(sphere([1, 2, 3], 6.0), 0.5)) == pytest.approx(12.0, abs=0.1)


@given(st.integers(0, 10**6))
def test_the_greatest_diameter_is_that_of_all_pairs(seed):
    from scipy.spatial.distance import pdist

    points = np.random.default_rng(seed).normal(size=(200, 3)) * [4.0, 3.0, 2.0]
    longest = pdist(points).max()
    assert longest * 0.998 <= greatest_diameter_mm(Mesh(points, np.zeros((0, 3), np.int64))) <= longest + 1e-9


@settings(max_examples=24)
@given(st.sampled_from(LEVELS), st.floats(6.0, 14.0), sides, seeds)
def test_every_body_holds_a_tumour_of_the_chosen_diameter_and_side(level, diameter_mm, side, seed):
    grown = tumour(level, diameter_mm, side, seed)
    mesh = grown.mesh(1.0, 0.7)
    assert greatest_diameter_mm(mesh) == pytest.approx(diameter_mm, rel=0.02)
    assert mesh.is_closed
    assert mesh.pieces == 1
    here = vertebra(level)
    assert here.core(mesh.points_mm).max() < -0.3  # inside the trabecular bone, the wall whole
    assert mesh.points_mm[:, 1].min() > here.landmarks["body-back-centre"][1]  # in front of the canal
    assert np.sign(mesh.points_mm[:, 0].mean()) == (1 if side == "right" else -1)


@settings(max_examples=12)
@given(st.sampled_from(["T5", "L1"]), sides, seeds, st.floats(0.05, 1.0))
def test_it_grows_evenly(level, side, seed, share):
    grown = tumour(level, 12.0, side, seed)
    whole, part = grown.mesh(1.0), grown.mesh(share)
    assert part.volume_ml == pytest.approx(share**3 * whole.volume_ml, rel=1e-6)
    assert greatest_diameter_mm(part) == pytest.approx(share * greatest_diameter_mm(whole), rel=1e-6)
    assert vertebra(level).core(part.points_mm).max() < -0.3
    field = grown.field(share)
    assert np.abs(field(part.points_mm)).max() < 0.25
    assert (field.bounds_mm[0] <= part.points_mm.min(0)).all()
    assert (field.bounds_mm[1] >= part.points_mm.max(0)).all()


def test_it_is_lobed_and_every_seed_has_its_own():
    """A ball of that diameter holds far more, and its hull has dents."""
    from scipy.spatial import ConvexHull

    one, other = tumour("L1", 14.0, "left", 1).mesh(), tumour("L1", 14.0, "left", 2).mesh()
    assert one.volume_ml < 0.8 * np.pi / 6 * 1.4**3
    assert one.volume_ml < 0.93 * ConvexHull(one.points_mm).volume / 1000
    assert len(one.points_mm) != len(other.points_mm) or np.abs(one.points_mm - other.points_mm).max() > 0.5


def test_before_it_grows_there_is_none():
    grown = tumour("L1")
    assert len(grown.mesh(0.0).points_mm) == 0
    assert (grown.field(0.0)(np.zeros((1, 3))) > 0).all()


@settings(max_examples=12)
@given(st.sampled_from(["T8", "L1"]), st.sampled_from(SHAPES), st.floats(0.1, 0.6), st.floats(0.0, 1.0))
def test_it_moves_with_the_broken_body_and_stays_inside(level, shape, loss, amount):
    broken, grown = fracture(level, shape, loss), tumour(level, 12.0)
    mesh = broken.deformed(grown.mesh(), amount)
    field, core = broken.warped(grown.full, amount), broken.warped(vertebra(level).core, amount)
    assert np.abs(field(mesh.points_mm)).max() < 0.2
    assert core(mesh.points_mm).max() < 0
    assert mesh.volume_ml <= grown.mesh().volume_ml + 1e-9


@pytest.mark.parametrize(("level", "diameter_mm"), [("T1", 24.0), ("T4", 24.0), ("T8", 40.0), ("L3", 60.0)])
def test_too_large_a_tumour_is_refused_with_one_that_fits(level, diameter_mm):
    with pytest.raises(RequestError, match=rf"tumour.diameter_mm: {diameter_mm:g} .*{level}; give 4 to \d+") as refusal:
        tumour(level, diameter_mm)
    largest = float(re.findall(r"to (\d+)", str(refusal.value))[-1])
    assert 10.0 <= largest < diameter_mm
    assert greatest_diameter_mm(tumour(level, largest).mesh(1.0, 0.7)) == pytest.approx(largest, rel=0.02)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("L1", 14.0, "middle"), r"tumour.side: .*'middle'.*left or right"),
        (("L1", 14.0, "left", 7, "epidural"), r"tumour.extent: 'epidural'.*body"),
        (("L1", 14.0, "left", 7, "canal"), r"tumour.extent: .*'canal'.*auto or body"),
        (("L1", 1.0), r"tumour.diameter_mm: 1 .*4 or more"),
        (("L1", float("nan")), r"tumour.diameter_mm: nan"),
        (("S1", 14.0), r"spine.level.*'S1'"),
    ],
)
def test_wrong_requests_are_refused_by_key(arguments, said):
    with pytest.raises(RequestError, match=said):
        tumour(*arguments)


@pytest.mark.parametrize(("growth", "lift"), [(1.0, 0.0), (0.6, 0.0), (1.0, 0.5)])
def test_the_tumour_says_where_it_lay_in_the_healthy_bone(growth, lift):
    here = patient("L1")
    amount = here.amount(1.0, 1.0, lift)
    part = here.tumour_structure(amount, growth)
    assert here.tumour is not None
    grown = here.tumour.mesh(growth, 1.0)
    assert part.healthy(part.world_mesh(1.0).points_mm) == pytest.approx(grown.points_mm, abs=1e-6)
    assert here.tumour_structure(0.0, growth).healthy is None
