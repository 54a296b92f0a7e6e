"""Attenuation and density: the table's own values, the line between them, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spineviz.anatomy.materials import attenuation, density, material, materials
from spineviz.data.errors import RequestError

HAVE_EDGES = {"platinum", "tantalum"}


@pytest.mark.parametrize(
    ("name", "kev", "per_cm"),
    [
        ("cortical", 60, 0.605),
        ("trabecular", 60, 0.231),
        ("cement", 60, 1.63),
        ("steel", 60, 10.1),
        ("adipose", 80, 0.171),
        ("muscle", 40, 0.282),
        ("tantalum", 70, 178.0),
    ],
)
def test_tabulated_values_come_back_exactly(name, kev, per_cm):
    assert attenuation(name, kev).value == per_cm
    assert attenuation(name, kev).unit == "1/cm"


def test_every_row_has_a_source_and_a_mark():
    for row in materials().values():
        assert row.citation
        assert row.mark
        assert row.density.value > 0
        assert (row.mu_per_cm > 0).all()
        assert (np.diff(row.energies_kev) > 0).all()


@given(st.sampled_from(sorted(set(materials()) - HAVE_EDGES)), st.floats(40, 80), st.floats(40, 80))
def test_softer_rays_are_stopped_more_where_there_is_no_edge(name, a, b):
    low, high = sorted((a, b))
    assert attenuation(name, low).value >= attenuation(name, high).value


@given(st.sampled_from(sorted(materials())), st.integers(0, 5))
def test_between_two_energies_the_line_is_straight_on_logarithms(name, i):
    row = material(name)
    if row.mu_per_cm[i + 1] > row.mu_per_cm[i]:
        return
    middle = float(np.sqrt(row.energies_kev[i] * row.energies_kev[i + 1]))
    expected = np.sqrt(row.mu_per_cm[i] * row.mu_per_cm[i + 1])
    assert attenuation(name, middle).value == pytest.approx(expected, rel=1e-12)
    assert "interpolated" in attenuation(name, middle).mark


@pytest.mark.parametrize(("name", "kev"), [("platinum", 75.0), ("tantalum", 67.0)])
def test_no_line_is_drawn_across_an_absorption_edge(name, kev):
    with pytest.raises(RequestError, match="absorption edge"):
        attenuation(name, kev)


@pytest.mark.parametrize("kev", [39.9, 80.1, float("nan"), float("inf")])
def test_an_energy_outside_the_table_is_refused(kev):
    with pytest.raises(RequestError, match="40 to 80"):
        attenuation("water", kev)


def test_an_unknown_material_is_refused_with_the_names():
    with pytest.raises(RequestError, match=r"'bone marow'.*cortical"):
        density("bone marow")


def test_what_a_radiograph_must_tell_apart_is_ordered():
    order = ["air", "lung", "adipose", "viscera", "muscle", "disc", "trabecular", "cortical", "cement", "steel"]
    values = [attenuation(name).value for name in order]
    assert values == sorted(values)
    assert len(set(values)) == len(values)
