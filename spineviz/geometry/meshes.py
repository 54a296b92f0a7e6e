"""Triangle surfaces of fields: made, measured, moved and written."""

from __future__ import annotations

import json
import struct
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spineviz.geometry.fields import Field, Points, box_bounds
from spineviz.geometry.frames import Frame
from spineviz.geometry.grids import Grid, sample

if TYPE_CHECKING:
    import pyvista

MESH_FORMATS = (".stl", ".obj", ".ply", ".glb")


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangle surface; outward normals follow the right hand.

    Attributes:
        points_mm: (N, 3) vertices.
        triangles: (M, 3) indices into them.
    """

    points_mm: Points
    triangles: NDArray[np.int64]

    @cached_property
    def volume_ml(self) -> float:
        """The enclosed volume by the divergence theorem, mL; right only for a closed surface."""
        if not len(self.triangles):
            return 0.0
        # axis by axis: a film measures one for every few frames in which something grows
        x, y, z = (self.points_mm - self.points_mm.mean(0)).T.copy()
        a, b, c = self.triangles.T.copy()
        xb, yb, zb, xc, yc, zc = x[b], y[b], z[b], x[c], y[c], z[c]
        six_mm3 = x[a] * (yb * zc - zb * yc) + y[a] * (zb * xc - xb * zc) + z[a] * (xb * yc - yb * xc)
        return float(six_mm3.sum()) / 6000.0

    @cached_property
    def area_mm2(self) -> float:
        """The surface area, mm²."""
        a, b, c = (self.points_mm[self.triangles[:, i]] for i in range(3))
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)

    @cached_property
    def normals(self) -> NDArray[np.float64]:
        """(N, 3) area-weighted unit normals at the vertices."""
        a, b, c = (self.points_mm[self.triangles[:, i]] for i in range(3))
        face = np.cross(b - a, c - a)
        out = np.zeros_like(self.points_mm)
        for corner in range(3):
            np.add.at(out, self.triangles[:, corner], face)
        return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)

    @property
    def bounds_mm(self) -> NDArray[np.float64]:
        """(2, 3) low and high corner."""
        return box_bounds(self.points_mm.min(0), self.points_mm.max(0))

    @property
    def is_closed(self) -> bool:
        """Whether every edge is shared by exactly two triangles that run it in opposite ways (manifold too)."""
        edges = np.concatenate([self.triangles[:, [0, 1]], self.triangles[:, [1, 2]], self.triangles[:, [2, 0]]])
        span = len(self.points_mm)
        forward = edges[:, 0] * span + edges[:, 1]
        if len(np.unique(forward)) != len(forward):
            return False
        return bool(np.isin(edges[:, 1] * span + edges[:, 0], forward).all())

    @property
    def pieces(self) -> int:
        """How many connected pieces the surface has."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        used = np.unique(self.triangles)
        a, b = self.triangles[:, [0, 1, 2]].ravel(), self.triangles[:, [1, 2, 0]].ravel()
        n = len(self.points_mm)
        _, label = connected_components(coo_matrix((np.ones(len(a)), (a, b)), shape=(n, n)), directed=False)
        return len(np.unique(label[used]))

    def moved(self, outer_from_inner: Frame) -> Mesh:
        """The surface carried outward by a rigid frame."""
        return Mesh(outer_from_inner.points(self.points_mm), self.triangles)

    def with_points(self, points_mm: Points) -> Mesh:
        """The same triangles over other vertex positions (N, 3)."""
        return Mesh(points_mm, self.triangles)

    def polydata(self) -> pyvista.PolyData:
        """The surface for VTK."""
        import pyvista as pv

        faces = np.column_stack([np.full(len(self.triangles), 3), self.triangles]).ravel()
        return pv.PolyData(self.points_mm, faces)


def from_polydata(data: pyvista.PolyData) -> Mesh:
    """A VTK triangle surface as a Mesh."""
    triangles = np.asarray(data.triangulate().faces, np.int64).reshape(-1, 4)[:, 1:]
    return Mesh(np.asarray(data.points, np.float64), triangles)


