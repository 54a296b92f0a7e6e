"""The sizes of needles."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from spineviz.data.errors import RequestError
from spineviz.devices.catalogue import needle_size, needle_sizes


def test_larger_gauge_is_thinner():
    sizes = list(needle_sizes().values())
    assert [s.gauge for s in sizes] == [8, 10, 11, 13, 15]
    assert all(a.outer_mm > b.outer_mm and a.inner_mm > b.inner_mm for a, b in pairwise(sizes))
    assert all(0 < s.inner_mm < s.outer_mm for s in sizes)


def test_every_row_carries_its_source():
    assert all(s.citation and s.mark and s.use for s in needle_sizes().values())


def test_bore_of_an_11_gauge_10_cm_needle_holds_about_half_a_millilitre():
    held = needle_size(11).bore_ml(100.0)
    assert held == pytest.approx(np.pi * 1.195**2 * 100 / 1000, rel=1e-12)
    assert held == pytest.approx(0.45, abs=0.01)


def test_the_shortest_length_that_reaches_is_chosen():
    size = needle_size(11)
    assert size.length_for(79.9, 20.0) == 100.0
    assert size.length_for(80.1, 20.0) == 125.0
    assert size.length_for(500.0, 20.0) == 150.0


def test_unknown_gauge_is_refused_with_the_catalogue():
    with pytest.raises(RequestError, match=r"needle\.gauge: 12 .* 8, 10, 11, 13, 15"):
        needle_size(12)
