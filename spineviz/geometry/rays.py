"""Rays and the lengths that they run inside shapes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.geometry.fields import Field, as_points

_BISECTIONS = 30


def path_lengths(field: Field, starts_mm: ArrayLike, ends_mm: ArrayLike, step_mm: float = 0.5) -> NDArray[np.float64]:
    """(N,) mm that each segment from `starts_mm` (N, 3) to `ends_mm` (N, 3) runs inside `field`.

    The segment is searched every `step_mm` for changes of sign, and each is then found by bisection, so a crossing
    is exact; only a part thinner than `step_mm` along the ray can be missed.
    """
    starts, ends = as_points(starts_mm), as_points(ends_mm)
    spans = np.linalg.norm(ends - starts, axis=1)
    count = max(2, int(np.ceil(float(spans.max(initial=0.0)) / step_mm)) + 1)
    shares = np.linspace(0.0, 1.0, count)
    inside = np.empty((count, len(starts)), bool)
    for i, share in enumerate(shares):
        inside[i] = field.distance(starts + share * (ends - starts)) < 0
    step = 1.0 / (count - 1)
    total = step * (inside[:-1] & inside[1:]).sum(0).astype(float)
    row, ray = np.nonzero(inside[:-1] != inside[1:])
    if len(ray):
        low, high = shares[row].copy(), shares[row + 1].copy()
        enters = ~inside[row, ray]
        a, run = starts[ray], (ends - starts)[ray]
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            now = field.distance(a + middle[:, None] * run) < 0
            before = now == ~enters
            low, high = np.where(before, middle, low), np.where(before, high, middle)
        crossing = (low + high) / 2
        part = np.where(enters, shares[row + 1] - crossing, crossing - shares[row])
        np.add.at(total, ray, part)
    return total * spans