def _from_vtk_surface(surface: Any) -> Mesh:
    """A vtkPolyData of triangles as a Mesh."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    points = vtk_to_numpy(surface.GetPoints().GetData()).astype(np.float64)
    triangles = vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).reshape(-1, 3).astype(np.int64)
    return Mesh(points, triangles)


def mesh_grid(grid: Grid, level: float = 0.0) -> Mesh:
    """The surface where `grid` passes `level`, lower values inside (flying edges; Schroeder 2015,
    doi:10.1109/LDAV.2015.7348069)."""
    # VTK's own modules: importing pyvista costs a second that a still does not have
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

    image = vtkImageData()
    image.SetDimensions(grid.values.shape)
    image.SetSpacing((grid.spacing_mm,) * 3)
    image.SetOrigin(tuple(grid.origin_mm))
    values = grid.values.ravel(order="F")
    image.GetPointData().SetScalars(numpy_to_vtk(values))
    edges = vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, level)
    edges.ComputeNormalsOff()
    edges.ComputeScalarsOff()
    edges.Update()
    surface = edges.GetOutput()
    if surface.GetNumberOfPolys() == 0:
        return Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int64))
    mesh = _from_vtk_surface(surface)
    if _meets_at_nodes(mesh, grid):
        mesh = _without_slivers(surface)
    # flying edges turns its triangles towards the lower values
    return mesh if mesh.volume_ml >= 0 else Mesh(mesh.points_mm, np.ascontiguousarray(mesh.triangles[:, ::-1]))


_MERGED = 1e-7
"""Points of a surface closer together than this share of its diagonal are one."""


def _meets_at_nodes(mesh: Mesh, grid: Grid) -> bool:
    """Whether points of the surface of `grid` lie so near a node that those on its other edges are the same."""
    low, high = mesh.points_mm.min(0), mesh.points_mm.max(0)
    reach = _MERGED * float(np.linalg.norm(high - low)) + 1e-7 * float(np.abs((low, high)).max())
    near = np.ones(len(mesh.points_mm), bool)
    for axis, first in enumerate(grid.origin_mm):
        place = (mesh.points_mm[:, axis] - first) / grid.spacing_mm
        near &= np.abs(place - np.rint(place)) * grid.spacing_mm <= reach
    return bool(near.any())


def _without_slivers(surface: Any) -> Mesh:
    """A vtkPolyData of triangles with points that coincide merged, and without the triangles that have no area then."""
    from vtkmodules.vtkFiltersCore import vtkCleanPolyData

    clean = vtkCleanPolyData()
    clean.SetInputData(surface)
    clean.ConvertPolysToLinesOff()
    clean.SetTolerance(_MERGED)
    clean.Update()
    raw = _from_vtk_surface(clean.GetOutput())
    a, b, c = raw.triangles.T
    return Mesh(raw.points_mm, raw.triangles[(a != b) & (b != c) & (c != a)])


def mesh_field(field: Field, spacing_mm: float, bounds_mm: NDArray[np.float64] | None = None) -> Mesh:
    """The closed surface of `field` on a grid of `spacing_mm`; its volume is right to second order in it."""
    grid = sample(field, spacing_mm, margin_mm=2.0 * spacing_mm, bounds_mm=bounds_mm)
    grid.values[np.abs(grid.values) < 1e-4 * spacing_mm] = 1e-4 * spacing_mm  # keep nodes off the surface
    return mesh_grid(grid)


_one_surface = threading.Lock()
"""fast-simplification works on the one surface of the process, and lets other threads run meanwhile."""


def simplified(mesh: Mesh, triangles: int) -> Mesh:
    """About `triangles` triangles that lie where the mesh does (quadric decimation; Garland and Heckbert 1997,
    doi:10.1145/258734.258849); the mesh itself if it has fewer."""
    if len(mesh.triangles) <= triangles:
        return mesh
    # a sixth of the time that VTK's quadric decimation takes, no further off
    from fast_simplification import simplify

    with _one_surface:
        points, faces = simplify(mesh.points_mm, mesh.triangles.astype(np.int32), target_count=triangles)
    return Mesh(points, faces.astype(np.int64))


def joined(*meshes: Mesh) -> Mesh:
    """Several surfaces in one."""
    starts = np.cumsum([0, *[len(m.points_mm) for m in meshes]])
    return Mesh(
        np.concatenate([m.points_mm for m in meshes]),
        np.concatenate([m.triangles + s for m, s in zip(meshes, starts, strict=False)]),
    )


def write_mesh(meshes: dict[str, Mesh], path: Path) -> None:
    """Write named surfaces (mm) as STL, OBJ, PLY or GLB, by the ending of `path`.

    STL, OBJ and PLY hold them as one; GLB as one node each, in metres with y up as glTF asks.
    Raises ValueError, naming the ending, for another one.
    """
    ending = path.suffix.lower()
    if ending not in MESH_FORMATS:
        raise ValueError(f"{path.name}: the ending must be one of {', '.join(MESH_FORMATS)}, got {ending or 'none'}")
    if ending == ".glb":
        _write_glb(meshes, path)
        return
    if ending == ".obj":
        _write_obj(meshes, path)
    elif ending == ".stl":
        path.write_bytes(_stl(joined(*meshes.values())))
    else:
        path.write_bytes(_ply(joined(*meshes.values())))


def _write_obj(meshes: dict[str, Mesh], path: Path) -> None:
    lines = [f"v {x:.5f} {y:.5f} {z:.5f}" for mesh in meshes.values() for x, y, z in mesh.points_mm]
    start = 1
    for name, mesh in meshes.items():
        lines.append(f"o {name}")
        lines += [f"f {a} {b} {c}" for a, b, c in mesh.triangles + start]
        start += len(mesh.points_mm)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _stl(mesh: Mesh) -> bytes:
    """Binary STL: an 80-byte header, the count, and for each triangle its normal, its corners and two bytes of 0."""
    corners = mesh.points_mm[mesh.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    rows = np.zeros(len(corners), np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("rest", "<u2")]))
    rows["normal"], rows["corners"] = normals, corners
    return b"spineviz, mm".ljust(80) + np.uint32(len(rows)).astype("<u4").tobytes() + rows.tobytes()


def _ply(mesh: Mesh) -> bytes:
    """Binary little-endian PLY."""
    header = (
        "ply\nformat binary_little_endian 1.0\ncomment spineviz, mm\n"
        f"element vertex {len(mesh.points_mm)}\nproperty float x\nproperty float y\nproperty float z\n"
        f"element face {len(mesh.triangles)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    faces = np.zeros(len(mesh.triangles), np.dtype([("count", "u1"), ("corners", "<i4", 3)]))
    faces["count"], faces["corners"] = 3, mesh.triangles
    return header.encode() + mesh.points_mm.astype("<f4").tobytes() + faces.tobytes()


def _write_glb(meshes: dict[str, Mesh], path: Path) -> None:
    blob = b""
    views: list[dict[str, int]] = []
    accessors: list[dict[str, object]] = []
    gltf_meshes: list[dict[str, object]] = []
    nodes: list[dict[str, object]] = []
    for name, mesh in meshes.items():
        x, y, z = mesh.points_mm.T / 1000.0
        positions = np.column_stack([x, z, -y]).astype("<f4")
        normal = mesh.normals
        normals = np.column_stack([normal[:, 0], normal[:, 2], -normal[:, 1]]).astype("<f4")
        indices = mesh.triangles.astype("<u4").ravel()
        for data, target in ((positions, 34962), (normals, 34962), (indices, 34963)):
            views.append({"buffer": 0, "byteOffset": len(blob), "byteLength": data.nbytes, "target": target})
            blob += data.tobytes()
        first = len(accessors)
        accessors += [
            {"bufferView": first, "componentType": 5126, "count": len(positions), "type": "VEC3",
             "min": positions.min(0).tolist(), "max": positions.max(0).tolist()},
            {"bufferView": first + 1, "componentType": 5126, "count": len(normals), "type": "VEC3"},
            {"bufferView": first + 2, "componentType": 5125, "count": len(indices), "type": "SCALAR"},
        ]  # fmt: skip
        gltf_meshes.append(
            {
                "name": name,
                "primitives": [{"attributes": {"POSITION": first, "NORMAL": first + 1}, "indices": first + 2}],
            }
        )
        nodes.append({"name": name, "mesh": len(nodes)})
    document = {
        "asset": {"version": "2.0", "generator": "spineviz"},
        "scene": 0, "scenes": [{"nodes": list(range(len(nodes)))}], "nodes": nodes, "meshes": gltf_meshes,
        "buffers": [{"byteLength": len(blob)}], "bufferViews": views, "accessors": accessors,
    }  # fmt: skip
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    blob += b"\0" * (-len(blob) % 4)
    header = struct.pack("<III", 0x46546C67, 2, 12 + 8 + len(text) + 8 + len(blob))
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(blob), 0x004E4942) + blob
    path.write_bytes(header + chunks)
