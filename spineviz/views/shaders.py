"""The light of the stage, in GLSL: one shader for every structure, told apart by a few numbers.

Lights stand with the camera, so a picture depends only on how structure and eye stand to each other. The light is added
in linear terms; a square stands in for the sRGB curve, which differs by less than is seen and is free of pow().
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

KEY_LIGHT = (-0.46, 0.62, 0.64)
"""Where the key light stands, in the eye's frame (x right, y up, z to the viewer); not normalised."""

OCCLUSION_SAMPLES = 10
SHADOW_STEPS = 9
SHADOW_REACH = 1.6
"""How far the march towards the key light goes, as a share of how far contact shadows reach."""


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
        clear: as glass: 0 a pane that is seen all over, 1 hardly more than a bright line at the silhouette.
        stain: as glass: 0 nearly without colour, 1 glass of its own colour, which shows on a dark ground.
    """

    gloss: float = 0.15
    shine: float = 24.0
    metal: float = 0.0
    soft: float = 0.2
    grain: float = 0.0
    relief: float = 0.0
    grain_mm: float = 2.0
    rim: float = 0.5
    clear: float = 0.0
    stain: float = 0.0


FINISHES: Mapping[str, Finish] = MappingProxyType(
    {
        "bone": Finish(gloss=0.16, shine=22.0, soft=0.35, grain=0.10, relief=0.05, grain_mm=1.7, rim=0.55),
        "disc": Finish(gloss=0.34, shine=40.0, soft=0.5, grain=0.05, relief=0.03, grain_mm=1.2, rim=0.7),
        "cartilage": Finish(gloss=0.4, shine=50.0, soft=0.5, rim=0.6),
        "cord": Finish(gloss=0.35, shine=40.0, soft=0.45, rim=0.5),
        "roots": Finish(gloss=0.3, shine=30.0, soft=0.4, rim=0.5),
        "dura": Finish(gloss=0.35, shine=40.0, soft=0.4, rim=0.5),
        "tumour": Finish(gloss=0.45, shine=34.0, soft=0.45, grain=0.16, relief=0.10, grain_mm=2.4, rim=0.6),
        "necrosis": Finish(gloss=0.12, shine=12.0, soft=0.25, grain=0.34, relief=0.16, grain_mm=2.0, rim=0.3),
        "artery": Finish(gloss=0.5, shine=50.0, soft=0.3, rim=0.6, stain=1.0),
        "vein": Finish(gloss=0.4, shine=40.0, soft=0.35, rim=0.6, stain=1.0),
        "contrast": Finish(gloss=0.6, shine=60.0, soft=0.6, rim=1.0),
        "drug": Finish(gloss=0.5, shine=40.0, soft=0.5, grain=0.22, relief=0.12, grain_mm=0.9, rim=0.8),
        "cement": Finish(gloss=0.75, shine=70.0, soft=0.3, grain=0.08, relief=0.05, grain_mm=1.0, rim=0.9),
        "balloon": Finish(gloss=0.8, shine=80.0, soft=0.3, rim=0.9),
        "cavity": Finish(gloss=0.55, shine=45.0, soft=0.2, rim=0.3),
        "marker": Finish(gloss=0.9, shine=90.0, metal=0.7, soft=0.0, rim=0.8),
        "steel": Finish(gloss=0.9, shine=90.0, metal=1.0, soft=0.0, rim=0.8),
        "wire": Finish(gloss=0.8, shine=60.0, metal=0.6, soft=0.0, rim=0.6),
        "catheter": Finish(gloss=0.55, shine=50.0, soft=0.2, rim=0.9),
        "hub": Finish(gloss=0.45, shine=50.0, soft=0.1, rim=0.8),
        "skin": Finish(gloss=0.18, shine=16.0, soft=0.6, grain=0.05, grain_mm=6.0, rim=0.7),
        "muscle": Finish(gloss=0.25, shine=24.0, soft=0.5, grain=0.12, grain_mm=2.0, rim=0.4),
        "body": Finish(gloss=0.18, shine=16.0, soft=0.6, rim=0.7, clear=1.0),
        "glove": Finish(gloss=0.22, shine=22.0, soft=0.3, rim=0.6),
        "cloth": Finish(gloss=0.03, shine=8.0, soft=0.5, grain=0.06, grain_mm=5.0, rim=0.4),
        "gown": Finish(gloss=0.03, shine=8.0, soft=0.5, grain=0.06, grain_mm=9.0, rim=0.6),
        "c-arm": Finish(gloss=0.4, shine=50.0, soft=0.1, rim=0.6),
        "detector": Finish(gloss=0.35, shine=50.0, soft=0.1, rim=0.6),
        "table": Finish(gloss=0.3, shine=40.0, soft=0.1, rim=0.5),
        "mattress": Finish(gloss=0.12, shine=14.0, soft=0.3, rim=0.4),
        "floor": Finish(gloss=0.0, soft=0.3, rim=0.0),
    }
)
"""The finish of each role that has one of its own, and of the "body", which is skin from head to foot."""

CLOUD = """
#ifdef LIT
float lattice(vec3 p)
{
  p = fract(p * vec3(0.1031, 0.1030, 0.0973));
  p += dot(p, p.yxz + 33.33);
  return fract((p.x + p.y) * p.z);
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
#endif
"""
"""Smooth noise of a place, 0 to 1: what mottles a lit surface, coarsely at its vertices and finely at its pixels."""

LIGHT = """
#ifdef LIT
uniform vec4 tone;       // colour, how solid
uniform vec4 sheen;      // gloss, shine, metal, soft
uniform vec4 mood;       // rim, dimming, glow, how dark the far side is
uniform vec3 keyWay;
uniform vec4 grain;      // strength, how much of the fine part the pixels can show, size mm, relief mm

float diffuse(float k, float soft) { return max(0.0, (k + soft * 0.3) / (1.0 + soft * 0.3)); }

// a normal that points away is turned to the edge
vec3 towards(vec3 n, vec3 v) { return normalize(n - min(1.02 * dot(n, v), 0.0) * v); }

// what falls on a place with the normal n, seen along v: light multiplies its own colour, extra is added to that
void lighting(vec3 n, vec3 v, out vec3 light, out vec3 extra)
{
  float gloss = sheen.x, shine = sheen.y, soft = sheen.w, dimming = mood.y, glow = mood.z;
  n = towards(n, v);
  float edge = 1.0 - clamp(dot(n, v), 0.0, 1.0);
  float edge2 = edge * edge;
  float k = dot(n, keyWay);
  float lit = diffuse(k, soft);
  // where light runs under the surface the shadow's edge is warmer
  vec3 bleed = soft * 0.16 * max(0.0, 1.0 - abs(k) * 2.2) * vec3(1.0, 0.55, 0.32);
  const vec3 fillWay = vec3(0.829, -0.109, 0.549);
  float f = max(0.0, dot(n, fillWay));
  light = lit * vec3(0.93, 0.88, 0.80) + f * vec3(0.12, 0.15, 0.20)
        + mix(vec3(0.035, 0.034, 0.04), vec3(0.10, 0.115, 0.14), 0.5 + 0.5 * n.y) + bleed;
  float glint = pow(max(dot(n, normalize(keyWay + v)), 0.0), shine) * step(0.0, k);
  float glint2 = max(dot(n, normalize(fillWay + v)), 0.0);
  glint2 *= glint2; glint2 *= glint2; glint2 *= glint2; glint2 *= glint2;
  glint = gloss * (glint + 0.2 * glint2 * glint2) * (1.0 - 0.8 * dimming);
  float behind = max(0.0, dot(n, vec3(0.40, 0.52, -0.755)) + 0.35) * edge2;
  extra = mood.x * behind * vec3(0.52, 0.60, 0.72) * (1.0 - 0.7 * dimming);
#ifdef METAL
  // a room in the mirror: bright above, a dark band at the horizon, a faint floor
  vec3 r = reflect(-v, n);
  float up = r.y * 0.8 - r.x * 0.35;
  float room = smoothstep(-0.15, 0.75, up) * 0.85 + 0.18 * smoothstep(0.1, -0.7, up) + 0.10;
  light = mix(light, vec3(room * 1.05 + 0.25 * lit), 0.8 * sheen.z) + 1.6 * glint;
#else
  extra += 0.9 * glint;
#endif
  light += glow * (0.75 + 1.1 * edge2);  // it glows in its own colour
  extra += glow * (0.015 + 0.06 * edge2);
}

// the surface's own colour where it is mottled so much
vec3 own(float mottle)
{
  float dimming = mood.y;
  vec3 base = tone.rgb * tone.rgb * (1.0 + mottle * vec3(0.9, 1.05, 1.3));
  return mix(base, vec3(dot(base, vec3(0.3, 0.6, 0.1))), 0.65 * dimming) * (1.0 - 0.72 * dimming);
}

vec3 toned(vec3 shade)
{
  shade /= 1.0 + max(vec3(0.0), shade - 0.85) * 0.75;
  return min(sqrt(max(shade, vec3(0.0))), vec3(1.0));
}
#endif
"""
"""How a place is lit: asked at the pixels, or where triangles are small (AT_VERTICES) at their corners."""

SURFACE_VERTEX = """
in vec3 place;
in vec3 normal;
uniform mat4 eyeFromLocal;
uniform mat4 projection;
uniform vec4 cut;        // in the eye's frame: what has a positive distance is taken away
#ifdef AT_VERTICES
out vec3 light;
out vec3 extra;
#ifdef FINE
out float litShare;      // how much of the key light's change shows
#endif
#else
out vec3 eyePlace;
out vec3 eyeNormal;
#endif
#ifdef LIT
out vec4 localPlace;     // and the coarse part of the mottling
#endif
#ifdef OUTLINE
uniform float hullPx;
uniform vec2 pictureSize;
#endif

void main()
{
  vec4 seen = eyeFromLocal * vec4(place, 1.0);
  vec3 turned = mat3(eyeFromLocal) * normal;
  gl_Position = projection * seen;
  gl_ClipDistance[0] = -dot(cut, seen);
#ifndef AT_VERTICES
  eyePlace = seen.xyz;
  eyeNormal = turned;
#endif
#ifdef LIT
  float mottle = grain.x > 0.0 ? grain.x * 0.9 * (cloud(place / grain.z * 0.31) - 0.5) : 0.0;
  localPlace = vec4(place / grain.z, mottle);
#ifdef AT_VERTICES
  vec3 n = normalize(turned);
  lighting(n, normalize(-seen.xyz), light, extra);
#ifdef FINE
  litShare = min(1.0, 6.0 * diffuse(dot(n, keyWay), sheen.w)) / (1.0 + 0.3 * sheen.w);
#endif
#endif
#endif
#ifdef OUTLINE
  // the surface grown by hullPx pixels, of which only the far side is drawn, a little nearer than it is: so the line
  // also shows where the instrument lies half sunk in bone, but not the wall of its bore
  float slant = length(turned.xy);
  float pull = 0.5 * slant * slant * slant * slant;
  gl_Position = projection * vec4(seen.xyz * (1.0 - pull / length(seen.xyz)), 1.0);
  gl_Position.xy += turned.xy / max(slant, 1e-5) * hullPx * 2.0 / pictureSize * gl_Position.w;
#endif
}
"""

SURFACE_FRAGMENT = """
out vec4 shown;

#ifdef OUTLINE
uniform vec4 tone;       // colour, how solid
void main() { shown = tone; }
#endif

#ifdef VEIL
void main() { shown = vec4(0.0); }
#endif

#ifdef GLASS
in vec3 eyePlace;
in vec3 eyeNormal;
uniform vec4 tone;       // colour, how solid
uniform vec4 sheen;      // how clear, how stained
uniform vec4 mood;
uniform vec3 keyWay;
void main()
{
  float clear = sheen.x, stain = sheen.y, dimming = mood.y, glow = mood.z;
  vec3 v = normalize(-eyePlace);
  vec3 n = normalize(eyeNormal);
  float edge = 1.0 - clamp(dot(n, v), 0.0, 1.0);
  float glint = pow(max(dot(n, normalize(keyWay + v)), 0.0), 60.0) * 0.35 * (1.0 - clear);
  // clear where it is looked through, bright at the silhouette
  float through = mix(0.10 + 0.05 * stain, 0.025, clear), rim = mix(0.75, 0.95, clear);
  float alpha = tone.a * (through + rim * pow(edge, mix(2.2 - 0.5 * stain, 3.2, clear)) + 0.10 * clear * edge * edge);
  vec3 light = mix(vec3(0.93, 0.96, 1.0), vec3(0.62, 0.84, 1.0), clear);
  vec3 pane = mix(tone.rgb, light, 0.35 - 0.27 * stain + 0.40 * clear);
  vec3 colour = pane * (0.78 + 0.22 * edge) + 0.5 * glint;
  alpha = clamp(alpha + 0.55 * glint * tone.a, 0.0, 1.0) * (1.0 - 0.5 * dimming);
  // what glows is lit from within: fuller and brighter in its own colour
  alpha = mix(alpha, max(alpha, 0.6), 0.8 * glow * (1.0 - clear));
  shown = vec4(min(colour * (1.0 + 0.4 * glow), vec3(1.0)), alpha);
}
#endif

#ifdef LIT
in vec4 localPlace;
uniform float inside;    // how bright the far side is
#ifdef AT_VERTICES
in vec3 light;
in vec3 extra;
#ifdef FINE
in float litShare;
uniform float slope;     // of the line of sight, from one drawn pixel to the next
#endif
#else
in vec3 eyePlace;
in vec3 eyeNormal;
#endif

void main()
{
  float mottle = localPlace.w;
#ifdef FINE
  float fine = cloud(localPlace.xyz);
  mottle += grain.x * (fine - 0.5) * 0.7 * grain.y;
  float height = grain.w * grain.y * fine;
#endif
#ifdef AT_VERTICES
  vec3 falls = light;
#ifdef FINE
  // the slope of the fine unevenness, as the picture shows it, turns the surface to the key light or away
  vec2 tilt = clamp(vec2(dFdx(height), dFdy(height)) * gl_FragCoord.w / slope, -0.35, 0.35);
  falls -= dot(tilt, keyWay.xy) * litShare * vec3(0.93, 0.88, 0.80);
#endif
  vec3 shade = own(mottle) * falls + extra;
#else
  vec3 v = normalize(-eyePlace), light, extra;
  vec3 n = normalize(gl_FrontFacing ? eyeNormal : -eyeNormal);
#ifdef FINE
  n = towards(n, v);
  // it tilts the normal (Mikkelsen 2010)
  vec3 dx = dFdx(eyePlace), dy = dFdy(eyePlace);
  vec3 gx = cross(dy, n), gy = cross(n, dx);
  float area = dot(dx, gx);
  vec3 tilt = (dFdx(height) * gx + dFdy(height) * gy) / (abs(area) > 1e-12 ? area : 1e12);
  n = normalize(n - clamp(tilt, -0.35, 0.35));
#endif
  lighting(n, v, light, extra);
  vec3 shade = own(mottle) * light + extra;
#endif
#ifndef HOLLOW
  shade = gl_FrontFacing ? shade : own(mottle) * inside;
#endif
  float solid = tone.a;
#ifdef MEMBRANE
  // clearer in the middle, solid at the silhouette, and over the disc of a ball as solid on average as it is said to be
  const float mean = 8.0 / 15.0;  // of sqrt(edge)
  float least = max(0.0, (solid - mean) / (1.0 - mean));
  solid = min(1.0, solid / mean) * mix(least, 1.0, sqrt(1.0 - clamp(dot(n, v), 0.0, 1.0)));
#endif
  shown = vec4(toned(shade), solid);
}
#endif
"""

FACE_VERTEX = """
#version 330
in vec2 spot;            // 0 to 1 across the window
uniform mat4 projection;
uniform mat4 eyeFromLocal;
uniform vec4 window;     // of the plane: left, bottom, width, height in mm
out vec2 place;
void main()
{
  place = spot;
  gl_Position = projection * eyeFromLocal * vec4(window.xy + spot * window.zw, 0.0, 1.0);
}
"""

FACE_FRAGMENT = """
#version 330
in vec2 place;
uniform sampler2D paint;
uniform float light;
out vec4 shown;
void main()
{
  vec4 c = texture(paint, place);
  if (c.a < 0.5) { discard; }
  shown = vec4(min(c.rgb * light, vec3(1.0)), 1.0);
}
"""

SCREEN_VERTEX = """
#version 330
in vec2 corner;
void main() { gl_Position = vec4(corner, 1.0, 1.0); }  // as far away as can be
"""

CLEAR_FRAGMENT = """
#version 330
out vec4 shown;
void main() { shown = vec4(0.0); }
"""

OPEN_FRAGMENT = """
#version 330
out vec2 shown;
void main() { shown = vec2(1.0, 1e9); }  // no shadow, and nothing to throw one on
"""

DEPTH_FRAGMENT = """
#version 330
uniform sampler2D depth;
uniform vec2 range;      // near and far, mm
uniform float factor;    // drawn pixels for each one shown, of which this picture has half, a side
out float shown;
void main()
{
  float d = texelFetch(depth, ivec2(floor(gl_FragCoord.xy) * 2.0 * factor), 0).r;
  shown = d >= 1.0 ? 1e9 : range.x * range.y / (range.y - d * (range.y - range.x));
}
"""

OCCLUSION_FRAGMENT = """
#version 330
// Alchemy obscurance (McGuire et al. 2011, doi:10.1145/2018323.2018327) and a short march towards the key light
const int SAMPLES = %d;
const int STEPS = %d;
uniform sampler2D depth;  // mm along the line of sight
uniform vec2 size;        // of it, pixels
uniform vec3 lens;        // pixels a unit of slope, x and y of the line of sight
uniform float reach;      // mm
uniform vec3 keyWay;
uniform vec2 offsets[SAMPLES];  // whole pixels
out vec2 shown;

// beyond the picture its edge is carried on; software looks a texture up in half the time that a fetch takes
float depthAt(vec2 p) { return textureLod(depth, p / size, 0.0).r; }

vec3 at(vec2 p)
{
  float d = depthAt(p);
  return vec3((p - lens.yz) / lens.x * d, -d);
}

void main()
{
  vec2 p = gl_FragCoord.xy;
  vec3 c = at(p);
  if (c.z < -1e8) { shown = vec2(1.0, -c.z); return; }
  // the smaller of the two steps to either side, so that an edge does not bend the normal
  vec3 r = at(p + vec2(1.0, 0.0)) - c, l = c - at(p - vec2(1.0, 0.0));
  vec3 u = at(p + vec2(0.0, 1.0)) - c, d = c - at(p - vec2(0.0, 1.0));
  vec3 n = normalize(cross(abs(r.z) < abs(l.z) ? r : l, abs(u.z) < abs(d.z) ? u : d));
  float slack = 0.035 * reach, limit = 0.0036 * reach * reach, far2 = 1.0 / (2.2 * reach * reach);
  float total = 0.0;
  for (int i = 0; i < SAMPLES; ++i)
  {
    vec3 w = at(p + offsets[i]) - c;
    float w2 = dot(w, w);
    total += max(0.0, dot(w, n) - slack) / (w2 + limit) * max(0.0, 1.0 - w2 * far2);
  }
  float open = max(0.0, 1.0 - total * 1.1 * reach / float(SAMPLES));
  float blocked = 0.0;
  for (int i = 1; i <= STEPS; ++i)
  {
    float share = float(i) / float(STEPS);
    share *= sqrt(share) * %.2f;
    vec3 ray = c + n * (0.05 * reach) + keyWay * (share * reach);
    vec2 q = ray.xy / -ray.z * lens.x + lens.yz;
    float gap = -ray.z - depthAt(q);
    gap /= reach;
    float part = smoothstep(0.02, 0.02 + 0.25 * share, gap) * (1.0 - smoothstep(0.35, 0.9, gap));
    blocked = max(blocked, part * (1.0 - 0.55 * share));
  }
  shown = vec2(open * (1.0 - 0.5 * blocked), -c.z);
}
"""

BLUR_FRAGMENT = """
#version 330
uniform sampler2D open;  // how open, and mm along the line of sight
uniform float like;      // mm: steps of depth beyond it stop the blur
out vec2 shown;
void main()
{
  vec2 p = gl_FragCoord.xy, size = vec2(textureSize(open, 0));
  float here = textureLod(open, p / size, 0.0).g, total = 0.0, weights = 0.0;
  if (here > 1e8) { shown = vec2(1.0, here); return; }
  for (int y = -1; y <= 1; ++y)
  {
    for (int x = -1; x <= 1; ++x)
    {
      vec2 other = textureLod(open, (p + vec2(x, y)) / size, 0.0).rg;
      float gap = 1.0 + abs(other.g - here) / like;
      float weight = (x == 0 ? 1.0 : 0.7) * (y == 0 ? 1.0 : 0.7) / (gap * gap);
      total += weight * other.r;
      weights += weight;
    }
  }
  shown = vec2(total / weights, here);
}
"""

FINISH_FRAGMENT = """
uniform sampler2D solid;
uniform sampler2D buffer;
uniform sampler2D open;   // half the size: how open, and mm along the line of sight
uniform sampler2D ground;
#ifdef GLAZED
uniform sampler2D glass;
#endif
uniform float factor;    // drawn pixels for each one shown, a side
uniform bool clear;      // no ground: what is shown is multiplied by how much it covers
uniform vec2 range;
uniform float like;
out vec4 shown;


void main()
{
  // what is shown is read from its highest row on
  ivec2 size = textureSize(ground, 0), from_top = ivec2(gl_FragCoord.xy), p = from_top;
  p.y = size.y - 1 - p.y;
  // a place between drawn pixels: linear filtering takes their mean. Where three pixels are drawn for two that are
  // shown, it leans towards the middle one, so that each of the three counts as much
  vec2 lean = factor == 1.5 ? vec2(1.0 - 2.0 * vec2(p & 1)) / 12.0 : vec2(0.0);
  vec2 middle = ((vec2(p) + 0.5) * factor + lean) / vec2(textureSize(solid, 0));
  vec4 c = texture(solid, middle);
  vec3 back = texelFetch(ground, from_top, 0).rgb;
  vec3 colour = back;
  if (c.a > 0.0)
  {
    float d = texelFetch(buffer, ivec2(vec2(p) * factor), 0).r;
    d = d >= 1.0 ? 1e9 : range.x * range.y / (range.y - d * (range.y - range.x));
    // contact shadows come from the half-size picture, from pixels of like depth only
    vec2 q = 0.5 * (vec2(p) + 0.5), o = vec2(p & 1) * 2.0 - 1.0, half_size = vec2(textureSize(open, 0));
    float total = 0.0, weights = 0.0;
    for (int i = 0; i < 4; ++i)
    {
      vec2 other = textureLod(open, (q + vec2(i & 1, i >> 1) * o) / half_size, 0.0).rg;
      float gap = 1.0 + abs(other.g - d) / like;
      float weight = ((i & 1) == 0 ? 0.75 : 0.25) * ((i >> 1) == 0 ? 0.75 : 0.25) / (gap * gap);
      total += weight * other.r;
      weights += weight;
    }
    float left = total / weights;
    // light that bounces between bright walls fills their creases with their own colour (Jimenez et al. 2016)
    colour = c.rgb * (left + left * (1.0 - left) * 0.55 * c.rgb) + back * (1.0 - c.a);
  }
  float covered = c.a;
#ifdef GLAZED
  vec4 g = texture(glass, middle);
  colour = colour * (1.0 - g.a) + g.rgb;
  covered = covered * (1.0 - g.a) + g.a;
#endif
  // an ordered dither of one step, so that shading shows no bands; what shows of the ground has its own
  int x = p.x & 3, y = p.y & 3, z = x ^ y;
  float dither = float(((z & 1) << 3) | ((y & 1) << 2) | (z & 2) | ((y & 2) >> 1)) / 16.0 - 0.46875;
  dither *= covered;
  shown = vec4(colour + dither / 255.0, 1.0);
  if (clear) shown = vec4(min(colour + dither / 255.0, covered), covered);
}
"""


def finish_fragment(glazed: bool) -> str:
    """The shader that lays shadows and ground, and where there is some the glass, to the picture that is shown."""
    return "#version 330\n" + ("#define GLAZED\n" if glazed else "") + FINISH_FRAGMENT
