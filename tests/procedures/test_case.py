"""The case file and its refusals."""

from __future__ import annotations

import tomllib
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.data.errors import FaultError, RequestError
from spineviz.data.tables import LEVELS
from spineviz.devices.catalogue import needle_sizes
from spineviz.procedures.case import (
    Case,
    case_keys,
    case_text,
    checked_case,
    commented_case,
    load_case,
    parsed_setting,
)


def refusal(*settings_: str) -> str:
    with pytest.raises(RequestError) as error:
        load_case(None, settings_)
    assert 1 <= len(str(error.value).splitlines()) <= 3
    return str(error.value)


def test_the_commented_case_read_back_is_the_default():
    assert checked_case(tomllib.loads(commented_case())) == Case()


def test_the_commented_case_explains_every_key():
    lines = commented_case().splitlines()
    for key in case_keys():
        name = key.name.rpartition(".")[2]
        explained = [line for line in lines if line.startswith(f"{name} = ") and key.accepted in line]
        assert explained, key.name
        assert "default" in explained[0]


def test_a_case_written_and_read_is_the_same():
    case = load_case(None, ["spine.level=T9", "cement.volume_ml=2.5", "artery.adamkiewicz=none", "seed=99"])
    assert checked_case(tomllib.loads(case_text(case, comments=False))) == case
    assert checked_case(case.table()).canonical() == case.canonical()


def test_settings_win_over_the_file(tmp_path):
    path = tmp_path / "case.toml"
    path.write_text('[spine]\nlevel = "L2"\n[needle]\ngauge = 13\n', encoding="utf-8")
    case = load_case(path, ["needle.gauge=15"])
    assert (case.spine.level, case.needle.gauge) == ("L2", 15)


def test_a_setting_is_toml_or_else_a_bare_string():
    assert parsed_setting("spine.level=L2") == (["spine", "level"], "L2")
    assert parsed_setting('spine.level = "L2"') == (["spine", "level"], "L2")
    assert parsed_setting("cement.volume_ml=3.5") == (["cement", "volume_ml"], 3.5)
    assert parsed_setting("artery.adamkiewicz=left T10") == (["artery", "adamkiewicz"], "left T10")


def test_a_case_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Case().seed = 3


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_of_the_table_is_accepted(level):
    assert load_case(None, [f"spine.level={level}"]).spine.level == level


def test_every_gauge_of_the_catalogue_is_accepted_and_told():
    told = next(key.accepted for key in case_keys() if key.name == "needle.gauge")
    for gauge in needle_sizes():
        assert load_case(None, [f"needle.gauge={gauge}"]).needle.gauge == gauge
        assert str(gauge) in told


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("spine.level=L9", ["spine.level", '"L9"', "T1 to T12 or L1 to L5"]),
        ("spine.levl=L1", ["spine.levl", "unknown key", "spine.level"]),
        ("level=L2", ["unknown key level", "spine.level"]),
        ("spine=L1", ["spine is a table", "spine.level"]),
        ('tumour.diameter_mm="14 mm"', ["tumour.diameter_mm", '"14 mm" is text', "4 mm"]),
        ("tumour.diameter_mm=14 mm", ["tumour.diameter_mm", '"14 mm" is text', "4 mm"]),
        ("tumour.diameter_mm=nan", ["tumour.diameter_mm", "nan is not a finite number"]),
        ("tumour.diameter_mm=-inf", ["tumour.diameter_mm", "-inf is not a finite number"]),
        ("tumour.diameter_mm=true", ["tumour.diameter_mm", "true", "not a number"]),
        ("tumour.diameter_mm=[14]", ["tumour.diameter_mm", "is a list"]),
        ("tumour.diameter_mm={a = 1}", ["tumour.diameter_mm", "is a table"]),
        ("needle.gauge=12", ["needle.gauge: 12", "8, 10, 11, 13 or 15"]),
        ("needle.gauge=11.0", ["needle.gauge: 11.0", "without a decimal point"]),
        ("needle.gauge=1.5", ["needle.gauge: 1.5", "not a whole number"]),
        ("needle.gauge=true", ["needle.gauge: true", "not a number"]),
        ("cement.volume_ml=0.1", ["cement.volume_ml: 0.1", "auto, or 0.5 mL"]),
        ("cement.volume_ml=lots", ["cement.volume_ml", '"lots"', "auto"]),
        ("cement.volume_ml=nan", ["cement.volume_ml: nan", "not a finite number"]),
        ("fracture.height_loss=0.9", ["fracture.height_loss: 0.9", "0.05 to 0.6"]),
        ("fracture.shape=3", ["fracture.shape: 3", "wedge"]),
        ("seed=-1", ["seed: -1", "0 to 2147483647"]),
        ("seed=1" + "0" * 400, ["seed: 1000", "out of range"]),
        ("seed=1" + "0" * 9000, ["seed"]),
        ("schema=2", ["schema: 2", "give 1"]),
        ("artery.adamkiewicz=left T20", ["artery.adamkiewicz", "left T12"]),
        ("needle.gauge=" + "[" * 5000, ["needle.gauge", "nested too deeply"]),
        ("nonsense", ["nonsense", "KEY=VALUE"]),
        ("=3", ["KEY=VALUE"]),
        ("", ["KEY=VALUE"]),
    ],
)
def test_refusals_name_key_value_and_what_is_accepted(setting, said):
    message = refusal(setting)
    for words in said:
        assert words in message
    assert len(message) < 400


