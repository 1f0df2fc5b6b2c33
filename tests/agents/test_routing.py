"""Whom to ask next: gain for its price, overlap, what may follow, and the money left."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from labelwright.agents.ballot import Ballot
from labelwright.agents.experience import IMAGINED, gather
from labelwright.agents.panel import learn_panel
from labelwright.agents.routing import buy, first_voters, route
from labelwright.agents.verdict import weigh

K = 4
BELIEFS = {
    "prior_accuracy": 0.7,
    "prior_strength": 10.0,
    "strongest_accuracy": 0.85,
    "student_weight": 0.5,
}


def ballot_of(votes, names):
    votes = np.asarray(votes, np.int64).reshape(-1, len(names))
    ids = tuple(f"i{row}" for row in range(len(votes)))
    return Ballot(ids, tuple(names), votes, (votes >= 0).astype(np.int64))


def answers(truth, accuracy, rng):
    wrong = (truth + rng.integers(1, K, len(truth))) % K
    return np.where(rng.random(len(truth)) < accuracy, truth, wrong)


class World:
    """Audited annotators of known accuracies; those in ``copies`` repeat another."""

    def __init__(self, accuracies, audits=150, seed=0, copies=None, gold=True):
        rng = np.random.default_rng(seed)
        truth = rng.integers(K, size=audits)
        made = {name: answers(truth, accuracy, rng) for name, accuracy in accuracies.items()}
        for name, other in (copies or {}).items():
            made[name] = made[other]
        made["person" if gold else "reference"] = truth
        self.names = tuple(made)
        audit = ballot_of(np.stack(list(made.values()), axis=1), self.names)
        self.panel = learn_panel(
            audit,
            None,
            reference=self.names[-1],
            gold=self.names[-1:] if gold else (),
            classes=K,
            **BELIEFS,
        )
        self.experience = gather(
            audit, None, self.panel, K, background=None, rng=np.random.default_rng(0)
        )

    def ask(self, seen, prices, error_cost, n=1, router=route, **more):
        """Route items on which some have voted 0; prices by name, the others can not be asked."""
        votes = np.full((n, len(self.names)), -1, np.int64)
        for name in seen:
            votes[:, self.names.index(name)] = 0
        verdict = weigh(ballot_of(votes, self.names), self.panel, None, classes=K)
        matrix = np.tile([float(prices.get(name, 1e15)) for name in self.names], (n, 1))
        open_to = (votes < 0) & np.isin(self.names, list(prices))
        given = (votes >= 0, verdict.p_correct, verdict.label, matrix, open_to)
        return router(self.experience, *given, error_cost=error_cost, **more)

    def best(self, seen, prices, error_cost):
        routes = self.ask(seen, prices, error_cost)
        pays = routes.annotator[0] >= 0 and routes.net[0] > 0
        return self.names[routes.annotator[0]] if pays else None


@pytest.fixture(scope="module")
def three():
    return World({"cheap": 0.7, "middle": 0.85, "strong": 0.95})


PRICES = {"cheap": 1, "middle": 10, "strong": 100}


def test_nothing_is_asked_where_an_error_costs_less_than_a_vote(three):
    assert three.best([], PRICES, 1) is None
    assert three.best(["cheap"], PRICES, 5) is None


def test_a_dearer_vote_pays_as_errors_get_dearer(three):
    assert three.best([], PRICES, 5) == "cheap"
    assert three.best(["cheap"], PRICES, 100) == "middle"
    assert three.best(["cheap"], {"strong": 100}, 10_000) == "strong"


def test_a_person_is_asked_where_the_rest_of_the_doubt_is_worth_it(three):
    everybody = ["cheap", "middle", "strong"]
    assert three.best(everybody, {"person": 1000}, 1000) is None
    assert three.best(["cheap"], {"person": 1000}, 100_000) == "person"
    # Its answer is the truth: it gains what is missing, and can not gain more.
    routes = three.ask(["cheap"], {"person": 1000}, 100_000)
    assert 0.15 < (routes.net[0] + 1000) / 100_000 < 0.45


def test_a_copy_of_who_has_voted_is_not_paid():
    accuracies = {"cheap": 0.7, "other": 0.8}
    world = World(accuracies, copies={"twin": "cheap"}, audits=300)
    assert world.best(["cheap"], {"twin": 10, "other": 10}, 1000) == "other"
    routes = {name: world.ask(["cheap"], {name: 10}, 1000).net[0] for name in ("twin", "other")}
    assert routes["twin"] < routes["other"] / 4


def test_what_may_follow_counts_when_two_votes_pay_and_one_does_not():
    # A second vote by an annotator as good as the first changes no label; a third decides.
    world = World({"a": 0.75, "b": 0.75, "c": 0.75}, audits=600)
    alone = world.ask(["a"], {"b": 0}, 100).net[0]
    both = world.ask(["a"], {"b": 0, "c": 0}, 100).net[0]
    assert both > alone + 2
    price = alone + 0.2
    assert world.best(["a"], {"b": price}, 100) is None
    assert world.best(["a"], {"b": price, "c": 0.1}, 100) is not None
    assert world.ask(["a"], {"b": price, "c": price}, 100).total[0] >= price


def test_a_cheap_vote_first_where_it_saves_most_of_the_dear_ones(three):
    # "strong" alone would pay; asking "cheap" and "middle" first makes most of its votes needless.
    assert three.best([], {"strong": 100}, 400) == "strong"
    assert three.best([], PRICES, 400) in {"cheap", "middle"}


def test_without_audits_beliefs_decide(three):
    names = ("cheap", "other", "strong")
    panel = learn_panel(
        ballot_of([], names), None, reference="strong", gold=(), classes=K, **BELIEFS
    )
    made = gather(
        ballot_of([], names), None, panel, K, background=None, rng=np.random.default_rng(0)
    )
    assert len(made.truth) == IMAGINED
    votes = np.asarray([[0, -1, -1]])
    verdict = weigh(ballot_of(votes, names), panel, None, classes=K)
    found = route(
        made,
        votes >= 0,
        verdict.p_correct,
        verdict.label,
        np.asarray([[1.0, 1.0, 20.0]]),
        votes < 0,
        error_cost=1000,
    )
    assert found.annotator[0] > 0
    assert 0 < found.net[0] < 0.3 * 1000


def test_the_student_makes_imagined_items_like_those_to_be_routed():
    names = ("cheap", "strong")
    panel = learn_panel(
        ballot_of([], names), None, reference="strong", gold=(), classes=K, **BELIEFS
    )
    view = np.asarray([[0.85, 0.05, 0.05, 0.05]] * 7)
    made = gather(
        ballot_of([], names), None, panel, K, background=view, rng=np.random.default_rng(0)
    )
    assert made.student is not None
    assert made.student.shape == (IMAGINED, K)
    assert 0.75 < (made.truth == 0).mean() < 0.95


def test_the_audit_of_a_reference_that_errs_counts_for_no_more_than_the_reference():
    world = World({"cheap": 0.7, "middle": 0.9}, gold=False)
    standing = world.experience.after((world.names.index("reference"),))
    assert standing.worth.max() <= 0.85 + 1e-9
    routes = world.ask(["cheap"], {"middle": 0, "reference": 0}, 100)
    assert routes.net[0] <= 85


# -- the money left --


def test_all_that_pays_is_bought_without_a_cap(three):
    chosen = three.ask([], PRICES, 1000, n=5, router=buy, left=None)
    assert (chosen >= 0).all()
    assert three.ask([], PRICES, 0.1, n=5, router=buy, left=None).tolist() == [-1] * 5


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 3000), st.sampled_from([1, 30, 1000, 100_000]))
@example(left=1, error_cost=1000)
def test_no_more_is_bought_than_there_is_money_for(three, left, error_cost):
    chosen = three.ask([], PRICES, error_cost, n=20, router=buy, left=left)
    price = np.asarray([*PRICES.values(), 1e15])
    assert price[chosen[chosen >= 0]].sum() <= left
    if left and error_cost > 1:
        assert (chosen >= 0).any()


def test_little_money_buys_cheap_votes_for_many(three):
    rich = three.ask([], {"middle": 10, "strong": 100}, 100_000, n=50, router=buy, left=10**6)
    poor = three.ask([], {"middle": 10, "strong": 100}, 100_000, n=50, router=buy, left=500)
    assert (rich >= 0).all()
    assert (poor == three.names.index("middle")).sum() == 50


# -- the first vote --


def test_the_first_vote_is_the_cheapest_that_may_save_the_next():
    rng = np.random.default_rng(1)
    truth = rng.integers(2, size=300)
    # The student says which kind an item is, and "cheap" is useless for the second kind.
    kind = rng.integers(2, size=300)
    cheap = np.where(kind == 0, truth, rng.integers(2, size=300))
    strong = np.where(rng.random(300) < 0.97, truth, 1 - truth)
    view = np.where(kind[:, None] == 0, [[0.6, 0.4]], [[0.4, 0.6]])
    names = ("cheap", "strong", "person")
    audit = ballot_of(np.stack([cheap, strong, truth], axis=1), names)
    panel = learn_panel(audit, view, reference="person", gold=("person",), classes=2, **BELIEFS)
    made = gather(audit, view, panel, 2, background=view, rng=np.random.default_rng(0))
    p = np.asarray([0.6, 0.6])
    label = np.asarray([0, 1])

    def first(price):
        prices = np.tile([price, 100.0, 1e9], (2, 1))
        return first_voters(made, p, label, prices, [0, 1], accept_at=0.85).tolist()

    assert first(0.0) == [0, 0]
    assert first(200.0) == [1, 1]


def test_routing_is_the_same_each_time(three):
    first = three.ask([], PRICES, 100, n=30)
    again = World({"cheap": 0.7, "middle": 0.85, "strong": 0.95}).ask([], PRICES, 100, n=30)
    assert first.annotator.tolist() == again.annotator.tolist()
    assert first.net.tolist() == again.net.tolist()
