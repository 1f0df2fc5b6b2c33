"""Whether a run goes on: the money kept for the rest of the pool, and what a check leads to."""

from dataclasses import replace

import numpy as np
import pytest

from labelwright.graph.nodes.decide import _conclude, _hard_stop, _rest_is_next
from labelwright.graph.roster import KIND
from labelwright.graph.session import create_run, open_run
from labelwright.graph.state import START
from labelwright.tools.gates import Gate
from labelwright.tools.ledger import Call, Caps, Consensus, Decision, Settlement
from labelwright.tools.money import to_nano
from labelwright.tools.plateau import Check

HARD = {"reason": "cap", "detail": "the caps no longer pay for cheap"}

# -- what a check leads to --

CHECK = Check(
    round=9, window=3, stop_set=50, weighted=False, churn=0.01, churn_low=0.0, churn_high=0.05,
    money_window=10, value=100, rho=0.15, expected_gain=1, certificate_gain=5, certificate=False,
    rule=True, streak=2, verdict="propose_stop", why="the window cost more than its gain",
)  # fmt: skip
PASSED = Gate("rounds", True, "")
WAITS = Gate("labels", False, "too few labels")
SEARCHES = Gate("classes", False, "too few of class 2", "search", (2,))
RELABELS = Gate("label_noise", False, "too noisy", "relabel")


def test_the_plateau_stops_a_run_that_no_gate_holds_back():
    waived = replace(RELABELS, waived=True)
    stop = {"reason": "cost_plateau", "detail": CHECK.why}
    assert _conclude(None, CHECK, [PASSED, waived]) == (stop, None)


def test_the_certificate_is_a_reason_of_its_own():
    sure = replace(CHECK, certificate=True, verdict="stop", why="it can not have paid")
    stop = {"reason": "certificate", "detail": "it can not have paid"}
    assert _conclude(None, sure, [PASSED]) == (stop, None)
    # Gates hold it back like any other proposal.
    assert _conclude(None, sure, [SEARCHES])[0] is None


def test_the_first_gate_that_can_act_orders_the_next_round():
    stop, order = _conclude(None, CHECK, [PASSED, WAITS, SEARCHES, RELABELS])
    assert stop is None
    assert order == {"action": "search", "classes": [2]}


def test_a_gate_that_only_waits_asks_for_one_more_batch():
    assert _conclude(None, CHECK, [PASSED, WAITS]) == (None, None)


@pytest.mark.parametrize("checked", [None, replace(CHECK, verdict="continue", streak=1)])
def test_without_a_proposal_the_run_goes_on_whatever_the_gates_say(checked):
    assert _conclude(None, checked, [PASSED]) == (None, None)
    assert _conclude(None, checked, [SEARCHES]) == (None, None)


@pytest.mark.parametrize("checked", [None, CHECK, replace(CHECK, verdict="continue")])
def test_a_hard_stop_wins_over_everything(checked):
    assert _conclude(HARD, checked, [SEARCHES]) == (HARD, None)


# -- money that is kept for a first vote on the rest --


@pytest.fixture
def corpus(new_corpus):
    """Forty texts: a first vote on all of them costs $0.04, or $0.80 by the strong annotator."""
    return new_corpus(40, duplicates=0)


@pytest.fixture
def opened(corpus, tmp_path):
    """Opens a run under a cap of $1 after rounds that had spent so much by then, in USD."""
    opened = []

    def open_(*spent, **sections):
        folder = tmp_path / f"run{len(opened)}"
        create_run(corpus.config(**{"budget": {"usd": 1}, **sections}), folder)
        run = open_run(folder, notify=lambda _: None, stopping=lambda: False)
        ctx = run.__enter__()
        opened.append(run)
        # Where the texts lie is of no account here, so nothing has to embed them.
        vectors = np.random.default_rng(0).normal(size=(len(corpus.texts), ctx.embedder.dim))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        ctx.pool.add(list(corpus.texts), list(corpus.texts.values()), vectors.astype(np.float32))
        before = 0
        for number, usd in enumerate(spent, 1):
            total = to_nano(usd)
            call = Call(f"k{number}", "annotator", "cheap", "recorded", "label", number, (), "h")
            ctx.ledger.record(call, Settlement("answered", cost=total - before), [])
            ctx.ledger.log.close_round(number, {"spent": total}, np.zeros(4, np.int32))
            before = total
        return ctx

    yield open_
    for run in opened:
        run.__exit__(None, None, None)


