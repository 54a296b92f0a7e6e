"""The numbers of one moment."""

from __future__ import annotations

from dataclasses import dataclass, fields

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

    The first twenty attributes are STATE_KEYS, None before a thing exists; the rest place the structures.

    Attributes:
        time_s: of the film; step: its name; share: how much of the step is over.
        needle_right_mm, needle_left_mm: the tip's way from the skin (0 while it is still outside).
        collapse: 0 healthy to 1 broken; lying: 0 standing to 1 face down; tumour: 0 none to 1 grown.
        lift: the share of the loss left when lying that balloons have taken back, 0 none to 1 healthy.
        middle_height_mm: of the treated body, as the two heights above.
        right_way_mm, left_way_mm: as needle_..._mm, but negative outside the skin; None where there is no needle.
        stylet: 1 in, 0 out.
        turn_deg: how far the needles are turned about themselves.
        hardness: of the cement, 0 paste to 1 hard.
        load_share: of the load that the illustration of the cast puts on the body.
        c_arm_deg: the C-arm's turn about the patient, 0 AP to 90 lateral; None while the room is not in view.
        numb_share, nick_share, biopsy_share, dressing_share: how much of each is over.
    """

    time_s: float
    step: str
    cement_ml: float | None = None
    needle_right_mm: float | None = None
    needle_left_mm: float | None = None
    cannula_right_mm: float | None = None
    cannula_left_mm: float | None = None
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
    right_way_mm: float | None = None
    left_way_mm: float | None = None
    stylet: float = 1.0
    turn_deg: float = 0.0
    hardness: float = 0.0
    load_share: float = 0.0
    c_arm_deg: float | None = None
    numb_share: float = 0.0
    nick_share: float = 0.0
    biopsy_share: float = 0.0
    dressing_share: float = 0.0

    def public(self) -> dict[str, float | str | None]:
        """STATE_KEYS and their values, numbers rounded to a millionth."""
        out = {}
        for key in STATE_KEYS:
            value = getattr(self, key)
            out[key] = round(value, 6) if isinstance(value, float) else value
        return out

    def way_mm(self, side: str) -> float | None:
        """The tip's way from the skin on `side`, negative outside; None where there is no needle."""
        return self.right_way_mm if side == "right" else self.left_way_mm


def smoothstep(share: float) -> float:
    """0 to 1, starting and ending gently."""
    held = min(1.0, max(0.0, share))
    return held * held * (3.0 - 2.0 * held)


assert tuple(field.name for field in fields(State))[: len(STATE_KEYS)] == STATE_KEYS
