"""The one place where a shot's views become pixels: stage, radiograph, section."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from spineviz.film.shot import FluoroShot, Point, ScanShot, SectionShot, StageShot, UltrasoundShot
from spineviz.views.theme import Theme

if TYPE_CHECKING:
    from spineviz.anatomy.structure import Structure
    from spineviz.geometry.frames import Frame
    from spineviz.views.attenuation import Keep

Size = tuple[int, int]
Pixels = NDArray[np.uint8]
Structures = Mapping[str, "Structure"]
Kept = TypeVar("Kept")

MOST_STAGES, MOST_FLUOROSCOPES = 2, 3
"""How many windows and monitors are kept open: each holds pictures or line integrals in memory."""
STAGE_CLOSES_AFTER = 30
"""A window that others have drawn so many pictures since is closed: it holds 80 bytes for each of its pixels."""
_SIDE_BY_SIDE = 1.3
"""Windows that together are larger than this, the largest being 1, are not kept open side by side, unless both are
drawn in turn: which shows when one is asked for again after at most `_IN_TURN` pictures."""
_IN_TURN = 3
_ELSEWHERE_PX, _PASSES = 512, 16
"""What is drawn when windows were closed: large enough that a pass has not ended when the next ones begin."""
_ROADMAP = "roadmap"
"""The role of what a roadmap alone shows."""


class Painter:
    """Draws views of structures.

    Args:
        theme: the colours.
        seed: of the radiograph's noise.
        keep: where what radiographs are summed from is kept; None: nowhere.
    """

    def __init__(self, theme: Theme, seed: int = 0, keep: Keep | None = None) -> None:
        self.theme, self.seed, self.keep = theme, seed, keep
        self._stages: OrderedDict[tuple[Size, bool], Any] = OrderedDict()
        self._fluoroscopes: OrderedDict[Hashable, Any] = OrderedDict()
        self._looked_through: set[Hashable] = set()
        self._drawn_at: dict[Hashable, int] = {}
        self._closed_at: dict[Hashable, int] = {}
        self._drawn = 0

    def stage(self, size_px: Size, structures: Structures, shot: StageShot, clear: bool = False) -> Pixels:
        """The 3-D view, (H, W, 3), or without its ground (H, W, 4) with colours multiplied by alpha."""
        from spineviz.views.stage import Stage

        self._drawn += 1
        key = (size_px, clear)
        self._drawn_at[key] = self._drawn
        self._close_unused(self._drawn - STAGE_CLOSES_AFTER)
        if key not in self._stages and self._drawn - self._closed_at.get(key, -_IN_TURN - 1) > _IN_TURN:
            sizes = [width * height for (width, height), _ in (key, *self._stages)]
            if sum(sizes) > _SIDE_BY_SIDE * max(sizes):
                self._close_unused(self._drawn - 1)
        stage = _kept(self._stages, key, lambda: Stage(size_px, self.theme, clear=clear), MOST_STAGES, _close)
        return stage.draw(_without_roadmap(structures), shot.camera, shot.look)

    def fluoroscopy(
        self, size_px: Size, structures: Structures, shot: FluoroShot, time_s: float, type_px: float
    ) -> Pixels:
        """The radiograph at `time_s`, (H, W, 3), with burnt-in sides in type of `type_px`."""
        fluoroscope = self._fluoroscope(size_px, shot, type_px)
        ground = self.theme.colour("panel")
        image = fluoroscope.image(_of_patient(structures), time_s, shot.live, shot.mode, shot.contrast)
        return fluoroscope.on_panel(image, ground)

    def section(self, size_px: Size, structures: Structures, plane: Frame, shot: SectionShot, type_px: float) -> Pixels:
        """The drawn plane, (H, W, 3)."""
        from spineviz.views.section import SectionMarks, draw_section

        marks = SectionMarks(text_px=type_px)
        return draw_section(_to_look_at(structures), plane, shot.half_width_mm, size_px, self.theme, marks)

    def ultrasound(
        self, size_px: Size, structures: Structures, plane: Frame, shot: UltrasoundShot, time_s: float, type_px: float
    ) -> Pixels:
        """The ultrasound picture at `time_s`, (H, W, 3)."""
        from spineviz.views.ultrasound import draw_ultrasound, picture_number

        pulse = picture_number(time_s) if shot.live else 0
        present = _to_look_at(structures)
        return draw_ultrasound(
            present, plane, shot.half_width_mm, size_px, self.theme, self.seed, pulse, shot.depth_mm, type_px
        )

    def scan(self, size_px: Size, structures: Structures, shot: ScanShot, type_px: float) -> Pixels:
        """The simulated sagittal image, (H, W, 3)."""
        from spineviz.views.scan import sagittal_scan
        from spineviz.views.section import plane_frame

        plane = plane_frame("sagittal", (shot.x_mm, 0.0, 0.0))
        grey = sagittal_scan(_to_look_at(structures), size_px, shot.half_width_mm, plane, self.seed, type_px)
        return np.repeat(grey[:, :, None], 3, axis=2)

    def project_stage(self, size_px: Size, shot: StageShot, points_mm: tuple[Point, ...]) -> NDArray[np.float64]:
        """Where points of the world appear in the stage's picture, (N, 2) px."""
        return shot.camera.project(np.array(points_mm, float).reshape(-1, 3), size_px)[0]

    def project_fluoroscopy(self, size_px: Size, shot: FluoroShot, points_mm: tuple[Point, ...]) -> NDArray[np.float64]:
        """Where points of the world appear in the radiograph, (N, 2) px."""
        flat = shot.projection.flat(np.array(points_mm, float).reshape(-1, 3))[0]
        per_mm = min(size_px) / shot.projection.field_of_view_mm
        return np.column_stack([size_px[0] / 2 + flat[:, 0] * per_mm, size_px[1] / 2 - flat[:, 1] * per_mm])

    def project_section(
        self, size_px: Size, plane: Frame, shot: SectionShot, points_mm: tuple[Point, ...]
    ) -> NDArray[np.float64]:
        """Where points of the world, dropped onto the plane, appear in the section, (N, 2) px."""
        flat = plane.inverse().points(np.array(points_mm, float).reshape(-1, 3))
        per_mm = min(size_px) / (2 * shot.half_width_mm)
        return np.column_stack([size_px[0] / 2 + flat[:, 0] * per_mm, size_px[1] / 2 - flat[:, 1] * per_mm])

    def project_ultrasound(
        self, size_px: Size, plane: Frame, shot: UltrasoundShot, points_mm: tuple[Point, ...]
    ) -> NDArray[np.float64]:
        """Where points of the world, dropped onto the plane, appear in the ultrasound picture, (N, 2) px."""
        from spineviz.views.ultrasound import pixel_mm, seen_frame

        flat = (
            seen_frame(plane, shot.depth_mm, shot.half_width_mm, size_px)
            .inverse()
            .points(np.array(points_mm, float).reshape(-1, 3))
        )
        per_mm = 1.0 / pixel_mm(shot.half_width_mm, size_px)
        return np.column_stack([size_px[0] / 2 + flat[:, 0] * per_mm, size_px[1] / 2 - flat[:, 1] * per_mm])

    def pulse(self, shot: FluoroShot, time_s: float) -> int:
        """The number of the X-ray pulse on screen; 0 for a stored picture."""
        if not shot.live:
            return 0
        from spineviz.views.fluoroscopy import pulse

        return pulse(time_s, shot.mode)

    def pulse_start_s(self, shot: FluoroShot, time_s: float) -> float:
        """When the X-ray pulse on screen was; `time_s` for a stored picture."""
        if not shot.live:
            return time_s
        from spineviz.views.fluoroscopy import pulses_per_s

        return self.pulse(shot, time_s) / pulses_per_s(shot.mode)

    def forget(self) -> None:
        """Drop every picture that was drawn, and close the windows; meshes, textures and line integrals stay, as far as
        there is room on their shelves."""
        from spineviz.views import section
        from spineviz.views.rasters import settle_shelves

        self._close_all()
        for key in set(self._fluoroscopes) - self._looked_through:
            del self._fluoroscopes[key]
        self._looked_through.clear()
        for fluoroscope in self._fluoroscopes.values():
            fluoroscope.forget()
        section.forget()
        settle_shelves()

    def close(self) -> None:
        """Give windows and monitors back."""
        self._close_all()
        self._fluoroscopes.clear()

    def _close_all(self) -> None:
        self._shut(list(self._stages))
        self._drawn_at.clear()
        self._closed_at.clear()

    def _close_unused(self, since: int) -> None:
        """Close the windows that have not drawn after the picture number `since`."""
        self._shut([key for key in self._stages if self._drawn_at[key] <= since])

    def _shut(self, keys: list[tuple[Size, bool]]) -> None:
        """Close these windows, and see to it that their memory is free."""
        for key in keys:
            self._stages.pop(key).close()
            self._closed_at[key] = self._drawn
        if keys:
            _draw_elsewhere()

    def _fluoroscope(self, size_px: Size, shot: FluoroShot, type_px: float) -> Any:
        from spineviz.views.attenuation import made_anew
        from spineviz.views.fluoroscopy import Fluoroscope

        keep = self.keep or made_anew
        key = size_px, shot.projection.key
        self._looked_through.add(key)
        return _kept(
            self._fluoroscopes,
            key,
            lambda: Fluoroscope(size_px, shot.projection, self.seed, type_px, words=False, keep=keep),
            MOST_FLUOROSCOPES,
        )


