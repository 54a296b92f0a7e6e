"""What X-rays meet: linear attenuation and density of every material, from assets/anatomy/attenuation.csv."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.sourced import Sourced

BEAM_KEV = 60.0
"""A fair single energy for spine fluoroscopy behind 20 cm of tissue (clinical.md, headline caution 3)."""

_PREFIX, _SUFFIX = "mu_", "kev_per_cm"


@dataclass(frozen=True, eq=False)
class Material:
    """One row of the table.

    Attributes:
        name: its key in Structure.material.
        description: in words.
        density: g/cm3.
        bone_share: bone volume share, 0 marrow to 1 cortex; None where the material is neither nor a mixture of them.
        energies_kev: (K,) rising.
        mu_per_cm: (K,) linear attenuation at those energies, 1/cm.
        citation, mark: where the row comes from and how sure it is.
    """

    name: str
    description: str
    density: Sourced
    bone_share: float | None
    energies_kev: NDArray[np.float64]
    mu_per_cm: NDArray[np.float64]
    citation: str
    mark: str


@cache
def materials() -> dict[str, Material]:
    """Every material by name and by its other names ("trabecular" is BV/TV 8 %, "cement" is set vertebral cement)."""
    out: dict[str, Material] = {}
    with asset("anatomy", "attenuation.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            columns = [c for c in row if c.startswith(_PREFIX) and c.endswith(_SUFFIX)]
            energies = np.array([float(c.removeprefix(_PREFIX).removesuffix(_SUFFIX)) for c in columns])
            values = np.array([float(row[c]) for c in columns])
            material = Material(
                row["material"],
                row["description"],
                Sourced(float(row["density_g_cm3"]), "g/cm3", row["citation"], row["mark"]),
                float(row["bone_share"]) if row["bone_share"] else None,
                energies,
                values,
                row["citation"],
                row["mark"],
            )
            for name in (row["material"], *filter(None, (also.strip() for also in row["also"].split(";")))):
                out[name] = material
    return out


def material(name: str) -> Material:
    """The material `name`; RequestError lists the names for another."""
    table = materials()
    if name not in table:
        raise RequestError(f"material: {name!r} is not in attenuation.csv; give one of {', '.join(table)}")
    return table[name]


@cache
def attenuation(name: str, kev: float = BEAM_KEV) -> Sourced:
    """The linear attenuation of the material `name` at `kev`, 1/cm, on a log-log line between tabulated energies.

    Raises RequestError for an unknown material, an energy outside the table (40 to 80 keV), and one that lies between
    two energies with an absorption edge between them (tantalum 65-70, platinum 70-80), where no line holds.
    """
    row = material(name)
    low, high = float(row.energies_kev[0]), float(row.energies_kev[-1])
    if not low <= kev <= high:
        raise RequestError(f"kev: {kev:g} is outside attenuation.csv; give {low:g} to {high:g}")
    exact = np.flatnonzero(row.energies_kev == kev)
    if len(exact):
        return Sourced(float(row.mu_per_cm[exact[0]]), "1/cm", row.citation, row.mark)
    after = int(np.searchsorted(row.energies_kev, kev))
    if row.mu_per_cm[after] > row.mu_per_cm[after - 1]:
        raise RequestError(
            f"kev: {kev:g} lies beside an absorption edge of {row.name};"
            f" give {row.energies_kev[after - 1]:g} or {row.energies_kev[after]:g}"
        )
    value = np.exp(np.interp(np.log(kev), np.log(row.energies_kev), np.log(row.mu_per_cm)))
    return Sourced(float(value), "1/cm", row.citation, f"{row.mark}; interpolated")


def density(name: str) -> Sourced:
    """The density of the material `name`, g/cm3; RequestError for an unknown one."""
    return material(name).density


def bone_volume_share(name: str) -> Sourced:
    """The bone volume share BV/TV of the material `name`, 0 to 1; RequestError for one that has no such share."""
    row = material(name)
    if row.bone_share is None:
        raise RequestError(f"material: {name!r} has no bone share; give one of {', '.join(_mixtures())}")
    return Sourced(row.bone_share, "1", row.citation, row.mark)


def bone_attenuation(bone_share: ArrayLike, kev: float = BEAM_KEV) -> NDArray[np.float64]:
    """The linear attenuation of marrow with a share `bone_share` (any shape, 0 to 1) of bone in it, 1/cm.

    On a line between the rows with a bone share, from marrow to cortex: attenuation goes with the mass of bone in the
    way. At a row's own share it is that row's. Raises RequestError as `attenuation` does.
    """
    rows = _mixtures()
    values = [attenuation(name, kev).value for name in rows]
    return np.interp(np.asarray(bone_share, float), list(rows.values()), values)


@cache
def _mixtures() -> dict[str, float]:
    """The materials between marrow and cortex by name, with their bone shares, rising."""
    found = {row.name: row.bone_share for row in materials().values() if row.bone_share is not None}
    return dict(sorted(found.items(), key=lambda item: item[1]))
