"""Which arteries are injected, and what contrast does: found before anything is given, and nothing lost."""

from functools import cache

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spineviz.anatomy.arterial_data import SEGMENTAL_LEVELS, SIDES
from spineviz.anatomy.arteries import arterial_tree
from spineviz.anatomy.column import column
from spineviz.anatomy.tumour import tumour
from spineviz.data.errors import RequestError
from spineviz.procedures.angiography import BloodFlow, reached, run_seconds, runs_of

arteries = st.tuples(st.sampled_from(SEGMENTAL_LEVELS), st.sampled_from(SIDES))


@cache
def blood(cord="left T12", side="left"):
    grown = tumour("L1", 14.0, side)
    tree = arterial_tree(column("L1", lying=1.0), cord, grown, ("L1", side))
    return BloodFlow(tree, 6.0)


@given(arteries, arteries)
def test_the_search_begins_at_the_tumour_and_ends_where_the_cords_artery_is_found(target, cord):
    assume(target != cord)
    runs = runs_of(target, cord)
    assert runs[0] == target
    assert runs[-1] == cord
    assert len(set(runs)) == len(runs)
    here = SEGMENTAL_LEVELS.index(target[0])
    near = [level for level in SEGMENTAL_LEVELS if abs(SEGMENTAL_LEVELS.index(level) - here) <= 1]
    # both sides of the level and of its neighbours, whatever is found where
    assert {(level, side) for level in near for side in SIDES} <= set(runs)


@given(arteries)
def test_a_shared_trunk_and_an_artery_that_is_not_found_are_refused(target):
    with pytest.raises(RequestError, match=rf"artery.adamkiewicz: {target[1]} {target[0]} .* shares its trunk"):
        runs_of(target, target)
    with pytest.raises(RequestError, match=r"artery.adamkiewicz: none .* no drug is given"):
        runs_of(target, None)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(
        ["segmental-L1-left", "segmental-T12-left", "segmental-L2-right", "segmental-T10-right", "feeder-1"]
    ),
    st.floats(0.0, 30.0),
)
def test_what_is_injected_is_in_the_tree_in_the_tumour_or_washed_out(name, time_s):
    flow = blood()
    kind = "micro" if name.startswith("feeder") else "segmental"
    branch = flow.tree.branch(name)
    moved = flow.injected(
        name, 0.5 * (branch.wall_mm + branch.length_mm) if kind == "micro" else branch.wall_mm + 4, kind
    )
    totals = moved.totals(time_s)
    given_ml = moved.injections[0].given_ml(time_s)
    assert totals.injected_ml == pytest.approx(given_ml)
    assert totals.tree_ml + totals.tumour_ml + totals.washed_ml == pytest.approx(given_ml, rel=1e-2, abs=1e-9)
    assert min(totals.tree_ml, totals.tumour_ml, totals.washed_ml) >= -1e-9


def test_contrast_in_the_cells_is_what_the_tree_holds():
    from spineviz.anatomy.arterial_cells import arterial_cells
    from spineviz.procedures.angiography import CELL_MM

    flow = blood()
    cells, where = arterial_cells(flow.tree, CELL_MM)
    moved = flow.injected("segmental-L1-left", 14.0, "segmental")
    share = flow.shares(moved, 2.0)
    assert len(share) == len(cells.share)
    assert [name for name in where] == list(flow.names)
    first, ways = where["segmental-L1-left"]
    assert share[first : first + len(ways) - 1].max() == pytest.approx(1.0, abs=0.02)


def test_the_cords_artery_fills_from_its_own_trunk_alone():
    flow = blood()
    for run in (("L1", "left"), ("L1", "right"), ("L2", "left"), ("T12", "right")):
        found = reached(
            flow, flow.injected(f"segmental-{run[0]}-{run[1]}", 14.0, "segmental"), run_seconds("segmental")
        )
        assert found["adamkiewicz"] < 1e-3, run
    found = reached(flow, flow.injected("segmental-T12-left", 14.0, "segmental"), run_seconds("segmental"))
    assert found["adamkiewicz"] > 0.01
    assert found["anterior-spinal"] > 0.001


def test_the_tumour_blushes_from_its_own_artery_and_from_no_other():
    flow = blood()
    own = flow.injected("segmental-L1-left", 14.0, "segmental")
    other = flow.injected("segmental-L2-left", 14.0, "segmental")
    assert flow.blush(own, 3.8) > 50 * max(flow.blush(other, 3.8), 1e-6)
    # mid grey: neither missed nor black
    assert 0.03 < flow.blush(own, 3.8) < 0.2


def test_a_roadmap_is_at_least_as_full_as_any_picture_of_its_run():
    flow = blood()
    moved = flow.injected("segmental-L1-left", 14.0, "segmental")
    peak = flow.peak(moved, 3.8)
    assert (peak >= flow.shares(moved, 1.9) - 0.12).all()
    assert peak.max() == pytest.approx(1.0, abs=0.02)


def test_hand_injections_hardly_run_back():
    flow = blood()
    for run in ("segmental-L1-left", "segmental-T12-left", "segmental-T8-right"):
        branch = flow.tree.branch(run)
        moved = flow.injected(run, branch.wall_mm + 4.0, "segmental")
        assert moved.runs_back_ml_s() <= 0.1 * moved.injections[0].rate_ml_s
    assert np.isfinite(flow.flow.flow_ml_s).all()
