"""The benchmark of the cascade, on a set made up for it."""

import csv
import importlib
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
WORDS = {"yes": "good fine great nice", "no": "bad poor awful sad"}
PRICES = {"cheap": 0.1, "middle": 1.0, "dear": 20.0}
ACCURACY = {"cheap": 0.7, "middle": 0.85, "dear": 0.95}


@pytest.fixture(scope="module")
def cascade():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield importlib.import_module("cascade")
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """120 short texts of two classes with the answers of three annotators."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    made = folder / "made_up"
    made.mkdir()
    labels = [{"name": name, "description": words} for name, words in WORDS.items()]
    (made / "labels.json").write_text(json.dumps({"task": "made_up", "labels": labels}))
    rows, answers = [], []
    for number in range(120):
        gold = ("yes", "no")[rng.integers(2)]
        told = gold if rng.random() < 0.65 else ("yes", "no")[rng.integers(2)]
        text = f"{rng.choice(WORDS[told].split())} thing number {number}"
        rows.append({"id": str(number), "text": text, "gold": gold})
        other = {"yes": "no", "no": "yes"}[gold]
        said = [gold if rng.random() < ACCURACY[name] else other for name in PRICES]
        answers.append([str(number), gold, *said])
    (made / "pool.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    tables = {
        made / "annotations_wide.csv": [["item_id", "gold", *PRICES], *answers],
        folder / "prices.csv": [
            ["annotator", "usd_per_mtok_in", "usd_per_mtok_out", "basis"],
            *([name, price, price, ""] for name, price in PRICES.items()),
        ],
    }
    for path, table in tables.items():
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(table)
    return folder


def test_a_draw_has_every_arm_and_comes_out_the_same_again(cascade, data, monkeypatch):
    monkeypatch.setattr(cascade, "COSTS", 2)
    monkeypatch.setattr(cascade, "THRESHOLDS", (0.9,))
    drawn = cascade.run_one(("made_up", "price", 1), data=data, audits=40)
    assert drawn.annotators == list(PRICES)
    usd = [point.usd for point in drawn.singles]
    assert usd == sorted(usd)
    assert drawn.panel.usd == pytest.approx(sum(usd))
    assert drawn.audit_usd == pytest.approx(drawn.panel.usd / 3, rel=0.1)
    for point in [*drawn.router, *drawn.tiers]:
        assert drawn.audit_usd - 1e-12 <= point.usd <= drawn.panel.usd
        assert 0.5 < point.accuracy <= 1
        assert point.accuracy == pytest.approx(sum(point.halves) / 2)
    assert drawn.router[0].usd < max(point.usd for point in drawn.router[:-4])
    assert cascade.run_one(("made_up", "price", 1), data=data, audits=40) == drawn
    figures = cascade.show([drawn], ["price"])
    assert figures["all"]["price"]["panel"]["goal"] == 0.25
    # An audit of a third of the texts costs more than a quarter of the panel.
    assert set(drawn.capped) == {"strongest", "dearest"}
    assert drawn.capped["dearest"].usd <= 0.4 * drawn.singles[-1].usd + 1e-12
    assert set(drawn.informed) <= set(drawn.capped)
    value = cascade.show_value([drawn])["made_up"]["0.3"]
    assert value["router"]["mean"] == pytest.approx(
        drawn.router[-1].accuracy - drawn.router[-1].usd / (drawn.texts * 0.3)
    )
    assert set(value["others_less_router"]) == {"cheapest", "dearest", "best_by_audit", "panel"}


def test_the_majority_counts_every_vote_alike(cascade, data):
    bench = cascade.prepare(cascade.load_set(data, "made_up"), [0, 1, 2], 40, 1)
    votes = bench.votes[:, :-1]
    label = (votes.sum(axis=1) >= 2).astype(np.int64)
    assert cascade.majority_of(bench).accuracy == pytest.approx(
        (label == bench.gold)[~bench.audited].mean()
    )


def test_who_knows_the_annotators_from_one_half_scores_the_other_with_the_same_money(
    cascade, data, monkeypatch
):
    bench = cascade.prepare(cascade.load_set(data, "made_up"), [0, 1, 2], 20, 1)
    bought = cascade.cascade
    told = []

    def watched(part, student, first, error_cost, budget):
        asked, label = bought(part, student, first, error_cost, budget)
        scored = ~part.audited
        # The student has no more labels to learn from than the router that is judged.
        assert (part.teaches.sum(), (part.teaches & part.audited).sum()) == (70, 20)
        told.append((part.audited.sum(), scored.sum(), part.usd(asked & scored[:, None])))
        assert budget - part.usd(part.told) == pytest.approx(0.01 * scored.sum() / 120)
        return asked, label

    monkeypatch.setattr(cascade, "cascade", watched)
    monkeypatch.setattr(cascade, "TOLD", 25)
    found = cascade.informed(bench, cascade.first_student(bench), 1e9, 0.01)
    # 20 audited and 25 told, 50 scored, whose votes cost their share of the money at most.
    assert [counts[:2] for counts in told] == [(45, 50), (45, 50)]
    assert all(usd <= 0.01 * 50 / 120 + 1e-12 for *_, usd in told)
    assert all(0.5 < accuracy <= 1 for accuracy in found)


def test_a_student_is_trained_on_labels_that_may_teach_it(cascade, data, monkeypatch):
    bench = cascade.prepare(cascade.load_set(data, "made_up"), [0, 1, 2], 20, 1)
    bench.teaches[bench.half == 1] = False
    taught = []

    def student(self, rows, labels, weights):
        taught.extend(rows.tolist())
        return np.full((len(self.gold), 2), 0.5)

    monkeypatch.setattr(type(bench), "student", student)
    cascade.full_panel(bench, student(bench, np.arange(0), None, None))
    assert set(taught) == set(np.flatnonzero(bench.half != 1))


def test_a_miss_was_possible_only_where_who_knows_the_annotators_does_not_miss(cascade):
    figures = sys.modules["cascade_figures"]
    target, short = (figures.Point(10, right, (right, right)) for right in (0.8, 0.7))

    def drawn(capped, informed):
        return figures.Drawn(
            "s",
            ["a"],
            "3",
            [target],
            target,
            target,
            [target],
            [target],
            [],
            capped,
            informed,
            0,
            9,
        )

    made = drawn({"dearest": target}, {})
    possible = drawn({"dearest": short}, {"dearest": (0.7, 0.9)})
    hopeless = drawn({"dearest": short}, {"dearest": (0.7, 0.89)})
    draws = [made, possible, hopeless]
    assert [figures.reachable(one, "dearest") for one in draws] == [True, True, False]
    assert figures.less_target(possible, "dearest") == pytest.approx(-0.1)


def test_a_share_is_read_off_the_upper_edge_of_a_curve(cascade):
    figures = sys.modules["cascade_figures"]

    def point(usd, accuracy):
        return figures.Point(usd, accuracy, (accuracy, accuracy))

    points = [point(*pair) for pair in [(1, 0.5), (2, 0.7), (3, 0.6), (4, 0.8)]]
    assert figures.share_to_reach(points, point(10, 0.75)) == pytest.approx(0.3)
    assert figures.share_to_reach(points, point(10, 0.5)) == pytest.approx(0.1)
    assert figures.share_to_reach(points, point(10, 0.9)) == math.inf


def test_a_point_is_chosen_on_one_half_and_scored_on_the_other(cascade):
    figures = sys.modules["cascade_figures"]
    target = figures.Point(10, 0.7, (0.7, 0.7))
    lucky_once = [figures.Point(1, 0.7, (0.9, 0.5)), figures.Point(2, 0.65, (0.7, 0.6))]
    # The first half prefers the first point, the second half the second one.
    assert figures.held_out(lucky_once, target, 5) == pytest.approx([-0.2, 0.0])
    assert figures.held_out(lucky_once, target, 1.5) == pytest.approx([-0.2, 0.2])
    assert figures.held_out(lucky_once, target, 0.5) == []


def test_one_annotator_of_each_stretch_of_prices(cascade):
    usd = np.asarray([5.0, 1.0, np.nan, 3.0, 4.0, 2.0, 6.0])
    drawn = cascade.draw_by_price(usd, 3, np.random.default_rng(0))
    assert usd[drawn].tolist() == sorted(usd[drawn].tolist())
    assert [usd[column] for column in cascade.by_price_alone(usd)] == [1.0, 4.0, 6.0]
