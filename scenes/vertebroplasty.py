"""Vertebroplasty: a needle through the pedicle, cement that becomes an internal cast.

You should see: a healthy spine; a tumour that weakens one vertebra until it gives way; the patient face down under a
C-arm; needles through the pedicles in two planes; cement that fills the broken bone; the needles drawn; a steady body.
"""

from __future__ import annotations

import numpy as np

from spineviz.film.anchors import as_point, facing, surface_towards
from spineviz.film.augmentation import BEHIND_LEFT, LEFT, AugmentationScene
from spineviz.film.base import Moment
from spineviz.film.shot import Mark, SectionShot, Shot, StageShot


class Vertebroplasty(AugmentationScene):
    """The film of one vertebroplasty, nine shots and three cards."""

    film_name = "vertebroplasty"
    tumour_beat = "tumour"

    # ---- 1 a healthy spine -------------------------------------------------------------------------------------------

    def shot_healthy(self, now: Moment) -> Shot:
        """The column, then the vertebra that will be treated."""
        at = self.parts.at(now.state)
        camera = self.far.moved_towards(self.near, now.beat("zoom"))
        parts = now.shown("parts")
        mark = self.parts.bone.landmarks
        return self.told(
            now,
            layout="stage",
            stage=StageShot(camera, self.look(), self.near),
            labels=(
                self.label(
                    now, "body", "bone", surface_towards(at[self.level].field, (0, 0, 0), (-1, 0.25, 0)), "left", parts
                ),
                self.label(now, "disc", "disc", facing(at, self.parts.disc_above, (-1, -0.1, 0)), "left", parts, 0.8),
                self.label(
                    now,
                    "pedicle",
                    "bone",
                    surface_towards(at[self.level].field, self.parts.pedicle("left"), LEFT),
                    "left",
                    parts,
                ),
                self.label(now, "nerves", "cord", self.parts.nerves(now.state), "right", parts, 0.9),
                self.label(now, "spinous", "bone", as_point(mark["spinous-tip"]), "right", parts, 0.7),
            ),
        )

    # ---- 4 to 6 the needle -------------------------------------------------------------------------------------------

    def shot_entry(self, now: Moment) -> Shot:
        """The needles meet bone at the upper outer edge of each pedicle."""
        side = self.sides[-1]
        entry = as_point(self.plan.needles[side].path.contact_mm)
        return self.told(
            now,
            layout="stage+insets",
            stage=StageShot(self.behind, self.look()),
            fluoroscopy=(self.from_behind,),
            section=SectionShot("axial", 58.0 * self.size, self.words(now.step.name, "axial")),
            labels=(
                self.label(now, "entry", "bone", entry, "left", now.shown("approach", until="advance")),
                self.label(
                    now,
                    "needle",
                    "steel",
                    self.parts.on_needle(now.state, side, 40.0),
                    "left",
                    now.shown("advance"),
                    rest=self.parts.in_bone(side, 40.0),
                ),
                self.label(now, "nerves", "cord", self.parts.nerves(now.state), "right", now.shown("contact"), 0.6),
            ),
            marks=tuple(self.oval(side, now.shown("approach")) for side in self.sides),
        )

    def shot_pedicle(self, now: Moment) -> Shot:
        """Two planes and the axial section; the safety rule is shown."""
        root = now.shown("root")
        below = self.parts.pedicle(self.sides[-1]) - [0, 0, self.parts.pedicle_half_mm]
        return self.two_planes(
            now,
            marks=(
                *self.safety_rule(now, until="root"),
                Mark("line", "lateral", tuple(map(as_point, (below + [0, 9, 0], below - [0, 9, 0]))), "lower edge",
                     "danger", shown=root, side="right"),
                Mark("ring", "lateral", (as_point(below - [0, 1, 6]),), "root", "roots", 3.4, root, side="right"),
            ),
        )  # fmt: skip

    def shot_target(self, now: Moment) -> Shot:
        """The tips come to rest in the front third: lateral first, then AP."""
        side = self.sides[-1]
        camera = self.behind.moved_towards(self.into_body, now.beat("advance"))
        behind = self.second_half(now, "rest")
        return self.told(
            now,
            layout="stage+insets",
            stage=StageShot(
                camera,
                self.glass(),
                self.into_body,
            ),
            fluoroscopy=(self.from_behind if behind else self.from_the_left,),
            section=SectionShot("axial", 38.0 * self.size, self.words(now.step.name, "axial")),
            focus="fluoroscopy" if now.during("rest") else "",
            labels=(
                self.label(now, "tip", "steel", self.parts.on_needle(now.state, side, 0.0), "left", now.shown("rest")),
                self.label(
                    now,
                    "tumour",
                    "tumour",
                    facing(self.parts.at(now.state), "tumour", BEHIND_LEFT),
                    "right",
                    now.shown("biopsy"),
                ),
            ),
            marks=self.midline(now) if behind else self.front_third(now),
        )

    def front_third(self, now: Moment) -> tuple[Mark, ...]:
        """In lateral: the plane in front of which the tips rest."""
        upper, lower = self.parts.across(now.state, 2.0 / 3.0)
        return (
            Mark(
                "line",
                "lateral",
                (upper, lower),
                "front third",
                "safe",
                shown=now.shown("rest"),
                side="left",
                dashed=True,
            ),
        )

    # ---- 7 and 8 cement ----------------------------------------------------------------------------------------------

    def shot_cement(self, now: Moment) -> Shot:
        """Cement fills the spaces in small steps; it stops."""
        needle = self.parts.on_needle(now.state, self.sides[-1], 30.0)
        checked = self.second_half(now, "live")
        return self.told(
            now,
            layout="stage+insets",
            stage=StageShot(self.into_body, self.glass(highlight=frozenset({"cement"}))),
            fluoroscopy=(self.from_behind if checked else self.from_the_left,),
            section=SectionShot("axial", 38.0 * self.size, self.words(now.step.name, "axial")),
            focus="fluoroscopy" if now.during("live") else "",
            labels=(
                self.label(now, "needle", "steel", needle, "right", now.shown("prepare"), 0.7),
                *self.cement_labels(now, now.shown("fill")),
            ),
            marks=() if checked else self.stop_line(now, "limits"),
            gauges=("cement", "back_wall", "wedge"),
        )

    def shot_withdrawal(self, now: Moment) -> Shot:
        """Stylet in, needles turned and drawn, dressing."""
        if now.after("dressing"):
            return self.dressed(now)
        camera = self.into_body.moved_towards(self.drawn, now.beat("stylet"))
        return self.told(
            now,
            layout="stage+insets",
            stage=StageShot(
                camera,
                self.glass(highlight=frozenset({"cement"})),
                self.drawn,
            ),
            fluoroscopy=(self.from_the_left,),
            section=SectionShot("axial", 40.0 * self.size, self.words(now.step.name, "axial")),
            focus="fluoroscopy" if now.during("draw") else "",
            labels=(
                self.label(
                    now,
                    "stylet",
                    "steel",
                    self.parts.on_needle(now.state, self.sides[-1], 70.0),
                    "right",
                    now.shown("stylet", until="turn"),
                ),
                *self.cement_labels(now),
            ),
            gauges=("cement", "back_wall", "wedge"),
        )

    # ---- 9 the cast --------------------------------------------------------------------------------------------------

    def shot_cast(self, now: Moment) -> Shot:
        """The body cut open: hard cement between the trabeculae bears a load."""
        load = now.shown("load", until="people")
        edges = self.parts.edges(now.state)
        top = (np.array(edges["upper-back"]) + np.array(edges["upper-front"])) / 2
        low = (np.array(edges["lower-back"]) + np.array(edges["lower-front"])) / 2
        push = 30 * self.size
        return self.cut_body(
            now,
            self.drawn.moved_towards(self.cut_open, now.beat("cast")),
            marks=(
                Mark("arrow", "stage", (as_point(top + [0, 0, push]), as_point(top + [0, 0, 3])), "load", shown=load),
                Mark("arrow", "stage", (as_point(low - [0, 0, push]), as_point(low - [0, 0, 3])), shown=load),
            ),
        )
