"""What the panel says of corrections: what they changed, and how they stand to the audit."""

import json

import pytest
from doubles.built_run import configured, pooled

from labelwright.tools.ledger import Decision, Ledger
from labelwright.tools.watch.corrected import last_learned, learned_words
from labelwright.tools.watch.live import Live
from labelwright.tools.watch.measures import corrections_note
from labelwright.tools.watch.status import RunStatus

NOTHING = {"corrected": 3, "by": ["Ada"], "by_student": True,
           "relabelled": 0, "accepted": 0, "set_apart": 0}  # fmt: skip


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            {},
            "Your 3 corrections are in. The student has learned from them; no other label changed.",
        ),
        (
            {"relabelled": 5, "accepted": 1},
            "Your 3 corrections are in. The student has learned from them; 5 other labels changed, "
            "1 text that was set apart has a label now.",
        ),
        (
            {"relabelled": 1, "accepted": 2, "set_apart": 1_200, "corrected": 1},
            "Your correction is in. The student has learned from it; 1 other label changed, "
            "2 texts that were set apart have a label now, 1,200 texts that had a label are set "
            "apart now.",
        ),
        (
            {"by": ["Ada", "Bo"], "set_apart": 1},
            "3 corrections are in. The student has learned from them; 1 text that had a label is "
            "set apart now.",
        ),
        (
            {"by": ["Bo"], "corrected": 1, "by_student": False},
            "1 correction is in. The student that is delivered is an earlier one; no other label "
            "changed.",
        ),
    ],
)  # fmt: skip
def test_what_the_corrections_changed_in_words(found, words):
    assert learned_words({**NOTHING, **found}, "Ada") == words


def test_only_the_last_delivery_counts(tmp_path):
    reader = configured(tmp_path)
    assert last_learned(reader) is None
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        for step, more in ((1, {}), (2, {"learned": NOTHING}), (3, {})):
            ledger.log.decide(Decision(step, 1, "critic", "deliver", {"best_round": 1, **more}, {}))
            assert last_learned(reader) == more.get("learned")


def corrections(step, **items):
    return Decision(step, 1, "operator", "corrections", {"items": items}, {})


def test_labels_corrected_outside_of_the_audits_are_counted_as_they_come(tmp_path):
    live = Live(configured(tmp_path))
    assert live.corrected() == 0
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        audit = {"batch": ["x"], "audit": ["u", "v"], "recheck": []}
        ledger.log.decide(Decision(1, 1, "selector", "batch", audit, {}))
        ledger.log.decide(corrections(2, u="a", x="b", y="b", z=None))
        assert live.corrected() == 2
        # A second word on a text is no second text, and takes the place of the first.
        ledger.log.decide(corrections(3, x="c", z="a", y=None))
        assert live.corrected() == 2
        ledger.log.decide(Decision(4, 1, "critic", "last_audit", {"items": ["z"]}, {}))
        assert live.corrected() == Live(live.reader).corrected() == 1


def test_how_corrections_stand_to_the_audits_figure_is_said_where_there_are_any(tmp_path):
    pooled(tmp_path, ["x", "y"])
    live = Live(configured(tmp_path))
    going, over = RunStatus("stopped"), RunStatus("finished")
    tested = {"labels": {"estimate": 0.9}, "threshold": 0.8}
    summary = tmp_path / "summary.json"
    summary.write_text(json.dumps({"quality": {}, "guarantee": tested}))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert corrections_note(live, going) == corrections_note(live, over) == ""
        ledger.log.decide(corrections(2, x="a", y="b"))
        counted = "estimated from the audit; 2 corrected labels count as right in it"
        assert corrections_note(live, going) == counted
        # What was corrected before the last audit was in what it tested.
        assert corrections_note(live, over) == ""
        summary.write_text(
            json.dumps({"guarantee": {**tested, "corrected": 1}, "quality": {"": 0}})
        )
        left_out = "by the last audit; 1 corrected label is not counted in it"
        assert corrections_note(live, over) == left_out
        # A last audit that could prove nothing gives no figure.
        unproven = {"labels": None, "threshold": None, "corrected": 2}
        summary.write_text(json.dumps({"guarantee": unproven, "quality": {"other": 0}}))
        assert corrections_note(live, over) == counted
