"""Surfaces: closed, of the field's volume, the same after being written and read."""

from __future__ import annotations

import json
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import exact_fields, frames, vector

from spineviz.geometry import fields as f
from spineviz.geometry import operators as o
from spineviz.geometry.grids import Grid, sample
from spineviz.geometry.meshes import (
    MESH_FORMATS,
    Mesh,
    from_polydata,
    joined,
    mesh_field,
    mesh_grid,
    simplified,
    write_mesh,
)

BALL = f.sphere((3.0, -4.0, 5.0), 12.0)


@settings(max_examples=25)
@given(vector, st.floats(4.0, 15.0))
def test_mesh_of_a_ball_holds_its_volume(centre, radius):
    mesh = mesh_field(f.sphere(centre, radius), radius / 16)
    assert mesh.is_closed
    assert mesh.pieces == 1
    assert mesh.volume_ml == pytest.approx(4 / 3 * np.pi * radius**3 / 1000, rel=5e-3)
    assert mesh.area_mm2 == pytest.approx(4 * np.pi * radius**2, rel=1e-2)


@pytest.mark.parametrize(
    ("field", "exact_mm3"),
    [
        (f.box((1, 2, 3), (20, 14, 10)), 20 * 14 * 10),
        (f.cylinder((0, 0, 0), (5, 10, 20), 6), np.pi * 36 * np.sqrt(525)),
        (f.capped_cone((0, 0, 0), (0, 0, 24), 9, 3), np.pi * 24 / 3 * (81 + 27 + 9)),
        (f.torus((0, 0, 0), (1, 1, 1), 14, 5), 2 * np.pi**2 * 14 * 25),
        (f.capsule((0, 0, 0), (0, 12, 5), 5), np.pi * 25 * 13 + 4 / 3 * np.pi * 125),
        (f.ellipsoid((0, 0, 0), (14, 9, 6)), 4 / 3 * np.pi * 14 * 9 * 6),
        (f.round_cone((0, 0, 0), (0, 0, 20), 6, 6), np.pi * 36 * 20 + 4 / 3 * np.pi * 216),
    ],
)
def test_mesh_holds_the_volume_of_its_field(field, exact_mm3):
    mesh = mesh_field(field, 0.5)
    assert mesh.is_closed
    assert mesh.volume_ml == pytest.approx(exact_mm3 / 1000, rel=0.01)


def test_volume_converges_with_the_square_of_the_spacing():
    exact = 4 / 3 * np.pi * 12**3 / 1000
    coarse, fine = (abs(mesh_field(BALL, h).volume_ml - exact) for h in (2.4, 1.2))
    assert fine < coarse / 3


@settings(max_examples=20)
@given(exact_fields(), exact_fields())
def test_meshes_of_any_union_are_closed_and_manifold(a, b):
    field = o.union(a, b)
    span = float((field.bounds_mm[1] - field.bounds_mm[0]).max())
    if span > 400:  # a half space has no closed surface
        return
    mesh = mesh_field(field, max(span / 40, 0.4))
    assert mesh.is_closed
    assert mesh.volume_ml >= 0


@settings(max_examples=15)
@given(exact_fields(), exact_fields(), st.floats(0.6, 1.0))
def test_sampling_near_the_surface_alone_gives_the_same_surface(a, b, fineness):
    """What `sample` leaves out changes no vertex."""
    field = o.smooth_union(a, b, blend_mm=3.0)
    span = float((field.bounds_mm[1] - field.bounds_mm[0]).max())
    if span > 400:
        return
    spacing = max(span / 30 * fineness, 0.4)
    grid = sample(field, spacing, 2 * spacing)
    full = field(grid.points()).reshape(grid.values.shape)
    assert ((full < 0) == (grid.values < 0)).all()
    close = np.abs(full) < spacing * 0.99
    assert grid.values[close] == pytest.approx(full[close], abs=1e-3)


def test_a_band_keeps_distances_true_further_out():
    grid = sample(BALL, 0.8, margin_mm=6.0, band_mm=5.0)
    full = BALL(grid.points()).reshape(grid.values.shape)
    assert grid.values[np.abs(full) < 5.0] == pytest.approx(full[np.abs(full) < 5.0], abs=1e-4)


