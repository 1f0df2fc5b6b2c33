"""Proposals of a run: a person's word or a policy puts them into effect, and nothing else does."""

import json

import pytest
import yaml

from labelwright.agents.critic_bench import Proposal
from labelwright.graph import resume, run
from labelwright.graph.acceptance import accept, changed_task, dismiss
from labelwright.graph.config import parse_config
from labelwright.graph.proposals import awaiting, listed, propose, take_up
from labelwright.graph.roster import roster
from labelwright.graph.session import LEDGER_FILE, create_run, open_run
from labelwright.graph.state import START
from labelwright.tools.errors import ConfigError
from labelwright.tools.ledger import CHECK_ATTEMPTS, Ledger
from labelwright.tools.task import TaskConfig

TASK = TaskConfig.model_validate(
    {
        "name": "t",
        "labels": [
            {"name": "a", "description": "As.", "examples": ["an a"]},
            {"name": "b", "description": "Bs."},
            {"name": "c"},
        ],
        "guidelines": "Look twice.",
    }
)


def made(kind, target="x", items=(), price=0.0):
    return Proposal(
        kind=kind, target=target, text="do it", evidence="seen", items=list(items), price_usd=price
    )


@pytest.fixture
def opened(corpus, tmp_path):
    """A run with a full pool; ``propose`` writes as the first round would."""

    def opened(**critic):
        create_run(corpus.config(critic={"audit_first": 6, **critic}), tmp_path / "run")
        return open_run(tmp_path / "run", notify=lambda _: None, stopping=lambda: False)

    return opened


def fill(ctx, corpus):
    texts = list(corpus.texts.values())
    ctx.pool.add(list(corpus.texts), texts, ctx.embedder.embed(texts))


FIRST = {**START, "step": 3, "round": 1}
NEXT = {**START, "step": 5, "round": 2}
LATER = {**START, "step": 7, "round": 3}


def test_nothing_happens_without_a_word(opened, corpus):
    with opened() as ctx:
        fill(ctx, corpus)
        propose(ctx, FIRST, [made("drop_annotator", "cheap")], "rule", "r")
        assert take_up(ctx, NEXT) == []
        assert [entry.accepted for entry in listed(ctx.ledger)] == [None]
        ctx.step = 7
        assert roster(ctx).dropped == frozenset()


