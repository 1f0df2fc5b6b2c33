"""Proposals by rule: each from its evidence, and none without."""

import numpy as np
import pytest

from labelwright.agents.proposals import (
    CONFUSED,
    of_annotators,
    of_classes,
    of_confusions,
    of_label_set,
    of_suspects,
)
from labelwright.tools.codebook import Fault

LABELS = ["billing", "technical", "praise"]
IDS = [f"i{n}" for n in range(6)]
TEXTS = [f"text {n}" for n in range(6)]


def fault(kind, labels=(), words=None, rows=(4, 1)):
    return Fault(kind, labels, words, rows, (0.1, 0.05, 0.2), "the evidence")


def of(*faults):
    return of_label_set(faults, LABELS, IDS, TEXTS, 0.001, 1000)


def test_faults_of_the_label_set_become_priced_proposals():
    named, unnamed, unneeded, twins = of(
        fault("add_label", words="Refund"),
        fault("add_label"),
        fault("remove_label", (2,), rows=()),
        fault("merge_labels", (0, 1)),
    )
    assert (named.kind, named.target, named.items) == ("add_label", "Refund", ["i4", "i1"])
    assert named.price_usd == pytest.approx(0.1)  # a tenth of 1,000 texts at $0.001 each
    assert "10.0%" in named.effect
    assert unnamed.target.startswith("(to be named) text 4")
    assert unneeded.target == "praise"
    assert twins.target == "billing | technical"
    assert all(p.evidence == "the evidence" for p in (named, unnamed, unneeded, twins))
    assert of() == []


def test_a_mistake_that_comes_back_asks_for_a_guideline():
    given = np.asarray([1] * CONFUSED + [2, 0, 0])
    truth = np.asarray([0] * CONFUSED + [0, 0, 0])
    (made,) = of_confusions(given, truth, LABELS, IDS)
    assert (made.kind, made.target) == ("edit_guideline", "billing | technical")
    assert made.items == IDS[:CONFUSED]
    assert of_confusions(given[1:], truth[1:], LABELS, IDS[1:]) == []


def test_an_annotator_is_dropped_only_for_a_better_one_that_is_no_dearer():
    def row(name, price, audited=100):
        return {"annotator": name, "audited": audited, "price": price}

    right = {"good": 95, "bad": 60}
    (made,) = of_annotators([row("good", 10), row("bad", 10)], right)
    assert (made.kind, made.target) == ("drop_annotator", "bad")
    assert "95 of 100" in made.evidence
    assert of_annotators([row("good", 11), row("bad", 10)], right) == []
    few = {"good": 9, "bad": 6}
    assert of_annotators([row("good", 10, 10), row("bad", 10, 10)], few) == []
    assert of_annotators([row("good", 10, 0), row("bad", 10)], right) == []


def test_suspects_are_put_to_the_next_annotator_for_a_price():
    (made,) = of_suspects(["i1", "i2"], [0.9, 0.6], 0.02)
    assert (made.kind, made.items, made.price_usd) == ("relabel_items", ["i1", "i2"], 0.02)
    assert "1.5" in made.effect
    assert of_suspects([], [], None) == []


def test_texts_are_written_for_classes_that_lack_labels():
    (made,) = of_classes({"billing": 30, "praise": 2}, 10, 0.05)
    assert (made.kind, made.target, made.price_usd) == ("generate_for_class", "praise", 0.05)
    assert of_classes({"billing": 30}, 10, None) == []
