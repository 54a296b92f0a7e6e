"""A simulated ultrasound picture (B-mode) of a plane, as a linear probe on the skin sees it.

Each column of the picture is a line of sight. Tissue sends back a speckle whose strength is told by its role, walls
and bone a mirror's echo where they are met square on; sound is lost on its way, so that what lies behind blood is
brighter and what lies behind bone is black; a needle echoes in itself. The figures: assets/anatomy/ultrasound.csv.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.structure import Structure
from spineviz.geometry.fields import Field
from spineviz.geometry.frames import Frame, translation
from spineviz.views.marks import burn_text, edge_letters
from spineviz.views.section import Sampled, sampled_layers
from spineviz.views.theme import ALIASES, Theme
from spineviz.views.theme import theme as theme_named
from spineviz.views.trabeculae import mottled_share

Image = NDArray[np.float32]
"""(rows, columns): rows go away from the probe."""

_TISSUES: Mapping[str, str] = {
    "artery": "blood", "vein": "blood", "contrast": "blood", "drug": "blood", "cavity": "blood", "skin": "skin",
    "fat": "fat", "muscle": "muscle", "roots": "nerve", "cord": "nerve", "tumour": "tumour", "necrosis": "tumour",
    "ligament": "ligament", "disc": "ligament", "cartilage": "ligament", "bone": "bone", "steel": "metal",
    "wire": "metal", "catheter": "metal", "hub": "metal", "marker": "metal",
}  # fmt: skip
"""What each role is to sound; a role that is not named is not met."""

TICK_MM = 10.0
"""From one mark of depth to the next."""


@cache
def figure(name: str) -> float:
    """One number of assets/anatomy/ultrasound.csv; KeyError for a name that it has not."""
    from spineviz.data.assets import asset
    from spineviz.data.tables import sourced_table

    return float(sourced_table(asset("anatomy", "ultrasound.csv"))[name].value)


def picture_number(time_s: float) -> int:
    """The number of the picture on a running device's monitor."""
    return int(np.floor(time_s * figure("pictures_per_s") + 1e-6))


def face_mm(skin: Field, world_from_plane: Frame, half_width_mm: float) -> float:
    """How deep under the probe's face the plane's origin lies, mm: the probe stands on the highest skin before it.

    Args:
        skin: the field of the skin, world frame; the origin lies inside it.
        half_width_mm: half of the stretch that the probe covers.
    """
    across, up = np.meshgrid(np.linspace(-half_width_mm, half_width_mm, 25), np.arange(0.0, 200.0, 0.5), indexing="ij")
    points = world_from_plane.points(np.column_stack([across.ravel(), up.ravel(), np.zeros(across.size)]))
    inside = skin.distance(points).reshape(across.shape) < 0.0
    # the first way out of the body, above the height of the origin
    out = np.where(inside.all(axis=1), inside.shape[1] - 1, np.argmin(inside, axis=1))
    return float(up[0][out.max()])


def seen_frame(world_from_plane: Frame, depth_mm: float, half_width_mm: float, size_px: tuple[int, int]) -> Frame:
    """world_from_picture, its origin in the picture's middle, where the upper edge is the probe's face."""
    height_mm = size_px[1] * pixel_mm(half_width_mm, size_px)
    return world_from_plane @ translation((0.0, depth_mm - height_mm / 2, 0.0))


def pixel_mm(half_width_mm: float, size_px: tuple[int, int]) -> float:
    """The width of a pixel where the picture's shorter side shows twice `half_width_mm`."""
    return 2.0 * half_width_mm / min(size_px)


