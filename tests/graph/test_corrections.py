"""What people say of items that no question is open about: final labels, learned, at no price."""

import shutil

import numpy as np
import pytest
from doubles.corrected_run import decided, notes, other, rows, say
from doubles.mortal_run import Death, carry_on

from labelwright.graph import resume, run
from labelwright.graph.labelled import labelled_items, training_set
from labelwright.graph.quality import label_strata
from labelwright.graph.session import open_run
from labelwright.tools.ledger import Ledger
from labelwright.tools.report import guaranteed


@pytest.fixture
def stopping(corpus):
    return {"max_rounds": 3, "stop_set_size": 50}


@pytest.fixture(scope="module")
def undisturbed(corpus, tmp_path_factory):
    return run(corpus.config(), name="undisturbed", runs=tmp_path_factory.mktemp("runs")).folder


class Once:
    """Does something once, when an event of a kind comes for the n-th time."""

    def __init__(self, event, act, nth=1):
        self.event, self.act, self.left, self.seen = event, act, nth, []

    def __call__(self, event):
        self.seen.append(event)
        if event["event"] == self.event:
            self.left -= 1
            if self.left == 0:
                self.act()


# -- while the run is going ------------------------------------------------------------------------


def test_a_correction_is_the_label_from_the_next_round_on(corpus, tmp_path, outcome):
    folder, chosen = tmp_path / "run", {}

    def corrects():
        first = decided(folder, "batch")[0].decision["batch"]
        with Ledger(folder / "ledger.sqlite") as ledger:
            fresh = [i for i in corpus.gold if not ledger.votes.history(i) and i not in corpus.same]
        # One with votes, one that nobody was asked about, and one of which no label is right.
        chosen.update(voted=first[0], fresh=fresh[0], none=fresh[1])
        say(
            folder,
            (chosen["voted"], "bea", "label", other(corpus, chosen["voted"])),
            (chosen["fresh"], "bea", "label", other(corpus, chosen["fresh"])),
            (chosen["none"], "cid", "no_label", None),
        )

    events = Once("trained", corrects)
    result = run(corpus.config(), name="run", runs=tmp_path, notify=events)
    assert result.status == "finished"
    [made] = decided(folder, "corrections")
    assert (made.round, made.agent, made.evidence["votes"][chosen["fresh"]]) == (2, "operator", {})
    assert made.decision["items"] == {
        chosen["voted"]: other(corpus, chosen["voted"]),
        chosen["fresh"]: other(corpus, chosen["fresh"]),
        chosen["none"]: None,
    }
    found = rows(outcome, folder)
    for name in ("voted", "fresh"):
        row = found[chosen[name]]
        assert (row["label"], row["source"]) == (other(corpus, chosen[name]), "person")
        assert (row["p_correct"], row["calibrated"], row["outcome"]) == (1.0, False, "accept")
        assert row["reason"] == "corrected by bea"
    none = found[chosen["none"]]
    assert (none["label"], none["outcome"]) == (None, "set_apart")
    assert none["reason"] == "corrected by cid: no label fits"
    # It is asked about no more, unless for an audit, and learned.
    audits = {i for b in decided(folder, "batch") for i in b.decision["audit"]}
    later = {i for b in decided(folder, "batch")[1:] for i in b.decision["batch"]}
    assert chosen["fresh"] not in later
    if chosen["fresh"] not in audits:
        with Ledger(folder / "ledger.sqlite") as ledger:
            assert not ledger.votes.of_items([chosen["fresh"]])[chosen["fresh"]]
    second = np.load(folder / "rounds" / "002" / "out_of_sample.npz")
    learned = dict(zip(second["ids"].tolist(), second["labels"].tolist(), strict=True))
    for name in ("voted", "fresh"):
        assert learned[chosen[name]] == corpus.labels.index(other(corpus, chosen[name]))
    assert chosen["none"] not in learned
    said = f"taken in round 2: the label is {other(corpus, chosen['voted'])!r}, by bea"
    assert notes(folder)[0] == said
    assert notes(folder)[2] == "taken in round 2: no label fits, by cid"
    told = [event for event in events.seen if event["event"] == "corrections"]
    assert told == [{"event": "corrections", "round": 2, "items": 3}]


def test_no_audit_vote_changes_a_correction(corpus, tmp_path, outcome):
    judge = corpus.recorded("strong", 3, trusted=True)
    config = corpus.config(annotators=[corpus.recorded("cheap", 1), judge])

    def audits(folder):
        return [item for made in decided(folder, "batch") for item in made.decision["audit"]]

    plain = run(config, name="plain", runs=tmp_path).folder
    whole, folder, audited = audits(plain), tmp_path / "run", []

    def corrects():
        # Some that later rounds will audit.
        audited.extend([item for item in whole if item not in audits(folder)][:3])
        say(folder, *((item, "bea", "label", other(corpus, item)) for item in audited))

    result = run(config, name="run", runs=tmp_path, notify=Once("trained", corrects))
    assert audits(folder) == whole  # Corrections do not move the sample.
    assert len(audited) == 3
    found = rows(outcome, folder)
    with Ledger(folder / "ledger.sqlite") as ledger:
        for item in audited:
            votes = ledger.votes.of_items([item])[item]
            assert {vote.annotator for vote in votes} >= {"cheap", "strong"}
            assert found[item]["label"] == other(corpus, item)
            assert found[item]["reason"] == "corrected by bea"
            assert [c.reason for c in ledger.votes.history(item)] == ["corrected by bea"]
    # Audits say what the annotators say, and nothing of the corrections.
    assert result.summary["quality"]["student"]["n"] == len(whole)


