"""spineviz export."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import pyvista as pv
from click.testing import CliRunner

from spineviz.cli import main
from spineviz.data.films import film
from spineviz.procedures.case import Case
from spineviz.procedures.kyphoplasty import plan_kyphoplasty
from spineviz.procedures.vertebroplasty import plan_vertebroplasty

FILM = "vertebroplasty"


def run(*args: str, code: int = 0):
    result = CliRunner().invoke(main, ["export", *args])
    assert result.exit_code == code, result.output
    if code:
        assert 1 <= len(result.stderr.strip().splitlines()) <= 3
    return result


def test_a_bare_level_is_the_healthy_vertebra_in_its_own_frame(tmp_path):
    out = tmp_path / "L3.stl"
    run("L3", "--out", str(out))
    mesh = pv.read(out)
    assert mesh.is_manifold
    assert mesh.n_open_edges == 0
    assert abs(mesh.center_of_mass()[0]) < 0.1  # the same on both sides
    assert 30_000 < mesh.volume < 90_000


@pytest.mark.parametrize("ending", [".stl", ".ply", ".obj"])
def test_exported_cement_holds_the_gauges_volume(tmp_path, ending):
    out = tmp_path / f"cement{ending}"
    run("cement", FILM, "--at", "200", "--out", str(out))
    plan = plan_vertebroplasty(Case())
    mesh = pv.read(out).clean().triangulate()
    assert mesh.volume / 1000 == pytest.approx(plan.cement.total_ml, rel=0.01)
    assert mesh.bounds[2] >= plan.back_quarter_y_mm


def test_glb_is_in_metres_with_y_up(tmp_path):
    out = tmp_path / "needle.glb"
    run("needle-right", FILM, "--at", "150", "--out", str(out))
    data = out.read_bytes()
    assert data[:4] == b"glTF"
    assert struct.unpack("<I", data[8:12])[0] == len(data)
    length = struct.unpack("<I", data[12:16])[0]
    document = json.loads(data[20 : 20 + length])
    assert {node["name"] for node in document["nodes"]} == {"needle-right", "handle-right"}
    low = np.min([a["min"] for a in document["accessors"] if "min" in a], axis=0)
    high = np.max([a["max"] for a in document["accessors"] if "max" in a], axis=0)
    assert 0.1 < np.linalg.norm(high - low) < 0.3


def test_the_needle_leaves_half_a_millimetre_of_bone_as_exported(tmp_path):
    """A reader's own check: no point of the shaft in the pedicle is nearer than 0.5 mm to the bone's surface."""
    bone, needle = tmp_path / "L1.stl", tmp_path / "needle.stl"
    run("L1", FILM, "--at", "140", "--out", str(bone))
    run("needle-left", FILM, "--at", "140", "--out", str(needle))
    surface = pv.read(bone)
    plan = plan_vertebroplasty(Case())
    path = plan.needles["left"].path
    way = np.arange(0.0, float((path.tip_mm - path.contact_mm) @ path.forward) - path.seat_mm, 1.0)
    axis = path.tip_mm - way[:, None] * path.forward
    distance = pv.PolyData(axis).compute_implicit_distance(surface)["implicit_distance"]
    assert np.abs(distance).min() >= path.radius_mm + 0.5 - 0.1
    along = (pv.read(needle).points - path.tip_mm) @ path.forward
    assert along.max() == pytest.approx(0.0, abs=1e-3)


KYPHOPLASTY = "kyphoplasty"


def during(step: str, share: float = 1.0) -> float:
    here = film(KYPHOPLASTY).step(step)
    return round(here.start_s + share * here.seconds - (0.1 if share == 1.0 else 0.0), 2)


@pytest.mark.parametrize("side", ["right", "left"])
def test_exported_balloons_hold_the_gauges_volume(tmp_path, side):
    out, at = tmp_path / "balloon.stl", during("inflation", 0.5)
    run(f"balloon-{side}", KYPHOPLASTY, "--at", str(at), "--out", str(out))
    gauge = getattr(plan_kyphoplasty(Case()).state_at_time(at), f"balloon_{side}_ml")
    mesh = pv.read(out).clean().triangulate()
    assert mesh.is_manifold
    assert mesh.volume / 1000 == pytest.approx(gauge, rel=0.02, abs=0.02)


def test_the_exported_cavity_is_what_the_balloons_left(tmp_path):
    out, at = tmp_path / "cavity.ply", during("cavity")
    run("cavity", KYPHOPLASTY, "--at", str(at), "--out", str(out))
    plan = plan_kyphoplasty(Case())
    assert pv.read(out).clean().triangulate().volume / 1000 == pytest.approx(plan.cavity_ml, rel=0.01)


@pytest.mark.parametrize(
    ("what", "step", "parts"),
    [
        ("cannula-right", "drill", {"cannula-right", "cannula-hub-right"}),
        ("drill-left", "drill", {"drill-left", "drill-handle-left"}),
        ("tamp-left", "balloon", {"tamp-left", "tamp-stylet-left", "tamp-neck-left", "tamp-hub-left",
                                  "marker-front-left", "marker-rear-left"}),
        ("channel-right", "cavity", {"channel-right"}),
        ("rim", "cavity", {"rim"}),
    ],
)  # fmt: skip
def test_an_instrument_comes_with_its_parts(tmp_path, what, step, parts):
    out = tmp_path / "x.obj"
    run(what, KYPHOPLASTY, "--at", str(during(step, 0.5)), "--out", str(out))
    names = [line.split(maxsplit=1)[1] for line in out.read_text().splitlines() if line.startswith(("o ", "g "))]
    assert set(names) == parts


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["L9"], "'L9' alone is no vertebra"),
        (["cement"], "'cement' alone is no vertebra"),
        (["L1", "--at", "3"], "give FILM too"),
        (["L1", FILM], "--at: which moment"),
        (["L1", FILM, "--at", "999"], "--at: 999 s is outside the film; give 0 to"),
        (["L1", "nofilm", "--at", "3"], "no film 'nofilm'"),
        (["cement", FILM, "--at", "10"], "cement does not exist at 10 s of vertebroplasty; it does from 14"),
        (["needle-right", FILM, "--at", "215"], "needle-right does not exist at 215 s of vertebroplasty; it does from"),
        (["balloon-right", FILM, "--at", "150"], "vertebroplasty has no 'balloon-right'; it has"),
        (
            ["balloon-right", "kyphoplasty", "--at", "50"],
            "balloon-right does not exist at 50 s of kyphoplasty",
        ),
        (["cement", "comparison", "--at", "5"], "give vertebroplasty/cement or kyphoplasty/cement"),
        (["cavity", "kyphoplasty", "--at", "230"], "cavity does not exist at 230 s of kyphoplasty; it does from"),
    ],
)
def test_refusals_write_nothing(tmp_path, args, said):
    result = run(*args, "--out", str(tmp_path / "x.stl"), code=2)
    assert said in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_ending_that_is_none_and_a_file_in_the_way_are_refused(tmp_path):
    assert "ending must be" in run("L1", "--out", str(tmp_path / "L1.txt"), code=2).stderr
    out = tmp_path / "L1.stl"
    out.write_bytes(b"mine")
    assert "exists already" in run("L1", "--out", str(out), code=2).stderr
    assert out.read_bytes() == b"mine"
    run("T5", "--out", str(out), "--force")
    assert out.stat().st_size > 1000


def test_a_full_disk_is_a_fault_and_leaves_nothing(tmp_path, monkeypatch):
    import spineviz.geometry.meshes as meshes

    def cut_short(_, path):
        path.write_bytes(b"solid")

    monkeypatch.setattr(meshes, "write_mesh", cut_short)
    assert "could not be written completely" in run("T5", "--out", str(tmp_path / "x.stl"), code=1).stderr
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_is_a_fault_and_leaves_nothing(tmp_path, monkeypatch):
    import spineviz.geometry.meshes as meshes

    def refuse(_, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(meshes, "write_mesh", refuse)
    assert "No space left on device" in run("T5", "--out", str(tmp_path / "x.stl"), code=1).stderr
    assert list(tmp_path.iterdir()) == []
