"""spineviz export: a structure of a film's moment, or a healthy vertebra, as a surface file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from spineviz.cli.options import case_options, check_out, force_option, out_option
from spineviz.cli.state import moment_of
from spineviz.data.errors import FaultError, RequestError

if TYPE_CHECKING:
    from spineviz.geometry.meshes import Mesh
    from spineviz.procedures.plans import Plan

ENDINGS = (".stl", ".obj", ".ply", ".glb")
SPACING_MM = 0.6
COARSE_MM = {"skin": 3.0, "muscle": 3.0, "lung": 3.0, "lungs": 3.0}
"""By role or name, where detail would only cost room; everything else is SPACING_MM fine."""


@click.command("export")
@click.argument("what", metavar="WHAT")
@click.argument("film_name", metavar="[FILM]", required=False)
@click.option("--at", metavar="SECONDS", type=float, help="The moment of FILM.")
@out_option("the surface: .stl, .obj, .ply (mm) or .glb", required=True)
@force_option
@case_options
def command(
    what: str,
    film_name: str | None,
    at: float | None,
    out: Path,
    force: bool,
    case_file: Path | None,
    settings: tuple[str, ...],
) -> None:
    """Write WHAT as a surface, world frame, millimetres.

    A level alone (T1 to L5) is the healthy vertebra in its own frame. With FILM and --at, WHAT is any structure of
    that moment (L1, disc-L1-L2, sacrum, cord, dura, roots, skin, tumour, needle-right, cannula-left, balloon-right,
    cavity, rim, cement ...) or all; of a film that shows several procedures, with the procedure's name and a slash
    before it (kyphoplasty/cement).
    """
    check_out(out, force, ENDINGS)
    if film_name is None:
        if at is not None or case_file is not None or settings:
            raise RequestError("--at, --case, --set: these choose a moment of a film; give FILM too")
        meshes = _healthy(what)
    else:
        meshes = _of_film(what, film_name, at, case_file, settings)
    from spineviz.cli.files import write_whole

    write_whole(out, lambda path: _checked_write(meshes, path))


def _healthy(what: str) -> dict[str, Mesh]:
    from spineviz.data.tables import LEVELS

    if what not in LEVELS:
        raise RequestError(f"WHAT: {what!r} alone is no vertebra; give T1 to T12 or L1 to L5, or a FILM with --at")
    from spineviz.anatomy.vertebra import vertebra

    return {what: vertebra(what).mesh(SPACING_MM)}


def _of_film(
    what: str, film_name: str, at: float | None, case_file: Path | None, settings: tuple[str, ...]
) -> dict[str, Mesh]:
    from spineviz.data.films import film

    clock = film(film_name)
    if at is None:
        raise RequestError(f"--at: which moment of {film_name}? give 0 to {clock.seconds:g}")
    moment_of(clock.seconds, at)
    from spineviz.procedures.case import load_case
    from spineviz.procedures.plans import plan_for

    plan = plan_for(film_name, load_case(case_file, settings))
    structures = plan.structures_at_time(at)
    if what != "all" and what not in structures and what not in plan.groups:
        raise RequestError(_absent(what, plan, at, tuple(structures)))
    names = list(structures) if what == "all" else [what, *(part for part in _along(what) if part in structures)]
    if what in plan.groups:
        names = [part for part in plan.groups[what] if part in structures]
    out = {}
    for name in names:
        part = structures[name]
        mesh = part.world_mesh(COARSE_MM.get(name, COARSE_MM.get(part.role, SPACING_MM)))
        if len(mesh.triangles):
            out[name] = mesh
    if not out:
        raise RequestError(_absent(what, plan, at, tuple(structures)))
    return out


def _along(what: str) -> list[str]:
    """The names of what comes along with the instrument `what` ("needle-right")."""
    from spineviz.procedures.kyphoplasty import PARTS

    procedure, slash, name = what.rpartition("/")
    tool, _, side = name.rpartition("-")
    # a balloon is a thing of its own, not a piece of its tamp
    return [f"{procedure}{slash}{part}-{side}" for part in PARTS.get(tool, ())[1:] if part != "balloon"]


def _absent(what: str, plan: Plan, time_s: float, there: tuple[str, ...]) -> str:
    """Why `what` cannot be had at `time_s`: when it exists, or what there is."""
    spans = plan.spans()
    if what in spans:
        first, last = spans[what]
        end = f" to {last:g} s" if last < plan.film.seconds else " s on"
        return f"WHAT: {what} does not exist at {time_s:g} s of {plan.film.name}; it does from {first:g}{end}"
    names = [*dict.fromkeys((*there, *spans)), *plan.groups, "all"]
    meant = [name for name in names if name.endswith(f"/{what}")]
    if meant:
        return f"WHAT: {plan.film.name} shows several procedures; give {' or '.join(meant)}"
    return f"WHAT: {plan.film.name} has no {what!r}; it has {', '.join(names)}"


def _checked_write(meshes: dict[str, Mesh], path: Path) -> None:
    """Write `meshes`; FaultError where the disk took less than it should have."""
    from spineviz.geometry.meshes import write_mesh

    write_mesh(meshes, path)
    size = path.stat().st_size
    triangles = sum(len(mesh.triangles) for mesh in meshes.values())
    # a writer that does not report a full disk leaves less than the triangles need
    if size < 12 * triangles or (path.suffix == ".stl" and size != 84 + 50 * triangles):
        raise FaultError("--out: the file could not be written completely; free some room or choose another folder")
