"""How contrast, drug and particles travel through a tree of arteries.

Blood enters at the root and divides at each branch point in proportion to radius to a power (3 is Murray's law,
doi:10.1073/pnas.12.3.207; 2 goes by cross-section). What a catheter gives is carried along as a plug that spreads on
its way: transit times are gamma distributed with a variance in proportion to their mean, so that the way through two
vessels after one another is again of that kind, and everything has a closed form in time. A frame needs no history.

Nothing is lost by construction: what is in a stretch of vessel is what has passed its beginning less what has passed
its end. Flow is steady while one injection travels; particles change it from one pulse to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.sourced import sourced_table

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_STILL_ML_S = 1e-9  # less than this is no flow


@cache
def flow_figures() -> dict[str, float]:
    """The rows of assets/anatomy/flow.csv by name, in the units that it states."""
    return {name: row.value for name, row in sourced_table(asset("anatomy", "flow.csv")).items()}


@dataclass(frozen=True, eq=False)
class FlowTree:
    """Arteries from branch point to branch point, and how blood divides among them.

    Attributes:
        parent: (B,) the branch from whose end each begins; -1 at the one root. A parent stands before its children.
        length_mm, radius_mm: (B,) of each branch.
        inflow_ml_s: what enters the root.
        power: blood divides in proportion to radius to this power.
        open_share: (B,) what of the bed at the end of each branch is open: 0 is closed, 1 draws what the artery's
            radius says, more is a tumour that draws more blood; read at ends only.
        tumour_share: (B,) what of the outflow at the end of each branch goes to the tumour, 0 to 1; read at ends only.
    """

    parent: Indices
    length_mm: Floats
    radius_mm: Floats
    inflow_ml_s: float
    power: float = field(default_factory=lambda: flow_figures()["split_power"])
    open_share: Floats = field(default_factory=lambda: np.ones(0))
    tumour_share: Floats = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        parent = np.asarray(self.parent, np.int64)
        count = len(parent)
        if not count or parent[0] != -1 or (parent[1:] < 0).any() or (parent >= np.arange(count)).any():
            raise ValueError("parent must begin with -1 and name, for every other branch, one that stands before it")
        object.__setattr__(self, "parent", parent)
        for name in ("length_mm", "radius_mm", "open_share", "tumour_share"):
            values = np.asarray(getattr(self, name), float)
            if not len(values) and name.endswith("share"):
                values = np.ones(count) if name == "open_share" else np.zeros(count)
            if values.shape != (count,):
                raise ValueError(f"{name} must have shape ({count},), got {values.shape}")
            if name.endswith("share") and ((values < 0) | (values > (np.inf if name == "open_share" else 1))).any():
                raise ValueError(f"{name} must not be negative" + (", nor more than 1" if name[0] == "t" else ""))
            if name.endswith("mm") and not (values > 0).all():
                raise ValueError(f"{name} must be positive, got {values.min():g}")
            object.__setattr__(self, name, values)
        if not self.inflow_ml_s > 0:
            raise ValueError(f"inflow_ml_s must be positive, got {self.inflow_ml_s:g}")

    def __len__(self) -> int:
        return len(self.parent)

    @cached_property
    def children(self) -> tuple[Indices, ...]:
        """For each branch those that begin at its end."""
        return tuple(np.flatnonzero(self.parent == k) for k in range(len(self)))

    @cached_property
    def is_end(self) -> NDArray[np.bool_]:
        """(B,) whether nothing begins at its end."""
        return np.array([not len(c) for c in self.children])

    @cached_property
    def area_mm2(self) -> Floats:
        """(B,) cross-section."""
        return np.pi * self.radius_mm**2

    @cached_property
    def volume_ml(self) -> Floats:
        """(B,) what each branch holds."""
        return self.area_mm2 * self.length_mm / 1000.0

    @cached_property
    def flow_ml_s(self) -> Floats:
        """(B,) blood through each branch; at every branch point what comes in goes out.

        A branch draws by radius to the power, less what is closed in the beds behind it.
        """
        draw = self.radius_mm**self.power
        openness = np.where(self.is_end, self.open_share, 0.0)
        for k in range(len(self) - 1, -1, -1):
            if len(self.children[k]):
                weight = draw[self.children[k]]
                openness[k] = float(weight @ openness[self.children[k]] / weight.sum())
        flow = np.zeros(len(self))
        flow[0] = self.inflow_ml_s if openness[0] > 0 else 0.0
        for k, children in enumerate(self.children):
            weight = draw[children] * openness[children]
            if len(children) and weight.sum() > 0:
                flow[children] = flow[k] * weight / weight.sum()
        return flow

    @cached_property
    def speed_mm_s(self) -> Floats:
        """(B,) mean speed of the blood: flow by cross-section."""
        return 1000.0 * self.flow_ml_s / self.area_mm2

    def with_open(self, open_share: ArrayLike) -> FlowTree:
        """The same arteries with other beds open."""
        return replace(self, open_share=np.asarray(open_share, float))

    def behind(self, branch: int) -> Indices:
        """The branch itself and all that is fed through it."""
        fed = np.zeros(len(self), bool)
        fed[branch] = True
        for k in range(branch + 1, len(self)):
            fed[k] = fed[k] or fed[self.parent[k]]
        return np.flatnonzero(fed)


@dataclass(frozen=True, eq=False)
class Injection:
    """What a catheter gives, evenly over some time.

    Attributes:
        branch, at_mm: where its tip stands: the branch, and how far from that branch's beginning.
        volume_ml, rate_ml_s, start_s: how much, how fast, from when on.
        tree: the flow that carries it, where that is not the transport's own (beds that closed meanwhile).
    """

    branch: int
    volume_ml: float
    rate_ml_s: float
    start_s: float = 0.0
    at_mm: float = 0.0
    tree: FlowTree | None = None

    def __post_init__(self) -> None:
        for name in ("volume_ml", "rate_ml_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name):g}")

    @property
    def end_s(self) -> float:
        """When it ends."""
        return self.start_s + self.volume_ml / self.rate_ml_s

    def given_ml(self, time_s: float) -> float:
        """How much has been given."""
        return self.rate_ml_s * (min(max(time_s, self.start_s), self.end_s) - self.start_s)


@dataclass(frozen=True)
class Bed:
    """The tumour as one room: what comes is partly kept, the rest leaves it slowly.

    Attributes:
        washout_s: mean time for which what is not kept stays (the blush).
        kept_share: what stays for good: 0 for contrast in blood, 1 for particles.
    """

    washout_s: float = field(default_factory=lambda: flow_figures()["blush_s"])
    kept_share: float = field(default_factory=lambda: flow_figures()["tumour_kept"])

    def __post_init__(self) -> None:
        if not self.washout_s > 0 or not 0 <= self.kept_share <= 1:
            raise ValueError("washout_s must be positive and kept_share between 0 and 1")


@dataclass(frozen=True)
class Totals:
    """Where all that was injected is, mL: `injected_ml` is the sum of the other three.

    Attributes:
        injected_ml: what has left the catheter.
        tree_ml: in the arteries.
        tumour_ml: in the tumour.
        washed_ml: gone through the tissues, through the tumour, or back out of the root.
    """

    injected_ml: float
    tree_ml: float
    tumour_ml: float
    washed_ml: float


@dataclass(frozen=True, eq=False)
class _Stream:
    """One source and where it gets to: share of the source and mean delay at both ends of each branch it passes."""

    start_s: float
    end_s: float
    rate_ml_s: float
    branch: Indices
    share: Floats
    begins_mm: Floats
    delay_in_s: Floats
    delay_out_s: Floats
    speed_mm_s: Floats


@dataclass(frozen=True, eq=False)
class Transport:
    """Injections into a tree, and what becomes of them: every method is a function of time alone.

    Attributes:
        tree: the arteries.
        injections: what is given.
        bed: the tumour behind the ends that lead to it.
        spread_s: variance of the transit time by its mean; 0 is a plug with sharp ends.
        surge: how many times the blood's own flow an injection may drive forward before it runs back.
    """

    tree: FlowTree
    injections: tuple[Injection, ...]
    bed: Bed = field(default_factory=Bed)
    spread_s: float = field(default_factory=lambda: flow_figures()["spread_s"])
    surge: float = field(default_factory=lambda: flow_figures()["surge"])

    def __post_init__(self) -> None:
        object.__setattr__(self, "injections", tuple(self.injections))
        if self.spread_s < 0 or self.surge < 1:
            raise ValueError("spread_s must not be negative, and surge at least 1")
        if self.spread_s >= self.bed.washout_s:
            raise ValueError(f"spread_s {self.spread_s:g} must be less than washout_s {self.bed.washout_s:g}")
        for injection in self.injections:
            if not 0 <= injection.branch < len(self.tree):
                raise ValueError(f"there is no branch {injection.branch}; there are {len(self.tree)}")
            if not 0 <= injection.at_mm <= self.tree.length_mm[injection.branch]:
                raise ValueError(f"at_mm {injection.at_mm:g} does not lie on branch {injection.branch}")

    @cached_property
    def _resolved(self) -> tuple[tuple[list[_Stream], float], ...]:
        return tuple(self._streams(injection) for injection in self.injections)

    def _streams(self, injection: Injection) -> tuple[list[_Stream], float]:
        """The streams of one injection, and the rate at which it runs back out of the root."""
        tree = injection.tree or self.tree
        flow = tree.flow_ml_s
        own = float(flow[injection.branch])
        forward = min(injection.rate_ml_s, self.surge * own)
        streams = []
        if forward > _STILL_ML_S:
            faster = max(1.0, forward / own)
            streams.append(self._stream(tree, injection, injection.branch, injection.at_mm, forward, faster))
        back = injection.rate_ml_s - forward
        branch = injection.branch
        while back > _STILL_ML_S and branch > 0:
            # what runs back leaves by the other branches of the same branch point, undiluted at most
            others = [k for k in tree.children[tree.parent[branch]] if k != branch and flow[k] > _STILL_ML_S]
            room = float(flow[others].sum())
            taken = min(back, room)
            for k in others:
                streams.append(self._stream(tree, injection, int(k), 0.0, taken * float(flow[k]) / room, 1.0))
            back -= taken
            branch = int(tree.parent[branch])
        return streams, (back if back > _STILL_ML_S else 0.0)

    def _stream(
        self, tree: FlowTree, injection: Injection, branch: int, at_mm: float, rate_ml_s: float, faster: float
    ) -> _Stream:
        flow = tree.flow_ml_s
        branches = [int(k) for k in tree.behind(branch) if flow[k] > _STILL_ML_S]
        arrival = {branch: 0.0}
        begins = dict.fromkeys(branches, 0.0) | {branch: at_mm}
        speed = tree.speed_mm_s * faster
        delay_out = []
        for k in branches:
            out = arrival[k] + (float(tree.length_mm[k]) - begins[k]) / float(speed[k])
            delay_out.append(out)
            arrival.update({int(child): out for child in tree.children[k]})
        index = np.array(branches, np.int64)
        return _Stream(
            injection.start_s,
            injection.end_s,
            rate_ml_s,
            index,
            flow[index] / flow[branch],
            np.array([begins[k] for k in branches]),
            np.array([arrival[k] for k in branches]),
            np.array(delay_out),
            speed[index],
        )

    def _passed(self, stream: _Stream, delay_s: Floats, time_s: float) -> Floats:
        """mL of a stream, were all of it to go there, that have passed a place with this mean delay."""

        def since(start_s: float) -> Floats:
            elapsed = time_s - start_s
            if elapsed <= 0:
                return np.zeros(np.shape(delay_s))
            if self.spread_s == 0:
                return np.maximum(elapsed - delay_s, 0.0)
            from scipy.special import gammainc

            # the integral of the gamma distribution's cumulative function
            shape, scaled = np.maximum(delay_s / self.spread_s, 1e-12), elapsed / self.spread_s
            spread = elapsed * gammainc(shape, scaled) - delay_s * gammainc(shape + 1, scaled)
            return np.where(delay_s > 0, np.maximum(spread, 0.0), elapsed)

        return stream.rate_ml_s * (since(stream.start_s) - since(stream.end_s))

    def _lingering(self, stream: _Stream, delay_s: Floats, time_s: float) -> Floats:
        """mL of what has passed a place with this delay that a room behind it, emptying by itself, still holds."""
        room_s = self.bed.washout_s

        def since(start_s: float) -> Floats:
            elapsed = time_s - start_s
            if elapsed <= 0:
                return np.zeros(np.shape(delay_s))
            if self.spread_s == 0:
                return -np.expm1(-np.maximum(elapsed - delay_s, 0.0) / room_s)
            from scipy.special import gammainc

            shape = np.maximum(delay_s / self.spread_s, 1e-12)
            less = 1.0 - self.spread_s / room_s
            held = gammainc(shape, elapsed * less / self.spread_s)
            # in logarithms: both factors may be beyond all numbers where their product is not
            weight = np.exp(np.minimum(-elapsed / room_s - shape * np.log(less), 700.0))
            return np.maximum(gammainc(shape, elapsed / self.spread_s) - weight * held, 0.0)

        return stream.rate_ml_s * room_s * (since(stream.start_s) - since(stream.end_s))

    def arrived_ml(self, time_s: float) -> Floats:
        """(B,) what has left each branch through its end so far."""
        out = np.zeros(len(self.tree))
        for streams, _ in self._resolved:
            for stream in streams:
                out[stream.branch] += stream.share * self._passed(stream, stream.delay_out_s, time_s)
        return out

    def contained_ml(self, time_s: float) -> Floats:
        """(B,) what each branch holds."""
        out = np.zeros(len(self.tree))
        for streams, _ in self._resolved:
            for stream in streams:
                passed = self._passed(stream, np.stack([stream.delay_in_s, stream.delay_out_s]), time_s)
                out[stream.branch] += stream.share * (passed[0] - passed[1])
        return out

    def concentration(self, time_s: float, cell_mm: float = 5.0) -> tuple[Floats, ...]:
        """For each branch the mean concentration in cells of equal length, about `cell_mm`, from its beginning on.

        1 is what leaves the catheter. The cells' contents add up to `contained_ml`.
        """
        counts = np.maximum(1, np.ceil(self.tree.length_mm / cell_mm - 1e-9)).astype(int)
        out = tuple(np.zeros(n) for n in counts)
        for streams, _ in self._resolved:
            for stream in streams:
                if time_s <= stream.start_s:
                    continue
                edges = [
                    np.linspace(0.0, length, n + 1)
                    for length, n in zip(self.tree.length_mm[stream.branch], counts[stream.branch], strict=True)
                ]
                delays = [
                    start + np.maximum(edge - begin, 0.0) / speed
                    for edge, begin, start, speed in zip(
                        edges, stream.begins_mm, stream.delay_in_s, stream.speed_mm_s, strict=True
                    )
                ]
                passed = self._passed(stream, np.concatenate(delays), time_s)
                first = 0
                for k, share, edge in zip(stream.branch, stream.share, edges, strict=True):
                    held = share * -np.diff(passed[first : first + len(edge)])
                    out[k][:] += 1000.0 * held / (self.tree.area_mm2[k] * np.diff(edge))
                    first += len(edge)
        return out

    def tumour_ml(self, time_s: float) -> float:
        """What the tumour holds."""
        total = 0.0
        kept = self.bed.kept_share
        for streams, _ in self._resolved:
            for stream in streams:
                share = stream.share * np.where(self.tree.is_end, self.tree.tumour_share, 0.0)[stream.branch]
                to_it = share > 0
                if to_it.any():
                    delay = stream.delay_out_s[to_it]
                    held = kept * self._passed(stream, delay, time_s)
                    held = held + (1 - kept) * self._lingering(stream, delay, time_s)
                    total += float(share[to_it] @ held)
        return total

    def totals(self, time_s: float) -> Totals:
        """Where all of it is."""
        injected = sum(injection.given_ml(time_s) for injection in self.injections)
        ends = self.tree.is_end
        left = float(self.arrived_ml(time_s)[ends].sum())
        lost = sum(
            back / injection.rate_ml_s * injection.given_ml(time_s)
            for injection, (_, back) in zip(self.injections, self._resolved, strict=True)
        )
        tumour = self.tumour_ml(time_s)
        return Totals(injected, float(self.contained_ml(time_s).sum()), tumour, left - tumour + lost)

    def runs_back_ml_s(self, injection: int = 0) -> float:
        """The rate at which an injection runs back past its own branch's beginning; 0 where the flow takes it all."""
        given = self.injections[injection]
        own = float((given.tree or self.tree).flow_ml_s[given.branch])
        return max(given.rate_ml_s - self.surge * own, 0.0)