def test_a_persons_word_is_taken_up_at_the_next_safe_point_once(opened, corpus):
    items = list(corpus.gold)[:3]
    with opened() as ctx:
        fill(ctx, corpus)
        suggested = [made("drop_annotator", "cheap"), made("relabel_items", "three", items)]
        propose(ctx, FIRST, suggested, "rule", "r")
        folder = ctx.folder
    assert "ordered (order " in accept(folder, 1).what
    accept(folder, 2)
    with pytest.raises(ConfigError, match="accepted before"):
        accept(folder, 2)
    with pytest.raises(ConfigError, match="no proposal 3"):
        accept(folder, 3)
    with open_run(folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        assert [entry.number for entry in awaiting(ctx.ledger)] == [1, 2]
        assert take_up(ctx, NEXT) == items
        # A step that runs again after a crash finds what it found the first time.
        assert take_up(ctx, NEXT) == items
        assert take_up(ctx, LATER) == []
        ctx.step = 7
        assert roster(ctx).dropped == {"cheap"}
        assert all(entry.applied for entry in listed(ctx.ledger))
        orders = [d for d in ctx.ledger.log.directives() if d.kind == "accept_proposal"]
        assert all(order.acknowledged for order in orders)


def test_the_first_word_on_a_proposal_counts(opened, corpus):
    items = list(corpus.gold)[:3]
    with opened(apply=["relabel_items"], apply_usd=5) as ctx:
        fill(ctx, corpus)
        suggested = [made("drop_annotator", "cheap"), made("drop_annotator", "middle")]
        propose(ctx, FIRST, suggested, "rule", "r")
        folder = ctx.folder
        # An answer that is there before the policy looks.
        ctx.ledger.log.direct("dismiss_proposal", {"number": 3})
        propose(ctx, NEXT, [made("relabel_items", "three", items, 0.1)], "rule", "r")
    assert dismiss(folder, 1) == dismiss(folder, 1)
    with pytest.raises(ConfigError, match="proposal 1 was dismissed"):
        accept(folder, 1)
    accept(folder, 2)
    with pytest.raises(ConfigError, match="proposal 2 was accepted before"):
        dismiss(folder, 2)
    with pytest.raises(ConfigError, match="no proposal 4"):
        dismiss(folder, 4)
    with open_run(folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        assert [entry.dismissed for entry in listed(ctx.ledger)] == [True, False, True]
        assert [entry.number for entry in awaiting(ctx.ledger)] == [2]
        given = [d for d in ctx.ledger.log.directives("dismiss_proposal") if d.acknowledged]
        assert [d.payload for d in given] == [{"number": 1}]
        for payload in (None, {}, {"number": "1"}, [1]):
            ctx.ledger.log.direct("accept_proposal", payload)
        assert [entry.number for entry in awaiting(ctx.ledger)] == [2]
        # Orders that nothing can come of are answered as well.
        late = ctx.ledger.log.direct("accept_proposal", {"number": 1})
        take_up(ctx, LATER)
        notes = {d.seq: d.acknowledged for d in ctx.ledger.log.directives("accept_proposal")}
        assert notes.pop(late) == "refused: proposal 1 was dismissed before"
        assert all(notes.values())


def test_a_policy_accepts_its_kinds_while_its_money_lasts(opened, corpus):
    items = list(corpus.gold)
    with opened(apply=["relabel_items"], apply_usd=0.5) as ctx:
        fill(ctx, corpus)
        suggested = [
            made("relabel_items", "dear", items[:4], 0.6),
            made("relabel_items", "cheap", items[4:8], 0.3),
            made("relabel_items", "one more", items[8:12], 0.3),
            made("relabel_items", "unknown", items[12:16], None),
            made("drop_annotator", "cheap"),
        ]
        propose(ctx, FIRST, suggested, "rule", "r")
        propose(ctx, FIRST, suggested, "rule", "r")  # the step runs again
        accepted = [entry.accepted for entry in listed(ctx.ledger)]
        assert accepted == [None, "policy", None, None, None]
        assert take_up(ctx, NEXT) == items[4:8]
        # The allowance is of the whole run, and what was proposed before is not proposed again.
        fresh = made("relabel_items", "again", items[20:24], 0.3)
        propose(ctx, NEXT, [*suggested, fresh], "rule", "r")
        assert [entry.proposal.target for entry in listed(ctx.ledger)][5:] == ["again"]
        assert listed(ctx.ledger)[5].accepted is None


def finished_run(config, tmp_path, kind="relabel_items", target="by hand"):
    """A finished run with an accepted proposal about four items."""
    result = run(config, name="run", runs=tmp_path)
    with Ledger(result.folder / LEDGER_FILE) as ledger:
        known = {vote.item_id for vote in ledger.votes.all() if vote.annotator == "strong"}
        items = sorted({vote.item_id for vote in ledger.votes.all()} - known)[:4]
    assert len(items) == 4
    with open_run(result.folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        step = {**START, "step": 900, "round": 1}
        propose(ctx, step, [made(kind, target, items)], "model m", "r")
        number = len(listed(ctx.ledger))
    with pytest.raises(ConfigError, match="takes no name and no text"):
        accept(result.folder, number, text="more")
    said = accept(result.folder, number).what
    assert "may spend the $" in said
    assert "labelwright resume NAME --usd" in said
    return result, items, number


def carried_out(folder, number):
    with Ledger(folder / LEDGER_FILE) as ledger:
        asked = {v.item_id for v in ledger.votes.all() if v.annotator == "strong"}
        return asked, listed(ledger)[number - 1].applied


def test_a_run_that_stopped_by_itself_goes_on_for_what_was_accepted(corpus, tmp_path):
    stopping = {"window": 1, "min_rounds": 2, "min_labels": 10, "class_min_labels": 1}
    stopping |= {"stop_set_size": 50, "noise_tolerance": 1, "patience": 1, "max_rounds": 9}
    annotators = [
        corpus.recorded("cheap", 1, price="free"),
        corpus.recorded("strong", 2, price="free", trusted=True),
    ]
    config = corpus.config(
        annotators=annotators,
        critic={"audit_first": 6, "accept_at": 0.5},
        stopping={**stopping, "free_churn": 1},
    )
    result, items, number = finished_run(config, tmp_path)
    assert result.summary["stop"]["reason"] == "cost_plateau"
    again = resume(result.folder)
    asked, applied = carried_out(result.folder, number)
    assert again.summary["rounds"] > result.summary["rounds"]
    assert set(items) <= asked
    assert applied == "4 labels are put to the next annotator"
    # Once: after it the run is over again.
    assert resume(result.folder).summary["rounds"] == again.summary["rounds"]


def test_what_was_accepted_is_bought_though_no_vote_is_worth_its_price(corpus, tmp_path):
    cheap = corpus.recorded("cheap", 1)
    strong = {**corpus.recorded("strong", 2, trusted=True), "price": {"per_label": 0.05}}
    stopping = {"max_rounds": 9, "stop_set_size": 50, "items": 10, "error_cost_usd": 0.001}
    config = corpus.config(
        annotators=[cheap, strong],
        selection={"batch_size": 60},
        critic={"audit_first": 6, "accept_at": 0.5},
        stopping=stopping,
        budget={"usd": 50},
    )
    result, items, number = finished_run(config, tmp_path)
    assert result.summary["stop"]["reason"] != "cap"
    resume(result.folder)
    asked, applied = carried_out(result.folder, number)
    assert applied == "4 labels are put to the next annotator"
    assert set(items) <= asked


@pytest.mark.parametrize(
    ("name", "why"), [("strong", "the audits rest on it"), ("cheap", "the last one")]
)
def test_an_annotator_that_the_run_needs_is_not_dropped(corpus, tmp_path, name, why):
    person = {"kind": "human", "name": "ann", "price": "free"}
    strong = corpus.recorded("strong", 2, price="free", trusted=True)
    cheap = corpus.recorded("cheap", 1, price="free")
    config = corpus.config(annotators=[cheap, strong if name == "strong" else person])
    result = run(config, name="run", runs=tmp_path, answer=lambda _: {})
    with open_run(result.folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        propose(ctx, {**START, "step": 900}, [made("drop_annotator", name)], "model m", "r")
        number = len(listed(ctx.ledger))
        accept(result.folder, number)
        take_up(ctx, {**START, "step": 901})
        assert why in listed(ctx.ledger)[number - 1].applied
        ctx.step = None
        assert roster(ctx).dropped == frozenset()


def test_a_run_that_may_not_go_on_says_so(corpus, tmp_path):
    stopping = {"max_rounds": 1, "stop_set_size": 50}
    config = corpus.config(stopping=stopping, critic={"audit_first": 6, "accept_at": 0.5})
    result, _, number = finished_run(config, tmp_path, "generate_for_class", "praise")
    again = resume(result.folder)
    assert again.summary["stop"]["reason"] in {"max_rounds", "pool_exhausted"}
    assert "not carried out" in carried_out(result.folder, number)[1]


@pytest.mark.parametrize(
    ("proposal", "names", "labels", "guidelines"),
    [
        (made("add_label", "(to be named) t"), ["d"], ["a", "b", "c", "d"], "Look twice."),
        (made("add_label", "Refund"), [], ["a", "b", "c", "Refund"], "Look twice."),
        (made("remove_label", "b"), [], ["a", "c"], "Look twice."),
        (made("merge_labels", "a | c"), [], ["a", "b"], "Look twice."),
        (made("merge_labels", "b | c"), ["bc"], ["a", "bc"], "Look twice."),
        (made("split_label", "b"), ["b1", "b2"], ["a", "b1", "b2", "c"], "Look twice."),
        (made("edit_guideline", "a"), [], ["a", "b", "c"], "Look twice.\n\ndo it"),
    ],
)
def test_a_task_after_a_proposal(proposal, names, labels, guidelines):
    changed, _ = changed_task(TASK, proposal, names, None)
    assert changed.label_names == labels
    assert changed.guidelines == guidelines


@pytest.mark.parametrize(
    ("proposal", "names", "match"),
    [
        (made("add_label", "(to be named) t"), [], "--name NAME"),
        (made("split_label", "b"), ["b1"], "--name A --name B"),
        (made("add_label", "x"), ["A"], "same name"),
    ],
)
def test_a_task_that_would_not_do_is_refused(proposal, names, match):
    with pytest.raises(ConfigError, match=match):
        changed_task(TASK, proposal, names, None)


def test_a_change_of_the_task_is_written_for_a_new_run_with_the_votes_that_hold(corpus, tmp_path):
    stopping = {"max_rounds": 1, "stop_set_size": 50}
    result = run(corpus.config(stopping=stopping), name="run", runs=tmp_path)
    folder = result.folder
    with open_run(folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        step = {**START, "step": 900, "round": 1}
        propose(ctx, step, [made("merge_labels", "billing | praise")], "model m", "r")
        number = len(listed(ctx.ledger))
        before = {
            (vote.annotator, vote.item_id)
            for vote in ctx.ledger.votes.all()
            if vote.label and vote.attempt < CHECK_ATTEMPTS
        }
    task_file, votes_file = accept(folder, number, names=["other"]).files
    task = yaml.safe_load(task_file.read_text(encoding="utf-8"))["task"]
    assert [label["name"] for label in task["labels"]] == ["other", "technical", "shipping"]
    rows = [json.loads(line) for line in votes_file.read_text(encoding="utf-8").splitlines()]
    assert {(row["annotator"], row["item_id"]) for row in rows} == before
    assert {row["label"] for row in rows} == {"other", "technical", "shipping"}
    # The file is ready: a run under it takes the old votes at no cost.
    comments = task_file.read_text(encoding="utf-8").splitlines()
    lines = [line[4:] for line in comments if line.startswith("#   ")]
    earlier = yaml.safe_load("\n".join(lines))["annotators"]
    settings = corpus.settings(stopping=stopping) | {"task": task, "annotators": earlier}
    fresh = run(parse_config(settings, folder=corpus.folder), name="new", runs=tmp_path)
    with Ledger(fresh.folder / LEDGER_FILE) as ledger:
        assert ledger.balance().spent == 0
        assert any(vote.label == "other" for vote in ledger.votes.all())