def test_sampled_field_reads_back_its_distances():
    grid = sample(BALL, 0.5, margin_mm=3.0)
    points = np.random.default_rng(0).normal(size=(300, 3))
    on_surface = np.array([3.0, -4.0, 5.0]) + 12.0 * points / np.linalg.norm(points, axis=1, keepdims=True)
    assert grid.field()(on_surface) == pytest.approx(np.zeros(300), abs=0.02)
    assert grid.field()([[100.0, -4.0, 5.0]])[0] == pytest.approx(85.0, abs=4.0)
    assert not grid.field().exact


def test_grid_points_follow_its_values():
    grid = sample(BALL, 2.0)
    assert grid.points().shape == (grid.values.size, 3)
    assert grid.bounds_mm[1] == pytest.approx(grid.points()[-1])
    assert grid.at(grid.points()[[0, -1]]) == pytest.approx(grid.values.ravel()[[0, -1]])
    assert grid.at(np.array([[1e3, 0, 0]]), outside=7.0) == pytest.approx([7.0])


@given(frames())
def test_moving_a_mesh_keeps_its_measures(frame):
    mesh = mesh_field(f.box((0, 0, 0), (8, 5, 3)), 0.7)
    moved = mesh.moved(frame)
    assert moved.volume_ml == pytest.approx(mesh.volume_ml)
    assert moved.area_mm2 == pytest.approx(mesh.area_mm2)
    assert moved.normals == pytest.approx(mesh.normals @ frame.rotation.T, abs=1e-9)


def test_normals_point_outward():
    mesh = mesh_field(BALL, 0.6)
    outward = (mesh.points_mm - [3.0, -4.0, 5.0]) / 12.0
    assert (np.einsum("ij,ij->i", mesh.normals, outward) > 0.98).all()


def test_closed_tells_a_hole_a_flipped_face_and_a_third_wing():
    mesh = mesh_field(BALL, 2.0)
    assert mesh.is_closed
    assert not Mesh(mesh.points_mm, mesh.triangles[1:]).is_closed
    flipped = mesh.triangles.copy()
    flipped[0] = flipped[0, ::-1]
    assert not Mesh(mesh.points_mm, flipped).is_closed
    assert not Mesh(mesh.points_mm, np.concatenate([mesh.triangles, mesh.triangles[:1]])).is_closed


def test_pieces_are_counted():
    apart = joined(mesh_field(BALL, 2.0), mesh_field(f.sphere((50, 0, 0), 5), 1.0))
    assert apart.pieces == 2
    assert apart.is_closed


def test_nodes_on_the_surface_leave_no_slivers():
    mesh = mesh_field(f.box((0, 0, 0), (10, 10, 10)), 1.0)  # every face lies on a layer of nodes
    assert mesh.is_closed
    assert mesh.volume_ml == pytest.approx(1.0, rel=0.06)  # a surface of triangles cuts the twelve sharp edges


def test_points_that_meet_at_a_node_are_one():
    steps = np.abs(np.indices((9, 9, 9)) - 4).sum(axis=0).astype(np.float32)
    mesh = mesh_grid(Grid(np.full(3, -4.0), 1.0, steps), 3.0)  # an octahedron whose corners and edges are nodes
    corners = mesh.points_mm[mesh.triangles]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    assert mesh.is_closed
    assert len(np.unique(mesh.points_mm, axis=0)) == len(mesh.points_mm)
    assert areas.min() > 0.1
    assert mesh.volume_ml == pytest.approx(36.0 / 1000.0)


def test_a_field_without_a_surface_gives_an_empty_mesh():
    far = f.sphere((100, 0, 0), 5)
    mesh = mesh_field(far, 1.0, np.array([[-5.0, -5, -5], [5, 5, 5]]))
    assert len(mesh.triangles) == 0
    assert mesh.volume_ml == 0.0


def test_simplified_keeps_volume_and_stays_closed():
    mesh = mesh_field(BALL, 0.7)
    light = simplified(mesh, 1200)
    assert len(light.triangles) <= 1250
    assert light.is_closed
    assert light.volume_ml == pytest.approx(mesh.volume_ml, rel=0.01)
    assert simplified(light, 10**6) is light


