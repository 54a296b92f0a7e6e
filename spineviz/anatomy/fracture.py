"""The fracture: a continuous, invertible collapse of one vertebral body, wedge, biconcave or crush.

The collapse is a chain of three shears, each of which moves points along one axis only: the front wall folds (y), the
sides fold (x), the trabeculae are crushed (z). Every shear is built from piecewise quadratics, so its inverse is a
closed form, its slope is continuous and its Jacobian, the product of three slopes, is positive by construction. Behind
the back wall nothing moves: pedicles, arch and canal are those of the healthy vertebra. (In a crush the middle of the
back wall sinks a little between the pedicles; it moves along z only, so the canal stays as wide and as deep.)

Coordinates are the vertebra's own frame, mm. `amount` is 0 healthy to 1 the full standing loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.anatomy.vertebra import vertebra
from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.sourced import Sourced
from spineviz.data.tables import known_level, morphometry, sourced_table
from spineviz.geometry.fields import Distances, Field, Points, Vector, as_points, box_bounds
from spineviz.geometry.frames import Frame, rotation_about, translation
from spineviz.geometry.meshes import Mesh

SHAPES = ("wedge", "biconcave", "crush")
LEAST_LOSS, LARGEST_LOSS = 0.05, 0.6

_STEEPEST = 0.86
"""The crushed zone keeps at least 1 - 0.86 of its height everywhere (numerical, so that triangles stay sound)."""

_FLANKS_BEGIN = 0.35
"""How far from back to front of the body its flanks begin to fold."""

_REMEMBERED = 1 << 16
"""At most so many points are remembered with what `inverse` found for them (8 MB)."""

_BRIDGE_SHARE = 0.1
"""Behind the back rims, over this share of the depth, the void of the canal takes up the back wall's sinking."""


@cache
def fracture_table() -> dict[str, Sourced]:
    """The figures of assets/anatomy/fracture.csv by name."""
    return sourced_table(asset("anatomy", "fracture.csv"))


def _figure(name: str) -> float:
    return fracture_table()[name].value


@dataclass(frozen=True, eq=False)
class Ramp:
    """A rise from 0 to 1 whose slope is continuous and piecewise linear.

    Attributes:
        knots: (K,) rising.
        slopes: (K,) the slope at each knot, 0 at both ends, none negative.
    """

    knots: NDArray[np.float64]
    slopes: NDArray[np.float64]

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """(K,) the height at each knot."""
        return np.concatenate([[0.0], np.cumsum(np.diff(self.knots) * (self.slopes[1:] + self.slopes[:-1]) / 2)])

    @cached_property
    def _curvature(self) -> NDArray[np.float64]:
        return np.concatenate([[0.0], np.diff(self.slopes) / np.diff(self.knots), [0.0]])

    def __call__(self, s: NDArray[np.float64]) -> NDArray[np.float64]:
        """The height at `s`."""
        piece = np.searchsorted(self.knots, s, side="right")
        start = np.clip(piece - 1, 0, len(self.knots) - 1)
        run = np.where(piece == 0, 0.0, s - self.knots[start])
        return self.values[start] + run * (self.slopes[start] + 0.5 * self._curvature[piece] * run)

    def slope(self, s: NDArray[np.float64]) -> NDArray[np.float64]:
        """The slope at `s`."""
        return np.interp(s, self.knots, self.slopes)

    def solve(self, target: NDArray[np.float64], share: NDArray[np.float64]) -> NDArray[np.float64]:
        """The `s` at which `s - share * self(s)` is `target`; all (N,), and `share` times the slope less than 1."""
        images = self.knots[:, None] - share[None, :] * self.values[:, None]
        piece = (target[None, :] >= images).sum(0)
        start = np.clip(piece - 1, 0, len(self.knots) - 1)
        over = target - images[start, np.arange(len(target))]
        rise = 1.0 - share * self.slopes[start]
        bend = share * self._curvature[piece]
        return self.knots[start] + np.where(
            piece == 0, over, 2.0 * over / (rise + np.sqrt(np.maximum(rise * rise - 2.0 * bend * over, 1e-12)))
        )


def ramp(*knots_and_slopes: tuple[float, float]) -> Ramp:
    """The ramp through (knot, relative slope) pairs, scaled to rise by 1."""
    knots, slopes = np.array(knots_and_slopes, float).T
    rise = float((np.diff(knots) * (slopes[1:] + slopes[:-1]) / 2).sum())
    return Ramp(knots, slopes / rise)


def blended(first: Ramp, second: Ramp, share: float) -> Ramp:
    """`share` of `second` and the rest of `first`."""
    knots = np.union1d(first.knots, second.knots)
    return Ramp(knots, (1.0 - share) * first.slope(knots) + share * second.slope(knots))


