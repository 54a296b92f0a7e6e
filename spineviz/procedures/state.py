"""The numbers of one moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields

from spineviz.data.films import Film

Done = Callable[[str, str], float]
"""(step, beat) -> how much of it is over, 0 to 1."""

STATE_KEYS = (
    "time_s", "step", "cement_ml", "needle_right_mm", "needle_left_mm", "cannula_right_mm", "cannula_left_mm",
    "balloon_right_ml", "balloon_left_ml", "balloon_right_psi", "balloon_left_psi", "anterior_height_mm",
    "posterior_height_mm", "wedge_deg", "catheter_mm", "wire_mm", "dose_mg", "tumour_diameter_mm", "tumour_neural_mm",
    "canal_share",
)  # fmt: skip
"""What `spineviz state` answers with, the same for every film and moment; null before a thing exists."""


@dataclass(frozen=True)
class State:
    """Everything that can be different at another moment.

    The first twenty attributes are STATE_KEYS, None before a thing exists; the rest place the structures. The lengths
    of needles and cannulas among them (0 while the tip is still outside) follow from `ways_mm`.

    Attributes:
        time_s: of the film; step: its name; share: how much of the step is over.
        collapse: 0 healthy to 1 broken; lying: 0 standing to 1 face down; tumour: 0 none to 1 grown.
        lift: 0 to 1, the share that balloons take back of the loss that is left when lying.
        middle_height_mm: of the treated body, as the two heights above.
        ways_mm: "needle-right" and the like -> the tip's way from the skin, negative outside it; only what is there.
            Also of "pin", "cannula", "drill", "tamp" (its front end) and "filler".
        stylet: 1 in, 0 out.
        turn_deg: how far the needles (kyphoplasty: the drills) are turned about themselves.
        drilled_mm: "right" and "left" -> how far the drill has been, as ways_mm; only where it has bitten.
        inflation: 0 to 1, how much of the balloons' inflation is over; deflation: 0 to 1, of its letting out.
        cavity_ml: what the cavity holds; None before the balloons let go, kept once cement has filled it.
        plunger: of the bone fillers, 0 drawn to 1 home.
        hardness: of the cement, 0 paste to 1 hard.
        load_share: of the load that the illustration of the cast puts on the body.
        c_arm_deg: the C-arm's turn about the patient, 0 AP to 90 lateral; None while the room is not in view.
        numb_share, nick_share, biopsy_share, dressing_share: how much of each is over.
    """

    time_s: float
    step: str
    cement_ml: float | None = None
    needle_right_mm: float | None = field(default=None, init=False)
    needle_left_mm: float | None = field(default=None, init=False)
    cannula_right_mm: float | None = field(default=None, init=False)
    cannula_left_mm: float | None = field(default=None, init=False)
    balloon_right_ml: float | None = None
    balloon_left_ml: float | None = None
    balloon_right_psi: float | None = None
    balloon_left_psi: float | None = None
    anterior_height_mm: float | None = None
    posterior_height_mm: float | None = None
    wedge_deg: float | None = None
    catheter_mm: float | None = None
    wire_mm: float | None = None
    dose_mg: float | None = None
    tumour_diameter_mm: float | None = None
    tumour_neural_mm: float | None = None
    canal_share: float | None = None
    share: float = 0.0
    collapse: float = 0.0
    lying: float = 0.0
    tumour: float = 0.0
    lift: float = 0.0
    middle_height_mm: float | None = None
    ways_mm: Mapping[str, float] = field(default_factory=dict, hash=False)
    stylet: float = 1.0
    turn_deg: float = 0.0
    inflation: float = 0.0
    deflation: float = 0.0
    drilled_mm: Mapping[str, float] = field(default_factory=dict, hash=False)
    plunger: float = 0.0
    cavity_ml: float | None = None
    hardness: float = 0.0
    load_share: float = 0.0
    c_arm_deg: float | None = None
    numb_share: float = 0.0
    nick_share: float = 0.0
    biopsy_share: float = 0.0
    dressing_share: float = 0.0

    def __post_init__(self) -> None:
        for tool in ("needle", "cannula"):
            for side in ("right", "left"):
                way = self.way_mm(side, tool)
                object.__setattr__(self, f"{tool}_{side}_mm", None if way is None else max(0.0, way))

    def public(self) -> dict[str, float | str | None]:
        """STATE_KEYS and their values, numbers rounded to a millionth."""
        return _public(self)

    def way_mm(self, side: str, tool: str = "needle") -> float | None:
        """The way from the skin of the tip of `tool` on `side`, negative outside; None where there is none."""
        return self.ways_mm.get(f"{tool}-{side}")


@dataclass(frozen=True)
class EndovascularState:
    """Everything that can be different at another moment of a treatment through the arteries.

    Attributes:
        time_s: of the film; step: its name; share: how much of the step is over.
        anterior_height_mm, posterior_height_mm, wedge_deg: of the target, which is not broken.
        wire_mm: the way from the arterial puncture to the tip of the wire that is in, the fine one in the feeder;
            catheter_mm, micro_mm: of the catheter's and the microcatheter's tip. None before and after.
        dose_mg: of the drug, given so far; lodged_mg: particles in the tumour's bed.
        tumour_diameter_mm, tumour_neural_mm, canal_share, cord_depth_mm: measured on the tumour and what it presses
            on; None while nothing was measured.
        tumour: the tumour's diameter as a share of the full-grown one; dead_share: of its dead centre as a share of
            the tumour's own.
        weeks: since the treatment; None before.
        tip_level: the vertebra at whose height the tip that leads lies.
        stretch, walked: which passage of the plan the catheter is on, and how much of it is over; "" before and after.
        micro_stretch, micro_walked: the same of the microcatheter.
        needle_mm: the way of the access needle's tip from the skin, negative outside; None where there is none.
        sheath_mm: how much of the sheath is past the skin; None where there is none.
        dilator: how far the sheath's dilator is in, 1 all the way, 0 out.
        blood_share: how far blood has come out of the needle, 0 to 1.
        syringe: what is in the syringe on the catheter (a role), its size in mL and how full it is, 0 to 1; None where
            there is none.
        run: the injection that is on screen ("run-1", "micro", "final", "final-cord") or ""; run_s: seconds since it
            began.
        contrast_ml: contrast given so far.
        drug_s: seconds since the first pulse of particles; None before.
        flow_share: flow in the tumour's feeder as a share of the first; None before drug is given.
        pressure_min: minutes of pressure over the puncture; None before.
        in_room: whether the room is in view; numb_share, nick_share: how much of each is over.
    """

    time_s: float
    step: str
    share: float = 0.0
    anterior_height_mm: float | None = None
    posterior_height_mm: float | None = None
    wedge_deg: float | None = None
    catheter_mm: float | None = None
    wire_mm: float | None = None
    micro_mm: float | None = None
    dose_mg: float | None = None
    lodged_mg: float | None = None
    tumour_diameter_mm: float | None = None
    tumour_neural_mm: float | None = None
    canal_share: float | None = None
    cord_depth_mm: float | None = None
    tumour: float = 0.0
    dead_share: float = 0.0
    weeks: float | None = None
    tip_level: str | None = None
    stretch: str = ""
    walked: float = 0.0
    micro_stretch: str = ""
    micro_walked: float = 0.0
    needle_mm: float | None = None
    sheath_mm: float | None = None
    dilator: float = 0.0
    blood_share: float = 0.0
    syringe: tuple[str, int, float] | None = None
    run: str = ""
    run_s: float = 0.0
    contrast_ml: float | None = None
    drug_s: float | None = None
    flow_share: float | None = None
    pressure_min: float | None = None
    in_room: bool = False
    numb_share: float = 0.0
    nick_share: float = 0.0

    def public(self) -> dict[str, float | str | None]:
        """STATE_KEYS and their values, numbers rounded to a millionth; null for what other procedures have."""
        return _public(self)


def _public(state: object) -> dict[str, float | str | None]:
    out = {}
    for key in STATE_KEYS:
        value = getattr(state, key, None)
        out[key] = round(value, 6) if isinstance(value, float) else value
    return out


def progress(clock: Film, step: str, share: float) -> Done:
    """beat of a step -> how much of it is over: 1 in steps gone by, 0 in steps to come. "start" is the step's own."""
    order = [s.name for s in clock.steps]
    now = order.index(step)

    def done(name: str, beat: str) -> float:
        place = order.index(name)
        if place != now:
            return 1.0 if place < now else 0.0
        return 1.0 if beat == "start" else clock.steps[now].beat_share(beat, share)

    return done


def smoothstep(share: float) -> float:
    """0 to 1, starting and ending gently."""
    held = min(1.0, max(0.0, share))
    return held * held * (3.0 - 2.0 * held)


assert tuple(field.name for field in fields(State))[: len(STATE_KEYS)] == STATE_KEYS
