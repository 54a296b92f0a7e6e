"""An OpenGL window that nobody sees: surfaces in, colour and depth out."""

from __future__ import annotations

import os
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spineviz.data.errors import FaultError
from spineviz.geometry.frames import Frame
from spineviz.geometry.meshes import Mesh
from spineviz.views import shaders
from spineviz.views.camera import Camera

_KEPT_ACTORS = 160
"""Surfaces held in vertex buffers; the one unused for longest goes first."""


@dataclass(frozen=True)
class Drawn:
    """One surface of one picture.

    Attributes:
        key: names surface and use; with an equal key the vertex buffers are kept.
        mesh: the surface in its local frame; read only when `key` is new.
        world_from_local: where it stands.
        numbers: the shader's numbers; a float, or three.
        cut: removes what lies on the +z side of this world frame.
        one_sided: far sides are not drawn (glass), or near sides are not (outlines: -1); 0 draws both.
        colours: (N, 3) of 0 to 255 for each vertex, in place of the shader's `surface`.
        normals: (N, 3) at the vertices; found from the mesh when None.
    """

    key: tuple[object, ...]
    mesh: Mesh
    world_from_local: Frame
    numbers: Mapping[str, float | tuple[float, float, float]]
    cut: Frame | None = None
    one_sided: int = 0
    colours: NDArray[np.uint8] | None = None
    normals: NDArray[np.float64] | None = None


@dataclass
class _Kept:
    actor: Any
    mapper: Any
    pose: bytes = b""
    cut: bytes = b""
    numbers: dict[str, object] = field(default_factory=dict)


def prefer_egl() -> None:
    """Ask VTK for a window without a display server where there is none; call before VTK is first imported."""
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")


class Offscreen:
    """A window of `size_px` (width, height) with an opaque picture and a glass one that share their depth.

    Raises FaultError where no OpenGL can be had.
    """

    def __init__(self, size_px: tuple[int, int]) -> None:
        prefer_egl()
        try:
            import vtkmodules.vtkRenderingOpenGL2  # noqa: F401  (registers the OpenGL classes)
            from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow
        except ImportError as error:
            raise FaultError(f"off-screen OpenGL: {error}; spineviz doctor names the missing library") from error
        self.size_px = size_px
        self._window = vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._window.SetMultiSamples(0)
        self._window.SetAlphaBitPlanes(1)
        self._window.SetSize(*size_px)
        self._opaque, self._glass = vtkRenderer(), vtkRenderer()
        for renderer in (self._opaque, self._glass):
            renderer.SetBackground(0.0, 0.0, 0.0)
            renderer.SetBackgroundAlpha(0.0)
            renderer.GetCullers().RemoveAllItems()  # cullers may change the order of drawing
            renderer.AutomaticLightCreationOff()
            self._window.AddRenderer(renderer)
        self._add_light(self._opaque)
        self._add_light(self._glass)
        self._glass.SetActiveCamera(self._opaque.GetActiveCamera())
        self._glass.SetPreserveDepthBuffer(1)
        self._kept: OrderedDict[tuple[object, ...], _Kept] = OrderedDict()

    @staticmethod
    def _add_light(renderer: Any) -> None:
        # one light keeps VTK's normals alive in the shader; its own colours are not used
        from vtkmodules.vtkRenderingCore import vtkLight

        light = vtkLight()
        light.SetLightTypeToHeadlight()
        renderer.AddLight(light)

    def look(self, camera: Camera, near_mm: float, far_mm: float) -> None:
        """Place the eye."""
        eye = self._opaque.GetActiveCamera()
        eye.SetPosition(*camera.position_mm)
        eye.SetFocalPoint(*camera.target_mm)
        eye.SetViewUp(*camera.world_from_camera.rotation[:, 1])
        eye.SetViewAngle(camera.view_angle_deg)
        eye.SetClippingRange(near_mm, far_mm)

    def projection_matrix(self) -> NDArray[np.float64]:
        """(4, 4) world -> clip as VTK has it at this moment."""
        matrix = self._opaque.GetActiveCamera().GetCompositeProjectionTransformMatrix(
            self.size_px[0] / self.size_px[1], -1.0, 1.0
        )
        return np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])

    def draw_opaque(self, surfaces: Sequence[Drawn]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Colour with coverage (H, W, 4) and the depth buffer (H, W), 0 near to 1 far; both top row first."""
        self._draw(self._opaque, self._glass, surfaces)
        return self._colour(), self._depth()

    def draw_glass(self, surfaces: Sequence[Drawn]) -> NDArray[np.uint8]:
        """Colour times opacity, and opacity (H, W, 4), of surfaces in the order given, hidden by the opaque picture
        drawn last; top row first."""
        self._draw(self._glass, self._opaque, surfaces)
        return self._colour()

    def _draw(self, used: Any, other: Any, surfaces: Sequence[Drawn]) -> None:
        used.RemoveAllViewProps()
        for surface in surfaces:
            used.AddActor(self._actor(surface))
        other.DrawOff()
        used.DrawOn()
        self._window.Render()
        while len(self._kept) > _KEPT_ACTORS:
            _, old = self._kept.popitem(last=False)
            old.actor.ReleaseGraphicsResources(self._window)

    def _colour(self) -> NDArray[np.uint8]:
        from vtkmodules.util.numpy_support import vtk_to_numpy
        from vtkmodules.vtkCommonCore import vtkUnsignedCharArray

        width, height = self.size_px
        out = vtkUnsignedCharArray()
        self._window.GetRGBACharPixelData(0, 0, width - 1, height - 1, 0, out, 0)
        return vtk_to_numpy(out).reshape(height, width, 4)[::-1]

    def _depth(self) -> NDArray[np.float32]:
        from vtkmodules.util.numpy_support import vtk_to_numpy
        from vtkmodules.vtkCommonCore import vtkFloatArray

        width, height = self.size_px
        out = vtkFloatArray()
        self._window.GetZbufferData(0, 0, width - 1, height - 1, out)
        return vtk_to_numpy(out).reshape(height, width)[::-1]

    def _actor(self, surface: Drawn) -> Any:
        kept = self._kept.get(surface.key)
        if kept is None:
            kept = _made(surface)
            self._kept[surface.key] = kept
        self._kept.move_to_end(surface.key)
        pose = surface.world_from_local.matrix
        if kept.pose != pose.tobytes():
            from vtkmodules.vtkCommonMath import vtkMatrix4x4

            matrix = vtkMatrix4x4()
            matrix.DeepCopy(tuple(pose.ravel()))
            kept.actor.SetUserMatrix(matrix)
            kept.pose = pose.tobytes()
        cut = b"" if surface.cut is None else surface.cut.matrix.tobytes()
        if kept.cut != cut:
            _cut(kept.mapper, surface.cut)
            kept.cut = cut
        numbers = {**surface.numbers, "pictureSize": (float(self.size_px[0]), float(self.size_px[1]))}
        for name, value in numbers.items():
            if kept.numbers.get(name) != value:
                _set_number(kept.actor, name, value)
                kept.numbers[name] = value
        return kept.actor

    def close(self) -> None:
        """Give the window's memory back."""
        self._window.Finalize()


_IN_VERTEX = ("hullPx", "pictureSize")


def _set_number(actor: Any, name: str, value: object) -> None:
    shader = actor.GetShaderProperty()
    targets = [shader.GetFragmentCustomUniforms()] if name != "pictureSize" else []
    if name in _IN_VERTEX:
        targets.append(shader.GetVertexCustomUniforms())
    for uniforms in targets:
        if not isinstance(value, tuple):
            uniforms.SetUniformf(name, float(value))  # type: ignore[arg-type]
        elif len(value) == 2:
            uniforms.SetUniform2f(name, value)
        else:
            uniforms.SetUniform3f(name, value)


def _cut(mapper: Any, cut: Frame | None) -> None:
    from vtkmodules.vtkCommonDataModel import vtkPlane

    mapper.RemoveAllClippingPlanes()
    if cut is not None:
        plane = vtkPlane()
        plane.SetOrigin(*cut.origin_mm)
        plane.SetNormal(*(-cut.rotation[:, 2]))
        mapper.AddClippingPlane(plane)


def vertex_normals(mesh: Mesh) -> NDArray[np.float32]:
    """(N, 3) area-weighted unit normals at the vertices of `mesh`."""
    corners = mesh.points_mm.astype(np.float32)[mesh.triangles]
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    count = len(mesh.points_mm)
    index = mesh.triangles.ravel()
    out = np.stack([np.bincount(index, np.repeat(face[:, i], 3), count) for i in range(3)], axis=1)
    out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-20)
    return out.astype(np.float32)


