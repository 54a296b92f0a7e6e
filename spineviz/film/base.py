"""The scene under every film: a frame is a function of case and time.

A film is one short module in scenes/, a subclass that says what is on screen when:

    from spineviz.film.base import ProcedureScene
    from spineviz.film.shot import FluoroShot, Label, SectionShot, Shot, StageShot, appear

    class Vertebroplasty(ProcedureScene):
        '''You should see: ...'''

        film_name = "vertebroplasty"

        def setup_film(self):                        # once, after self.plan is there: cameras, projections, landmarks
            self.behind = Camera(...)
            self.ap = projection("ap", ...)

        def shot_at(self, time_s: float) -> Shot:    # pure: no drawing, no state kept
            step, share = self.clock.at(time_s)
            return getattr(self, f"shot_{step.name}")(Moment(step, share))

        def shot_cement(self, now: Moment) -> Shot:
            state = now.state                        # self.plan.state_at(step, share), kept for the moment
            return self.told(                        # Shot(...) with title, seen_from and caption of the narration filled in
                now,
                layout="stage+insets",
                stage=StageShot(self.behind, StageLook(glass=frozenset({"L1"}))),
                fluoroscopy=(FluoroShot(self.lateral, "lateral, seen from the left"),),
                section=SectionShot("axial", 45.0, "axial, through the needles"),
                focus="fluoroscopy" if now.during("fill") else "",
                labels=(Label("cement", "cement", tuple(state.cement_front_mm), shown=now.shown("fill")),),
                gauges=("cement", "back_wall", "wedge"),
            )

`Moment` offers: `.step`, `.share`, `.time_s` (seconds since the step began), `.state`, `.beat(name)` (0..1, eased), `.during(name)`,
`.after(name)`, `.shown(name, fade_s=0.4, until=None)` (fades in with the beat, out with the beat `until`).
"""
