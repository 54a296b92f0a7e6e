"""Where a C-arm stands, and what of a point's weight falls on which part of its picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.geometry.fields import as_points, as_vector
from spineviz.geometry.frames import Frame, rotation_about

PROJECTIONS = ("ap", "lateral", "oblique", "front")
_AT_ONCE = 65_536
"""Small bodies that are spread at one time: what lies between stays in the processor's cache."""
_AXES = {
    # columns: right on screen, up on screen, towards the eye
    "ap": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
    "lateral": np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
    "front": np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]),
}


@cache
def beam(name: str) -> float:
    """One number of assets/anatomy/beam.csv; KeyError for a name that it has not."""
    from spineviz.data.assets import asset
    from spineviz.data.tables import sourced_table

    return float(sourced_table(asset("anatomy", "beam.csv"))[name].value)


@dataclass(frozen=True, eq=False)
class Projection:
    """Where source and detector stand.

    Attributes:
        name: one of PROJECTIONS.
        world_from_view: x is right and y up on screen, z points to the detector and the eye; its origin, the isocentre,
            is the picture's centre.
        field_of_view_mm: what the picture's shorter side shows at the isocentre.
        source_to_isocentre_mm, source_to_detector_mm: along the central ray.
    """

    name: str
    world_from_view: Frame
    field_of_view_mm: float
    source_to_isocentre_mm: float
    source_to_detector_mm: float

    @property
    def source_mm(self) -> NDArray[np.float64]:
        """(3,) the focal spot, world frame."""
        return self.world_from_view.point([0.0, 0.0, -self.source_to_isocentre_mm])

    @property
    def world_from_detector(self) -> Frame:
        """The detector's plane: the same axes, its origin where the central ray meets it."""
        away = self.source_to_detector_mm - self.source_to_isocentre_mm
        return Frame(self.world_from_view.rotation, self.world_from_view.point([0.0, 0.0, away]))

    @property
    def magnification(self) -> float:
        """How much larger than life a thing at the isocentre is on the detector."""
        return self.source_to_detector_mm / self.source_to_isocentre_mm

    @cached_property
    def key(self) -> str:
        """The same for projections that give the same picture."""
        numbers = [
            *self.world_from_view.matrix[:3].ravel(),
            self.field_of_view_mm,
            self.source_to_isocentre_mm,
            self.source_to_detector_mm,
        ]
        return self.name + ":" + ",".join(f"{v:.4f}" for v in numbers)

    def flat(self, points_mm: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where the rays through `points_mm` (N, 3) cross the isocentre's plane, (N, 2) mm right and up of the centre,
        and how far along the central ray the points lie from the source, (N,) mm."""
        local = (as_points(points_mm) - self.world_from_view.origin_mm) @ self.world_from_view.rotation
        depth = local[:, 2] + self.source_to_isocentre_mm
        return local[:, :2] * (self.source_to_isocentre_mm / depth)[:, None], depth


def projection(
    name: str,
    centre_mm: ArrayLike = (0.0, 0.0, 0.0),
    field_of_view_mm: float = 150.0,
    turn_deg: float | None = None,
    tilt_deg: float = 0.0,
) -> Projection:
    """A C-arm's projection.

    Args:
        name: "ap" (patient prone, seen from behind: left on screen left), "lateral" (head up, front on screen left),
            "oblique" (from behind, the detector turned to one side) or "front" (patient on the back, seen from the
            front: left on screen right).
        centre_mm: (3,) the isocentre, world frame.
        field_of_view_mm: what the picture's shorter side shows there.
        turn_deg: of the detector about the patient's long axis, towards the patient's right (in a lateral, towards
            the back); by default 0, for "oblique" the table's.
        tilt_deg: of the detector towards the head.

    Raises:
        ValueError: for another name, or a field of view of 0 or less.
    """
    if name not in PROJECTIONS:
        raise ValueError(f"projection name {name!r}; there is {', '.join(PROJECTIONS)}")
    if not field_of_view_mm > 0:
        raise ValueError(f"field_of_view_mm must be more than 0, got {field_of_view_mm}")
    turn = turn_deg if turn_deg is not None else (beam("oblique_turn_deg") if name == "oblique" else 0.0)
    axes = Frame(_AXES.get(name, _AXES["ap"]), np.zeros(3))
    # a detector in front of the patient goes the other way round to come to the same side
    turned = rotation_about([0.0, 0.0, 1.0], -turn if name == "front" else turn) @ axes
    tilted = turned @ rotation_about([1.0, 0.0, 0.0], -tilt_deg)
    return Projection(
        name,
        Frame(tilted.rotation, as_vector(centre_mm, "centre_mm")),
        float(field_of_view_mm),
        beam("source_to_isocentre_mm"),
        beam("source_to_detector_mm"),
    )


@dataclass(frozen=True, eq=False)
class Lattice:
    """Where an image is sampled on the isocentre's plane: `columns` by `rows`, centred, row 0 at the top."""

    rows: int
    columns: int
    spacing_mm: float

    @property
    def right_mm(self) -> NDArray[np.floating]:
        """(columns,) positions from left to right."""
        return (np.arange(self.columns) - (self.columns - 1) / 2) * self.spacing_mm

    @property
    def up_mm(self) -> NDArray[np.floating]:
        """(rows,) positions from top to bottom, so falling."""
        return ((self.rows - 1) / 2 - np.arange(self.rows)) * self.spacing_mm


def lattice_over(size_px: tuple[int, int], mm_per_px: float, spacing_mm: float) -> Lattice:
    """A lattice of about `spacing_mm` (never finer than the pixels) that reaches two cells past the picture."""
    if spacing_mm <= mm_per_px:
        return Lattice(size_px[1], size_px[0], mm_per_px)
    columns, rows = (int(np.ceil(n * mm_per_px / spacing_mm)) + 5 for n in size_px)
    return Lattice(rows, columns, spacing_mm)


def splat(seen: Projection, lattice: Lattice, view_mm: NDArray, weight_mm2: NDArray) -> NDArray[np.float32]:
    """The line integrals of small bodies: (rows, columns).

    Each point, a column of `view_mm` (3, N) in the view's frame, carries a volume times a coefficient, mm^2; it is
    spread over 3 by 3 cells by a quadratic spline, which keeps its whole weight.
    """
    image = np.zeros((lattice.rows, lattice.columns))
    for first in range(0, len(weight_mm2), _AT_ONCE):
        few = slice(first, first + _AT_ONCE)
        _spread(image, seen, lattice.spacing_mm, view_mm[:, few], weight_mm2[few])
    return image.astype(np.float32)


def _spread(image: NDArray[np.float64], seen: Projection, step: float, view_mm: NDArray, weight_mm2: NDArray) -> None:
    """Add a few bodies to `image`, whose cells are `step` wide."""
    rows, columns = image.shape
    far = np.float32(seen.source_to_isocentre_mm)
    right, up, along = view_mm
    scale = far / (along + far)
    u, v = right * scale, up * scale
    # a cell's bundle of rays has the section step^2/scale^2 here, and slanted rays run longer in it by 1/cosine
    amount = weight_mm2 * scale**2 * np.sqrt(1.0 + (u * u + v * v) / far**2) / np.float32(step**2)
    x = u / np.float32(step) + np.float32((columns - 1) / 2)
    y = np.float32((rows - 1) / 2) - v / np.float32(step)
    i, j = np.rint(x).astype(np.int32), np.rint(y).astype(np.int32)
    kept = (i >= 0) & (i < columns) & (j >= 0) & (j < rows)
    if not kept.all():
        x, y, i, j, amount = x[kept], y[kept], i[kept], j[kept], amount[kept]
    if not len(i):
        return
    a, b = x - i, y - j
    across = (0.5 * (0.5 - a) ** 2, 0.75 - a * a, 0.5 * (0.5 + a) ** 2)
    down = (0.5 * (0.5 - b) ** 2, 0.75 - b * b, 0.5 * (0.5 + b) ** 2)
    # only the window that holds the bodies is counted
    left, top, right, bottom = int(i.min()), int(j.min()), int(i.max()) + 1, int(j.max()) + 1
    wide = right - left + 2
    out = np.zeros((bottom - top + 2) * wide)
    cell = ((j - top + 1) * wide + i - left + 1).astype(np.intp)
    for dy in (-1, 0, 1):
        line = amount * down[dy + 1]
        for dx in (-1, 0, 1):
            # counted at the middle cell and then shifted: no new index for each of the nine
            shift = dy * wide + dx
            part = np.bincount(cell, line * across[dx + 1], len(out))
            out[max(shift, 0) : len(out) + min(shift, 0)] += part[max(-shift, 0) : len(out) - max(shift, 0)]
    counted = out.reshape(-1, wide)[max(0, 1 - top) :, max(0, 1 - left) :]
    window = image[max(0, top - 1) : bottom + 1, max(0, left - 1) : right + 1]
    window += counted[: window.shape[0], : window.shape[1]]
