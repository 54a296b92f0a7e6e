"""How near a film comes to the floor that encoding sets: python tests/bench/bench_floor.py [EVERY].

The floor is libx264, preset medium, crf 20, default threads, fed the very frames after they were drawn. Of every
EVERYth piece (7) of the full-HD vertebroplasty film: what a worker of one thread spends on drawing and encoding, as a
multiple of what the floor spends on the same frames. All in processor time, which two workers on two idle cores halve
as the floor's own threads do; a worker has drawn for a while, so the first frame of each piece is drawn once before.
Then the same for pieces in which the camera rests beside all views, and moves; and the stage alone against manim's
ThreeDScene, each frame a turned sphere of the same triangles in the same number of pixels.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from told import milliseconds, tell

from spineviz.anatomy.structure import RANKS, Structure
from spineviz.film.drawing import FilmDrawer, FilmJob
from spineviz.film.encode import encode_segment
from spineviz.film.opening import scene_source
from spineviz.film.pieces import Piece, pieces
from spineviz.film.rendition import Rendition
from spineviz.geometry.fields import sphere
from spineviz.geometry.meshes import Mesh
from spineviz.procedures.case import Case
from spineviz.views.camera import Camera
from spineviz.views.stage import Stage

FHD = Rendition(quality="fhd")
LIMIT_FILM, LIMIT_REST, LIMIT_MOVING, LIMIT_STAGE = 2.0, 1.5, 3.0, 0.01
AT_REST = (("entry", 5.0), ("pedicle", 5.0), ("cement", 5.0))
"""Step and second of pieces in which instruments or cement move before a camera at rest, with all views on screen."""
MOVING = (("healthy", 5.0), ("fracture", 5.0), ("target", 1.0), ("cast", 1.0))
FACES, STAGE_PX = 40_000, (854, 480)


def worker_and_floor_s(drawer: FilmDrawer, piece: Piece) -> tuple[float, float]:
    """Processor seconds of a worker for `piece`, and of the floor for its frames, which are drawn again for that: a
    worker keeps none."""
    size = FHD.size
    count = len(piece.times_s(size.frames_per_s))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "piece.mp4"
        spent = 1e-3 * milliseconds(
            lambda: encode_segment(path, drawer.frames(piece), FHD.output, size.size_px, size.frames_per_s, count)
        )
    return spent, floor_s(drawer.frames(piece))


def warm(drawer: FilmDrawer, chosen: Sequence[Piece]) -> None:
    """Draw the first frame of each piece."""
    for piece in chosen:
        next(drawer.frames(piece))


def floor_s(frames: Iterable[np.ndarray]) -> float:
    """Processor seconds of the encoder alone; the frames are in its own colours before it begins."""
    pictures: list[Any] = []
    last = None
    for frame in frames:
        same = frame is last
        picture = pictures[-1] if same else av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p")
        pictures.append(picture)
        last = frame
    begun = time.process_time()
    with av.open(io.BytesIO(), "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=FHD.size.frames_per_s)
        stream.width, stream.height = FHD.size.size_px
        stream.pix_fmt, stream.options = "yuv420p", {"preset": "medium", "crf": "20"}
        for i, picture in enumerate(pictures):
            picture.pts, picture.time_base = i, Fraction(1, FHD.size.frames_per_s)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return time.process_time() - begun


def bench_film(every: int) -> list[bool]:
    """Shares of the film, of rest and of movement."""
    job = FilmJob(scene_source("vertebroplasty"), Case(), FHD)
    with job.opened() as drawer:
        clock = drawer.scene.clock
        film = pieces(clock)
        sampled = film[every // 2 :: every]
        warm(drawer, sampled)
        worker, floor = np.array([worker_and_floor_s(drawer, piece) for piece in sampled]).sum(axis=0)
        kept = [tell("vertebroplasty fhd against the floor", [float(worker / floor)], "times", LIMIT_FILM)]
        for name, places, limit in (("at rest", AT_REST, LIMIT_REST), ("moving", MOVING, LIMIT_MOVING)):
            times = [clock.step(step).start_s + second for step, second in places]
            chosen = [next(p for p in film if p.start_s <= t < p.end_s) for t in times]
            warm(drawer, chosen)
            spent = np.array([worker_and_floor_s(drawer, piece) for piece in chosen])
            shares = (spent[:, 0] / spent[:, 1]).tolist()
            kept.append(tell(f"full frame fhd, camera {name}, against the floor", shares, "times", limit))
    return kept


def ball_mesh() -> Mesh:
    """A sphere of radius 60 mm in FACES triangles."""
    import pyvista

    across = round((FACES / 2) ** 0.5)
    made = pyvista.Sphere(radius=60.0, theta_resolution=across, phi_resolution=across + 1)
    return Mesh(np.asarray(made.points, float), np.asarray(made.faces.reshape(-1, 4)[:, 1:], np.int64))


def bench_stage() -> bool:
    """The stage's frame as a share of ThreeDScene's."""
    from manim import ThreeDScene, ThreeDVMobject, tempconfig

    mesh = ball_mesh()
    ball = Structure("ball", "bone", "bone", sphere([0, 0, 0], 60.0), lambda _: mesh, "bench-ball", RANKS["bone"])
    camera, stage = Camera((0.0, -400.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0), 24.0), Stage(STAGE_PX)
    stage.draw({"ball": ball}, camera)
    ours = [milliseconds(lambda i=i: stage.draw({"ball": ball}, camera.orbited(3.0 * i))) for i in range(1, 8)]
    stage.close()
    options = {"pixel_width": STAGE_PX[0], "pixel_height": STAGE_PX[1], "dry_run": True, "verbosity": "ERROR"}
    with tempconfig(options):
        scene = ThreeDScene()
        faces = []
        for corners in mesh.points_mm[mesh.triangles] / 20.0:
            face = ThreeDVMobject(fill_color="#F4F0E2", fill_opacity=1.0, stroke_width=0.0)
            face.set_points_as_corners([*corners, corners[0]])
            faces.append(face)
        scene.add(*faces)

        def turned(i: int) -> None:
            scene.set_camera_orientation(phi=1.2, theta=0.05 * i)
            scene.camera.reset()
            scene.camera.capture_mobjects(scene.mobjects)

        theirs = [milliseconds(lambda i=i: turned(i)) for i in range(3)]
    size = f"{len(mesh.triangles)} triangles, {STAGE_PX[0]}x{STAGE_PX[1]}"
    tell(f"stage, moving, {size}", ours, "ms")
    tell(f"ThreeDScene, moving, {size}", theirs, "ms")
    share = float(np.median(ours) / np.median(theirs))
    return tell("a frame of the stage as a share of ThreeDScene's", [share], "times", LIMIT_STAGE)


def main() -> None:
    """Measure and tell; exit 1 where a limit is passed."""
    kept = [bench_stage(), *bench_film(int(sys.argv[1]) if len(sys.argv) > 1 else 7)]
    sys.exit(not all(kept))


if __name__ == "__main__":
    main()