def test_surfaces_that_are_simplified_at_the_same_time_do_not_mix():
    meshes = [mesh_field(f.sphere((0, 0, 0), radius), 0.3) for radius in (6.0, 7.0, 8.0, 9.0)]
    alone = [simplified(mesh, 1500) for mesh in meshes]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda mesh: simplified(mesh, 1500), meshes * 3))
    for one, other in zip(alone * 3, together, strict=True):
        assert np.array_equal(one.points_mm, other.points_mm)
        assert np.array_equal(one.triangles, other.triangles)


@pytest.mark.parametrize("ending", MESH_FORMATS)
def test_written_surfaces_read_back(tmp_path, ending):
    import pyvista as pv

    meshes = {"ball": mesh_field(BALL, 1.0), "box": mesh_field(f.box((60, 0, 0), (9, 8, 7)), 0.9)}
    path = tmp_path / f"both{ending}"
    write_mesh(meshes, path)
    expected = sum(m.volume_ml for m in meshes.values())
    if ending == ".glb":
        parts = read_glb(path)
        assert list(parts) == ["ball", "box"]
        for name, mesh in meshes.items():
            x, y, z = parts[name].points_mm.T  # metres, y up
            back = Mesh(np.column_stack([x, -z, y]) * 1000, parts[name].triangles)
            assert back.volume_ml == pytest.approx(mesh.volume_ml, rel=1e-4)
            assert back.points_mm == pytest.approx(mesh.points_mm, abs=1e-3)
        return
    back = from_polydata(pv.read(path).clean())
    assert back.volume_ml == pytest.approx(expected, rel=1e-4)
    assert back.bounds_mm == pytest.approx(joined(*meshes.values()).bounds_mm, abs=1e-3)
    assert back.is_closed
    if ending == ".obj":
        assert [line for line in path.read_text("utf-8").splitlines() if line.startswith("o ")] == ["o ball", "o box"]


def read_glb(path):
    """The nodes of a GLB file as the specification lays them out (glTF 2.0, section 4), read without VTK."""
    data = path.read_bytes()
    magic, version, length = struct.unpack_from("<III", data)
    assert (magic, version, length) == (0x46546C67, 2, len(data))
    size, kind = struct.unpack_from("<II", data, 12)
    assert kind == 0x4E4F534A
    document = json.loads(data[20 : 20 + size])
    blob_size, kind = struct.unpack_from("<II", data, 20 + size)
    assert kind == 0x004E4942
    blob = data[28 + size : 28 + size + blob_size]
    assert document["buffers"][0]["byteLength"] == blob_size
    types = {5126: ("<f4", 3), 5125: ("<u4", 1)}

    def array(index):
        accessor = document["accessors"][index]
        view = document["bufferViews"][accessor["bufferView"]]
        dtype, width = types[accessor["componentType"]]
        raw = np.frombuffer(blob, dtype, accessor["count"] * width, view["byteOffset"])
        return raw.reshape(-1, 3)

    out = {}
    for node in document["nodes"]:
        primitive = document["meshes"][node["mesh"]]["primitives"][0]
        points = array(primitive["attributes"]["POSITION"])
        normals = array(primitive["attributes"]["NORMAL"])
        accessor = document["accessors"][primitive["attributes"]["POSITION"]]
        assert accessor["min"] == pytest.approx(points.min(0).tolist())
        assert accessor["max"] == pytest.approx(points.max(0).tolist())
        assert np.linalg.norm(normals, axis=1) == pytest.approx(np.ones(len(normals)), abs=1e-5)
        out[node["name"]] = Mesh(points.astype(float), array(primitive["indices"]).astype(np.int64))
    return out


def test_an_unknown_ending_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"x\.step: the ending must be one of \.stl, \.obj, \.ply, \.glb, got \.step"):
        write_mesh({"ball": mesh_field(BALL, 3.0)}, tmp_path / "x.step")
    assert not list(tmp_path.iterdir())


def test_grid_can_be_meshed_at_another_level():
    grid = sample(BALL, 0.6, margin_mm=4.0, band_mm=3.0)
    assert mesh_grid(grid, 2.0).volume_ml == pytest.approx(4 / 3 * np.pi * 14**3 / 1000, rel=0.01)