def test_at_most_two_wrong_keys_are_told_and_the_rest_counted():
    message = refusal("needle.gauge=1", "cannula.gauge=1", "seed=-2", "schema=5")
    assert message.splitlines()[-1] == "and 2 more"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'[spine]\nlevel = "L1"\nlevl = 3\n', ["spine.levl: unknown key", "did you mean level"]),
        (b"tumor = 3\n", ["tumor: unknown key", "did you mean tumour"]),
        (b"spine = 3\n", ["spine: 3 is not a table", "spine.level"]),
        (b"schema_ = 1\n", ["schema_", "unknown key"]),
        (b"[spine\n", ["is not TOML"]),
        (b"\xff\xfe\x00", ["is not UTF-8"]),
        (b"seed = " + b"[" * 5000 + b"]" * 5000, ["nested too deeply"]),
        (b"seed = " + b"{a=" * 5000 + b"1" + b"}" * 5000, ["nested too deeply"]),
        (b"#" * 1_100_000, ["larger than 1000 kB"]),
        (b"seed = " + b"9" * 20_000, ["case.toml holds a number of thousands of digits"]),
    ],
)
def test_a_file_that_is_no_case_is_refused(tmp_path, content, said):
    path = tmp_path / "case.toml"
    path.write_bytes(content)
    with pytest.raises(RequestError) as error:
        load_case(path)
    for words in said:
        assert words in str(error.value)
    assert 1 <= len(str(error.value).splitlines()) <= 3


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(RequestError, match="no file"):
        load_case(tmp_path / "none.toml")
    with pytest.raises(RequestError, match="is a folder"):
        load_case(tmp_path)
    with pytest.raises(FaultError, match="cannot be read"):
        load_case(tmp_path / "case.toml\0")


def test_a_byte_order_mark_does_no_harm(tmp_path):
    path = tmp_path / "case.toml"
    path.write_bytes(b"\xef\xbb\xbfseed = 8\n")
    assert load_case(path).seed == 8


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from([key.name for key in case_keys()] + list(Case.model_fields)) | st.text(max_size=6)


@given(st.dictionaries(names, values, max_size=4))
@settings(max_examples=150)
def test_whatever_a_file_holds_is_a_case_or_is_refused_in_a_few_lines(flat):
    table: dict = {}
    for name, value in flat.items():
        head, _, tail = name.partition(".")
        if tail and isinstance(table.setdefault(head, {}), dict):
            table[head][tail] = value
        else:
            table[name] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            case = checked_case(table)
        except RequestError as error:
            lines = str(error).splitlines()
        else:
            lines = ["a case"]
            assert checked_case(case.table()) == case
    assert 1 <= len(lines) <= 3
    assert all(len(line) < 400 for line in lines)


@given(st.text(max_size=40))
@settings(max_examples=100)
def test_whatever_a_setting_says_is_taken_or_refused(text):
    lines = ["a case"]
    try:
        load_case(None, [text])
    except RequestError as error:
        lines = str(error).splitlines()
    assert 1 <= len(lines) <= 3


def test_the_same_model_gives_the_json_schema():
    schema = Case.model_json_schema()
    tables = {key.name.partition(".")[0] for key in case_keys()}
    assert set(schema["properties"]) == tables
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Tumour"]["properties"]["diameter_mm"]["minimum"] == 4.0
