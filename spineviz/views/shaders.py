"""The light of the stage, in GLSL: one shader for every structure, told apart by a few numbers.

Lights stand with the camera, so a picture depends only on how structure and eye stand to each other. The light is added
in linear terms; a square stands in for the sRGB curve, which is nearer than a percent would be seen and free of pow().
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

KEY_LIGHT = (-0.46, 0.62, 0.64)
"""Where the key light stands, in the eye's frame (x right, y up, z to the viewer); not normalised."""


@dataclass(frozen=True)
class Finish:
    """How a surface answers light. All chosen for legibility.

    Attributes:
        gloss: strength of the highlight, 0 to 1.
        shine: its sharpness, the exponent of a Blinn lobe.
        metal: 0 dielectric to 1 metal (the highlight takes the surface's colour and the dark parts mirror the room).
        soft: how far light runs under the surface past the shadow's edge, 0 to 1.
        grain: strength of the mottling, 0 to 1.
        relief: how deep fine unevenness is, mm.
        grain_mm: the size of both.
        rim: strength of the light from behind.
    """

    gloss: float = 0.15
    shine: float = 24.0
    metal: float = 0.0
    soft: float = 0.2
    grain: float = 0.0
    relief: float = 0.0
    grain_mm: float = 2.0
    rim: float = 0.5


FINISHES: Mapping[str, Finish] = MappingProxyType(
    {
        "bone": Finish(gloss=0.16, shine=22.0, soft=0.35, grain=0.10, relief=0.05, grain_mm=1.7, rim=0.55),
        "trabecula": Finish(gloss=0.0, soft=0.3, rim=0.0),
        "marrow": Finish(gloss=0.0, soft=0.3, rim=0.0),
        "disc": Finish(gloss=0.34, shine=40.0, soft=0.5, grain=0.05, relief=0.03, grain_mm=1.2, rim=0.7),
        "cartilage": Finish(gloss=0.4, shine=50.0, soft=0.5, rim=0.6),
        "cord": Finish(gloss=0.35, shine=40.0, soft=0.45, rim=0.5),
        "roots": Finish(gloss=0.3, shine=30.0, soft=0.4, rim=0.5),
        "dura": Finish(gloss=0.35, shine=40.0, soft=0.4, rim=0.5),
        "tumour": Finish(gloss=0.45, shine=34.0, soft=0.45, grain=0.16, relief=0.10, grain_mm=2.4, rim=0.6),
        "artery": Finish(gloss=0.5, shine=50.0, soft=0.3, rim=0.6),
        "cement": Finish(gloss=0.75, shine=70.0, soft=0.3, grain=0.08, relief=0.05, grain_mm=1.0, rim=0.9),
        "balloon": Finish(gloss=0.8, shine=80.0, soft=0.3, rim=0.9),
        "steel": Finish(gloss=0.9, shine=90.0, metal=1.0, soft=0.0, rim=0.8),
        "wire": Finish(gloss=0.8, shine=60.0, metal=0.6, soft=0.0, rim=0.6),
        "hub": Finish(gloss=0.45, shine=50.0, soft=0.1, rim=0.8),
        "skin": Finish(gloss=0.18, shine=16.0, soft=0.6, grain=0.05, grain_mm=6.0, rim=0.7),
        "muscle": Finish(gloss=0.25, shine=24.0, soft=0.5, grain=0.12, grain_mm=2.0, rim=0.4),
        "cloth": Finish(gloss=0.03, shine=8.0, soft=0.5, grain=0.06, grain_mm=5.0, rim=0.4),
        "gown": Finish(gloss=0.03, shine=8.0, soft=0.5, grain=0.06, grain_mm=9.0, rim=0.6),
        "c-arm": Finish(gloss=0.4, shine=50.0, soft=0.1, rim=0.6),
        "detector": Finish(gloss=0.35, shine=50.0, soft=0.1, rim=0.6),
        "table": Finish(gloss=0.3, shine=40.0, soft=0.1, rim=0.5),
        "mattress": Finish(gloss=0.12, shine=14.0, soft=0.3, rim=0.4),
        "floor": Finish(gloss=0.0, soft=0.3, rim=0.0),
    }
)
"""The finish of each role that has one of its own."""

VERTEX_DECLARATION = """
out vec3 placeMC;
//VTK::PositionVC::Dec
"""

VERTEX_BODY = """
//VTK::PositionVC::Impl
placeMC = vertexMC.xyz;
if (hullPx > 0.0)
{
  // an outline: the surface grown by hullPx pixels, of which only the far side is drawn
  vec3 outward = normalMatrix * normalMC;
  float slant = max(length(outward.xy), 1e-5);
  gl_Position.xy += outward.xy / slant * hullPx * 2.0 / pictureSize * gl_Position.w;
}
"""