def draw_ultrasound(
    structures: Mapping[str, Structure],
    world_from_plane: Frame,
    half_width_mm: float,
    size_px: tuple[int, int],
    theme: Theme | None = None,
    seed: int = 0,
    pulse: int = 0,
    depth_mm: float = 25.0,
    text_px: float | None = None,
) -> NDArray[np.uint8]:
    """The picture (H, W, 3) uint8, grey, with side letters and marks of depth.

    Args:
        world_from_plane: x is right on screen, y runs from the depth to the probe.
        half_width_mm: half of what the picture's shorter side shows; what lies beyond the probe's width is not seen.
        size_px: width and height.
        seed: of the speckle, which belongs to the tissue; `pulse`: of the receiver's noise, which changes.
        depth_mm: of the plane's origin under the probe's face, which is the picture's upper edge; see `face_mm`.
        text_px: size of the burnt-in type; by default 24 pixels on a panel of 415.

    Raises ValueError for a size or width of 0 or less.
    """
    if min(size_px) < 1 or not half_width_mm > 0:
        raise ValueError(f"size_px and half_width_mm must be more than 0, got {size_px} and {half_width_mm}")
    look = theme or theme_named("dark")
    px_mm = pixel_mm(half_width_mm, size_px)
    plane = seen_frame(world_from_plane, depth_mm, half_width_mm, size_px)
    grey = brightness(structures, plane, half_width_mm, size_px, seed, pulse)
    width = size_px[0]
    beside = np.abs(np.arange(width) + 0.5 - width / 2) * px_mm > figure("probe_mm") / 2
    ground = np.asarray(look.colour("ground"), np.float32)
    picture = np.repeat(grey[:, :, None], 3, axis=2)
    picture[:, beside] = ground
    size = text_px or max(11.0, 24.0 * min(size_px) / 415.0)
    seen = np.flatnonzero(~beside)
    letters, gap = edge_letters(plane), 0.45 * size
    for edge, x, side in (("left", seen[0] + gap, 0.0), ("right", seen[-1] + 1 - gap, 1.0)):
        if letters[edge]:
            burn_text(picture, letters[edge], (x, gap), 1.1 * size, (side, 0.0), weight="Bold")
    _burn_depth(picture, px_mm, size, seen[-1] + 1)
    return np.round(255.0 * np.clip(picture, 0.0, 1.0)).astype(np.uint8)


def brightness(
    structures: Mapping[str, Structure],
    world_from_picture: Frame,
    half_width_mm: float,
    size_px: tuple[int, int],
    seed: int = 0,
    pulse: int = 0,
) -> Image:
    """What the monitor shows (H, W), 0 to 1, before anything is written on it; arguments as in `draw_ultrasound`, but
    for `world_from_picture`, whose origin is in the middle."""
    from scipy.ndimage import gaussian_filter

    px_mm = pixel_mm(half_width_mm, size_px)
    echo_db, mirror, loss_db, metal = _tissue(structures, world_from_picture, half_width_mm, size_px)
    spread = figure("pulse_mm") / px_mm, figure("beam_mm") / px_mm
    edge = 0.6 * spread[0], 0.6 * spread[1]  # the speckle is spread already; only borders are softened
    seen = gaussian_filter(10.0 ** (echo_db / 20.0), edge) * _speckle(echo_db.shape, spread, seed)
    seen += gaussian_filter(mirror + metal, spread)
    depth = (np.arange(len(seen), dtype=np.float32)[:, None] + 0.5) * np.float32(px_mm)
    kept_db = _two_way_db("made_good") * depth - np.cumsum(loss_db, axis=0) * np.float32(px_mm)
    noise_db = figure("noise_db") + figure("noise_rise_db_mm") * depth
    noise = np.random.default_rng([seed & 0xFFFFFFFF, 43, pulse]).standard_normal(seen.shape, dtype=np.float32)
    received = seen * 10.0 ** (kept_db / 20.0) + np.abs(noise) * 10.0 ** (noise_db / 20.0)
    level_db = 20.0 * np.log10(np.maximum(received, 1e-9))
    return np.clip(1.0 + level_db / figure("range_db"), 0.0, 1.0).astype(np.float32)


