"""What the films say."""

import pytest

from spineviz.data.errors import RequestError
from spineviz.data.films import Film, Step
from spineviz.data.narration import Caption, caption_faults, filled, read_narration

CLOCK = Film(
    "demo",
    "Demo",
    (),
    (
        Step("one", 0.0, 10.0, 5.0, {"a": (1.0, 3.0), "b": (4.0, 6.0)}),
        Step("two", 10.0, 4.0, 1.0, {}),
    ),
)
GOOD = """
[step.one]
title = "First"
seen_from = "seen from behind"
[[step.one.caption]]
beat = ""
text = "At once."
[[step.one.caption]]
beat = "b"
text = "{cement_ml:.1f} mL"
[step.one.words]
label = "cement"
[step.two]
title = "Second"
"""


def read(tmp_path, text):
    path = tmp_path / "demo.toml"
    path.write_text(text, "utf-8")
    return read_narration(CLOCK, path)


def test_captions_last_until_the_next_and_the_last_until_the_end(tmp_path):
    words = read(tmp_path, GOOD)["one"]
    assert [(c.start_s, c.end_s) for c in words.captions] == [(0.0, 4.0), (4.0, 10.0)]
    assert words.caption_at(3.99).text == "At once."
    assert words.caption_at(4.0).text == "{cement_ml:.1f} mL"
    assert words.words == {"label": "cement"}
    assert read(tmp_path, GOOD)["two"].caption_at(2.0) is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("[step.two]", "[step.three]"), "step.three is not a step of demo; it has one, two"),
        (('title = "Second"', ""), "step.two has no title"),
        (('beat = "b"', 'beat = "c"'), "no beat 'c'; it has a, b"),
        (('beat = "b"', 'beat = ""'), "captions must follow one another"),
        (('seen_from = "seen', 'seenfrom = "seen'), "step.one.seenfrom is unknown"),
        (('text = "At once."', 'tekst = "x"'), "caption.tekst is unknown"),
    ],
)
def test_a_slip_in_the_file_is_named(tmp_path, change, told):
    with pytest.raises(RequestError, match=r"demo\.toml") as error:
        read(tmp_path, GOOD.replace(*change))
    assert told in str(error.value)


def test_placeholders_are_filled_and_unknown_ones_named():
    assert filled("{cement_ml:.1f} mL at {level}", {"cement_ml": 3.44, "level": "L1"}, "cement") == "3.4 mL at L1"
    with pytest.raises(RequestError, match=r"step cement: unknown placeholder \{dose\}.* there is cement_ml"):
        filled("{dose} mg", {"cement_ml": 3.0}, "cement")
    with pytest.raises(RequestError, match=r"step cement: .* cannot be filled"):
        filled("{level:.1f}", {"level": "L1"}, "cement")


def test_captions_that_cannot_be_read_are_named():
    caption = Caption("", 0.0, 2.0)
    assert caption_faults(caption, "Short.", "one") == []
    assert "43 signs; at most 42" in caption_faults(Caption("", 0, 9), "x" * 43, "one")[0]
    assert "3 lines; at most 2" in caption_faults(Caption("", 0, 9), "a\nb\nc", "one")[0]
    assert "35 signs in 2.0 s; at most 17 a second" in caption_faults(caption, "y" * 35, "one")[0]


def test_a_film_adds_to_the_phrases_that_it_shares(monkeypatch, tmp_path):
    from spineviz.data import narration as module

    folder = tmp_path / "narration" / "en"
    folder.mkdir(parents=True)
    (folder / "common.toml").write_text('[phrases.shape.wedge]\nname = "wedge"\nsinks = "front"\n', "utf-8")
    (folder / "demo.toml").write_text('shares = "common"\n[phrases.shape.wedge]\nname = "{mm:.1f} mm"\n', "utf-8")
    monkeypatch.setattr(module, "asset", lambda *parts: tmp_path.joinpath(*parts))
    module._phrases.cache_clear()
    words = module.with_phrases({"shape": "wedge", "mm": 2.0}, "demo")
    module._phrases.cache_clear()
    assert (words["name"], words["sinks"]) == ("2.0 mm", "front")
