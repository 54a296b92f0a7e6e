"""A C-arm's monitor: simulated radiographs, live, subtracted or as a roadmap.

Live fluoroscopy: dense is dark. Attenuation comes from `spineviz.anatomy.materials`; beam, detector and display from
assets/anatomy/beam.csv. How line integrals come about: `spineviz.views.attenuation`; angiograms and roadmaps:
`spineviz.views.angiography`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.anatomy.structure import Structure
from spineviz.views.angiography import Image, mapped, subtracted
from spineviz.views.attenuation import ROADMAP, Anatomy, Keep, LineIntegrals, made_anew
from spineviz.views.marks import (
    Colour,
    Grey,
    burn_edges,
    burn_text,
    edge_letters,
    rounded_mask,
    seen_from,
)
from spineviz.views.projection import PROJECTIONS, Projection, beam, projection
from spineviz.views.rasters import blurred, blurred_wide, normal_deviates
from spineviz.views.voxels import Absorption, absorption_per_mm

__all__ = [
    "CONTRAST",
    "PROJECTIONS",
    "ROADMAP",
    "Fluoroscope",
    "Mode",
    "Projection",
    "beam",
    "projection",
    "pulse",
    "pulses_per_s",
]

Mode = Literal["live", "subtraction", "roadmap"]
CONTRAST = ("contrast",)
"""Roles and names of what an angiogram shows, where nothing else is said."""

_DETECTOR_MM = 0.33
_KEPT_SUMS = 3
_NOISE_OF_VIEW = {"ap": 0, "front": 2}
_NOISE_OF_MODE: dict[Mode, tuple[int, ...]] = {"live": (), "subtraction": (1,), "roadmap": (2,)}


def pulse(time_s: float, mode: Mode = "live") -> int:
    """The number of the X-ray pulse that is on screen at `time_s`; an angiogram has its own rate."""
    return int(np.floor(time_s * pulses_per_s(mode) + 1e-6))


def pulses_per_s(mode: Mode = "live") -> float:
    """How many pictures a second a monitor shows."""
    return beam("angiogram_frames_per_s" if mode == "subtraction" else "pulses_per_s")


@dataclass(frozen=True, eq=False)
class _Tone:
    """How densities are shown: that of the middle, what is evened out (H, W), and those of the bright and dark end."""

    level: float
    slow: Image
    bright: float
    dark: float


@dataclass(eq=False)
class Fluoroscope:
    """A C-arm with its monitor: pictures of structures through one projection.

    Attributes:
        size_px: width and height of the picture; the monitor takes all of it.
        projection: where source and detector stand.
        seed: of the noise.
        text_px: size of the burnt-in type; by default 24 pixels on a panel of 415.
        words: whether "seen from ..." and the pulse counter are burnt in beside the letters.
        absorption: material -> 1/mm; by default the table of the project.
        keep: where what takes long to sum is kept.
    """

    size_px: tuple[int, int]
    projection: Projection
    seed: int = 0
    text_px: float | None = None
    words: bool = True
    absorption: Absorption = absorption_per_mm
    keep: Keep = made_anew
    _sums: OrderedDict[tuple, tuple[Anatomy, _Tone]] = field(default_factory=OrderedDict, repr=False)

    def __post_init__(self) -> None:
        self._lines = LineIntegrals(self.size_px, self.projection, self.absorption, self.keep)
        self.mm_per_px = self._lines.mm_per_px

    def forget(self) -> None:
        """Draw what follows as if nothing had been drawn before; line integrals of what stands still stay."""
        if self._lines.forget():
            self._sums.clear()

    # what the film overlays

    def project(self, points_mm: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixels (N, 2) from the top left of `points_mm` (N, 3), and how far each lies from the source, (N,) mm."""
        flat, depth = self.projection.flat(points_mm)
        width, height = self.size_px
        return np.stack([width / 2 + flat[:, 0] / self.mm_per_px, height / 2 - flat[:, 1] / self.mm_per_px], 1), depth

    @property
    def mask(self) -> Grey:
        """(H, W) how much of each pixel the rounded monitor takes, 0 to 1."""
        return rounded_mask(self.size_px, 0.05 * min(self.size_px))

    # line integrals

    def attenuation(self, structures: Mapping[str, Structure], instruments: bool = True) -> Image:
        """The line integral of attenuation for every pixel, (H, W): minus the logarithm of the light that is left.

        Without `instruments` cement, steel and what is told in cells are left out.
        """
        present = self._lines.present(structures)
        total = self._anatomy(present)[0].total
        return total + self._lines.instruments(present) if instruments else total.copy()

    def contrast(self, structures: Mapping[str, Structure], which: Collection[str] = CONTRAST) -> Image:
        """What the contrast alone adds to the line integral for every pixel, (H, W): an angiogram without blur, noise
        and window. `which` names the structures, or their roles; those are shown that are told in cells."""
        return self._lines.in_cells(_chosen(self._lines.present(structures), which))

    def vessels(self, structures: Mapping[str, Structure]) -> Image:
        """The line integral of the contrast of which a roadmap is made, (H, W): structures of the role "roadmap"."""
        return self._lines.in_cells([s for s in structures.values() if s.role == ROADMAP])

    def _anatomy(self, present: Sequence[Structure]) -> tuple[Anatomy, _Tone]:
        """Everything but instruments and cement, and how it is shown; kept while nothing of it changes."""
        key = self._lines.anatomy_key(present)
        if key not in self._sums:
            anatomy = self._lines.anatomy(present)
            self._sums[key] = anatomy, self._tone(anatomy)
            while len(self._sums) > _KEPT_SUMS:
                self._sums.popitem(last=False)
        self._sums.move_to_end(key)
        return self._sums[key]

    # what the monitor shows

    def brightness(
        self,
        structures: Mapping[str, Structure],
        time_s: float = 0.0,
        live: bool = True,
        mode: Mode = "live",
        contrast: Collection[str] = CONTRAST,
    ) -> Grey:
        """The monitor's picture without marks, (H, W) 0 to 1.

        Automatic brightness looks at the anatomy alone, so instruments, contrast and cement do not change it and a
        frame depends on nothing that was drawn before. The noise belongs to the seed and the pulse; without `live` it
        stands still.

        Args:
            mode: "live"; "subtraction": what `contrast` names alone, the rest is in the mask; "roadmap": structures of
                the role "roadmap", which no other mode shows, bright under what moves.
            contrast: names or roles of structures that are told in cells.
        """
        number = pulse(time_s, mode) if live else 0
        if mode == "subtraction":
            return self._subtraction(structures, number, contrast)
        if mode == "roadmap":
            return self._roadmap(structures, number)
        return self._live(structures, number)

    def _live(self, structures: Mapping[str, Structure], number: int) -> Grey:
        present = self._lines.present(structures)
        anatomy, tone = self._anatomy(present)
        px = self.mm_per_px
        # blur and scatter act on the evened picture: scatter comes from the tissue, not from the free beam beside it
        line = tone.slow - anatomy.total
        line += tone.level
        line -= self._lines.instruments(present)
        light = np.exp(line, out=line)
        scattered = blurred_wide(np.minimum(light, 2.0), beam("scatter_spread_mm") / px, self._coarse)
        scattered *= beam("scatter_share")
        light = blurred(light, max(0.35, beam("blur_mm") / px))
        light += scattered
        grain = np.minimum(-tone.slow, 3.0)  # quanta are the more the less there is in their way
        np.exp(grain, out=grain)
        np.divide(light, grain, out=grain)
        grain /= self._quanta("quanta_per_mm2")
        np.sqrt(grain, out=grain)
        grain *= self._noise(number)
        light += grain
        dense = np.log(np.maximum(light, 1e-4, out=light), out=light)
        unsharp = blurred(dense, beam("edge_spread_mm") / px)
        unsharp *= beam("edge_gain")
        # minus the logarithm of the light, sharpened, between the bright and the dark end
        dense *= -(1.0 + beam("edge_gain"))
        dense += unsharp
        dense -= tone.bright
        dense /= tone.dark - tone.bright
        return _display_curve(dense)

    def _subtraction(self, structures: Mapping[str, Structure], number: int, contrast: Collection[str]) -> Grey:
        sharp = self._blurred(self.contrast(structures, contrast))
        return subtracted(self._edged(sharp), self._noise_of_two(number, "subtraction", sharp))

    def _roadmap(self, structures: Mapping[str, Structure], number: int) -> Grey:
        present = self._lines.present(structures)
        anatomy, tone = self._anatomy(present)
        vessels, moving = self._blurred(self.vessels(structures)), self._blurred(self._lines.instruments(present))
        bone = np.clip(anatomy.total - tone.level - tone.slow, tone.bright, tone.dark)
        return mapped(vessels, moving, bone, self._noise_of_two(number, "roadmap", moving))

    def _blurred(self, line: Image) -> Image:
        """A line integral as the detector sees it, which blurs light."""
        if not line.any():
            return line
        return -np.log(blurred(np.exp(-line), max(0.35, beam("blur_mm") / self.mm_per_px)))

    def _edged(self, line: Image) -> Image:
        """A line integral as an angiogram's processor sharpens it."""
        if not line.any():
            return line
        return line + beam("angiogram_edge_gain") * (line - blurred(line, beam("edge_spread_mm") / self.mm_per_px))

    def _noise_of_two(self, number: int, mode: Mode, dense: Image) -> Image:
        """The noise of a pulse and of the mask, which is one picture for all pulses, in line integrals (H, W)."""
        quanta = self._quanta("angiogram_quanta_per_mm2" if mode == "subtraction" else "quanta_per_mm2")
        own = self._noise(number, mode) * np.exp(np.minimum(dense, 3.0) / 2)
        return np.asarray((own + self._noise(-1, mode)) / np.sqrt(quanta), np.float32)

    def _quanta(self, name: str) -> float:
        """Quanta on a pixel; the detector's own element is no finer than a third of a millimetre."""
        return beam(name) * max(self.mm_per_px, _DETECTOR_MM) ** 2

    def _tone(self, anatomy: Anatomy) -> _Tone:
        """How the monitor shows densities: the processor evens out most of the body's own thickness, as wedge filters
        and harmonisation do, and fits the rest between bright and dark."""
        total = anatomy.total
        seen = self.mask > 0.5
        inside = seen & (total > 0.5 * float(np.median(total[seen])))
        body = total[inside] if inside.any() else total[seen]
        level = float(np.median(body))
        even = blurred_wide(anatomy.soft, beam("levelling_spread_mm") / self.mm_per_px, self._coarse)
        slow = beam("levelling_share") * (even - float(np.median(even[inside] if inside.any() else even)))
        shown = (total - level - slow)[inside] if inside.any() else (total - level - slow)[seen]
        veil = np.log1p(beam("scatter_share"))
        bright, dark = (float(v) - veil for v in np.percentile(shown, [3.0, 98.7]))
        return _Tone(level, slow, bright, max(dark, bright + 0.4))

    @property
    def _coarse(self) -> int:
        return max(1, round(4.0 / self.mm_per_px))

    def _noise(self, number: int, mode: Mode = "live") -> Image:
        """(H, W) of deviation 1, that of a pulse (of the mask: -1) in a mode."""
        view = _NOISE_OF_VIEW.get(self.projection.name, 1)
        rng = np.random.default_rng([self.seed & 0xFFFFFFFF, number + 1, view, *_NOISE_OF_MODE[mode]])
        width, height = self.size_px
        return normal_deviates(rng, width * height).reshape(height, width)

    def image(
        self,
        structures: Mapping[str, Structure],
        time_s: float = 0.0,
        live: bool = True,
        mode: Mode = "live",
        contrast: Collection[str] = CONTRAST,
    ) -> NDArray[np.uint8]:
        """The picture with letters, and the words that are asked for, (H, W) uint8; black outside the rounded monitor.
        Arguments as in `brightness`."""
        grey = self.brightness(structures, time_s, live, mode, contrast)
        width, height = self.size_px
        size = self.text_px or max(11.0, 24.0 * min(width, height) / 415.0)
        letters = edge_letters(self.projection.world_from_view)
        burn_edges(grey, letters, 1.15 * size, ("left", "right", "top"))
        if self.words:
            gap = 0.6 * size
            burn_text(grey, seen_from(self.projection.world_from_view), (gap, height - gap), 0.9 * size, (0.0, 1.0))
            note = f"pulse {pulse(time_s, mode) % 1000:03d}" if live else "stored"
            burn_text(grey, note, (width - gap, height - gap), 0.9 * size, (1.0, 1.0))
        return np.round(255.0 * grey * self.mask).astype(np.uint8)

    def on_panel(self, image: NDArray[np.uint8], ground: Colour) -> NDArray[np.uint8]:
        """What `image` gave, (H, W), on a panel of the colour `ground` (0 to 1 each): (H, W, 3) uint8."""
        out = np.empty((*image.shape, 3), np.uint8)
        for channel in range(3):  # one broadcast into all three takes five times as long
            out[..., channel] = image
        around = 255.0 * np.asarray(ground, np.float32) * (1.0 - self.mask[self._rim])[:, None]
        out[self._rim] = np.round(image[self._rim][:, None] + around)
        return out

    @cached_property
    def _rim(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows and columns of the pixels that the monitor does not take whole."""
        rows, columns = np.nonzero(self.mask < 1.0)
        return rows, columns


def _chosen(present: Sequence[Structure], which: Collection[str]) -> list[Structure]:
    return [s for s in present if s.name in which or s.role in which]


def _display_curve(x: NDArray[np.floating]) -> Grey:
    """Density, 0 at the bright and 1 at the dark end of the anatomy, to brightness: straight between, with a shoulder
    towards the air's white and a toe towards the metal's black."""
    bright, dark, floor = 0.90, 0.20, 0.03
    slope = bright - dark
    out = np.asarray(bright - slope * x, np.float32)
    over, under = x < 0.0, x > 1.0
    out[over] = 1.0 - (1.0 - bright) * np.exp(x[over] * slope / (1.0 - bright))
    out[under] = floor + (dark - floor) * np.exp(-(x[under] - 1.0) * slope / (dark - floor))
    return out