def test_corrections_are_no_evidence_for_the_annotators(corpus, tmp_path, outcome):
    judge = corpus.recorded("strong", 3, trusted=True)
    config = corpus.config(annotators=[corpus.recorded("cheap", 1), judge])
    folder = run(config, name="run", runs=tmp_path).folder

    def strata(at):
        with open_run(at, notify=lambda _: None, stopping=lambda: False) as ctx:
            audited = sum(len(b.decision["audit"]) for b in ctx.ledger.log.decisions("batch"))
            labels = labelled_items(ctx).values()
            return {
                s.voters: (s.right, s.n, s.size) for s in label_strata(ctx, audited, None, labels)
            }

    before = strata(folder)
    by_cheap = [
        item
        for item, row in rows(outcome, folder).items()
        if row["source"] == "model" and item not in corpus.same
    ][:4]
    say(folder, *((item, "bea", "label", corpus.gold[item]) for item in by_cheap))
    assert resume(folder).status == "finished"
    after = strata(folder)
    assert after[("cheap",)][:2] == before[("cheap",)][:2]
    assert after[("cheap",)][2] == before[("cheap",)][2] - 4


def test_reviewers_who_differ_wait_for_one_another(corpus, undisturbed, tmp_path, outcome):
    folder = shutil.copytree(undisturbed, tmp_path / "run")
    item = next(iter(corpus.gold))
    first, second, third = [x for x in corpus.labels if x != rows(outcome, folder)[item]["label"]]
    before = outcome(folder).decided()
    say(folder, (item, "bea", "label", first), (item, "cid", "label", second))
    resume(folder)
    assert notes(folder) == [None, None]
    assert outcome(folder).decided() == before
    say(folder, (item, "dan", "label", second))
    resume(folder)
    assert rows(outcome, folder)[item]["label"] == second
    assert rows(outcome, folder)[item]["reason"] == "corrected by cid, dan"
    assert len(set(notes(folder))) == 1
    # What was said before counts: one who sees it otherwise does not turn two round.
    say(folder, (item, "eve", "label", third), (item, "fay", "label", third))
    resume(folder)
    assert rows(outcome, folder)[item]["label"] == second
    assert notes(folder)[-2:] == [None, None]
    say(folder, (item, "bea", "label", third))
    resume(folder)
    assert rows(outcome, folder)[item]["label"] == third
    # A word that was taken is not taken back, and a flag is no word.
    say(folder, (item, "eve", "undo", None), (item, "fay", "flag", None))
    ended = outcome(folder).decided()
    resume(folder)
    assert outcome(folder).decided() == ended
    assert notes(folder)[-2:] == [
        "a correction that was taken stays until another one comes",
        "noted; it changes no label",
    ]


# -- a finished run --------------------------------------------------------------------------------


def test_a_finished_run_learns_corrections_and_delivers_again_for_nothing(
    corpus, undisturbed, tmp_path, outcome
):
    folder = shutil.copytree(undisturbed, tmp_path / "run")
    before, items = outcome(folder).decided(), list(corpus.gold)[:5]
    rounds = len(decided(folder, "trained"))
    say(folder, *((item, "bea", "label", other(corpus, item)) for item in items))
    result = resume(folder)
    assert result.status == "finished"
    after = outcome(folder).decided()
    assert (after["spent"], after["votes"]) == (before["spent"], before["votes"])
    found = rows(outcome, folder)
    for item in items:
        assert (found[item]["label"], found[item]["source"]) == (other(corpus, item), "person")
    for twin, origin in corpus.same.items():
        assert found[twin]["label"] == found[origin]["label"]
    assert len(decided(folder, "trained")) == rounds + 1
    assert len(decided(folder, "deliver")) == 2
    assert result.summary["best_round"] == decided(folder, "trained")[-1].round
    assert result.summary["stop"]["reason"] == "max_rounds"
    # Nothing waits any more: it stays.
    assert resume(folder).status == "finished"
    assert outcome(folder).decided() == after


def test_a_row_that_repeats_another_stands_for_it(corpus, undisturbed, tmp_path, outcome):
    folder = shutil.copytree(undisturbed, tmp_path / "run")
    twin, origin = next(iter(corpus.same.items()))
    say(folder, (twin, "bea", "label", other(corpus, origin)), ("zz", "bea", "no_label", None))
    resume(folder)
    found = rows(outcome, folder)
    assert found[twin]["label"] == found[origin]["label"] == other(corpus, origin)
    assert notes(folder)[-1] == "refused: no such item: 'zz'"


