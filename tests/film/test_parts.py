"""Parts of an augmentation as points: what is remembered is what would be found anew."""

import numpy as np
import pytest

from spineviz.film.parts import Parts
from spineviz.procedures.case import Case
from spineviz.procedures.plans import plan_for


@pytest.fixture(scope="module")
def plan():
    return plan_for("vertebroplasty", Case())


def test_the_corners_of_the_body_are_where_the_fracture_has_them_however_often_they_are_asked(plan):
    parts, fracture = Parts(plan), plan.patient.fracture
    amounts = [0.0, 1.0, 0.4, 1.0, *np.linspace(0.1, 0.9, 12), 0.4]
    for amount in amounts:
        edges = parts.edges_of(amount)
        for name, mark in (("upper-front", "upper-front-rim"), ("waist", "body-back-centre")):
            alone = fracture.forward(np.array([parts.bone.landmarks[mark]]), amount)[0]
            assert edges[name] == pytest.approx(tuple(alone), abs=1e-9)
        assert edges == Parts(plan).edges_of(amount)


def test_a_scene_may_say_where_all_that_exists_is_found(plan):
    state = plan.state_at("cement", 0.5)
    found = plan.structures_at(state)
    assert Parts(plan, lambda _: found).at(state) is found
    assert Parts(plan).at(state).keys() == found.keys()
