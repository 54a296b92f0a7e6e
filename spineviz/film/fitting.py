"""A shot is told for 16:9; here its cameras are fitted to the screen of another aspect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from spineviz.film.shot import CardShot, Shot, StageShot
from spineviz.views.designs import WIDE

if TYPE_CHECKING:
    from spineviz.views.camera import Camera
    from spineviz.views.layout import Design, Panel

TITLE_FIELD = {"9:16": (-0.42, 0.16, 1.45), "1:1": (-0.14, 0.02, 1.0)}
"""Aspect -> how a title card's backdrop, which at 16:9 stands right of the words, moves (right and up, shares of its
height), and how many times as high its field grows."""


def fitted(shot: Shot, panels: Mapping[str, Panel], wide: Mapping[str, Panel], design: Design) -> Shot:
    """`shot` with the cameras of its stages fitted to `panels`, their slots' places on `design`; `wide` are those at
    16:9."""
    if design is WIDE:
        return shot

    def fit(stage: StageShot, slot: str) -> StageShot:
        picture = panels[slot].picture
        factor = design.field(shot.layout, picture, wide[slot].picture)
        return _moved(stage, factor, design.moved(shot.layout, picture))

    if shot.layout == "card":
        return replace(shot, card=shot.card and _card(shot.card, design))
    stage = shot.stage and fit(shot.stage, "stage")
    columns = tuple(
        replace(column, stage=fit(column.stage, f"{i}:stage")) if column.stage is not None else column
        for i, column in enumerate(shot.columns)
    )
    return replace(shot, stage=stage, columns=columns)


def _moved(stage: StageShot, factor: float, way: tuple[float, float]) -> StageShot:
    """The stage with its field `factor` times as high and its subject moved right and up, shares of the picture."""

    def move(camera: Camera) -> Camera:
        wider = camera.widened(factor)
        return wider.shifted(*way) if any(way) else wider

    return replace(stage, camera=move(stage.camera), place_camera=stage.place_camera and move(stage.place_camera))


def _card(card: CardShot, design: Design) -> CardShot:
    if card.backdrop is None:
        return card
    right, up, factor = TITLE_FIELD[design.aspect]
    camera: Camera = card.backdrop.camera.shifted(right, 0.0).widened(factor).shifted(0.0, up)
    return replace(card, backdrop=replace(card.backdrop, camera=camera, place_camera=None))