@dataclass(frozen=True, eq=False)
class Rims:
    """The body's four corners in the mid-sagittal plane, (3,) mm each, and how far it reaches to the sides.

    Attributes:
        back_wall: the middle of the back wall, at the waist.
        half_width_mm: of the wider end-plate.
        canal_half_width_mm: at the pedicles.
        upper_middle, lower_middle: the end-plates' surfaces half way between the rims.
    """

    upper_front: Vector
    upper_back: Vector
    lower_front: Vector
    lower_back: Vector
    back_wall: Vector
    upper_middle: Vector
    lower_middle: Vector
    half_width_mm: float
    canal_half_width_mm: float


def _surface_z(field: Field, y_mm: float, low_mm: float, high_mm: float) -> float:
    """The height in the mid-sagittal plane at which `field` changes sign between two heights (bisection)."""
    inside_low = bool(field.contains(np.array([[0.0, y_mm, low_mm]]))[0])
    for _ in range(40):
        middle = (low_mm + high_mm) / 2
        if bool(field.contains(np.array([[0.0, y_mm, middle]]))[0]) == inside_low:
            low_mm = middle
        else:
            high_mm = middle
    return (low_mm + high_mm) / 2


@cache
def rims(level: str) -> Rims:
    """The corners of the healthy body of `level` and its end-plates' middles.

    A corner is where it is put on a radiograph: at the end of the end-plate's line, which is as long as its published
    depth, where the wall's line meets it; a little outside the rounded edge of the bone.
    """
    here = vertebra(level)
    marks, row = here.landmarks, morphometry()[level]
    corners = {
        f"{end}_{side}": here.frames[f"{end}-endplate"].point([0.0, sign * row[f"EPD{end[0]}_mm"].value / 2, 0.0])
        for end in ("upper", "lower")
        for side, sign in (("front", 1.0), ("back", -1.0))
    }
    y_middle = float(np.mean([corner[1] for corner in corners.values()]))
    reach = float(max(abs(corner[2]) for corner in corners.values())) + 2.0
    return Rims(
        upper_front=corners["upper_front"],
        upper_back=corners["upper_back"],
        lower_front=corners["lower_front"],
        lower_back=corners["lower_back"],
        back_wall=marks["body-back-centre"],
        upper_middle=np.array([0.0, y_middle, _surface_z(here.body, y_middle, 0.0, reach)]),
        lower_middle=np.array([0.0, y_middle, _surface_z(here.body, y_middle, 0.0, -reach)]),
        half_width_mm=max(row["EPWu_mm"].value, row["EPWl_mm"].value) / 2,
        canal_half_width_mm=row["SCW_use_mm"].value / 2,
    )


@dataclass(frozen=True)
class Heights:
    """Measures of one body in the mid-sagittal plane, rim to rim (facts/definitions.md).

    Attributes:
        anterior_mm, posterior_mm: between the front, and between the back rims.
        middle_mm: between the end-plates half way from rim to rim.
        wedge_deg: of the two lines from rim to rim, positive where the front is lower.
    """

    anterior_mm: float
    middle_mm: float
    posterior_mm: float
    wedge_deg: float


class _Undone(NamedTuple):
    """Healthy places, and what `Fracture.inverse` met on the way to them or `forward` from them; M of the N points lie
    where anything moves.

    Attributes:
        healthy_mm: (N, 3).
        near: (M,) which of them may have moved.
        drop: (M,) by how much the column of bone there has grown shorter, mm.
        crushed: (M,) the same as a share of its height.
        share: (M,) where the healthy point lies between the planes of the rims, 0 low to 1 high.
        fold_x, fold_y: (M,) how far flanks and front wall are folded there, mm.
    """

    healthy_mm: Points
    near: NDArray[np.int64]
    drop: Distances
    crushed: Distances
    share: Distances
    fold_x: Distances
    fold_y: Distances


@dataclass
class _Met:
    """Points (N, 3) at an amount, undone, and if it was asked for what they are squeezed by, (N,)."""

    amount: float
    points_mm: Points
    undone: _Undone
    squeeze: Distances | None = None