def _of_patient(structures: Structures) -> Structures:
    """What radiographs and sections show: the patient and the instruments, not the furniture of the room."""
    if not any(s.material == "theatre" for s in structures.values()):
        return structures
    return {name: s for name, s in structures.items() if s.material != "theatre"}


def _to_look_at(structures: Structures) -> Structures:
    """What sections and scans show: no roadmap either, which only a monitor does."""
    return _without_roadmap(_of_patient(structures))


def _without_roadmap(structures: Structures) -> Structures:
    if not any(s.role == _ROADMAP for s in structures.values()):
        return structures
    return {name: s for name, s in structures.items() if s.role != _ROADMAP}


def _draw_elsewhere() -> None:
    """Mesa draws in several passes at a time, and of each keeps what it drew into until a later one takes its place:
    let there be as many at once that draw into little."""
    from spineviz.views.offscreen import store

    size = _ELSEWHERE_PX, _ELSEWHERE_PX
    pictures = [store().gl.simple_framebuffer(size) for _ in range(2)]
    for turn in range(_PASSES):
        pictures[turn % 2].use()  # another one ends the pass
        store().fill("clear", np.array([(0, 0, *size)]), size)
    store().gl.finish()
    for picture in pictures:
        for part in (picture, *picture.color_attachments, picture.depth_attachment):
            part.release()


def _close(stage: Any) -> None:
    stage.close()


def _kept(
    store: OrderedDict[Any, Any],
    key: Hashable,
    make: Callable[[], Any],
    most: int,
    drop: Callable[[Any], None] | None = None,
) -> Any:
    """The value under `key`, made if missing; the one used longest ago is dropped when there are more than `most`."""
    if key not in store:
        store[key] = make()
        while len(store) > most:
            old = store.popitem(last=False)[1]
            if drop is not None:
                drop(old)
    store.move_to_end(key)
    return store[key]