def test_a_capped_run_that_goes_on_keeps_its_corrections(corpus, tmp_path, outcome):
    config = corpus.config(budget={"usd": 0.3}, stopping={"max_rounds": 9, "stop_set_size": 50})
    folder = run(config, name="run", runs=tmp_path).folder
    items = list(corpus.gold)[:6]
    say(folder, *((item, "bea", "label", other(corpus, item)) for item in items[:3]))
    resume(folder)
    say(folder, *((item, "bea", "label", other(corpus, item)) for item in items[3:]))
    result = resume(folder, usd=2)
    assert result.summary["rounds"] > 0
    found = rows(outcome, folder)
    assert all(found[item]["label"] == other(corpus, item) for item in items)
    with open_run(folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        trained = training_set(ctx)
        assert {*items} - {*corpus.same} <= {*trained.ids}


def test_tested_labels_stay_as_they_were_but_for_the_corrected_ones(corpus, tmp_path, outcome):
    judge = corpus.recorded("strong", 3, trusted=True)
    config = corpus.config(
        annotators=[corpus.recorded("middle", 1), judge],
        ensemble={"guarantee": {"error": 0.3, "confidence": 0.9, "audits": 60}},
    )
    result = run(config, name="run", runs=tmp_path)
    folder, proven = result.folder, result.summary["guarantee"]
    assert proven["threshold"] is not None
    before, spent = rows(outcome, folder), outcome(folder).decided()["spent"]
    items = [i for i, row in before.items() if row["source"] == "model" and i not in corpus.same][
        :3
    ]
    say(folder, *((item, "bea", "label", other(corpus, item)) for item in items))
    again = resume(folder)
    after = rows(outcome, folder)
    changed = {
        i
        for i in before
        if (before[i]["label"], before[i]["outcome"]) != (after[i]["label"], after[i]["outcome"])
    }
    same = {twin for twin, origin in corpus.same.items() if origin in items}
    assert changed == {*items} | same
    assert outcome(folder).decided()["spent"] == spent
    assert again.summary["guarantee"] == {**proven, "corrected": 3}
    assert len(decided(folder, "last_audit")) == len(decided(folder, "guarantee")) == 1
    assert "After that test people have corrected 3 labels" in guaranteed(again.summary)
    assert again.summary["best_round"] > result.summary["best_round"]


def test_corrections_are_taken_once_through_kills(corpus, tmp_path, outcome):
    config = corpus.write("corrected.yaml", stopping={"max_rounds": 2, "stop_set_size": 50})
    first, items = tmp_path / "first", list(corpus.gold)[:4]
    assert carry_on(config, first, Death("decided", 1, 0)) == -9
    say(first, *((item, "bea", "label", other(corpus, item)) for item in items[:2]))
    whole = shutil.copytree(first, tmp_path / "whole")
    assert carry_on(config, whole) == 0
    over = shutil.copytree(whole, tmp_path / "over")
    say(over, *((item, "bea", "label", other(corpus, item)) for item in items[2:]))
    again = shutil.copytree(over, tmp_path / "again")
    assert carry_on(config, again) == 0
    for origin, wanted in ((first, whole), (over, again)):
        for statements in (3, 8, 13, 20, 40):
            folder = shutil.copytree(origin, tmp_path / f"{origin.name}{statements}")
            assert carry_on(config, folder, Death("node", 0, statements)) == -9
            assert carry_on(config, folder) == 0
            assert outcome(folder).decided() == outcome(wanted).decided()
            assert None not in notes(folder)


def test_corrections_of_a_sweep_are_learned_before_the_labels_are_delivered(
    corpus, tmp_path, outcome
):
    folder = tmp_path / "run"
    items = list(corpus.gold)[:2]

    def corrects():
        say(folder, *((item, "bea", "label", other(corpus, item)) for item in items))

    config = corpus.config(stopping={"max_rounds": 1, "stop_set_size": 50})
    result = run(config, name="run", runs=tmp_path, notify=Once("sweep", corrects))
    assert result.status == "finished"
    last = decided(folder, "trained")[-1]
    assert last.step > decided(folder, "corrections")[0].step
    learned = np.load(folder / "rounds" / f"{last.round:03d}" / "out_of_sample.npz")
    known = dict(zip(learned["ids"].tolist(), learned["labels"].tolist(), strict=True))
    assert [known[item] for item in items] == [
        corpus.labels.index(other(corpus, item)) for item in items
    ]
    assert result.summary["best_round"] == last.round


def test_a_run_without_a_label_delivers_what_people_say(corpus, tmp_path, outcome):
    # Nothing can be paid for, so there is nothing to learn from.
    folder = run(corpus.config(budget={"usd": 0}), name="run", runs=tmp_path).folder
    first, second, *_ = corpus.gold
    say(folder, (first, "bea", "no_label", None))
    assert resume(folder).status == "finished"
    assert rows(outcome, folder)[first]["outcome"] == "set_apart"
    say(folder, (second, "bea", "label", corpus.gold[second]))
    result = resume(folder)
    assert (result.status, result.summary["labels"]["accepted"]) == ("finished", 1)
    assert rows(outcome, folder)[second]["label"] == corpus.gold[second]
