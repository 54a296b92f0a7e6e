"""The shared geometry module: fields, operators, frames, curves, sections, meshes and rays, in millimetres."""