def test_the_first_round_is_not_kept_from_being_asked(opened):
    assert not _rest_is_next(opened())


@pytest.mark.parametrize(
    ("spent", "stops"),
    [
        ((0.1,), False),
        ((0.48,), False),  # 0.52 are left; after another round 0.04
        ((0.49,), True),
        ((0.8, 0.88), False),  # what counts is the last round, not the mean
        ((0.1, 0.54), True),
        ((0.93, 0.94), False),
        ((0.93, 0.95), True),
    ],
)
def test_a_round_is_not_begun_with_money_that_the_rest_needs(opened, spent, stops):
    ctx = opened(*spent)
    assert _rest_is_next(ctx) is stops
    found = _hard_stop(ctx, START)
    if stops:
        assert found["reason"] == "cap"
        assert "kept for a first vote" in found["detail"]
    else:
        assert found is None


def test_what_is_labelled_needs_no_first_vote(opened):
    ctx = opened(0.93, 0.95)
    assert _rest_is_next(ctx)
    labelled = [
        Consensus(item, "billing", 0.9, False, "model", "accept", "", {})
        for item in ctx.pool.ids[:20]
    ]
    ctx.ledger.votes.conclude(1, 1, labelled)
    assert not _rest_is_next(ctx)  # 0.03 would be left, 0.02 are needed


def test_at_most_half_of_the_cap_is_kept(opened, corpus):
    # Only the strong annotator is there: a first vote on the whole pool would cost $0.80.
    dear = {"annotators": [corpus.recorded("strong", 1)]}
    assert not _rest_is_next(opened(0.1, 0.3, **dear))
    assert _rest_is_next(opened(0.1, 0.31, **dear))


def test_a_first_vote_that_costs_nothing_keeps_nothing_back(opened, corpus):
    free = {**corpus.recorded("cheap", 1), "price": "free"}
    ctx = opened(0.6, annotators=[free, corpus.recorded("strong", 2)])
    assert not _rest_is_next(ctx)  # although another round like it can not be paid whole


def test_people_give_no_first_vote(opened, corpus):
    person = {"kind": "human", "name": "ann", "tier": 1, "price": {"per_label": 0.5}}
    ctx = opened(0.48, annotators=[person, corpus.recorded("cheap", 2)])
    assert not _rest_is_next(ctx)


def test_who_is_asked_no_more_gives_no_first_vote(opened, corpus):
    free = {**corpus.recorded("cheap", 1), "price": "free"}
    ctx = opened(0.4, annotators=[free, corpus.recorded("strong", 2)])
    assert not _rest_is_next(ctx)
    member = {"annotator": "cheap", "action": "drop", "labels": [], "reason": "broken"}
    ctx.ledger.log.decide(Decision(1, 1, "critic", KIND, {"members": [member]}, {}))
    assert _rest_is_next(ctx)  # the strong one's votes on the rest take half of the cap


def test_without_a_cap_there_is_nothing_to_keep(opened):
    ctx = opened(0.9)
    assert _rest_is_next(ctx)
    ctx.ledger.caps = Caps()
    assert not _rest_is_next(ctx)


# -- the other hard caps --


def test_an_annotator_out_of_reach_stops_it_and_a_person_does_not(opened, corpus):
    person = {"kind": "human", "name": "ann", "price": {"per_label": 0.5}}
    ctx = opened(0.1, annotators=[corpus.recorded("cheap", 1), person])
    assert _hard_stop(ctx, {**START, "out_of_reach": ["ann", "cheap"]}) == HARD
    assert _hard_stop(ctx, {**START, "out_of_reach": ["ann"]}) is None


def test_rounds_are_counted(opened):
    ctx = opened(0.1)  # at most three are configured
    assert _hard_stop(ctx, {**START, "round": 2}) is None
    assert _hard_stop(ctx, {**START, "round": 3})["reason"] == "max_rounds"
