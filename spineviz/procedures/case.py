"""The case file: one patient and the choices made for them, read from TOML and checked."""

from __future__ import annotations

import difflib
import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from spineviz.data.errors import FaultError, RequestError
from spineviz.devices.catalogue import needle_sizes

LEVELS = ("T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8", "T9", "T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5")

LARGEST_FILE_BYTES = 1_000_000
"""A case file is a page of text; anything longer is something else."""

MICRO_FRENCH = (2.0, 2.4, 2.7)
"""Microcatheters of assets/devices/endovascular.csv, by French size."""

Level = Literal["T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8", "T9", "T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5"]
Side = Literal["left", "right"]


def _in_catalogue(gauge: int) -> int:
    if gauge not in needle_sizes():
        raise ValueError("not in the catalogue")
    return gauge


def _names_an_artery(text: str) -> str:
    side, _, level = text.partition(" ")
    if text != "none" and not (side in ("left", "right") and level in LEVELS):
        raise ValueError("not an artery")
    return text


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _key(default: Any, about: str, accepted: str, **limits: Any) -> Any:
    """A key with what the commented case file and every refusal say of it."""
    return Field(default, description=about, json_schema_extra={"accepted": accepted}, **limits)


class Spine(_Table):
    """[spine]"""

    level: Level = _key("L1", "the treated vertebra", "T1 to T12 or L1 to L5")


class Fracture(_Table):
    """[fracture]"""

    shape: Literal["wedge", "biconcave", "crush"] = _key(
        "wedge", "which part of the body has lost its height", "wedge (front), biconcave (middle) or crush (whole)"
    )
    height_loss: float = _key(
        0.35, "share of that height, standing; lying down gives a part back", "0.05 to 0.6", ge=0.05, le=0.6
    )
    back_wall: Literal["intact", "broken"] = _key(
        "intact", "the wall before the canal; the augmentation films show it intact only", "intact or broken"
    )


class Tumour(_Table):
    """[tumour]"""

    diameter_mm: float = _key(14.0, "across its widest part", "4 mm and up to what the body can hold", ge=4.0)
    side: Side = _key("left", "the patient's side", "left or right")
    extent: Literal["auto", "body", "epidural"] = _key(
        "auto", "auto: body in the augmentation films, epidural in chemoembolization", "auto, body or epidural"
    )


class Needle(_Table):
    """[needle]"""

    approach: Literal["bipedicular", "right", "left"] = _key(
        "bipedicular", "through both pedicles or one", "bipedicular, right or left"
    )
    gauge: Annotated[int, AfterValidator(_in_catalogue)] = _key(
        11,
        "the larger the number, the thinner; kyphoplasty's access needle is always thinner than its cannula",
        "8, 10, 11, 13 or 15",
    )


class Cannula(_Table):
    """[cannula]"""

    gauge: Literal[8, 10] = _key(10, "working cannula of kyphoplasty; the smaller number is wider", "8 or 10")


class Balloon(_Table):
    """[balloon]"""

    length_mm: Literal[10, 15, 20] = _key(15, "balloon tamp of kyphoplasty", "10, 15 or 20 mm")
    volume_ml: Annotated[float, Field(ge=0.5, le=6.0)] | Literal["auto"] = _key(
        "auto",
        "each, a ceiling; auto: 2.0 mL at L1 and in proportion to the body elsewhere",
        "auto, or 0.5 to 6 mL",
    )


class Cement(_Table):
    """[cement]"""

    volume_ml: Annotated[float, Field(ge=0.5)] | Literal["auto"] = _key(
        "auto",
        "a ceiling; auto: 15 % of the healthy body in vertebroplasty, cavity and a little more in kyphoplasty",
        "auto, or 0.5 mL and up to what the body can take",
    )