@dataclass(frozen=True, eq=False)
class Embolization:
    """Particles given in pulses until flow slows.

    Attributes:
        pulses: what is given, each with the flow that carries it.
        lodged_mg: (P + 1,) particles in the tumour's bed before the first pulse and after each.
        astray_mg: (B,) particles that went to each end that is not the tumour's.
        flow_share: (P + 1,) flow in the branch that is injected, as a share of the first.
        stop: "stasis" where the flow had slowed, "reflux" where the next pulse would have run back, "dose" where all
            was given.
    """

    pulses: tuple[Injection, ...]
    lodged_mg: Floats
    astray_mg: Floats
    flow_share: Floats
    stop: str

    def flow_share_at(self, time_s: float) -> float:
        """Flow in the branch that is injected, as a share of the first; it falls while a pulse is given."""
        return self._between(time_s, self.flow_share)

    def lodged_mg_at(self, time_s: float) -> float:
        """Particles in the tumour's bed."""
        return self._between(time_s, self.lodged_mg)

    def _between(self, time_s: float, values: Floats) -> float:
        times = [time for pulse in self.pulses for time in (pulse.start_s, pulse.end_s)]
        return float(np.interp(time_s, times, np.repeat(values, 2)[1:-1])) if times else float(values[0])


def embolize(
    tree: FlowTree,
    branch: int,
    at_mm: float,
    pulse_ml: float,
    rate_ml_s: float,
    every_s: float,
    most_pulses: int,
    particles_mg_ml: float,
    capacity_mg: float,
    stop_share: float | None = None,
    start_s: float = 0.0,
    surge: float = 1.0,
    slower: bool = True,
) -> Embolization:
    """Pulses of particles into a feeder: they go with the flow, lodge in the tumour's bed and close it bit by bit.

    The bed is many small arteries side by side, so its flow falls in proportion to what has lodged; `capacity_mg`
    closes all of it. Each end takes its share of that by its radius to the power.

    Args:
        branch, at_mm: where the tip stands.
        pulse_ml, rate_ml_s, every_s, most_pulses, start_s: what is given at most, and when.
        particles_mg_ml: particles in what is given.
        stop_share: stop when the flow has fallen to this share of the first; None takes assets/anatomy/flow.csv.
        surge: as in `Transport`; 1 lets no pulse exceed the blood's own flow.
        slower: whether pulses become slower, and as much smaller, when the flow would no longer take them.

    Raises RequestError where the branch feeds no tumour, and, unless `slower`, where the first pulse would run back.
    """
    stop_share = flow_figures()["stop_share"] if stop_share is None else stop_share
    draw = tree.radius_mm**tree.power * tree.tumour_share * tree.is_end
    fed = tree.behind(branch)
    if not draw[fed].sum() > 0:
        raise RequestError("particles: the branch that is injected feeds no tumour; choose one that does")
    first = float(tree.flow_ml_s[branch])
    margin = flow_figures()["pulse_margin"]
    if rate_ml_s > surge * first and not slower:
        raise RequestError(
            f"particles: {rate_ml_s:g} mL/s would run back, the branch takes {surge * first:.2f} mL/s; give it slower"
        )
    if every_s < pulse_ml / rate_ml_s:
        raise ValueError("every_s must be at least the time that a pulse takes")
    capacity = capacity_mg * draw / draw[fed].sum()
    lodged, astray = np.zeros(len(tree)), np.zeros(len(tree))
    pulses: list[Injection] = []
    flow_share, held = [1.0], [0.0]
    now, stop = tree, "dose"
    for number in range(most_pulses):
        flow = now.flow_ml_s
        if flow[branch] <= stop_share * first:
            stop = "stasis"
            break
        rate = min(rate_ml_s, margin * surge * float(flow[branch])) if slower else rate_ml_s
        if rate > surge * flow[branch]:
            stop = "reflux"
            break
        volume = pulse_ml * rate / rate_ml_s
        pulses.append(Injection(branch, volume, rate, start_s + number * every_s, at_mm, now))
        share = np.zeros(len(tree))
        share[fed] = flow[fed] / flow[branch]
        gone = np.where(tree.is_end, share, 0.0) * volume * particles_mg_ml
        to_bed = np.minimum(gone * tree.tumour_share, np.maximum(capacity - lodged, 0.0))
        lodged += to_bed
        astray += gone - to_bed
        closed = np.divide(lodged, capacity, out=np.zeros(len(tree)), where=capacity > 0)
        now = tree.with_open(tree.open_share * (1.0 - tree.tumour_share * np.minimum(closed, 1.0)))
        flow_share.append(float(now.flow_ml_s[branch]) / first)
        held.append(float(lodged.sum()))
    return Embolization(tuple(pulses), np.array(held), astray, np.array(flow_share), stop)


