"""The themes against the eye: contrast, and colours that stay apart for every kind of colour vision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.views.theme import ALIASES, REQUIRED, read_theme, rgb, theme, theme_names

# Machado, Oliveira, Fernandes 2009, doi:10.1109/TVCG.2009.113, table 1, severity 1.0, on linear RGB
MACHADO = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
LOOK = {
    "ground": "#0B1320", "panel": "#121C2D", "text": "#F2F5F9", "muted": "#9FB0C3", "bone": "#F4F0E2",
    "disc": "#94B9F2", "cord": "#F2D53C", "roots": "#F2D53C", "tumour": "#AE5EF0", "artery": "#E50B41",
    "cement": "#399282", "balloon": "#CC812C", "steel": "#C9D2DC", "wire": "#FFFFFF", "drug": "#DE729F",
    "safe": "#B9D29B", "danger": "#D80000",
}  # fmt: skip
"""What the design fixes."""

TOUCHING = [
    ("bone", "disc"), ("bone", "cord"), ("bone", "roots"), ("bone", "dura"), ("bone", "tumour"), ("bone", "cement"),
    ("bone", "balloon"), ("bone", "artery"), ("bone", "cleft"), ("bone", "muscle"), ("disc", "cord"),
    ("disc", "tumour"), ("disc", "cement"), ("disc", "dura"), ("cord", "tumour"),
    ("cord", "artery"), ("cord", "dura"), ("dura", "tumour"),
    ("tumour", "cement"), ("tumour", "balloon"), ("tumour", "artery"), ("tumour", "drug"), ("tumour", "cleft"),
    ("cement", "steel"), ("cement", "balloon"), ("cement", "cleft"), ("steel", "tumour"), ("steel", "balloon"),
    ("artery", "drug"), ("hub", "steel"), ("steel", "skin"), ("skin", "cloth"), ("trabecula", "marrow"),
    ("cavity", "bone"), ("cavity", "trabecula"), ("cavity", "marrow"), ("cavity", "cleft"), ("cavity", "tumour"),
    ("cavity", "cement"), ("cavity", "balloon"), ("cavity", "steel"), ("cavity", "artery"), ("cavity", "danger"),
    ("cavity", "muscle"), ("cavity", "panel"), ("cavity", "marker"), ("rim", "cement"), ("rim", "balloon"),
    ("rim", "tumour"), ("rim", "cleft"), ("rim", "marrow"), ("rim", "cavity"), ("rim", "disc"),
    ("marker", "balloon"), ("marker", "cement"), ("balloon", "trabecula"), ("balloon", "marrow"),
    ("marker", "trabecula"), ("balloon", "cleft"), ("cement", "trabecula"), ("cement", "marrow"),
    ("steel", "marrow"), ("tumour", "marrow"), ("muscle", "fat"),
    ("artery", "contrast"), ("artery", "catheter"), ("artery", "wire"), ("artery", "hub"), ("artery", "vein"),
    ("artery", "roots"), ("artery", "ligament"), ("artery", "necrosis"), ("artery", "steel"),
    ("contrast", "tumour"), ("contrast", "drug"), ("contrast", "bone"), ("contrast", "catheter"), ("contrast", "cord"),
    ("contrast", "necrosis"), ("contrast", "muscle"),
    ("catheter", "wire"), ("catheter", "steel"), ("catheter", "hub"), ("catheter", "bone"), ("catheter", "tumour"),
    ("catheter", "drug"), ("catheter", "cord"),
    ("drug", "bone"), ("drug", "cord"), ("drug", "necrosis"), ("necrosis", "tumour"), ("necrosis", "bone"),
    ("necrosis", "cord"), ("necrosis", "dura"), ("necrosis", "marrow"),
    ("vein", "roots"), ("vein", "bone"), ("vein", "muscle"), ("vein", "fat"), ("vein", "skin"), ("vein", "steel"),
    ("hub", "skin"), ("hub", "bone"), ("hub", "vein"), ("glove", "skin"), ("glove", "cloth"), ("glove", "gown"),
    ("ligament", "skin"), ("ligament", "muscle"),
]  # fmt: skip
"""Pairs that meet on the screen without an outline between them; steel on bone carries one."""


def linear(colour: str) -> np.ndarray:
    v = np.array(rgb(colour))
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def luminance(colour: str) -> float:
    return float(linear(colour) @ (0.2126, 0.7152, 0.0722))


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def lab(linear_rgb: np.ndarray) -> np.ndarray:
    xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    t = xyz @ np.clip(linear_rgb, 0.0, 1.0) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def ciede2000(one: np.ndarray, two: np.ndarray) -> float:
    """Sharma, Wu, Dalal 2005, doi:10.1002/col.20070."""
    (l1, a1, b1), (l2, a2, b2) = one, two
    c_mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 0.5 * (1 - np.sqrt(c_mean**7 / (c_mean**7 + 25.0**7)))
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    dl, dc = l2 - l1, c2 - c1
    turn = 0.0 if c1 * c2 == 0 else (h2 - h1 + 180) % 360 - 180
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2)
    l_mean, c_mean = (l1 + l2) / 2, (c1 + c2) / 2
    h_mean = h1 + h2 if c1 * c2 == 0 else (h1 + turn / 2) % 360
    t = (
        1 - 0.17 * np.cos(np.radians(h_mean - 30)) + 0.24 * np.cos(np.radians(2 * h_mean))
        + 0.32 * np.cos(np.radians(3 * h_mean + 6)) - 0.20 * np.cos(np.radians(4 * h_mean - 63))
    )  # fmt: skip
    sl = 1 + 0.015 * (l_mean - 50) ** 2 / np.sqrt(20 + (l_mean - 50) ** 2)
    sc, sh = 1 + 0.045 * c_mean, 1 + 0.015 * c_mean * t
    rt = (
        -2 * np.sqrt(c_mean**7 / (c_mean**7 + 25.0**7)) * np.sin(np.radians(60 * np.exp(-(((h_mean - 275) / 25) ** 2))))
    )
    return float(np.sqrt((dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 + rt * dc / sc * dh / sh))


@pytest.mark.parametrize(
    ("one", "two", "published"),
    [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 2.4900, -0.0010), (50.0, -2.4900, 0.0011), 7.2195),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_ciede2000_gives_the_published_examples(one, two, published):
    assert ciede2000(np.array(one), np.array(two)) == pytest.approx(published, abs=1e-4)


def test_dark_theme_has_the_colours_of_the_design():
    assert {name: theme("dark").hex(name) for name in LOOK} == LOOK


TEXT, LINES = {"dark": 4.5, "light": 4.5, "contrast": 7.0}, {"dark": 3.0, "light": 3.0, "contrast": 4.5}
"""Theme -> the least contrast of text and of lines: WCAG 2.2, 1.4.3 and 1.4.11; of contrast 1.4.6, and 1.4.3."""

LAID_OVER = [("text", "plate", 0.72), ("text", "plate", 0.82), ("text", "ground", 0.82), ("muted", "ground", 0.82),
             ("text", "panel", 0.94)]  # fmt: skip
"""Words, what lies under them over a picture, and how solid that is: a sign's, a column's note, the title, a label."""


@pytest.fixture(params=TEXT)
def named(request):
    return theme(request.param)


def over(colour: str, solid: float, below: str) -> str:
    """`colour`, so solid, over `below`."""
    mixed = (solid * a + (1 - solid) * b for a, b in zip(rgb(colour), rgb(below), strict=True))
    return "#" + "".join(f"{round(255 * v):02X}" for v in mixed)


def test_every_theme_is_measured():
    assert set(theme_names()) == set(TEXT) == set(LINES)


@pytest.mark.parametrize("ground", ["ground", "panel"])
@pytest.mark.parametrize("ink", ["text", "muted"])
def test_text_is_legible_on_its_ground(named, ink, ground):
    assert contrast(named.hex(ink), named.hex(ground)) >= TEXT[named.name]


@pytest.mark.parametrize("ground", ["ground_top", "ground_bottom"])
@pytest.mark.parametrize("ink", ["text", "muted"])
def test_text_is_legible_on_the_stage(named, ink, ground):
    assert contrast(named.hex(ink), getattr(named, ground)) >= TEXT[named.name]


@pytest.mark.parametrize("below", ["#000000", "#808080", "#FFFFFF"])
@pytest.mark.parametrize(("ink", "plate", "solid"), LAID_OVER)
def test_text_over_a_picture_is_legible_whatever_the_picture(named, ink, plate, solid, below):
    assert contrast(named.hex(ink), over(named.hex(plate), solid, below)) >= TEXT[named.name]


def test_what_is_written_on_a_stop_sign_shows(named):
    assert contrast(named.hex("sign"), named.hex("danger")) >= 4.5
    assert contrast(named.hex("plate"), named.hex("safe")) >= 3.0  # the tick


def test_grounds_and_text_are_what_the_theme_s_name_says():
    assert luminance(theme("light").hex("ground")) > 0.8 > 0.05 > luminance(theme("light").hex("text"))
    assert (theme("contrast").hex("ground"), theme("contrast").hex("text")) == ("#000000", "#FFFFFF")
    assert [theme(name).light for name in ("dark", "light", "contrast")] == [False, True, False]


def test_strong_roles_are_brighter_in_the_contrast_theme():
    strong = ("artery", "vein", "cement", "tumour", "cord", "balloon", "drug", "contrast", "safe", "danger", "disc")
    for name in strong:
        assert luminance(theme("contrast").hex(name)) > luminance(theme("dark").hex(name)), name


@pytest.mark.parametrize("ground", ["ground", "panel"])
@pytest.mark.parametrize(
    "ink",
    [
        "line",
        "safe",
        "cement",
        "disc",
        "balloon",
        "cord",
        "tumour",
        "artery",
        "vein",
        "contrast",
        "catheter",
        "drug",
        "steel",
    ],
)
def test_lines_show_on_their_ground(named, ink, ground):
    assert contrast(named.hex(ink), named.hex(ground)) >= LINES[named.name]


@pytest.mark.parametrize("vision", MACHADO)
@pytest.mark.parametrize(("one", "two"), TOUCHING)
def test_what_touches_stays_apart_for_every_eye(named, one, two, vision):
    seen = [lab(MACHADO[vision] @ linear(named.hex(name))) for name in (one, two)]
    assert ciede2000(*seen) >= 14.0


def test_aliases_lead_to_colours_and_hide_none():
    assert set(ALIASES.values()) <= set(REQUIRED)
    assert not set(ALIASES) & set(REQUIRED)
    assert all(theme().hex(alias) == theme().hex(name) for alias, name in ALIASES.items())


def test_colour_is_the_hex_as_shares_and_bytes():
    assert theme().rgb8("cement") == (0x39, 0x92, 0x82)
    assert theme().colour("cement") == pytest.approx((0x39 / 255, 0x92 / 255, 0x82 / 255), abs=1e-12)
    assert theme().opacity_of("balloon") == 0.8
    assert theme().opacity_of("bone") == 1.0
    assert 0.0 < theme().opacity_of("rim") < theme().opacity_of("channel") == theme().opacity_of("cavity") < 1.0


def test_packed_bone_has_no_colour_of_its_own(named):
    assert named.hex("rim") == named.hex("trabecula")
    assert named.hex("roots") == named.hex("cord")


def test_unknown_names_are_refused_with_the_names_there_are():
    with pytest.raises(KeyError, match="cement"):
        theme().hex("pancreas")
    with pytest.raises(RequestError, match="no theme 'neon'; there is contrast, dark, light"):
        theme("neon")
    assert "dark" in theme_names()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('bone = "#F4F0E2"', ""), "colours.bone is missing"),
        (('bone = "#F4F0E2"', 'bone = "ivory"'), "colours.bone is 'ivory'; give #RRGGBB"),
        (('bone = "#F4F0E2"', 'bone = "#F4F0E2"\npancreas = "#123456"'), "colours.pancreas is unknown"),
        (("balloon = 0.8", "balloon = 1.8"), "opacity.balloon is 1.8; give 0 to 1"),
        (("ground_top", "ground_up"), "stage.ground_top is missing"),
    ],
)
def test_a_wrong_theme_file_is_refused_by_its_key(tmp_path: Path, change, message):
    text = asset("themes", "dark.toml").read_text("utf-8")
    assert change[0] in text
    path = tmp_path / "wrong.toml"
    path.write_text(text.replace(*change), encoding="utf-8")
    with pytest.raises(RequestError, match=message.replace("(", r"\(")):
        read_theme(path)