class Artery(_Table):
    """[artery]"""

    access_side: Side = _key("right", "the groin that is punctured", "left or right")
    target_side: Side = _key("left", "the side of the segmental artery", "left or right")
    adamkiewicz: Annotated[str, AfterValidator(_names_an_artery)] = _key(
        "left T12", "where the artery that feeds the cord arises", "none, or a side and a level such as left T12"
    )


def _in_micro_catalogue(french: float) -> float:
    if french not in MICRO_FRENCH:
        raise ValueError("not in the catalogue")
    return french


class Catheter(_Table):
    """[catheter]"""

    french: Literal[4, 5] = _key(5, "the catheter that is parked in the segmental artery; 3 French are 1 mm", "4 or 5")
    micro_french: Annotated[float, AfterValidator(_in_micro_catalogue)] = _key(
        2.7, "the microcatheter that goes on into the tumour's feeder", "2.0, 2.4 or 2.7"
    )


class Drug(_Table):
    """[drug]"""

    agent: Literal["epirubicin", "doxorubicin", "pirarubicin"] = _key(
        "epirubicin", "given in chemoembolization", "epirubicin, doxorubicin or pirarubicin"
    )


def _not_a_bool(value: Any) -> Any:
    """Python takes true for 1; a case file does not."""
    if isinstance(value, bool):
        raise ValueError("not a number")
    return value


class Case(_Table):
    """One patient and the choices made for them; every key has a default.

    The same case serves every film. Build it with `load_case`, whose refusals name the key.
    """

    schema_: Annotated[Literal[1], BeforeValidator(_not_a_bool)] = Field(
        default=1, alias="schema", description="the form of this file", json_schema_extra={"accepted": "1"}
    )
    seed: int = _key(7, "of everything that varies by chance", "0 to 2147483647", ge=0, le=2**31 - 1)
    spine: Spine = Spine()
    fracture: Fracture = Fracture()
    tumour: Tumour = Tumour()
    needle: Needle = Needle()
    cannula: Cannula = Cannula()
    balloon: Balloon = Balloon()
    cement: Cement = Cement()
    artery: Artery = Artery()
    catheter: Catheter = Catheter()
    drug: Drug = Drug()

    def table(self) -> dict[str, Any]:
        """The case as nested plain values, with the keys of the file."""
        return self.model_dump(by_alias=True)

    def canonical(self) -> str:
        """The case as one line of JSON with sorted keys: equal cases give equal text."""
        return json.dumps(self.table(), sort_keys=True, separators=(",", ":"))

    def with_values(self, **changes: Any) -> Case:
        """A checked copy with `table__key=value` replaced, such as needle__gauge=13."""
        table = self.table()
        for name, value in changes.items():
            parts = name.split("__")
            into = table
            for part in parts[:-1]:
                into = into[part]
            into[parts[-1]] = value
        return checked_case(table)


class KeyEntry(NamedTuple):
    """One key of the case file."""

    name: str
    default: Any
    about: str
    accepted: str


def _entry(name: str, info: FieldInfo) -> KeyEntry:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    return KeyEntry(name, info.default, info.description or "", str(extra["accepted"]))


def case_keys() -> Iterator[KeyEntry]:
    """Every key of the case file in its order, dotted ("needle.gauge"), with default, meaning and what it accepts."""
    for name, info in Case.model_fields.items():
        if isinstance(info.default, _Table):
            for inner, inner_info in type(info.default).model_fields.items():
                yield _entry(f"{name}.{inner}", inner_info)
        else:
            yield _entry(info.alias or name, info)


def case_text(case: Case, *, comments: bool) -> str:
    """The case as TOML; with `comments`, each key followed by meaning, unit, range and default."""
    table = case.table()
    lines = ["# A case for spineviz: one patient and the choices made for them.", ""] if comments else []
    section = ""
    for key in case_keys():
        head, _, tail = key.name.rpartition(".")
        if head != section:
            section = head
            lines += ["", f"[{head}]"] if not comments or lines[-1] else [f"[{head}]"]
        value = table[head][tail] if head else table[tail]
        line = f"{tail} = {json.dumps(value)}"
        if comments:
            note = f"{key.about}; {key.accepted}"
            line = f"{line:<28}# {note} (default {json.dumps(key.default)})"
        lines.append(line)
    return "\n".join(lines) + "\n"


