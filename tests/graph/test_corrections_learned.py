"""What the student makes of corrections: when it learns them, and which other labels change."""

import shutil

import numpy as np
import pytest
from doubles.corrected_run import decided, notes, other, rows, say

from labelwright.app.outcome import rows as label_rows
from labelwright.graph import resume, run
from labelwright.graph.relearned import learned
from labelwright.graph.session import open_run
from labelwright.tools.ledger import Ledger
from labelwright.tools.watch.corrected import learned_words


@pytest.fixture(scope="module")
def undisturbed(corpus, tmp_path_factory):
    return run(corpus.config(), name="undisturbed", runs=tmp_path_factory.mktemp("runs")).folder


def stop_set(folder):
    with open_run(folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        return ctx.ids(ctx.splits.stop_set)


def learned_in(folder, number):
    return {*np.load(folder / "rounds" / f"{number:03}" / "out_of_sample.npz")["ids"].tolist()}


def test_what_churn_is_measured_on_is_learned_when_the_rounds_are_over(
    corpus, undisturbed, tmp_path, outcome
):
    folder, held = tmp_path / "run", stop_set(undisturbed)
    assert not {*held} & learned_in(undisturbed, 3)
    items = [item for item in held if item not in corpus.same.values()][:3]
    none, *labelled = items

    def act(event):
        if event["event"] == "trained" and event["round"] == 1:
            say(folder, *((item, "bea", "label", other(corpus, item)) for item in labelled))
            say(folder, (none, "bea", "no_label", None))
        if event["event"] == "trained" and event["round"] == 3:
            # Nothing is bought at the end: only the corrections ask for a last training.
            with Ledger(folder / "ledger.sqlite") as ledger:
                ledger.log.direct("finish", {})

    config = corpus.config(stopping={"max_rounds": 9, "stop_set_size": 50})
    result = run(config, name="run", runs=tmp_path, notify=act)
    assert (result.status, result.summary["stop"]["reason"]) == ("finished", "operator")
    found = rows(outcome, folder)
    for item in labelled:
        assert (found[item]["label"], found[item]["source"]) == (other(corpus, item), "person")
    assert result.summary["rounds"] == 3
    for number in (1, 2, 3):
        assert not {*held} & learned_in(folder, number)
    assert learned_in(folder, 4) >= {*labelled}
    assert none not in learned_in(folder, 4)
    assert result.summary["best_round"] == 4
    later = "; churn is measured on it, so it is learned at the end"
    assert [note.endswith(later) for note in notes(folder)] == [True, True, False]


def test_a_delivery_says_what_the_student_made_of_the_corrections(
    corpus, undisturbed, tmp_path, outcome
):
    folder = shutil.copytree(undisturbed, tmp_path / "run")
    assert "learned" not in decided(folder, "deliver")[0].decision
    assert "Corrections" not in dict(label_rows(resume(folder).summary))
    given = [item for item in corpus.gold if item not in corpus.same][:14]
    for by, items in (("bea", given[:9]), ("ada", given[9:])):
        before = rows(outcome, folder)
        last = given[-1]
        say(folder, *((item, by, "label", other(corpus, item)) for item in items if item != last))
        if last in items:
            say(folder, (last, by, "no_label", None))
        result = resume(folder)
        after = rows(outcome, folder)
        found = decided(folder, "deliver")[-1].decision["learned"]
        texts = [item for item in before if item not in corpus.same and item not in items]
        had = {item: before[item]["outcome"] == "accept" for item in texts}
        has = {item: after[item]["outcome"] == "accept" for item in texts}
        assert found == {
            "corrected": len(items),
            "by": [by],
            "by_student": True,
            "relabelled": sum(
                had[i] and has[i] and before[i]["label"] != after[i]["label"] for i in texts
            ),
            "accepted": sum(has[i] and not had[i] for i in texts),
            "set_apart": sum(had[i] and not has[i] for i in texts),
        }
        assert found["relabelled"] + found["accepted"] + found["set_apart"]
        assert result.summary["learned"] == found
        assert dict(label_rows(result.summary))["Corrections"] == learned_words(found)
        newest = decided(folder, "trained")[-1].round
        assert result.summary["best_round"] == newest
        # Where an earlier student stays the best it is delivered, and has not learned them.
        step = decided(folder, "deliver")[-1].step
        with open_run(folder, notify=lambda _: None, stopping=lambda: False) as ctx:
            assert learned(ctx, step, newest)["learned"] == found
            for kept in (newest - 1, 1, 0):
                assert learned(ctx, step, kept)["learned"] == {**found, "by_student": False}


def test_a_delivery_says_nothing_of_corrections_where_labels_were_bought_as_well(corpus, tmp_path):
    config = corpus.config(budget={"usd": 0.3}, stopping={"max_rounds": 9, "stop_set_size": 50})
    folder = run(config, name="run", runs=tmp_path).folder
    item = next(iter(corpus.gold))
    say(folder, (item, "bea", "label", other(corpus, item)))
    resume(folder, usd=2)
    first, second = decided(folder, "deliver")
    assert "learned" not in first.decision
    assert "learned" not in second.decision
