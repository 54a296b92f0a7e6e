"""How the tumour answers over weeks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spineviz.data.assets import asset
from spineviz.data.sourced import sourced_table
from spineviz.physics.response import default_response

WEEKS = np.linspace(0, 12, 2401)


def course(law):
    return np.array([law.diameter_share(week) for week in WEEKS])


@pytest.mark.parametrize("swelling", [True, False])
def test_it_begins_whole_and_ends_30_percent_smaller(swelling):
    law = default_response(swelling)
    assert law.diameter_share(0.0) == 1.0
    assert law.diameter_share(12.0) == pytest.approx(0.70, abs=1e-6)
    assert law.volume_share(12.0) == pytest.approx(0.343, abs=1e-5)
    assert law.diameter_share(-3.0) == 1.0
    assert law.diameter_share(60.0) == law.diameter_share(12.0)


def test_it_swells_once_and_shrinks_from_then_on():
    share = course(default_response())
    peak = int(share.argmax())
    assert 0 < WEEKS[peak] < 1.0
    assert 1.02 < share[peak] < 1.05
    assert (np.diff(share[: peak + 1]) > 0).all()
    assert (np.diff(share[peak:]) < 0).all()


def test_without_swelling_it_never_grows():
    assert (np.diff(course(default_response(swelling=False))) <= 0).all()


def test_it_is_smooth():
    # no step in how fast it changes: less than 1 % of the diameter a week from one hour to the next few
    slope = np.gradient(course(default_response()), WEEKS)
    assert np.abs(np.diff(slope)).max() < 0.005


@given(final=st.floats(0.3, 1.0), time=st.floats(1.0, 6.0), swelling=st.floats(0.0, 0.2), when=st.floats(0.2, 1.0))
def test_any_such_law_has_one_peak_and_its_own_end(final, time, swelling, when):
    law = replace(default_response(), final_diameter=final, time_weeks=time, swelling=swelling, swelling_weeks=when)
    share = course(law)
    grows = np.diff(share) > 1e-12
    assert not (~grows[:-1] & grows[1:]).any()
    assert share[-1] == pytest.approx(final, abs=0.2 * 12 / when * np.exp(1 - 12 / when) + 1e-12)


def test_the_dead_centre_grows_within_the_tumour():
    law = default_response()
    dead = [law.dead_share(week) for week in WEEKS]
    assert dead[0] == 0
    assert (np.diff(dead) >= 0).all()
    assert dead[-1] == pytest.approx(0.75)


def test_all_of_it_is_marked_constructed():
    rows = sourced_table(asset("anatomy", "flow.csv"))
    assert all(row.mark.startswith("constructed") for name, row in rows.items() if name.startswith("response"))


def test_a_law_that_is_none_is_refused():
    with pytest.raises(ValueError, match="final_diameter"):
        replace(default_response(), final_diameter=0.0)
    with pytest.raises(ValueError, match="must be positive"):
        replace(default_response(), weeks=0.0)