@lru_cache(maxsize=4)
def _speckle(shape: tuple[int, int], spread_px: tuple[float, float], seed: int) -> Image:
    """The grain of many scatterers too fine to be told apart, of mean 1: each look is Rayleigh-distributed (the length
    of a complex normal number, spread as the pulse is), and the device adds up looks from several sides."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng([seed & 0xFFFFFFFF, 41])
    looks = int(figure("looks"))
    out = np.zeros(shape, np.float32)
    for _ in range(looks):
        real, imaginary = (gaussian_filter(w, spread_px) for w in rng.standard_normal((2, *shape), dtype=np.float32))
        out += np.hypot(real, imaginary)
    out /= np.float32(out.mean())
    out.setflags(write=False)
    return out


def _two_way_db(tissue: str) -> float:
    """What sound loses, there and back, dB a mm of depth."""
    return 2.0 * figure("frequency_mhz") * figure(f"loss_{tissue}") / 10.0


def _tissue(
    structures: Mapping[str, Structure], plane: Frame, half_width_mm: float, size_px: tuple[int, int]
) -> tuple[Image, Image, Image, Image]:
    """(H, W) each: the speckle's strength, dB; the echo of walls and surfaces; what is lost, dB/mm; metal's echo."""
    px_mm = pixel_mm(half_width_mm, size_px)
    shape = size_px[1], size_px[0]
    echo = np.full(shape, figure("echo_water"), np.float32)
    loss = np.full(shape, _two_way_db("water"), np.float32)
    mirror, metal = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    grain = _Grain(plane, size_px, px_mm)
    for structure, layer in sampled_layers(structures, plane, half_width_mm, size_px):
        kind = _TISSUES.get(ALIASES.get(structure.role, structure.role))
        if kind is None:
            continue
        rows, columns = layer.distance_mm.shape
        place = np.s_[layer.top : layer.top + rows, layer.left : layer.left + columns]
        inside = layer.distance_mm < 0.0
        if kind == "metal":
            metal[place] = np.maximum(metal[place], 10.0 ** (figure("echo_metal") / 20.0) * inside)
        own = grain.echo_db(kind, place, layer.distance_mm)
        echo[place] = np.where(inside, own, echo[place])
        loss[place] = np.where(inside, _loss_db(kind, layer), loss[place])
        mirror[place] *= ~inside  # what is drawn over it has no wall of another
        if kind in ("blood", "bone"):
            line = ("wall_mm", "wall_db") if kind == "blood" else ("surface_mm", "surface_db")
            mirror[place] = np.maximum(mirror[place], _mirror(layer.distance_mm, px_mm, *map(figure, line)))
    return echo, mirror, loss, _reverberated(metal, px_mm)


def _loss_db(kind: str, layer: Sampled) -> float | Image:
    if kind != "skin":
        return _two_way_db(kind)
    return np.where(layer.distance_mm > -figure("skin_mm"), _two_way_db("skin"), _two_way_db("fat")).astype(np.float32)


def _mirror(distance_mm: Image, px_mm: float, thick_mm: float, square_on_db: float) -> Image:
    """The echo of a surface: a line along it, the stronger the squarer the sound meets it."""
    if min(distance_mm.shape) < 3:
        return np.zeros_like(distance_mm)
    down, across = np.gradient(distance_mm, px_mm)
    square = np.abs(down) / np.maximum(np.hypot(down, across), 1e-6)
    line = np.clip(0.5 + (thick_mm / 2 - np.abs(distance_mm)) / px_mm, 0.0, 1.0)
    return (10.0 ** (square_on_db / 20.0) * line * (0.10 + 0.90 * square**3)).astype(np.float32)


def _reverberated(metal: Image, px_mm: float) -> Image:
    """Metal's echo and its ever weaker copies below it."""
    out = metal.copy()
    for turn in range(1, int(figure("echoes")) + 1):
        shift = round(turn * figure("echo_gap_mm") / px_mm)
        if shift < len(metal):
            weaker = 10.0 ** (-(figure("echo_step_db") * (turn + 0.5)) / 20.0)
            out[shift:] = np.maximum(out[shift:], weaker * metal[:-shift] if shift else metal)
    return out


