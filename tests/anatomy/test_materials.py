"""Attenuation and density: the table's own values, the line between them, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spineviz.anatomy.materials import (
    attenuation,
    bone_attenuation,
    bone_volume_share,
    density,
    material,
    materials,
)
from spineviz.data.errors import RequestError

HAVE_EDGES = {"platinum", "marker", "tantalum"}


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


# bone in marrow -------------------------------------------------------------------------------------------------------

MIXTURES = {"marrow": 0.0, "trabecular-5": 0.05, "trabecular-8": 0.08, "trabecular": 0.08, "trabecular-12": 0.12,
            "trabecular-20": 0.20, "cortical": 1.0, "bone": 1.0}  # fmt: skip


def test_bone_shares_are_those_of_the_names():
    assert {n: row.bone_share for n, row in materials().items() if row.bone_share is not None} == MIXTURES
    assert bone_volume_share("trabecular").value == 0.08
    assert "xraydb" in bone_volume_share("trabecular").citation


@pytest.mark.parametrize("name", ["cement", "steel", "water"])
def test_what_is_no_bone_has_no_bone_share(name):
    with pytest.raises(RequestError, match=rf"'{name}'.*marrow.*trabecular-8.*cortical"):
        bone_volume_share(name)


@given(st.sampled_from(sorted(MIXTURES)), st.floats(40.0, 80.0))
def test_a_tabulated_mixture_attenuates_as_its_row_says(name, kev):
    assert bone_attenuation(MIXTURES[name], kev) == pytest.approx(attenuation(name, kev).value, rel=1e-12)


@given(st.floats(0.0, 1.0), st.sampled_from([40.0, 55.0, 60.0, 80.0]))
def test_attenuation_goes_with_the_mass_of_bone(share, kev):
    marrow, cortex = attenuation("marrow", kev).value, attenuation("cortical", kev).value
    assert bone_attenuation(share, kev) == pytest.approx(marrow + share * (cortex - marrow), rel=0.005)


@given(st.floats(40.0, 80.0))
def test_denser_bone_stops_more(kev):
    shares = np.linspace(0.0, 1.0, 101)
    assert (np.diff(bone_attenuation(shares, kev)) > 0).all()
    assert bone_attenuation(shares.reshape(1, 101), kev).shape == (1, 101)


def test_what_fills_the_balloon_and_the_cavity_is_in_the_table():
    assert material("contrast").name == "iohexol-150"
    assert material("cavity") is material("channel") is material("blood")