FRAGMENT_DECLARATION = """
//VTK::Light::Dec
in vec3 placeMC;

float lattice(vec3 p)
{
  p = fract(p * 0.3183099 + vec3(0.71, 0.113, 0.419));
  p *= 17.0;
  return fract(p.x * p.y * p.z * (p.x + p.y + p.z));
}

float cloud(vec3 p)
{
  vec3 i = floor(p);
  vec3 f = p - i;
  f = f * f * (3.0 - 2.0 * f);
  float a = mix(lattice(i), lattice(i + vec3(1.0, 0.0, 0.0)), f.x);
  float b = mix(lattice(i + vec3(0.0, 1.0, 0.0)), lattice(i + vec3(1.0, 1.0, 0.0)), f.x);
  float c = mix(lattice(i + vec3(0.0, 0.0, 1.0)), lattice(i + vec3(1.0, 0.0, 1.0)), f.x);
  float d = mix(lattice(i + vec3(0.0, 1.0, 1.0)), lattice(i + vec3(1.0, 1.0, 1.0)), f.x);
  return mix(mix(a, b, f.y), mix(c, d, f.y), f.z);
}
"""

FRAGMENT_BODY = """
if (hullPx > 0.0)
{
  gl_FragData[0] = vec4(surface * surface, 1.0);
}
else
{
  vec3 n = normalVCVSOutput;
  vec3 v = normalize(-vertexVC.xyz);
  bool inside = !gl_FrontFacing;
  if (dot(n, v) < 0.0) { n = normalize(n - 1.02 * dot(n, v) * v); }
  float mottle = 0.0;
  if (grain > 0.0)
  {
    vec3 q = placeMC / grainMm;
    float low = cloud(q * 0.31);
    float fine = cloud(q);
    mottle = grain * ((low - 0.5) * 0.9 + (fine - 0.5) * 0.7 * grainShown);
    // the slope of the fine unevenness seen on the picture tilts the normal
    float height = relief * grainShown * fine;
    vec3 dpx = dFdx(vertexVC.xyz), dpy = dFdy(vertexVC.xyz);
    vec3 gx = cross(dpy, n), gy = cross(n, dpx);
    float area = dot(dpx, gx);
    if (abs(area) > 1e-12)
    {
      vec3 tilt = (dFdx(height) * gx + dFdy(height) * gy) / area;
      n = normalize(n - clamp(tilt, -0.35, 0.35));
    }
  }
  float facing = clamp(dot(n, v), 0.0, 1.0);
  float edge = 1.0 - facing;
  float edge2 = edge * edge;
  vec3 base = surface * surface * (1.0 + mottle * vec3(0.9, 1.05, 1.3));
  float grey = dot(base, vec3(0.3, 0.6, 0.1));
  base = mix(base, vec3(grey), 0.65 * dimming) * (1.0 - 0.72 * dimming);

  float k = dot(n, keyWay);
  float lit = max(0.0, (k + soft * 0.5) / (1.0 + soft * 0.5));
  // where light runs under the surface the shadow's edge is warmer
  vec3 bleed = soft * 0.22 * max(0.0, 1.0 - abs(k) * 2.2) * vec3(1.0, 0.55, 0.32);
  float f = max(0.0, dot(n, vec3(0.829, -0.109, 0.549)) * 0.8 + 0.2);
  float sky = 0.5 + 0.5 * n.y;
  vec3 light = lit * vec3(0.97, 0.93, 0.86) + f * vec3(0.13, 0.16, 0.21)
             + mix(vec3(0.055, 0.05, 0.055), vec3(0.15, 0.175, 0.21), sky) + bleed;
  vec3 h = normalize(keyWay + v);
  float blinn = pow(max(dot(n, h), 0.0), shine) * gloss * (0.35 + 0.65 * step(0.0, k));
  vec3 h2 = normalize(vec3(0.829, -0.109, 0.549) + v);
  blinn += 0.25 * gloss * pow(max(dot(n, h2), 0.0), shine);
  float behind = max(0.0, dot(n, vec3(0.40, 0.52, -0.755)) + 0.35) * edge2;
  vec3 shade = base * light;
  if (metal > 0.0)
  {
    // a room in the mirror: bright above, a dark band at the horizon, a faint floor
    vec3 r = reflect(-v, n);
    float up = r.y * 0.8 - r.x * 0.35;
    float room = smoothstep(-0.15, 0.75, up) * 0.85 + 0.18 * smoothstep(0.1, -0.7, up) + 0.10;
    shade = mix(shade, base * (room * 1.05 + 0.25 * lit), 0.8 * metal);
  }
  shade += blinn * mix(vec3(0.9), base * 1.6, metal) * (1.0 - 0.8 * dimming);
  shade += rim * behind * vec3(0.52, 0.60, 0.72) * (1.0 - 0.7 * dimming);
  shade += glow * (base * 0.55 + 0.05 + edge2 * (0.35 + 0.9 * base));
  if (inside) { shade = base * 0.10; }
  shade = shade / (1.0 + max(vec3(0.0), shade - 0.85) * 0.75);
  vec3 shown = sqrt(max(shade, vec3(0.0)));

  float alpha = solid;
  if (glassy > 0.0)
  {
    // clear where it is looked through, bright at the silhouette
    alpha *= 0.10 + 0.75 * pow(edge, 2.2);
    vec3 pane = mix(surface, vec3(0.93, 0.96, 1.0), 0.35);
    shown = pane * (0.78 + 0.22 * edge) + 0.5 * blinn;
    alpha = clamp(alpha + 0.55 * blinn * solid, 0.0, 1.0);
    alpha *= 1.0 - 0.5 * dimming;
  }
  gl_FragData[0] = vec4(min(shown, vec3(1.0)), alpha);
}
"""

FLAT_FRAGMENT_BODY = """
vec3 base = surface;
gl_FragData[0] = vec4(base, 1.0);
"""