class _Grain:
    """What tells tissues apart beside their brightness: septa, fibres, bundles, all fixed in the world."""

    def __init__(self, plane: Frame, size_px: tuple[int, int], px_mm: float) -> None:
        self.plane, self.size_px, self.px_mm = plane, size_px, px_mm

    def echo_db(self, kind: str, place: tuple[slice, slice], distance_mm: Image) -> Image:
        """The speckle's strength in a window, dB."""
        base = np.full(distance_mm.shape, figure(f"echo_{kind}"), np.float32)
        if kind == "skin":
            # fat under a bright skin; deeper, where nothing else is told, it is the loose tissue between
            fat = figure("echo_fat") + figure("septum_db") * self._streaks(place, distance_mm, 0.28, 23)
            return np.where(distance_mm > -figure("skin_mm"), base, fat).astype(np.float32)
        if kind in ("fat", "muscle"):
            stretch, seed = (0.28, 23) if kind == "fat" else (0.16, 29)
            base += figure("septum_db") * self._streaks(place, distance_mm, stretch, seed)
        if kind == "nerve":
            base -= 22.0 * self._bundles(place, distance_mm)
        if kind == "ligament":
            base += 5.0 * np.cos(distance_mm * 2 * np.pi / max(0.7, 3 * self.px_mm)).astype(np.float32)
        return base

    def _axes(self, place: tuple[slice, slice]) -> tuple[Image, Image]:
        v = (self.size_px[1] / 2 - np.arange(place[0].start, place[0].stop) - 0.5) * self.px_mm
        u = (np.arange(place[1].start, place[1].stop) + 0.5 - self.size_px[0] / 2) * self.px_mm
        uu, vv = np.meshgrid(u, v)
        return uu.astype(np.float32), vv.astype(np.float32)

    def _streaks(self, place: tuple[slice, slice], distance_mm: Image, stretch: float, seed: int) -> Image:
        """Thin bright lines, nearly level, `stretch` times as long: 0 between them, 1 on them."""
        out = np.zeros(distance_mm.shape, np.float32)
        inside = distance_mm < 0.0
        u, v = (axis[inside] for axis in self._axes(place))
        if len(u):
            tilt = v + 0.12 * u + 0.6 * np.sin(u * 0.35)
            along = self.plane.points(np.column_stack([stretch * u, tilt, np.zeros(len(u))]))
            share = mottled_share(along, seed, 3.2)
            out[inside] = np.exp(-(((share - 0.5) / 0.055) ** 2))
        return out

    def _bundles(self, place: tuple[slice, slice], distance_mm: Image) -> Image:
        """Round dark bundles side by side, clear of the nerve's edge: 1 in them, 0 between."""
        u, v = self._axes(place)
        pitch = figure("fascicle_mm")
        row = np.round(v / (0.87 * pitch))
        shift = np.where(row % 2 == 0, 0.0, 0.5)
        off_u = u / pitch - shift - np.round(u / pitch - shift)
        off_v = v / pitch - 0.87 * row
        within = np.clip((0.36 - np.hypot(off_u, off_v)) / 0.12, 0.0, 1.0)
        return (within * np.clip((-distance_mm - 0.25) / 0.3, 0.0, 1.0)).astype(np.float32)


def _burn_depth(picture: NDArray[np.float32], px_mm: float, size_px: float, right: int) -> None:
    """Ticks at the right edge of what is seen, every `TICK_MM`, with their depth, in place."""
    rows, columns = picture.shape[:2]
    beside = columns - right > 4.4 * size_px  # the figures stand outside the picture where there is room
    for turn in range(1, int(rows * px_mm / TICK_MM) + 1):
        row = round(turn * TICK_MM / px_mm)
        if row + 0.7 * size_px > rows:
            break
        thick = max(1, round(size_px / 14))
        left = right - (0 if beside else round(0.5 * size_px))
        picture[row - thick : row + thick, left : left + round(0.5 * size_px)] = 0.85
        words = f"{turn * TICK_MM:.0f} mm" if turn == 1 else f"{turn * TICK_MM:.0f}"
        at = (right + 0.8 * size_px, row) if beside else (right - 0.8 * size_px, row)
        burn_text(picture, words, at, 0.9 * size_px, (0.0 if beside else 1.0, 0.5))