@dataclass(frozen=True)
class Fracture:
    """A fracture of one vertebral body; build it with `fracture`.

    Attributes:
        level: T1 to L5.
        shape: "wedge" (front), "biconcave" (middle) or "crush" (whole, the back by less).
        height_loss: share of that height lost when standing.
        seed: of what varies by chance.
    """

    level: str
    shape: str = "wedge"
    height_loss: float = 0.35
    seed: int = 7

    # what is fixed by the level -------------------------------------------------------------------------------------

    @cached_property
    def _rims(self) -> Rims:
        return rims(self.level)

    @cached_property
    def _back_mm(self) -> float:
        """Where the body begins: the foremost point of its back wall, at the waist."""
        r = self._rims
        return float(max(r.upper_back[1], r.lower_back[1], r.back_wall[1]))

    @cached_property
    def _depth_mm(self) -> float:
        return float(self._rims.upper_front[1]) - self._back_mm

    @cached_property
    def _overhang(self) -> float:
        """How far the back rims stand behind the waist of the back wall, as a share of the depth."""
        return (self._back_mm - float(min(self._rims.upper_back[1], self._rims.lower_back[1]))) / self._depth_mm

    @cached_property
    def _phases(self) -> NDArray[np.float64]:
        return np.random.default_rng([self.seed, 41]).uniform(0.0, 2 * np.pi, 20)

    def _planes(self, y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Heights of the planes through the lower and the upper rims at `y`; level beyond the body."""
        r = self._rims
        held = np.clip(y, self._back_mm - 6.0, self._rims.upper_front[1] + 6.0)
        upper = r.upper_back[2] + (held - r.upper_back[1]) * _rise(r.upper_back, r.upper_front)
        lower = r.lower_back[2] + (held - r.lower_back[1]) * _rise(r.lower_back, r.lower_front)
        return lower, upper

    # the folds of the wall --------------------------------------------------------------------------------------------

    @cached_property
    def _front_loss_mm(self) -> float:
        """The height that the front loses at amount 1; what sets the size of the folds."""
        anterior = float(np.linalg.norm(self._rims.upper_front - self._rims.lower_front))
        return self.height_loss * anterior * (0.25 if self.shape == "biconcave" else 1.0)

    @cached_property
    def _front_ramp(self) -> Ramp:
        y, depth = self._back_mm, self._depth_mm
        return ramp((y + 0.5 * depth, 0.0), (y + 0.8 * depth, 1.0), (y + 0.9 * depth, 1.0), (y + 1.05 * depth, 0.0))

    @cached_property
    def _side_ramp(self) -> Ramp:
        w = self._rims.half_width_mm
        return ramp((-w, 0.0), (-0.75 * w, 1.0), (-0.45 * w, 0.0), (0.45 * w, 0.0), (0.75 * w, 1.0), (w, 0.0))

    def _fold(self, way: NDArray[np.float64], z: NDArray[np.float64], side: int) -> NDArray[np.float64]:
        """How far the wall stands out at healthy height `z`, per mm of lost height: lip, crack and buckle.

        `way` (mm along the wall) and `side` (0 front, 1 flanks) make them wander and come and go.
        """
        r, phase = self._rims, self._phases[4 * side : 4 * side + 4]
        s = (z - r.lower_front[2]) / (r.upper_front[2] - r.lower_front[2])
        wander = 0.045 * np.sin(way / 6.1 + phase[0]) + 0.022 * np.sin(way / 2.3 + phase[1])
        crack = s - 0.815 - wander
        fold = s - 0.60 - 0.6 * wander
        # the buckle is steeper above, where the upper fragment has sunk into it
        buckle = np.exp(-((fold / np.where(fold > 0, 0.085, 0.15)) ** 2))
        notch = np.exp(-((crack / 0.045) ** 2))
        return (
            _figure("step_share") * _smooth((s - 0.84 - wander) / 0.08)
            - _figure("notch_share") * (1.0 + 0.5 * np.sin(way / 3.7 + phase[2])) * notch
            + _figure("buckle_share") * (0.75 + 0.35 * np.sin(way / 4.9 + phase[3])) * buckle
        )

    def _fold_y(self, x: NDArray[np.float64], z: NDArray[np.float64], amount: float) -> NDArray[np.float64]:
        return amount * self._front_loss_mm * self._fold(x, z, 0)

    def _fold_x(self, y: NDArray[np.float64], z: NDArray[np.float64], amount: float) -> NDArray[np.float64]:
        """Half of the way between the two flanks' folds at `y` (already folded) and healthy height `z`."""
        start, end = self._back_mm + _FLANKS_BEGIN * self._depth_mm, self._back_mm + 0.8 * self._depth_mm
        share = _figure("side_share") * _smooth((y - start) / (end - start))
        return share * amount * self._front_loss_mm * self._fold(y, z, 1)

    def _folded(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which points may be moved by the flanks' folds, and which by the front's; before or after, it is the same."""
        beside = np.abs(x) > self._side_ramp.knots[3]  # the ramp is level between its two middle knots
        flank = np.flatnonzero(beside & (y > self._back_mm + _FLANKS_BEGIN * self._depth_mm))
        return flank, np.flatnonzero(y > self._front_ramp.knots[0])

    # the crush --------------------------------------------------------------------------------------------------------

    @cached_property
    def _tilt_ramp(self) -> Ramp:
        """How the end-plate gives way from back (0) to front (about 1): a hinge, then a straight line."""
        hinge = _figure("wedge_hinge_share") if self.shape == "wedge" else 0.5
        if self.shape == "wedge":
            return ramp((0.0, 0.0), (hinge, 1.0), (1.1, 1.0), (1.5, 0.0))
        return ramp((0.0, 0.0), (hinge / 2, 1.0), (hinge, 0.0))

    def _dish(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """1 in the middle of the end-plate, 0 with slope 0 at its rim and beyond."""
        r = self._rims
        centre = r.upper_middle[1]
        half_depth = 0.98 * min(centre - self._back_mm, self._back_mm + self._depth_mm - centre)
        across = (x / (0.9 * r.half_width_mm)) ** 2 + ((y - centre) / half_depth) ** 2
        return np.maximum(1.0 - across, 0.0) ** 2

    def _back_bridge(self, x: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.float64]:
        """1 at the middle of the back wall, 0 at the pedicles and where the front's ramp has risen."""
        reach = 0.85 * self._rims.canal_half_width_mm
        across = np.cos(np.pi / 2 * np.clip(x / reach, -1.0, 1.0)) ** 2
        # the back rims overhang the waist: they sink whole, and behind them the canal is empty
        behind = 1.0 - _smooth((-u - self._overhang) / _BRIDGE_SHARE)
        return across * behind * (1.0 - self._tilt_ramp(u))

    def _uneven(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """1 on the mid-sagittal plane, a little more or less beside it."""
        phase, width = self._phases, self._rims.half_width_mm
        wave = sum(
            share * (np.sin(pitch * x / width + phase[k]) - np.sin(phase[k]))
            for k, (share, pitch) in enumerate(((0.6, 1.6), (0.4, 4.1)), start=8)
        )
        return 1.0 + _figure("unevenness_share") * np.asarray(wave)

    def _crumpled(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """1 on the mid-sagittal plane; beside it the end-plate's middle has sunk by patches, a little more or less."""
        phase = self._phases
        patch = np.sin(x / 4.1 + phase[18]) * np.sin(y / 4.7 + phase[19]) - np.sin(phase[18]) * np.sin(
            y / 4.7 + phase[19]
        )
        return 1.0 + (0.35 if self.shape == "wedge" else 0.08) * patch

    def _solve(self, amount: float) -> tuple[float, float, float]:
        """Front, middle (dish) and back drop, mm, with which the measured heights are exactly those asked for."""
        r = self._rims
        loss = self.height_loss * amount
        middle = r.upper_middle[2] - r.lower_middle[2]
        grip = float(self._crush(self._share(r.upper_middle)) - self._crush(self._share(r.lower_middle)))
        y_middle = r.upper_middle[1:2]
        if self.shape == "biconcave":
            return 0.0, loss * middle / grip, 0.0
        fold = float(self._fold_y(np.zeros(1), r.upper_front[2:], amount)[0]) * float(
            self._front_ramp(r.upper_front[1:2])[0]
        )
        fold_low = float(self._fold_y(np.zeros(1), r.lower_front[2:], amount)[0]) * float(
            self._front_ramp(r.lower_front[1:2])[0]
        )
        ahead = r.upper_front[1] + fold - r.lower_front[1] - fold_low
        healthy = float(np.linalg.norm(r.upper_front - r.lower_front))
        target = np.sqrt(max((healthy * (1.0 - loss)) ** 2 - ahead**2, 0.0))
        y_front = np.array([r.upper_front[1] + fold])
        reached = float(self._tilt_ramp(self._u(y_front))[0])
        front = (r.upper_front[2] - r.lower_front[2] - target) / reached
        if self.shape == "wedge":
            return front, _figure("wedge_dish_share") * self.height_loss * amount * middle, 0.0
        behind = float(r.upper_back[1] - r.lower_back[1])
        posterior = float(np.linalg.norm(r.upper_back - r.lower_back))
        left = posterior * (1.0 - _figure("crush_posterior_share") * loss)
        bridge = float(self._back_bridge(np.zeros(1), self._u(r.upper_back[1:2]))[0])
        back = (r.upper_back[2] - r.lower_back[2] - np.sqrt(max(left**2 - behind**2, 0.0))) / bridge
        tilt = float(self._tilt_ramp(self._u(y_middle))[0])
        dish = loss * middle / grip - front * tilt - back * float(self._back_bridge(np.zeros(1), self._u(y_middle))[0])
        return front, dish, back

    def _u(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """0 at the back wall to 1 at the upper front rim."""
        return (y - self._back_mm) / self._depth_mm

    def _share(self, point: Vector) -> NDArray[np.float64]:
        """Where `point` lies between the rims' planes, 0 low to 1 high, as an array without axes."""
        lower, upper = self._planes(point[1])
        return np.asarray((point[2] - lower) / (upper - lower))

    def _drop_and_lift(
        self, x: NDArray[np.float64], y: NDArray[np.float64], amount: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """By how much the column of bone at (x, y) grows shorter, and by how much its lower end rises, mm."""
        front, middle, back = self._solve(amount)
        u = self._u(y)
        dish = self._dish(x, y)
        drop = front * self._tilt_ramp(u) * self._uneven(x) + middle * dish * self._crumpled(x, y)
        if self.shape == "crush":
            drop = drop + back * self._back_bridge(x, u)
        lift = (
            (1.0 - _figure("biconcave_upper_share")) * middle * dish if self.shape == "biconcave" else np.zeros_like(x)
        )
        return drop, lift

    def _steepness(
        self, x: NDArray[np.float64], y: NDArray[np.float64], drop: NDArray[np.float64], amount: float
    ) -> NDArray[np.float64]:
        """By how much the drop, `drop` at (x, y), changes there per mm of way."""
        if self.shape == "wedge":
            front, _, _ = self._solve(amount)
            return front / self._depth_mm * self._tilt_ramp.slope(self._u(y))
        step = 0.5
        aside, ahead = (self._drop_and_lift(*at, amount)[0] - drop for at in ((x + step, y), (x, y + step)))
        return np.hypot(aside, ahead) / step

    @cached_property
    def _crush(self) -> Ramp:
        """How far the crush has gone from the lower (0) to the upper end-plate (1): most of it under the upper one."""
        wide = ramp((0.01, 0.0), (0.09, 1.0), (0.88, 1.0), (0.96, 0.0))
        low, high = _figure("crush_band_low"), _figure("crush_band_high")
        if self.shape == "biconcave":
            low, high = 1.0 - high, high
        edge = 0.3 * (high - low)
        band = ramp((low, 0.0), (low + edge, 1.0), (high - edge, 1.0), (high, 0.0))
        steepest = 0.92 * _STEEPEST / min(1.12 * self.height_loss, 0.8)
        share = 1.0
        for _ in range(30):
            if blended(wide, band, share).slopes.max() <= steepest:
                break
            share *= 0.85
        return blended(wide, band, share)

    # public -----------------------------------------------------------------------------------------------------------

    def forward(self, points_mm: ArrayLike, amount: float) -> Points:
        """Where healthy points (N, 3) of the vertebra lie at `amount`, (N, 3) mm, in the vertebra's frame."""
        p = as_points(points_mm)
        if amount == 0.0:
            return p.copy()
        return self._done(p, amount)[0]

    def carried(self, points_mm: ArrayLike, amount: float) -> tuple[Points, Distances]:
        """Where healthy points (N, 3) lie at `amount`, (N, 3) mm, and their `volume_share` (N,), in one go."""
        p = as_points(points_mm)
        if amount == 0.0:
            return p.copy(), np.ones(len(p))
        out, done = self._done(p, amount)
        return out, self._volume_share(done)

    def _done(self, p: Points, amount: float) -> tuple[Points, _Undone]:
        """Where healthy `p` (N, 3) lie, and what was met on the way there."""
        out = p.copy()
        near = self._near(p)
        x, y, z = p[near].T.copy()
        fold_x, fold_y = np.zeros_like(x), np.zeros_like(y)
        flank, front = self._folded(x, y)
        fold_y[front] = self._fold_y(x[front], z[front], amount)
        y[front] += fold_y[front] * self._front_ramp(y[front])
        fold_x[flank] = self._fold_x(y[flank], z[flank], amount)
        x[flank] += fold_x[flank] * (2.0 * self._side_ramp(x[flank]) - 1.0)
        drop, lift = self._drop_and_lift(x, y, amount)
        lower, upper = self._planes(y)
        height = upper - lower
        share = (z - lower) / height
        out[near, 0], out[near, 1], out[near, 2] = x, y, z + lift - drop * self._crush(share)
        return out, _Undone(p, near, drop, drop / height, share, fold_x, fold_y)

    def _near(self, p: Points) -> NDArray[np.int64]:
        """Which of `p` (N, 3), healthy or not, may be moved: the arch is not."""
        return np.flatnonzero(self._u(p[:, 1]) > -self._overhang - _BRIDGE_SHARE)

    def inverse(self, points_mm: ArrayLike, amount: float) -> Points:
        """The healthy places (N, 3) of points (N, 3) seen at `amount`: undoes `forward` to rounding."""
        p = as_points(points_mm)
        if amount == 0.0:
            return p.copy()
        return self._met_at(p, amount).undone.healthy_mm.copy()

    def healthy_share(self, points_mm: ArrayLike, amount: float) -> tuple[Points, Distances]:
        """The healthy places (N, 3) of points (N, 3) seen at `amount`, and there the `volume_share` (N,), in one go."""
        p = as_points(points_mm)
        if amount == 0.0:
            return p.copy(), np.ones(len(p))
        undone = self._met_at(p, amount).undone
        return undone.healthy_mm.copy(), self._volume_share(undone)

    def _met_at(self, p: Points, amount: float) -> _Met:
        """`p` (N, 3) undone; the last few thousand points are remembered, as a bone's field, its core, its bone share
        and its texture are asked for one after another at the same points."""
        last = self._last[0] if self._last else None
        if last is not None and last.amount == amount and np.array_equal(last.points_mm, p):
            return last
        met = _Met(amount, p if len(p) > _REMEMBERED else p.copy(), self._undone(p, amount))
        if len(p) <= _REMEMBERED:
            self._last[:] = [met]
        return met

    @cached_property
    def _last(self) -> list[_Met]:
        return []

    def _undone(self, p: Points, amount: float) -> _Undone:
        """The healthy places of `p` (N, 3), and what was met on the way there."""
        out = p.copy()
        near = self._near(p)
        x, y, z = p[near].T.copy()
        drop, lift = self._drop_and_lift(x, y, amount)
        lower, upper = self._planes(y)
        height = upper - lower
        crushed = drop / height
        share = self._crush.solve((z - lift - lower) / height, crushed)
        z = lower + height * share
        # only the walls are folded: what lies between them keeps its x and y
        fold_x, fold_y = np.zeros_like(x), np.zeros_like(y)
        flank, front = self._folded(x, y)
        fold_x[flank] = self._fold_x(y[flank], z[flank], amount)
        x[flank] = self._side_ramp.solve(x[flank] + fold_x[flank], -2.0 * fold_x[flank])
        fold_y[front] = self._fold_y(x[front], z[front], amount)
        y[front] = self._front_ramp.solve(y[front], -fold_y[front])
        out[near, 0], out[near, 1], out[near, 2] = x, y, z
        return _Undone(out, near, drop, crushed, share, fold_x, fold_y)

    def _squeeze(self, p: Points, undone: _Undone, amount: float) -> Distances:
        """(N,) to what share of its length the bone at `p` (N, 3) is crushed in the direction of the most, at most."""
        out = np.ones(len(p))
        x, y, _ = p[undone.near].T.copy()
        # a shear by k shortens some lengths by this share
        shear = self._steepness(x, y, undone.drop, amount)
        out[undone.near] = (1.0 - np.maximum(undone.crushed, 0.0) * self._crush.slopes.max()) * (
            np.sqrt(1.0 + 0.25 * shear * shear) - 0.5 * shear
        )
        return out

    def _volume_share(self, undone: _Undone) -> Distances:
        """(N,) the Jacobian of `forward` at the healthy points that `undone` found: the product of three slopes."""
        out = np.ones(len(undone.healthy_mm))
        x, y, _ = undone.healthy_mm[undone.near].T.copy()
        out[undone.near] = (
            (1.0 + undone.fold_y * self._front_ramp.slope(y))
            * (1.0 + 2.0 * undone.fold_x * self._side_ramp.slope(x))
            * (1.0 - undone.crushed * self._crush.slope(undone.share))
        )
        return out

    def volume_share(self, points_mm: ArrayLike, amount: float) -> Distances:
        """The Jacobian of `forward` at healthy `points_mm` (N, 3): what is left of the room there at `amount`, (N,)."""
        p = as_points(points_mm)
        if amount == 0.0:
            return np.ones(len(p))
        return self._volume_share(self._done(p, amount)[1])

    def least_volume_share(self, points_mm: ArrayLike, amount: float) -> float:
        """The smallest `volume_share` at healthy `points_mm` (N, 3): more than 0 where nothing folds over."""
        return float(self.volume_share(points_mm, amount).min())

    def heights(self, amount: float) -> Heights:
        """The body's heights and wedge angle at `amount`, measured between its deformed rims and end-plates."""
        r = self._rims
        corners = np.array([r.upper_front, r.upper_back, r.lower_front, r.lower_back, r.upper_middle, r.lower_middle])
        uf, ub, lf, lb, um, lm = self.forward(corners, amount)
        wedge = np.arctan(_rise(lb, lf)) - np.arctan(_rise(ub, uf))
        return Heights(
            float(np.linalg.norm(uf - lf)),
            float(np.linalg.norm(um - lm)),
            float(np.linalg.norm(ub - lb)),
            float(np.rad2deg(wedge)),
        )

    @cached_property
    def lying_amount(self) -> float:
        """The amount that is left when the patient lies: posture gives a part back, as published by grade."""
        grades = ("grade1", "grade2", "grade3")
        losses = [_figure(f"recovery_loss_{grade}") for grade in grades]
        shares = [_figure(f"recovery_share_{grade}") for grade in grades]
        return 1.0 - float(np.interp(self.height_loss, losses, shares))

    def amount(self, collapse: float, lying: float, lift: float = 0.0) -> float:
        """The amount at `collapse` (0 healthy to 1 broken), `lying` (0 standing to 1 lying) and `lift` (0 to 1: the
        share of what posture leaves that balloons take back)."""
        return float(collapse * (1.0 - lying * (1.0 - self.lying_amount)) * (1.0 - lift))

    def upper_endplate_motion(self, amount: float) -> Frame:
        """The rigid motion of the upper end-plate from healthy to `amount`: what the column above follows.

        It turns with the line between the upper rims, about the middle of the back edge of the disc above, and sinks
        with the line's back end, but for what the bend of the end-plate holds up. In a crush that end is followed by a
        part only (fracture.csv).
        """
        r = self._rims
        front, back = self.forward(np.array([r.upper_front, r.upper_back]), amount)
        if self.shape == "crush":  # the back wall sinks between the pedicles, whose corners still stand
            back = r.upper_back + _figure("crush_follow_share") * (back - r.upper_back)
        turn = np.arctan(_rise(back, front)) - np.arctan(_rise(r.upper_back, r.upper_front))
        pivot = r.upper_back + np.array([0.0, 0.0, _figure("pivot_above_mm")])
        about = rotation_about((1.0, 0.0, 0.0), float(np.rad2deg(turn)), pivot)
        bend = _figure("rest_share") * (r.upper_front[2] - front[2])
        return translation(back - r.upper_back + np.array([0.0, 0.0, bend])) @ about

    def warped(self, field: Field, amount: float) -> Field:
        """`field`, known for the healthy vertebra, as it is at `amount`. Itself at 0.

        Inexact, and on the safe side: where bone is crushed, its distance is scaled by the most that the bone there is
        crushed, so no surface is nearer than the field says (but for the folds of the wall, by a few percent).
        """
        if amount == 0.0:
            return field

        def distance(p: Points) -> Distances:
            met = self._met_at(p, amount)
            if met.squeeze is None:
                met.squeeze = self._squeeze(p, met.undone, amount)
            return field.distance(met.undone.healthy_mm) * met.squeeze

        return Field(distance, self._grown(field.bounds_mm), exact=False)

    def deformed(self, mesh: Mesh, amount: float) -> Mesh:
        """`mesh` of the healthy vertebra as it is at `amount`: the same triangles."""
        return mesh if amount == 0.0 else mesh.with_points(self.forward(mesh.points_mm, amount))

    def _grown(self, bounds_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        grow = 0.5 * self._front_loss_mm
        return box_bounds(bounds_mm[0] - [grow, 0.0, 0.0], bounds_mm[1] + [grow, grow, 0.0])

    # the cleft --------------------------------------------------------------------------------------------------------

    def cleft_thickness_mm(self, amount: float, lying: float = 1.0) -> float:
        """How wide the cleft gapes at its middle, mm, at `amount` and `lying` (0 standing to 1 lying).

        It is there when the bone has broken, pressed together under the weight of the standing patient, opens when the
        patient lies down, and closes again as balloons lift the end-plate and pack loose bone into it: 0 when healthy.
        """
        closed, open_ = _figure("cleft_closed_mm"), _figure("cleft_open_mm")
        broken = _smooth(np.array(amount / self.amount(1.0, lying)))
        return float(broken * (closed + (open_ - closed) * _smooth(np.array(lying))))

    def _cleft_centre(self) -> tuple[float, float, float]:
        """y of its middle, and its half length and half width, mm."""
        half = 0.5 * _figure("cleft_length_share") * self._depth_mm
        middle = self._back_mm + (0.54 if self.shape == "wedge" else 0.50) * self._depth_mm
        return middle, half, _figure("cleft_width_share") * self._rims.half_width_mm

    def _cleft_outline(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """0 in the middle of the cleft, 1 on its ragged edge."""
        middle, half_length, half_width = self._cleft_centre()
        u, v = x / half_width, (y - middle) / half_length
        round_ = u * u + v * v
        angle = np.arctan2(v, u)
        phase = self._phases
        ragged = 1.0 + 0.10 * np.sin(3 * angle + phase[10]) + 0.06 * np.sin(7 * angle + phase[11])
        return round_ / ragged**2

    def _cleft_sheet(self, x: NDArray[np.float64], y: NDArray[np.float64], amount: float) -> NDArray[np.float64]:
        """The height of the cleft's middle sheet over (x, y), folds of the walls left out."""
        r, phase = self._rims, self._phases
        _, upper = self._planes(y)
        sunk = (_line(r.upper_back, r.upper_front, r.upper_middle[1]) - r.upper_middle[2]) * self._dish(x, y) ** 0.5
        wave = _figure("cleft_waviness_mm") * (
            0.5 * np.sin(x / 3.1 + phase[12]) * np.cos(y / 4.3 + phase[13])
            + 0.3 * np.sin((x + 1.7 * y) / 5.3 + phase[14])
            + 0.2 * np.sin(x / 1.3 + phase[15]) * np.sin(y / 1.6 + phase[16])
        )
        z = upper - sunk - _figure("cleft_depth_mm") * min(1.0, self._depth_mm / 34.0) + wave
        lower, _ = self._planes(y)
        drop, lift = self._drop_and_lift(x, y, amount)
        return z + lift - drop * self._crush((z - lower) / (upper - lower))

    def _cleft_half_mm(
        self, x: NDArray[np.float64], y: NDArray[np.float64], thickness_mm: float
    ) -> NDArray[np.float64]:
        """Half of the gap over (x, y) where it gapes by `thickness_mm` at its middle; negative outside the outline."""
        edge = 1.0 - np.minimum(self._cleft_outline(x, y), 9.0)
        uneven = 0.75 + 0.25 * np.sin(x / 2.3 + self._phases[14]) * np.sin(y / 2.9 + self._phases[17])
        return 0.5 * thickness_mm * np.where(edge > 0, uneven, 1.0) * edge

    def cleft(self, amount: float, lying: float = 1.0) -> Field:
        """The fracture's gap under the upper end-plate at `amount` and `lying`, vertebra frame; holds nothing at
        amount 0. It lies wholly inside the body. Inexact.
        """
        middle, half_length, half_width = self._cleft_centre()
        low_z = min(self._rims.lower_back[2], self._rims.lower_front[2])
        bounds = box_bounds(
            [-1.25 * half_width, middle - 1.25 * half_length, low_z],
            [1.25 * half_width, middle + 1.25 * half_length, self._rims.upper_back[2]],
        )
        thickness_mm = self.cleft_thickness_mm(amount, lying)
        if thickness_mm < 1e-3:
            centre = bounds.mean(0)
            return Field(lambda p: np.linalg.norm(p - centre, axis=1) + 1.0, box_bounds(centre, centre))

        def distance(p: Points) -> Distances:
            x, y, z = p.T
            return np.abs(z - self._cleft_sheet(x, y, amount)) - self._cleft_half_mm(x, y, thickness_mm)

        return Field(distance, bounds, exact=False)

    def cleft_mesh(self, amount: float, spacing_mm: float, lying: float = 1.0) -> Mesh:
        """The surface of `cleft`, closed: two sheets that meet at the edge; no vertices where there is no cleft."""
        thickness_mm = self.cleft_thickness_mm(amount, lying)
        if thickness_mm < 1e-3:
            return Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int64))
        middle, half_length, half_width = self._cleft_centre()
        rings = max(6, int(np.ceil(max(half_length, half_width) / spacing_mm)))
        sides = max(24, int(np.ceil(2 * np.pi * max(half_length, half_width) / spacing_mm)))
        angle = np.linspace(0.0, 2 * np.pi, sides, endpoint=False)
        share = np.arange(1, rings + 1) / rings
        edge = 1.0 + 0.10 * np.sin(3 * angle + self._phases[10]) + 0.06 * np.sin(7 * angle + self._phases[11])
        x = np.concatenate([[0.0], np.outer(share, half_width * edge * np.cos(angle)).ravel()])
        y = middle + np.concatenate([[0.0], np.outer(share, half_length * edge * np.sin(angle)).ravel()])
        sheet, half = self._cleft_sheet(x, y, amount), np.maximum(self._cleft_half_mm(x, y, thickness_mm), 0.0)
        upper, lower = np.column_stack([x, y, sheet + half]), np.column_stack([x, y, sheet - half])
        inner = len(x) - sides  # the last ring is shared by both sheets
        points = np.concatenate([upper, lower[:inner]])
        here = np.arange(sides)
        after = (here + 1) % sides
        top = [np.stack([np.zeros(sides, int), 1 + here, 1 + after], 1)]
        for i in range(rings - 1):
            a, b = 1 + i * sides + here, 1 + i * sides + after
            c, d = a + sides, b + sides
            top += [np.stack([a, c, d], 1), np.stack([a, d, b], 1)]
        triangles = np.concatenate(top)
        bottom = np.where(triangles < inner, triangles + len(x), triangles)[:, ::-1]
        return Mesh(points, np.concatenate([triangles, bottom]).astype(np.int64))


def fracture(level: str, shape: str = "wedge", height_loss: float = 0.35, seed: int = 7) -> Fracture:
    """The fracture of `level`.

    Args:
        shape: "wedge" (the front's height is lost), "biconcave" (the middle's) or "crush" (the whole's; the back takes
            a smaller share, fracture.csv).
        height_loss: 0.05 to 0.6, the share of that height lost when standing.

    Raises RequestError, naming the key, for anything else.
    """
    known_level(level)
    if shape not in SHAPES:
        raise RequestError(f"fracture.shape: there is no shape {shape!r}; give {', '.join(SHAPES)}")
    if not LEAST_LOSS <= height_loss <= LARGEST_LOSS:
        raise RequestError(
            f"fracture.height_loss: {height_loss:g} cannot be shown; give {LEAST_LOSS:g} to {LARGEST_LOSS:g}"
        )
    return Fracture(level, shape, float(height_loss), int(seed))


def _rise(back: Vector, front: Vector) -> float:
    """dz/dy from `back` to `front`."""
    return float((front[2] - back[2]) / (front[1] - back[1]))


def _line(back: Vector, front: Vector, y_mm: float) -> float:
    return float(back[2] + (y_mm - back[1]) * _rise(back, front))


def _smooth(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 to 1 with slope 0 at both ends."""
    held = np.clip(share, 0.0, 1.0)
    return held * held * (3.0 - 2.0 * held)