def commented_case() -> str:
    """The default case file with every key explained; read back, it is the default case."""
    return case_text(Case(), comments=True)


def shown(value: Any) -> str:
    """`value` as a refusal quotes it: as TOML would, and never more than forty signs."""
    try:
        text = json.dumps(value, ensure_ascii=True) if isinstance(value, (str, bool)) else str(value)
    except ValueError:  # an integer of thousands of digits
        text = "a number of thousands of digits"
    return text if len(text) <= 40 else text[:36] + " ..."


def _nearest(word: str, words: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _complaint(value: Any, entry: KeyEntry) -> str:
    number = isinstance(entry.default, (int, float)) or "0" in entry.accepted
    whole = isinstance(entry.default, int) and not isinstance(entry.default, bool)
    if isinstance(value, bool):
        why = "is true or false, not " + ("a number" if number else "a word")
    elif isinstance(value, dict):
        why = "is a table, not a single value"
    elif isinstance(value, list):
        why = "is a list, not a single value"
    elif isinstance(value, str):
        if number and re.match(r"\s*[-+]?[\d.]", value):
            why = "is text; write the plain number without unit or quotes"
        else:
            why = "is text, not a number" if isinstance(entry.default, (int, float)) else "is not accepted"
    elif isinstance(value, (int, float)):
        if isinstance(value, float) and not math.isfinite(value):
            why = "is not a finite number"
        elif whole and isinstance(value, float):
            why = "is not a whole number" if value != int(value) else "must be written without a decimal point"
        else:
            why = (
                ("is out of range" if " to " in entry.accepted else "is not one of them") if number else "is not a word"
            )
    else:
        why = "is not accepted"
    if entry.name == "spine.level" and isinstance(value, str):
        why = "is no level of the spine that this can show"
    return f"{entry.name}: {shown(value)} {why}; give {entry.accepted}"


def _refusals(error: ValidationError) -> Iterator[str]:
    entries = {entry.name: entry for entry in case_keys()}
    told = set()
    for item in error.errors(include_url=False, include_context=False):
        path = [str(part) for part in item["loc"]][:2]
        name = ".".join(path)
        if name in told:
            continue
        told.add(name)
        if item["type"] == "extra_forbidden":
            table = path[0] if len(path) > 1 else ""
            names = [key.rpartition(".")[2] for key in entries if key.rpartition(".")[0] == table]
            if not table:
                names += [field for field in Case.model_fields if f"{field}" not in names and field != "schema_"]
            where = f"[{table}] takes" if table else "a case takes"
            yield f"{shown(name)[1:-1]}: unknown key; {where} {', '.join(names)}{_nearest(path[-1], names)}"
        elif name in entries:
            yield _complaint(item["input"], entries[name])
        else:
            names = [key for key in entries if key.startswith(f"{name}.")]
            yield f"{name}: {shown(item['input'])} is not a table; give {', '.join(names)}"


def checked_case(table: Mapping[str, Any]) -> Case:
    """The case with the values of `table` (nested, as read from TOML) over the defaults.

    Raises RequestError, one line for each of the first two wrong keys, saying value and what is accepted.
    """
    try:
        return Case.model_validate(dict(table))
    except ValidationError as error:
        lines = list(_refusals(error))
        more = [f"and {len(lines) - 2} more"] if len(lines) > 2 else []
        raise RequestError("\n".join(lines[:2] + more)) from None
    except (OverflowError, RecursionError):
        raise RequestError("case: a value is too large or too deeply nested; see `spineviz case new`") from None


def read_toml(path: Path, option: str = "--case", what: str = "case") -> dict[str, Any]:
    """The nested values of the TOML file `path`, which `option` names and which is a `what` file.

    Raises RequestError where it is missing, a folder, not UTF-8, not TOML, nested too deeply or too long; FaultError
    where the machine cannot read it.
    """
    hint = f"; `spineviz {what} new` writes one" if what == "case" else ""
    try:
        if path.is_dir():
            raise RequestError(f"{option}: {shown(str(path))[1:-1]} is a folder; give a TOML file")
        with path.open("rb") as stream:
            data = stream.read(LARGEST_FILE_BYTES + 1)
    except FileNotFoundError:
        raise RequestError(f"{option}: there is no file {shown(str(path))[1:-1]}{hint}") from None
    except (OSError, ValueError) as error:
        raise FaultError(f"{option}: {shown(str(path))[1:-1]} cannot be read: {error}") from None
    if len(data) > LARGEST_FILE_BYTES:
        raise RequestError(f"{option}: {path.name} is larger than {LARGEST_FILE_BYTES // 1000} kB; give a {what} file")
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise RequestError(f"{option}: {path.name} is not UTF-8 text; give a TOML file") from None
    except RecursionError:
        raise RequestError(f"{option}: {path.name} is nested too deeply; a {what} has one level of tables") from None
    except tomllib.TOMLDecodeError as error:
        reason = str(error).splitlines()[0][:120]
        raise RequestError(f"{option}: {path.name} is not TOML: {reason}") from None
    except ValueError:  # Python reads no integer of more than some thousands of digits
        raise RequestError(f"{option}: {path.name} holds a number of thousands of digits; give plain numbers") from None


def parsed_setting(text: str) -> tuple[list[str], Any]:
    """KEY=VALUE as the path of the key and its value, TOML where it reads as TOML, else a bare string.

    Raises RequestError where there is no "=" or the key is no key of a case.
    """
    name, equals, raw = text.partition("=")
    name = name.strip()
    if not equals or not name:
        raise RequestError(f"--set: {shown(text)} is not KEY=VALUE, such as spine.level=L2")
    raw = raw.strip()
    if "\n" in raw or "\r" in raw:
        return name.split("."), raw
    try:
        parsed = tomllib.loads(f"value = {raw}")
    except RecursionError:
        raise RequestError(f"--set {shown(name)[1:-1]}: the value is nested too deeply; give one value") from None
    except tomllib.TOMLDecodeError:
        return name.split("."), raw
    except ValueError:
        raise RequestError(
            f"--set {shown(name)[1:-1]}: a number of thousands of digits; `spineviz case new` lists what keys take"
        ) from None
    return name.split("."), parsed["value"]


def _set(table: dict[str, Any], path: list[str], value: Any) -> None:
    names = {key.name for key in case_keys()}
    name = ".".join(path)
    if name not in names:
        inner = [key for key in names if key.startswith(f"{name}.")]
        if inner:
            raise RequestError(f"--set: {name} is a table; set {', '.join(sorted(inner))}")
        bare = [key for key in names if key.rpartition(".")[2] == name]
        hint = f"; did you mean {' or '.join(sorted(bare))}?" if bare else _nearest(name, sorted(names))
        raise RequestError(f"--set: unknown key {shown(name)[1:-1]}; `spineviz case new` lists the keys{hint}")
    for part in path[:-1]:
        inside = table.setdefault(part, {})
        if not isinstance(inside, dict):
            raise RequestError(f"{part}: {shown(inside)} is not a table; give {name}")
        table = inside
    table[path[-1]] = value


def load_case(path: Path | None = None, settings: Sequence[str] = ()) -> Case:
    """The case of the file `path` (None: the defaults), with `settings` (KEY=VALUE each) over it.

    Raises RequestError that names key, value and what is accepted; FaultError where the file cannot be read.
    """
    table = read_toml(path) if path is not None else {}
    for setting in settings:
        _set(table, *parsed_setting(setting))
    return checked_case(table)
