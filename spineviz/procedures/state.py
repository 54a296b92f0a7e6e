"""The numbers of one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

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
        out = {}
        for key in STATE_KEYS:
            value = getattr(self, key)
            out[key] = round(value, 6) if isinstance(value, float) else value
        return out

    def way_mm(self, side: str, tool: str = "needle") -> float | None:
        """The way from the skin of the tip of `tool` on `side`, negative outside; None where there is none."""
        return self.ways_mm.get(f"{tool}-{side}")


def smoothstep(share: float) -> float:
    """0 to 1, starting and ending gently."""
    held = min(1.0, max(0.0, share))
    return held * held * (3.0 - 2.0 * held)


assert tuple(field.name for field in fields(State))[: len(STATE_KEYS)] == STATE_KEYS