@dataclass(frozen=True, eq=False)
class Forks:
    """Vessels cut where others spring from them, as `FlowTree` wants them.

    Attributes:
        parent: (P,) the piece from whose end each piece begins; -1 at the root.
        vessel: (P,) the vessel that it is a piece of.
        first_mm, last_mm: (P,) where on that vessel it lies.
    """

    parent: Indices
    vessel: Indices
    first_mm: Floats
    last_mm: Floats

    @property
    def length_mm(self) -> Floats:
        """(P,) of each piece."""
        return self.last_mm - self.first_mm

    def place(self, vessel: int, way_mm: float) -> tuple[int, float]:
        """The piece, and the way along it, that a way along a vessel is."""
        pieces = np.flatnonzero(self.vessel == vessel)
        piece = pieces[min(int(np.searchsorted(self.last_mm[pieces], way_mm)), len(pieces) - 1)]
        return int(piece), float(min(max(way_mm - self.first_mm[piece], 0.0), self.length_mm[piece]))

    def ends(self, vessel: int) -> int:
        """The last piece of a vessel."""
        return int(np.flatnonzero(self.vessel == vessel)[-1])


def cut_at_forks(parent: Sequence[int], parent_mm: ArrayLike, length_mm: ArrayLike) -> Forks:
    """Cut vessels where others spring from them.

    Args:
        parent: (B,) of each vessel the one that it springs from, -1 for the root, which comes first; parents before
            children.
        parent_mm: (B,) where on the parent it begins; read for all but the root.
        length_mm: (B,) of each vessel.

    Forks less than 0.1 mm apart, or that near to an end, are one. Raises ValueError where a vessel springs from beyond
    its parent's end.
    """
    begins, length = np.asarray(parent_mm, float), np.asarray(length_mm, float)
    springs, vessels, first, last = [], [], [], []
    ending: list[list[tuple[float, int]]] = []  # of each vessel, where its pieces end and which these are
    for k, above in enumerate(parent):
        if above >= 0 and not 0 <= begins[k] <= length[above] + 0.1:
            raise ValueError(f"vessel {k} springs from {begins[k]:g} mm of one that is {length[above]:g} mm long")
        forks = sorted(begins[j] for j in range(len(parent)) if parent[j] == k)
        cuts = [0.0]
        for fork in forks:
            if 0.1 < fork < length[k] - 0.1 and fork - cuts[-1] > 0.1:
                cuts.append(float(fork))
        cuts.append(float(length[k]))
        before = -1 if above < 0 else min((abs(end - begins[k]), piece) for end, piece in ending[above])[1]
        ending.append([])
        for start, end in pairwise(cuts):
            springs.append(before)
            vessels.append(k)
            first.append(start)
            last.append(end)
            before = len(springs) - 1
            ending[k].append((end, before))
    return Forks(np.array(springs, np.int64), np.array(vessels, np.int64), np.array(first), np.array(last))
