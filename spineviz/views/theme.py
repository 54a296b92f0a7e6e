"""The colours of a film: one list of names, the same in every view."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from spineviz.data.assets import asset
from spineviz.data.errors import RequestError

RGB = tuple[float, float, float]
"""Red, green and blue, 0 to 1, sRGB-encoded."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "root": "roots",
        "needle": "steel",
        "cannula": "steel",
        "stylet": "steel",
        "ribs": "bone",
        "rib": "bone",
        "sacrum": "bone",
        "lungs": "lung",
        "drape": "cloth",
        "team": "gown",
        "carm": "c-arm",
        "plastic": "hub",
        "handle": "hub",
        "fracture": "cleft",
        "channel": "cavity",
        "microcatheter": "catheter",
        "sheath": "hub",
        "particle": "drug",
        "nerve": "roots",
        "roadmap": "contrast",
    }
)
"""Roles that share the colour of another name, because they are the same thing."""

REQUIRED = (
    "ground", "panel", "text", "muted", "line", "edge", "outline", "plate", "sign", "bone", "trabecula", "marrow",
    "disc", "cord", "roots", "dura", "tumour", "necrosis", "artery", "vein", "contrast", "cement", "balloon", "marker",
    "cavity", "rim", "cleft", "steel", "wire", "catheter", "hub", "drug", "safe", "danger", "ligament", "cartilage",
    "muscle", "fat", "skin", "lung", "gown", "glove", "cloth", "table", "mattress", "c-arm", "detector", "floor",
)  # fmt: skip
"""The names that every theme has."""

_HEX = re.compile(r"#[0-9A-Fa-f]{6}")


@dataclass(frozen=True)
class Theme:
    """Names and their colours.

    Attributes:
        name: "dark", "light" or "contrast".
        colours: name -> "#RRGGBB".
        opacity: name -> 0 to 1, for what is never drawn solid; 1 where a name is missing.
        ground_top, ground_bottom: the stage's ground runs from one to the other.
    """

    name: str
    colours: Mapping[str, str]
    opacity: Mapping[str, float]
    ground_top: str
    ground_bottom: str

    def hex(self, name: str) -> str:
        """The colour `name` as "#RRGGBB"; KeyError, listing the names, for one that the theme has not."""
        key = ALIASES.get(name, name)
        if key not in self.colours:
            raise KeyError(f"no colour {name!r} in theme {self.name}; it has {', '.join(sorted(self.colours))}")
        return self.colours[key]

    def colour(self, name: str) -> RGB:
        """The colour `name` as red, green, blue from 0 to 1; KeyError as `hex`."""
        return rgb(self.hex(name))

    def rgb8(self, name: str) -> tuple[int, int, int]:
        """The colour `name` as three whole numbers from 0 to 255; KeyError as `hex`."""
        red, green, blue = (round(255 * v) for v in self.colour(name))
        return red, green, blue

    @property
    def light(self) -> bool:
        """Whether its ground is light, and words on it dark."""
        return sum(self.colour("ground")) > sum(self.colour("text"))

    def opacity_of(self, name: str) -> float:
        """How solid `name` is drawn where a shot does not say otherwise, 0 to 1."""
        return self.opacity.get(ALIASES.get(name, name), 1.0)


def rgb(hex_colour: str) -> RGB:
    """ "#RRGGBB" as red, green, blue from 0 to 1; ValueError for another form."""
    if not _HEX.fullmatch(hex_colour):
        raise ValueError(f"a colour is written #RRGGBB, got {hex_colour!r}")
    red, green, blue = (int(hex_colour[i : i + 2], 16) / 255.0 for i in (1, 3, 5))
    return red, green, blue


def theme_names() -> tuple[str, ...]:
    """The themes of this installation."""
    return tuple(sorted(path.stem for path in asset("themes").glob("*.toml")))


@cache
def theme(name: str = "dark") -> Theme:
    """The theme `name`; RequestError lists the themes for another."""
    if name not in theme_names():
        raise RequestError(f"no theme {name!r}; there is {', '.join(theme_names())}")
    return read_theme(asset("themes", f"{name}.toml"))


def read_theme(path: Path) -> Theme:
    """The theme in the TOML file `path`, checked.

    Raises RequestError that names the key: a missing or unknown name, a colour not written #RRGGBB, an opacity outside
    0 to 1.
    """
    table = tomllib.loads(path.read_text("utf-8"))
    colours, opacity, stage = table.get("colours", {}), table.get("opacity", {}), table.get("stage", {})
    for name in REQUIRED:
        if name not in colours:
            raise RequestError(f"{path.name}: colours.{name} is missing")
    for name in colours:
        if name not in REQUIRED:
            raise RequestError(f"{path.name}: colours.{name} is unknown; a theme has {', '.join(REQUIRED)}")
    for key in ("ground_top", "ground_bottom"):
        if key not in stage:
            raise RequestError(f"{path.name}: stage.{key} is missing")
    for key, value in [
        *((f"colours.{k}", v) for k, v in colours.items()),
        *((f"stage.{k}", v) for k, v in stage.items()),
    ]:
        if not (isinstance(value, str) and _HEX.fullmatch(value)):
            raise RequestError(f"{path.name}: {key} is {value!r}; give #RRGGBB")
    for name, value in opacity.items():
        if name not in colours or not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:
            raise RequestError(f"{path.name}: opacity.{name} is {value!r}; give 0 to 1 for a name of the colours")
    return Theme(
        name=str(table.get("name", path.stem)),
        colours=MappingProxyType(dict(colours)),
        opacity=MappingProxyType({k: float(v) for k, v in opacity.items()}),
        ground_top=stage["ground_top"],
        ground_bottom=stage["ground_bottom"],
    )
