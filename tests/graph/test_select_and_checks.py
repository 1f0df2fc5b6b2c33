"""What a round is chosen from, and what written texts must not count for."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from langgraph.runtime import Runtime

from labelwright.agents.selector import error_auroc
from labelwright.graph.checks import flagged_labels, usable
from labelwright.graph.labelled import training_set
from labelwright.graph.nodes import select as selecting
from labelwright.graph.nodes.select import (
    asking_scores,
    doubtful_labels,
    new_or_again,
    pool_view,
    similarities,
)
from labelwright.graph.nodes.train import _metrics, train
from labelwright.graph.rounds import RoundFit
from labelwright.graph.session import create_run, open_run
from labelwright.graph.state import START
from labelwright.tools.errors import BudgetExceeded
from labelwright.tools.ledger import Call, Consensus, Settlement, Vote

PANEL = ("cheap", "middle", "strong")


@pytest.fixture
def corpus(new_corpus):
    return new_corpus(60, duplicates=0)


@pytest.fixture
def ctx(corpus, tmp_path):
    """A run whose pool is full and whose ledger is empty."""
    create_run(corpus.config(), tmp_path / "run")
    with open_run(tmp_path / "run", notify=lambda _: None, stopping=lambda: False) as ctx:
        texts = list(corpus.texts.values())
        ctx.pool.add(list(corpus.texts), texts, ctx.embedder.embed(texts))
        yield ctx


def accept(ctx, labels, p_correct=None):
    """Accept labels, each as surely as is said or with 0.9."""
    gold = {"gold": False}
    ctx.ledger.votes.conclude(
        1,
        1,
        [
            Consensus(i, label, (p_correct or {}).get(i, 0.9), False, "model", "accept", "", gold)
            for i, label in labels.items()
        ],
    )


def vote(ctx, items, annotators, labels=None):
    for name in annotators:
        call = Call(f"{name} {items}", "annotator", name, "recorded", "label", 1, tuple(items), "h")
        said = labels or dict.fromkeys(items, "billing")
        votes = [Vote(item, name, said[item], None, "h", 0, "label", 1) for item in items]
        ctx.ledger.record(call, Settlement("answered"), votes)


def write_texts(ctx, labels):
    """Add accepted synthetic items."""
    ids = [f"s{number}" for number in range(len(labels))]
    texts = [f"written {label} {number}" for number, label in enumerate(labels)]
    ctx.pool.add(ids, texts, ctx.embedder.embed(texts), origin="synthetic")
    return dict(zip(ids, labels, strict=True))


def fitted(ctx, labels, wrong=()):
    """A student that is right on all items but the given ones, and sure of it."""
    classes = np.asarray([ctx.labels.index(label) for label in labels.values()])
    said = (classes + np.isin(list(labels), list(wrong))) % len(ctx.labels)
    proba = np.full((len(labels), len(ctx.labels)), 0.01, np.float32)
    proba[np.arange(len(labels)), said] = 0.97
    student = SimpleNamespace(tfidf=None, predict_proba=lambda vectors, _: None)
    return RoundFit(student, tuple(labels), classes, proba)


def seer(ctx, sure):
    """A student that is as sure as is said of its first label."""
    rows = {tuple(ctx.pool.vectors()[ctx.pool.index(i)].tolist()): p for i, p in sure.items()}

    def predict_proba(vectors, _):
        first = np.asarray([rows.get(tuple(v), 0.5) for v in vectors.tolist()], np.float32)
        rest = np.repeat((1 - first[:, None]) / 3, 3, axis=1)
        return np.concatenate([first[:, None], rest], axis=1)

    return SimpleNamespace(tfidf=None, predict_proba=predict_proba)


# -- labels that are checked again --


def test_a_label_worth_asking_about_again_takes_the_place_of_a_new_item(ctx, corpus):
    labels = dict(list(corpus.gold.items())[:40])
    accept(ctx, labels)
    fit = fitted(ctx, labels, wrong=list(labels)[:6])
    # All new items look alike; two of them are known well enough.
    new = list(corpus.gold)[40:50]
    sure = dict.fromkeys(new, 0.4) | {new[3]: 0.9, new[7]: 0.99}
    fit = replace(fit, student=seer(ctx, sure))
    vote(ctx, list(labels), PANEL[:1], labels)
    vote(ctx, list(labels)[10:20], PANEL[1:2], labels)
    kept, again = new_or_again(ctx, fit, new, 40)
    assert set(again) <= set(flagged_labels(ctx, fit))
    assert kept == [item for item in new if item in kept]
    assert len(kept) + len(again) == len(new)
    assert again
    assert new[7] not in kept
    scores = asking_scores(ctx, fit, [*again, *new])
    gone = set(new) - set(kept)
    assert max(scores[item] for item in again) < min(scores[item] for item in gone)
    # The surest new items go, and no more than is allowed.
    kept, again = new_or_again(ctx, fit, new, 1)
    assert (again, set(new) - set(kept)) == ([min(again, key=scores.get)], {new[7]})
    assert new_or_again(ctx, fit, new, 0) == (new, [])
    assert new_or_again(ctx, None, new, 9) == (new, [])


def test_a_label_that_everybody_has_judged_takes_no_place(ctx, corpus):
    labels = dict(list(corpus.gold.items())[:40])
    accept(ctx, labels)
    new = list(corpus.gold)[40:50]
    wrong = list(labels)[:6]
    student = seer(ctx, dict.fromkeys(new, 0.99))
    fit = replace(fitted(ctx, labels, wrong), student=student)
    vote(ctx, list(labels), PANEL[:1], labels)
    vote(ctx, [*wrong[:3], *list(labels)[10:20]], PANEL[1:], labels)
    _, again = new_or_again(ctx, fit, new, 40)
    assert again
    assert not set(again) & set(wrong[:3])


def test_a_doubtful_label_that_everybody_has_judged_is_not_checked_again(ctx, corpus):
    a, b, c, d = list(corpus.gold)[:4]
    accept(ctx, dict.fromkeys((a, b, c, d), "billing"), {a: 0.3, b: 0.4, c: 0.5, d: 0.6})
    assert doubtful_labels(ctx, 2) == [a, b]
    vote(ctx, [a, c], PANEL)
    assert doubtful_labels(ctx, 2) == [b, d]


# -- the search for a class --


def test_a_class_never_seen_is_searched_for_by_its_description(ctx, corpus, monkeypatch):
    seen = {i: label for i, label in list(corpus.gold.items())[:30] if label != "praise"}
    accept(ctx, seen)
    runtime = Runtime(context=ctx)
    train({**START, "round": 1}, runtime)
    ordered = {**START, "round": 1, "order": {"action": "search", "classes": [3]}}
    chosen = selecting.select(ordered, runtime)
    view = pool_view(ctx, ctx.latest_fit(1))
    near = similarities(ctx)[view.candidates, 3]
    nearest = ctx.ids(view.candidates[np.argsort(-near)][:11])
    assert chosen["batch"][:11] == nearest
    found = [corpus.gold[item] for item in nearest].count("praise")
    among = [corpus.gold[item] for item in ctx.ids(view.candidates)].count("praise")
    assert found / 11 > among / len(view.candidates)
    # Nothing else has to know where the descriptions lie.
    monkeypatch.setattr(selecting, "similarities", lambda ctx: pytest.fail("nobody searches"))
    selecting.select({**ordered, "order": None}, runtime)


def test_similarities_are_those_of_the_whole_pool_in_blocks(ctx, monkeypatch):
    whole = similarities(ctx)
    assert whole.shape == (60, 4)
    monkeypatch.setattr(selecting, "_BLOCK", 7)
    np.testing.assert_allclose(similarities(ctx), whole, atol=1e-6)


def test_a_search_goes_without_descriptions_that_the_cap_does_not_pay_for(ctx):
    def refuse(texts):
        raise BudgetExceeded("the cap is reached")

    ctx.embedder = SimpleNamespace(embed=refuse)
    assert similarities(ctx) is None


# -- written texts prove nothing --


def test_figures_of_the_student_are_those_on_real_items(ctx, corpus):
    real = dict(list(corpus.gold.items())[:20])
    accept(ctx, real | write_texts(ctx, ["praise"] * 10))
    labelled = training_set(ctx)
    both = dict(zip(labelled.ids, (ctx.labels[c] for c in labelled.labels), strict=True))
    wrong = list(real)[:5]
    metrics = _metrics(ctx, labelled, fitted(ctx, both, wrong))
    assert metrics["agreement"] == 0.75
    alone = _metrics(ctx, cut(labelled, 20), fitted(ctx, real, wrong))
    assert metrics["macro_f1"] == alone["macro_f1"]
    # What it was trained on is told in full: written texts are there to fill a class.
    assert metrics["labels"] == 30
    assert metrics["classes"]["praise"] == alone["classes"]["praise"] + 10


def cut(labelled, n):
    arrays = {name: getattr(labelled, name)[:n] for name in ("ids", "rows", "labels", "weights")}
    return replace(labelled, **arrays)


def test_a_student_of_written_texts_alone_has_no_agreement(ctx):
    accept(ctx, write_texts(ctx, ["praise"] * 3))
    labelled = training_set(ctx)
    fit = fitted(ctx, dict.fromkeys(labelled.ids, "praise"))
    metrics = _metrics(ctx, labelled, fit)
    assert (metrics["labels"], metrics["agreement"], metrics["macro_f1"]) == (3, 0, 0)
    assert not usable(ctx, fit)


def test_checks_are_not_heeded_for_what_the_student_does_on_written_texts(ctx, corpus):
    real = dict(list(corpus.gold.items())[:20])
    wrong = list(real)[:8]
    assert not usable(ctx, fitted(ctx, real, wrong))
    both = real | write_texts(ctx, ["praise"] * 30)
    assert not usable(ctx, fitted(ctx, both, wrong))
    assert usable(ctx, fitted(ctx, both, wrong[:6]))  # 0.7 of the real ones


def test_uncertainty_is_not_judged_on_written_texts(ctx, corpus):
    real = dict(list(corpus.gold.items())[:40])
    both = real | write_texts(ctx, ["praise"] * 20)
    assert error_auroc(pool_view(ctx, fitted(ctx, both, list(real)[:15]))) is not None
    few = [*list(real)[:14], "s0", "s1"]
    assert error_auroc(pool_view(ctx, fitted(ctx, both, few))) is None
