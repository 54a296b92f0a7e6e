"""The search for the shape of least energy of elastic rods in lumens: many at once.

Each rod is a chain of nodes; the walls are a logarithmic barrier that is lowered step by step (primal-dual interior
point), each step solved by Newton's method with a banded Hessian. A chain is too short for numpy to be fast, so that
all chains that are sought at the same time lie one after another in the same arrays: `together` runs tasks that ask
for shapes, each at its own pace, and answers them as they are found. Nothing is random, and which chains lie side by
side depends on the tasks alone.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from spineviz.geometry.fields import Points

if TYPE_CHECKING:
    from spineviz.physics.rod import Lumen, Tube

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

SPACING_MM = 2.0
"""Distance of the nodes along a device, unless told otherwise."""

_STRETCH = 200.0  # against stretching, in units of bending stiffness / spacing²: strain under 0.1 % at r = 5 mm
_LEADING_N_MM = 2.0  # a tip is led by a spring of so many N/mm: far stiffer than any catheter bends
SHARE_LEFT = 1e-4
"""The barrier that is left at the end, as a share of the bending energy."""
_ROOM_KEPT = 0.1  # the share of its room that no node loses in one step
_LOWERED, _NEAR_ENOUGH = 0.3, 30.0  # the barrier falls to this share once the descent is less than so many barriers
_MARGIN_MM = 4.0  # a node that starts further than this from a vessel will not come into it while one shape is sought
_UPPER = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 2, 1, 2, 2])  # the six numbers of a symmetric 3 x 3 matrix
_DIAGONAL = np.array([0, 3, 5])  # which of them are on its diagonal
_WHOLE = np.array([[0, 1, 2], [1, 3, 4], [2, 4, 5]])  # where each number of the whole matrix is among them
_HELD = 2  # the first two nodes of a chain


@dataclass(frozen=True, eq=False)
class Chain:
    """One or two devices, one in the other, cut into edges: what the solver needs of them.

    Edge lengths (M,); at the M inner vertices (the puncture first) stiffness, free curvature and largest curvature;
    at the M free nodes the radius.
    """

    length_mm: Floats
    stiffness: Floats
    free: Floats
    sharpest: Floats
    radius_mm: Floats
    axis: Floats

    @property
    def way_mm(self) -> Floats:
        """(M + 1,) the way along it to each node, the puncture first."""
        return np.concatenate([[0.0], np.cumsum(self.length_mm)])


@dataclass(frozen=True, eq=False)
class Problem:
    """One chain in one lumen.

    Attributes:
        base: (2, 3) the two nodes that are held: one before the puncture, and the puncture.
        tip_mm: (3,) where the tip is led; None leaves it free.
    """

    lumen: Lumen
    chain: Chain
    base: Points
    tip_mm: Points | None = None

    @cached_property
    def laid(self) -> Floats:
        """(5, M + 2) what belongs to the vertex behind each node, held ones too (stiffness of the bend; half its free
        turn, 2 tan(angle / 2) as in `turns`; the cosine of its largest turn), and to the edge that begins there
        (stiffness against stretching, length). Where chains follow one another nothing holds them together."""
        chain = self.chain
        before = np.concatenate([chain.length_mm[:1], chain.length_mm])
        mean = 0.5 * (before[1:] + before[:-1])
        # an edge resists as the softer of its ends does
        softer = np.minimum(chain.stiffness, np.append(chain.stiffness[1:], chain.stiffness[-1]))
        largest = (0.5 * chain.sharpest * mean) ** 2
        out = np.zeros((5, len(mean) + _HELD))
        out[0, :-2] = chain.stiffness / mean
        out[1, :-2] = 0.5 * chain.free * mean
        out[2] = -1.0
        out[2, :-2] = (1 - largest) / (1 + largest)
        out[3, 1:-1] = _STRETCH * softer / SPACING_MM**2 / chain.length_mm
        out[4, :-1], out[4, -1] = before, 1.0
        return out

    def whole(self, nodes: Points) -> Points:
        """(3, M + 2) the held nodes and the free `nodes` (M, 3)."""
        # component by component in memory, as all that is made of it then is too: several times as fast
        return np.ascontiguousarray(np.concatenate([self.base, nodes]).T)

    def energy(self, nodes: Points) -> float:
        """Bending energy of a shape (M, 3), N mm."""
        return float(self._alone.bending(self._alone.edges(self.whole(nodes))[1])[0])

    def too_sharp(self, nodes: Points) -> float:
        """How far the sharpest turn of a shape (M, 3) is beyond the largest one, as cosines; 0 where none is."""
        return float(self._alone.too_sharp(self._alone.edges(self.whole(nodes))[1]).max())

    @cached_property
    def _alone(self) -> _Batch:
        """The chain without its walls."""
        return _Batch([Settling(self, np.zeros((0, 3)), 0.0)])

    @property
    def largest_cosine(self) -> float:
        """Of the least of all largest turns."""
        return float(self.laid[2, :-_HELD].max())

    def least_barrier(self, energy_n_mm: float) -> float:
        """The barrier at which the walls are sharp enough for a shape of this energy."""
        return SHARE_LEFT * max(energy_n_mm / len(self.chain.length_mm), self._least_energy)

    @cached_property
    def _least_energy(self) -> float:
        """That of a bend which no one sees, N mm a node."""
        return 1e-6 * float(self.chain.stiffness.max()) / float(self.chain.length_mm.sum())


class Settling(NamedTuple):
    """What a task asks for: the minimum near nodes (M, 3) within the walls, while the barrier falls from `barrier` to a
    small share of the energy, in no more than `most` steps.

    `guard`: how heavily bends count that are too sharp.
    """

    problem: Problem
    nodes: Points
    barrier: float
    guard: float = 0.0
    most: int = 200


_T = TypeVar("_T")
Task = Generator["Settling | list[Task[Any]]", Any, _T]
"""Asks for one shape after another, and is given each, (M, 3); or asks what other tasks return, and is given the list
of that; and returns what it makes of them."""


def together(tasks: Sequence[Task[_T]]) -> list[_T]:
    """What each of `tasks` returns; they go on side by side. What one raises is raised."""
    going = _Going()
    all_of_them = going.begin(_all(tasks), None)
    while going.runs:
        _one_round([run for run, _ in going.runs], going.batches)
        for run, job in going.ended():
            going.resume(job, run.nodes)
    return list(all_of_them.result)


def _all(tasks: Sequence[Task[_T]]) -> Task[list[_T]]:
    found = yield list(tasks)
    return list(found)


@dataclass(eq=False)
class _Job:
    """A task on its way, the job that waits for it, and those that it waits for itself."""

    task: Task[Any]
    parent: _Job | None
    children: list[_Job] = field(default_factory=list)
    waits: int = 0
    result: Any = None


class _Going:
    """The jobs, and the searches that they wait for, in the order in which they were asked for."""

    def __init__(self) -> None:
        self.runs: list[tuple[Run, _Job]] = []
        self._vessels = _Vessels()
        self.batches = _Batches(self._vessels)

    def begin(self, task: Task[Any], parent: _Job | None) -> _Job:
        """A new job."""
        job = _Job(task, parent)
        self.resume(job, None)
        return job

    def ended(self) -> list[tuple[Run, _Job]]:
        """Take the searches off that are done."""
        out = [entry for entry in self.runs if entry[0].done]
        self.runs = [entry for entry in self.runs if not entry[0].done]
        return out

    def resume(self, job: _Job, answer: Any) -> None:
        """Give a job what it waits for."""
        try:
            asked = job.task.send(answer)
        except StopIteration as end:
            job.result = end.value
            self._told(job.parent)
            return
        if isinstance(asked, Settling):
            self.runs.append((Run(asked), job))
            self._vessels.add(asked.problem.lumen)
            return
        job.waits = len(asked) + 1  # it goes on only when all have begun
        job.children = []
        for task in asked:
            job.children.append(self.begin(task, job))
        self._told(job)

    def _told(self, job: _Job | None) -> None:
        if job is None:
            return
        job.waits -= 1
        if not job.waits:
            self.resume(job, [child.result for child in job.children])


# ---- state ----------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Run:
    """One search on its way.

    Attributes:
        whole: (3, M + 2) the nodes, the held ones first.
        node, vertex, starts: which free node lies in or near which vertex of the lumen's tubes, pair by pair, and where
            the pairs of each node begin.
        force: (M,) what each wall is known to push with; None before the first look.
        value, far: of `_Batch.value`; nan before the first look.
        step, aside: (3, M) the next step and its second-order correction; None where they are not known.
    """

    asked: Settling
    barrier: float = field(init=False)
    whole: Points = field(init=False)
    node: Indices = field(init=False)
    vertex: Indices = field(init=False)
    starts: Indices = field(init=False)
    force: Floats | None = None
    value: float = np.nan
    far: float = np.nan
    damping: float = 0.0
    count: int = 0
    done: bool = False
    step: Floats | None = None
    aside: Floats | None = None
    share: float = 0.0
    descent: float = 0.0
    room: Floats | None = None
    push: Floats | None = None

    def __post_init__(self) -> None:
        problem = self.asked.problem
        self.barrier = self.asked.barrier
        self.whole = problem.whole(self.asked.nodes)
        self.node, self.vertex, self.starts = problem.lumen.pairs(self.asked.nodes, _MARGIN_MM)

    @property
    def nodes(self) -> Points:
        """(M, 3) the free nodes."""
        return np.ascontiguousarray(self.whole[:, _HELD:].T)

    def take(self, trial: Points, value: float, far: float) -> None:
        """Go to a trial (3, M + 2), and let the forces of the walls follow."""
        assert self.step is not None
        assert self.force is not None
        assert self.room is not None
        assert self.push is not None
        self.whole, self.value, self.far = trial, value, far
        force, share = self.force, self.share
        pressed = self.barrier / self.room
        forced = pressed - force * np.einsum("im,im->m", self.push, self.step) / self.room
        change = forced - force
        falling = change < 0
        shorten = min(1.0, float((-0.99 * force[falling] / change[falling]).min(initial=1.0)))
        force = force + shorten * change
        self.force = np.clip(force, 1e-2 * pressed, 1e2 * pressed) if share < 1e-3 else force
        if share > 0.7 and self.damping > 1e-8:
            self.damping /= 20
        else:
            self.damping = 0.0 if share > 0.2 else max(self.damping, 1e-7)
        self.step = self.aside = None


class _Vessels:
    """The tubes of several lumens in one row."""

    def __init__(self) -> None:
        self._begins: dict[Lumen, int] = {}
        self._count = 0
        self._row: Tube | None = None

    def add(self, lumen: Lumen) -> None:
        """Put its tubes into the row, if they are not there."""
        if lumen not in self._begins:
            self._begins[lumen] = self._count
            self._count += len(lumen.all_tubes.points_mm)
            self._row = None

    def begin(self, lumen: Lumen) -> int:
        """The vertex at which its tubes begin."""
        return self._begins[lumen]

    @property
    def row(self) -> Tube:
        """All of them."""
        if self._row is None:
            tubes = [lumen.all_tubes for lumen in self._begins]
            self._row = tubes[0].and_then(tubes[1:]) if len(tubes) > 1 else tubes[0]
        return self._row


class _Batches:
    """Batches of runs; the last two are remembered, as runs stay together for several rounds."""

    def __init__(self, vessels: _Vessels) -> None:
        self._vessels = vessels
        self._made: dict[tuple[Run, ...], _Batch] = {}

    def of(self, runs: Sequence[Run]) -> _Batch:
        """These runs side by side."""
        key = tuple(runs)
        if key not in self._made:
            while len(self._made) > 1:
                del self._made[next(iter(self._made))]
            self._made[key] = _Batch([run.asked for run in runs])
            self._made[key].put_into(self._vessels, runs)
        return self._made[key]


# ---- energies -------------------------------------------------------------------------------------------------------


class _Look(NamedTuple):
    """What nodes show: lengths (W - 1,) and unit tangents (3, W - 1) of all edges; how much room each free node has, 1
    on a centreline and 0 at the wall (N,); and pair by pair the vertex of the vessels, the room, the way from the
    centreline (3, P), its tangent (3, P), the radius, how that grows, and the square of the way as a share of it."""

    length: Floats
    tangent: Floats
    room: Floats
    vertex: Indices
    pair_room: Floats
    off: Floats
    along: Floats
    wide: Floats
    growth: Floats
    share: Floats


class _Local(NamedTuple):
    """What is minimised, at one shape: gradient (3, W) without the walls, Hessian with them as the lower bands (9, 3 W)
    of LAPACK's pbtrf; of each wall's room the gradient (3, N), and less its second derivative (6, N)."""

    grad: Floats
    bands: Floats
    push: Floats
    bowl: Floats


class _Batch:
    """Energy, walls and their derivatives for several chains, one after another.

    Arrays over all nodes (held ones too) are W long, over free ones N, over chains B; components come first. What lies
    between two chains has no stiffness.
    """

    def __init__(self, asked: Sequence[Settling]) -> None:
        problems = [each.problem for each in asked]
        laid = np.concatenate([problem.laid for problem in problems], axis=1)
        self.bend, self.half, self.least_cosine = laid[:3, :-2]
        self.stretch, self.length_mm = laid[3:, :-1]
        widths = np.array([problem.laid.shape[1] for problem in problems])
        self.ends = np.cumsum(widths)
        self.starts = self.ends - widths
        self.free_starts = self.starts - _HELD * np.arange(len(asked))
        self.free_ends = self.free_starts + widths - _HELD
        self.chain = np.repeat(np.arange(len(asked)), widths)
        self.free = np.flatnonzero(np.arange(self.ends[-1]) >= self.starts[self.chain] + _HELD)
        self.free_chain = self.chain[self.free]
        guards = np.array([each.guard for each in asked])
        self.guard = guards[self.chain[:-2]] if guards.any() else None
        # where there is more than stiffness against bending
        self.shaped = np.flatnonzero(self.half if self.guard is None else (self.half != 0) | (self.guard > 0))
        self.axis = np.stack([problem.chain.axis for problem in problems], axis=1)[:, self.chain[self.shaped]]
        led = [k for k, problem in enumerate(problems) if problem.tip_mm is not None]
        self.led, self.led_node = np.array(led, np.int64), self.ends[led] - 1
        self.led_mm = np.array([problems[k].tip_mm for k in led]).reshape(-1, 3).T

    def put_into(self, vessels: _Vessels, runs: Sequence[Run]) -> None:
        """The walls: `runs`, those that asked, tell which nodes lie in or near which tube."""
        problems = [run.asked.problem for run in runs]
        self._row = vessels.row
        self.begins = [vessels.begin(problem.lumen) for problem in problems]
        self.node = np.concatenate([run.node + int(at) for run, at in zip(runs, self.free_starts, strict=True)])
        self.pair_ends = np.cumsum([len(run.node) for run in runs])
        self.pair_starts = self.pair_ends - [len(run.node) for run in runs]
        self.node_starts = np.concatenate(
            [run.starts + int(at) for run, at in zip(runs, self.pair_starts, strict=True)]
        )
        radius = np.concatenate([problem.chain.radius_mm for problem in problems])
        self.pair_radius = radius[self.node]

    # what nodes show -------------------------------------------------------------------------------------------------

    def edges(self, whole: Points) -> tuple[Floats, Floats]:
        """Lengths (W - 1,) and unit tangents (3, W - 1) of all edges between nodes (3, W)."""
        edge = whole[:, 1:] - whole[:, :-1]
        length = np.sqrt(np.einsum("im,im->m", edge, edge))
        return length, edge / length

    def look(self, whole: Points, vertex: Indices) -> _Look:
        """What nodes (3, W) show whose pairs lay near vertices (P,) of the vessels."""
        at = whole.take(self.free.take(self.node), axis=1)
        vertex = self._row.vertices_near(at, vertex)
        off, along, wide, growth = self._row.nearest(at, vertex)
        wide -= self.pair_radius
        fits = wide > 0
        share = np.einsum("im,im->m", off, off)
        if fits.all():
            share /= wide * wide
        else:
            wide = np.where(fits, wide, 1.0)
            share = np.where(fits, share / (wide * wide), 2.0)
        pair_room = np.maximum(1.0 - share, 0.0)
        # tubes that overlap are joined smoothly, by the sixth powers of their rooms: any power has the same walls
        third = pair_room * pair_room * pair_room
        room = np.cbrt(np.sqrt(np.add.reduceat(third * third, self.node_starts)))
        return _Look(*self.edges(whole), room, vertex, pair_room, off, along, wide, growth, share)

    # energies --------------------------------------------------------------------------------------------------------

    def bending(self, tangent: Floats) -> Floats:
        """(B,) bending energies, N mm, by the unit tangents (3, W - 1) of the edges."""
        turn = tangent[:, 1:] - tangent[:, :-1]
        if len(self.shaped):
            mean = tangent.take(self.shaped, axis=1) + tangent.take(self.shaped + 1, axis=1)
            turn[:, self.shaped] -= self.half[self.shaped] * _crossed(self.axis, mean)
        return 0.5 * np.asarray(np.add.reduceat(self.bend * np.einsum("im,im->m", turn, turn), self.starts))

    def too_sharp(self, tangent: Floats) -> Floats:
        """(W - 2,) how far each turn is beyond the largest one, as cosines; 0 where it is not."""
        return np.maximum(self.least_cosine - np.einsum("im,im->m", tangent[:, 1:], tangent[:, :-1]), 0.0)

    def value(self, whole: Points, look: _Look) -> tuple[Floats, Floats]:
        """What is minimised: energies (B,), and how far the walls are from all nodes (B,), the sums of the logarithms
        of their rooms, which count by the barrier; minus infinity outside the walls."""
        strain = look.length - self.length_mm
        out = self.bending(look.tangent)
        out += 0.5 * np.add.reduceat(self.stretch * strain * strain, self.starts)
        if len(self.led):
            off = whole[:, self.led_node] - self.led_mm
            out[self.led] += 0.5 * _LEADING_N_MM * (off * off).sum(0)
        if self.guard is not None:
            over = self.too_sharp(look.tangent) / (1 - self.least_cosine)
            out += 0.5 * np.add.reduceat(self.guard * self.bend * over * over, self.starts)
        inside = look.room > 0
        far = np.add.reduceat(np.log(np.where(inside, look.room, 1.0)), self.free_starts)
        return out, np.where(np.logical_and.reduceat(inside, self.free_starts), far, -np.inf)

    def stretched(self, look: _Look, step: Floats) -> Floats:
        """(3, N) the gradient of what a step (3, W) stretches beyond its first order: an edge that is turned grows
        longer."""
        change = step[:, 1:] - step[:, :-1]
        edge = look.length * look.tangent + change
        longer = np.sqrt(np.einsum("im,im->m", edge, edge)) - look.length
        longer -= np.einsum("im,im->m", look.tangent, change)
        pull = np.zeros_like(step)
        pull[:, 1:] = (self.stretch * longer) * look.tangent
        pull[:, :-1] -= pull[:, 1:]
        return np.asarray(pull.take(self.free, axis=1))

    # derivatives -----------------------------------------------------------------------------------------------------

    def derivatives(self, whole: Points, look: _Look, force: Floats) -> _Local:
        """Gradient and Hessian at nodes (3, W) within walls of which each pushes with a known `force` (N,)."""
        length, tangent = look.length, look.tangent
        u, v = tangent[:, :-1], tangent[:, 1:]
        slope = -self.bend  # d energy / d cosine
        if self.guard is not None:
            slope = slope - self.guard * self.bend / (1 - self.least_cosine) ** 2 * self.too_sharp(tangent)
        by_tangent = np.zeros_like(tangent)
        by_tangent[:, :-1] = slope * v
        by_tangent[:, 1:] += slope * u
        twice_one, before_behind = self._shaped(tangent, by_tangent)
        # from unit tangents to edges
        along = np.einsum("im,im->m", tangent, by_tangent)
        edge_grad = (by_tangent - along * tangent) / length
        # the matrix of an edge: the bend's -(t g' + g t') / l - a (1 - t t') / l², and the stretch's
        pulled = self.stretch * (look.length - self.length_mm)
        across = (pulled - along / length) / length
        square = tangent.take(_UPPER[0], axis=0) * tangent.take(_UPPER[1], axis=0)
        edge_hess = (self.stretch - across) * square
        edge_hess[_DIAGONAL] += across
        mixed = (tangent / length)[:, None] * edge_grad
        edge_hess -= mixed[_UPPER] + mixed[_UPPER[::-1]]
        # of two edges that meet: slope / (l_u l_v) (1 - u u')(1 - v v')
        pair = (np.einsum("im,im->m", u, v) * u)[:, None] * v
        pair -= (square[:, :-1] + square[:, 1:])[_WHOLE]
        for i in range(3):
            pair[i, i] += 1.0
        pair *= slope / (length[:-1] * length[1:])
        if len(self.shaped):
            first = self._flat(look, square, self.shaped)
            second = self._flat(look, square, self.shaped + 1)
            pair[:, :, self.shaped] += _product(_product(first, before_behind), second)
            edge_hess[:, self.shaped] += _product(_product(first, twice_one[0]), first)[_UPPER]
            edge_hess[:, self.shaped + 1] += _product(_product(second, twice_one[1]), second)[_UPPER]
        edge_grad += pulled * tangent
        # from edges to nodes: a node ends the edge before it and begins the one behind it
        grad, own = np.zeros_like(whole), np.zeros((6, whole.shape[1]))
        grad[:, 1:] = edge_grad
        grad[:, :-1] -= edge_grad
        own[:, 1:] = edge_hess
        own[:, :-1] += edge_hess
        own[:, 1:-1] -= pair[_UPPER] + pair[_UPPER[::-1]]
        if len(self.led):
            grad[:, self.led_node] += _LEADING_N_MM * (whole[:, self.led_node] - self.led_mm)
            own[np.ix_(_DIAGONAL, self.led_node)] += _LEADING_N_MM
        next_one = -edge_hess[_WHOLE]
        next_one[:, :, 1:] += pair
        next_one[:, :, :-1] += pair
        push, bowl = self._walls(look)
        pressed = force / look.room * push
        own[:, self.free] += force * bowl + pressed.take(_UPPER[0], axis=0) * push.take(_UPPER[1], axis=0)
        return _Local(grad, _banded(own, next_one, -pair), push, bowl)

    def _flat(self, look: _Look, square: Floats, edge: Indices) -> Floats:
        """(3, 3, K) the projections across `edge` (K,), by their lengths."""
        out = -square.take(edge, axis=1)
        out[_DIAGONAL] += 1.0
        return np.asarray((out / look.length.take(edge))[_WHOLE])

    def _shaped(self, tangent: Floats, by_tangent: Floats) -> tuple[tuple[Floats, Floats], Floats]:
        """What free curvatures, and bends that are too sharp, add at the K shaped vertices: in place to the gradient
        `by_tangent` (3, W - 1); and second derivatives (3, 3, K) by the tangent before twice and the one behind twice,
        and by both, less what is a multiple of 1."""
        here = self.shaped
        u, v = tangent.take(here, axis=1), tangent.take(here + 1, axis=1)
        bend, half, axis = self.bend[here], self.half[here], self.axis
        twice, square = 2 * half * bend, half**2 * bend
        mean = u + v
        both = square * (mean - np.einsum("im,im->m", axis, mean) * axis)
        by_tangent[:, here] += both + twice * _crossed(axis, v)
        by_tangent[:, here + 1] += both - twice * _crossed(axis, u)
        second = -square * axis[:, None] * axis[None]
        for i in range(3):
            second[i, i] += square
        across = second.copy()
        for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
            across[i, j] -= twice * axis[k]
            across[j, i] += twice * axis[k]
        if self.guard is None:
            return (second, second), across
        scale = self.guard[here] * bend / (1 - self.least_cosine[here]) ** 2
        bow = scale * (np.einsum("im,im->m", u, v) < self.least_cosine[here])
        across += bow * v[:, None] * u[None]
        return (second + bow * v[:, None] * v[None], second + bow * u[:, None] * u[None]), across

    def _walls(self, look: _Look) -> tuple[Floats, Floats]:
        """(3, N) the gradient of each node's room, and (6, N) its second derivative less that of the gradient's; the
        tubes that a node lies in have part in it."""
        inside = np.flatnonzero(look.pair_room)
        node, vertex, wide = self.node.take(inside), look.vertex.take(inside), look.wide.take(inside)
        off, along = look.off.take(inside, axis=1), look.along.take(inside, axis=1)
        starts = np.flatnonzero(np.diff(node, prepend=-1))
        part = look.pair_room.take(inside) / look.room.take(node)
        weight = part * part
        weight *= weight * part * 2.0 / wide
        lean = weight * look.share.take(inside) * look.growth.take(inside)
        weight /= wide
        push = np.add.reduceat(lean * along - weight * off, starts, axis=1)
        # on the outer side of a bend the wall is hollow along the vessel too
        inward = np.minimum(np.einsum("im,im->m", self._row.bends.take(vertex, axis=1), off), 0.0)
        across = (weight / (inward - 1.0)) * along
        bowl = across.take(_UPPER[0], axis=0) * along.take(_UPPER[1], axis=0)
        bowl[_DIAGONAL] += weight
        return push, np.add.reduceat(bowl, starts, axis=1)

    def share_within(self, room: Floats, push: Floats, bowl: Floats, step: Floats) -> Floats:
        """(B,) how much of a step (3, N) leaves every node the share `_ROOM_KEPT` of its room, as far as second order
        tells."""
        slope = np.einsum("im,im->m", push, step)
        by_twice = bowl * step.take(_UPPER[0], axis=0)
        by_twice *= step.take(_UPPER[1], axis=0)
        hollow = np.maximum(by_twice.sum(0) - 0.5 * by_twice[_DIAGONAL].sum(0), 0.0)
        left = (1.0 - _ROOM_KEPT) * room
        # left + share * slope - share^2 * hollow = 0
        reach = 2.0 * left / np.maximum(np.sqrt(slope**2 + 4.0 * hollow * left) - slope, 1e-300)
        return np.minimum(np.minimum.reduceat(reach, self.free_starts), 1.0)


def _crossed(axis: Floats, vectors: Floats) -> Floats:
    """(3, K) axis x vector."""
    (a, b, c), (x, y, z) = axis, vectors
    return np.stack([b * z - c * y, c * x - a * z, a * y - b * x])


def _product(one: Floats, two: Floats) -> Floats:
    """(3, 3, K) the products of matrices (3, 3, K)."""
    return one[:, 0, None] * two[None, 0] + one[:, 1, None] * two[None, 1] + one[:, 2, None] * two[None, 2]


def _banded(own: Floats, first: Floats, second: Floats) -> Floats:
    """The lower bands (9, 3 W) of a symmetric block matrix: the diagonal blocks (6, W), and those one and two to the
    right of it (3, 3, W - 1) and (3, 3, W - 2). LAPACK factors them in little more than half of the time that it needs
    with the upper ones."""
    width = 3 * own.shape[1]
    bands = np.zeros((9, width))
    for number, (i, j) in enumerate(zip(*_UPPER, strict=True)):
        bands[j - i, i::3] = own[number]
    for i in range(3):
        for j in range(3):
            bands[3 + j - i, i : width - 3 : 3] = first[i, j]
            bands[6 + j - i, i : width - 6 : 3] = second[i, j]
    return bands


# ---- steps ----------------------------------------------------------------------------------------------------------


def _one_round(runs: Sequence[Run], batches: _Batches) -> None:
    """Each run finds its next step, if it has none, and tries it.

    Edges are stiff and the nodes many, so that a straight step, which makes every edge that it turns longer, could
    only be short: each step is bent, by a second-order correction with the same factors, so that what it turns keeps
    its length. A step goes most of the way to the first wall; damping is added where the Hessian is not positive.
    """
    fresh = [run for run in runs if run.step is None]
    if fresh:
        _find_steps(fresh, batches.of(fresh))
    going = [run for run in runs if not run.done]
    if going:
        _try_steps(going, batches.of(going))


def _looked(runs: Sequence[Run], batch: _Batch, whole: Points) -> _Look:
    vertex = np.concatenate([run.vertex + begin for run, begin in zip(runs, batch.begins, strict=True)])
    return batch.look(whole, vertex)


def _find_steps(runs: Sequence[Run], batch: _Batch) -> None:
    """The next step of each run, or the end of its search."""
    from scipy.linalg.lapack import dpbtrs

    whole = np.concatenate([run.whole for run in runs], axis=1)
    look = _looked(runs, batch, whole)
    free = [slice(a, b) for a, b in zip(batch.free_starts.tolist(), batch.free_ends.tolist(), strict=True)]
    nodes = [slice(a + _HELD, b) for a, b in zip(batch.starts.tolist(), batch.ends.tolist(), strict=True)]
    if any(run.force is None for run in runs):
        values, fars = batch.value(whole, look)
        for run, value, far, part in zip(runs, values.tolist(), fars.tolist(), free, strict=True):
            if run.force is None:
                run.force, run.value, run.far = run.barrier / look.room[part], value, far
    here = batch.derivatives(whole, look, np.concatenate([run.force for run in runs if run.force is not None]))
    energies = batch.bending(look.tangent).tolist()
    step = np.zeros_like(whole)
    factors = []
    for number, run in enumerate(runs):
        at, part = nodes[number], free[number]
        run.vertex = look.vertex[batch.pair_starts[number] : batch.pair_ends[number]] - batch.begins[number]
        run.room, run.push = look.room[part], here.push[:, part]
        factor, run.damping = _factors(here.bands[:, 3 * at.start : 3 * at.stop], run.damping)
        factors.append(factor)
        end = run.asked.problem.least_barrier(energies[number])
        steep = run.push / run.room
        while True:
            if run.count == run.asked.most:
                run.done = True
                break
            run.count += 1
            downhill = (run.barrier * steep - here.grad[:, at]).T.ravel()
            found = dpbtrs(factor, downhill, lower=1)[0]
            run.descent = float(found @ downhill)
            if run.descent < _NEAR_ENOUGH * run.barrier and run.barrier > 1.5 * end:
                run.barrier = max(end, run.barrier * _LOWERED)
                continue
            run.done = run.descent < 0.3 * run.barrier
            step[:, at] = found.reshape(-1, 3).T
            break
    aside = batch.stretched(look, step)
    step = step.take(batch.free, axis=1)
    shares = batch.share_within(look.room, here.push, here.bowl, step).tolist()
    for run, part, factor, share in zip(runs, free, factors, shares, strict=True):
        if run.done:
            continue
        run.step, run.share = step[:, part], share
        bent = -dpbtrs(factor, aside[:, part].T.ravel(), lower=1)[0].reshape(-1, 3).T
        # a correction is no longer than half of what it corrects
        longest = float(np.abs(run.step).max())
        run.aside = bent * min(1.0, 0.5 * longest / max(float(np.abs(bent).max()), 1e-12))


def _factors(bands: Floats, damping: float) -> tuple[Floats, float]:
    """The Cholesky factor of a Hessian in `bands` (9, 3 M), with as much more damping than `damping` as it takes to
    be positive; and that damping."""
    from scipy.linalg.lapack import dpbtrf

    while True:
        damped = bands
        if damping:
            damped, middle = bands.copy(), bands.shape[1] // 2
            damped[0] += damping * float(np.partition(bands[0], middle)[middle])
        factor, wrong = dpbtrf(damped, lower=1)
        if not wrong:
            return factor, damping
        damping = max(10 * damping, 1e-6)


def _try_steps(runs: Sequence[Run], batch: _Batch) -> None:
    """Each run goes on by its share of its step where that is downhill, or halves the share."""
    whole = np.concatenate([run.whole for run in runs], axis=1)
    share = np.array([run.share for run in runs])[batch.free_chain]
    step = np.concatenate([run.step for run in runs if run.step is not None], axis=1)
    aside = np.concatenate([run.aside for run in runs if run.aside is not None], axis=1)
    whole[:, batch.free] += share * (step + share * aside)
    look = _looked(runs, batch, whole)
    values, fars = batch.value(whole, look)
    for number, run in enumerate(runs):
        value, far = float(values[number]), float(fars[number])
        least = run.value - run.barrier * run.far - 1e-4 * run.share * run.descent
        if value - run.barrier * far <= least:
            run.take(whole[:, batch.starts[number] : batch.ends[number]], value, far)
        else:
            run.share /= 2
            run.done = run.share <= 1e-8
