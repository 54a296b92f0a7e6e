"""The outlines of people: whole, symmetric, of human size."""

from __future__ import annotations

import numpy as np
import pytest

from spineviz.anatomy import figure
from spineviz.geometry.meshes import mesh_field


@pytest.fixture(scope="module")
def patient():
    return mesh_field(figure.prone_patient(), 12.0)


def test_patient_is_one_closed_person_of_human_size(patient):
    assert patient.is_closed
    assert patient.pieces == 1
    high = patient.bounds_mm[1]
    head = patient.points_mm[np.abs(patient.points_mm[:, 0]) < 60][:, 2].max()
    heel = patient.points_mm[:, 2].min()
    assert 1700 < head - heel < 1950  # 1.75 m with the feet pointed
    assert 55 < patient.volume_ml / 1000 < 95  # litres, so kilograms
    assert high[2] > head  # the hands lie above the head


def test_patient_is_the_same_on_both_sides():
    rng = np.random.default_rng(3)
    points = rng.uniform([-350, -150, -1200], [350, 200, 800], (4000, 3))
    field = figure.prone_patient()
    assert field(points) == pytest.approx(field(points * [-1, 1, 1]), abs=1e-9)


def test_patient_lies_face_down():
    field = figure.prone_patient()
    nose, nape = np.array([[0.0, 128.0, 522.0]]), np.array([[0.0, -92.0, 522.0]])
    assert field(nose)[0] < 4.0  # anterior is down in the room
    assert field(nape)[0] > 0.0
    toes = mesh_field(field, 16.0).points_mm
    assert toes[np.argmin(toes[:, 2])][1] > 60.0


@pytest.mark.parametrize(
    "build",
    [
        figure.standing_gown,
        figure.standing_scrubs,
        figure.standing_apron,
        figure.standing_face,
        figure.standing_cap,
        figure.standing_mask,
        figure.standing_glasses,
        figure.patient_cap,
    ],
)
def test_parts_are_closed_single_pieces(build):
    mesh = mesh_field(build(), 9.0)
    assert mesh.is_closed
    assert mesh.pieces == 1


def test_gown_covers_the_trousers_to_below_the_knee():
    legs = mesh_field(figure.standing_legs(), 12.0).points_mm
    inside = figure.standing_gown()(legs) < 0
    assert inside[legs[:, 2] > 430].all()
    assert not inside[legs[:, 2] < 250].any()


def test_a_loft_of_equal_circles_is_a_cylinder():
    rows = np.array([[0, 0, z, 20, 20, np.nan] for z in (0.0, 25.0, 60.0)])
    mesh = mesh_field(figure.loft(rows, squareness=2.0), 1.0)
    assert mesh.volume_ml == pytest.approx(np.pi * 400 * 60 / 1000, rel=0.01)


def test_unknown_part_is_named():
    with pytest.raises(KeyError, match="no part 'tail'"):
        figure.stations("tail")
