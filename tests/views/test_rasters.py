"""Pictures on rasters: blurs, and what is carried along one axis."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import kstest

from spineviz.views.rasters import Band, blurred, blurred_wide, normal_deviates, spline_weights

SPECKLED = np.random.default_rng(5).random((137, 90), np.float32)


@pytest.mark.parametrize("spread_px", [0.35, 0.9, 2.1, 4.9])
@pytest.mark.parametrize("shape", [(137, 90), (33, 7), (5, 200)])
def test_a_blur_is_the_gaussian_filter_with_its_edges_carried_on(spread_px, shape):
    image = np.resize(SPECKLED, shape)
    assert blurred(image, spread_px) == pytest.approx(gaussian_filter(image, spread_px, mode="nearest"), abs=2e-6)


@pytest.mark.parametrize(("spread_px", "coarse"), [(7.0, 2), (14.0, 4), (30.0, 6)])
def test_a_wide_blur_is_that_of_the_whole_picture_away_from_its_edges(spread_px, coarse):
    image = gaussian_filter(np.random.default_rng(6).random((300, 320), np.float32), 6.0)
    whole = gaussian_filter(image, spread_px, mode="nearest")
    inner = slice(int(4.2 * spread_px), -int(4.2 * spread_px))
    gone = np.abs(blurred_wide(image, spread_px, coarse) - whole)[inner, inner]
    assert gone.max() < 0.01 * np.ptp(whole)


@pytest.mark.parametrize(("spread_px", "coarse"), [(2.1, 1), (7.0, 2), (131.0, 24)])
def test_a_blur_keeps_what_is_even(spread_px, coarse):
    assert blurred_wide(np.full((137, 90), 0.7, np.float32), spread_px, coarse) == pytest.approx(0.7, abs=4e-6)


def test_a_blur_leaves_its_picture_as_it_was():
    image = SPECKLED.copy()
    blurred(image, 7.0)
    assert (image == SPECKLED).all()


def test_a_band_carries_as_its_whole_matrix_does():
    weights = spline_weights(np.arange(120) / 3.1, 0.0, 1.0, 40)
    image = np.random.default_rng(1).standard_normal((40, 55)).astype(np.float32)
    band = Band(weights)
    assert band.down(image) == pytest.approx(weights @ image, abs=1e-5)
    assert band.across(image.T) == pytest.approx(image.T @ weights.T, abs=1e-5)


def test_normal_deviates_are_those_of_the_normal_distribution_and_independent():
    drawn = normal_deviates(np.random.default_rng(3), 400_000).astype(float)
    assert drawn.mean() == pytest.approx(0.0, abs=0.006)
    assert drawn.std() == pytest.approx(1.0, abs=0.005)
    assert kstest(drawn, "norm").pvalue > 0.01
    other = normal_deviates(np.random.default_rng(4), 400_000)
    for a, b in ((drawn, other), (drawn[1:], drawn[:-1]), (drawn[622:], drawn[:-622])):
        assert np.corrcoef(a, b)[0, 1] == pytest.approx(0.0, abs=0.006)