def _made(surface: Drawn) -> _Kept:
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
    from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper

    mesh = surface.mesh
    data = vtkPolyData()
    points = vtkPoints()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(mesh.points_mm, np.float32), deep=True))
    data.SetPoints(points)
    cells = vtkCellArray()
    cells.SetData(3, numpy_to_vtkIdTypeArray(np.ascontiguousarray(mesh.triangles, np.int64).ravel(), deep=True))
    data.SetPolys(cells)
    normals = vertex_normals(mesh) if surface.normals is None else np.ascontiguousarray(surface.normals, np.float32)
    data.GetPointData().SetNormals(numpy_to_vtk(normals, deep=True))
    mapper = vtkPolyDataMapper()
    mapper.SetInputData(data)
    mapper.StaticOn()
    if surface.colours is not None:
        colours = numpy_to_vtk(np.ascontiguousarray(surface.colours), deep=True)
        data.GetPointData().SetScalars(colours)
        mapper.SetColorModeToDirectScalars()
    else:
        mapper.ScalarVisibilityOff()
    actor = vtkActor()
    actor.SetMapper(mapper)
    actor.ForceOpaqueOn()
    if surface.one_sided > 0:
        actor.GetProperty().BackfaceCullingOn()
    elif surface.one_sided < 0:
        actor.GetProperty().FrontfaceCullingOn()
    shader = actor.GetShaderProperty()
    body = shaders.FRAGMENT_BODY
    if surface.colours is not None:
        body = body.replace("surface", "diffuseColor")
    shader.AddVertexShaderReplacement("//VTK::PositionVC::Dec", True, shaders.VERTEX_DECLARATION, False)
    shader.AddVertexShaderReplacement("//VTK::PositionVC::Impl", True, shaders.VERTEX_BODY, False)
    shader.AddFragmentShaderReplacement("//VTK::Light::Dec", True, shaders.FRAGMENT_DECLARATION, False)
    shader.AddFragmentShaderReplacement("//VTK::Light::Impl", True, body, False)
    return _Kept(actor, mapper)
