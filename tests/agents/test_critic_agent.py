"""The critic agent with a scripted model over HTTP."""

from dataclasses import replace

import numpy as np
import pytest
from doubles.openai_server import Reply

from labelwright.agents.ballot import Ballot
from labelwright.agents.critic import CriticConfig, Ruling, rule_on_labels
from labelwright.agents.critic_agent import disputed, review, same_voter
from labelwright.agents.critic_bench import Bench
from labelwright.agents.ensemble import Voter, next_voter
from labelwright.agents.verdict import Verdict
from labelwright.tools.ledger import Consensus, Decision

CHEAP = Voter("cheap", 1, False, False, True)
STRONG = Voter("strong", 2, False, False, True)
PERSON = Voter("ann", 9, True, True, False)
ORDER = [CHEAP, STRONG, PERSON]
TABLE = [{"annotator": "cheap", "tier": 1, "reliability": 0.7, "audited": 0}]


@pytest.fixture
def ballot():
    """i00 sure; i01 flagged; i02 doubtful; i03 hopeless; i04 gold; i05 invalid; i06 nearly sure."""
    votes = np.full((7, 3), -1)
    votes[:, 0] = [0, 1, 2, 0, 1, -1, 0]
    votes[3, 1] = 1
    votes[4, 2] = 2
    answers = (votes >= 0).astype(int)
    answers[5, 0] = 1
    return Ballot(tuple(f"i{n:02}" for n in range(7)), ("cheap", "strong", "ann"), votes, answers)


@pytest.fixture
def verdict():
    p = np.asarray([0.95, 0.9, 0.6, 0.4, 1.0, 0.34, 0.85])
    label = np.asarray([0, 1, 2, 0, 2, 0, 0])
    posterior = np.repeat((1 - p)[:, None] / 2, 3, axis=1)
    posterior[np.arange(7), label] = p
    return Verdict(label, p, np.zeros(7, bool), posterior)


@pytest.fixture
def go(desk, model, ballot, verdict):
    gold = np.arange(7) == 4

    def go(allowed=3, passes=0, config=None, **more):
        config = config or CriticConfig(model=model.config(**more))

        def following(row):
            return next_voter(ORDER, ballot, row, out_of_reach=["ann"], attempts=2)

        rulings = rule_on_labels(
            config,
            ballot,
            verdict,
            {"i01": ["neighbours disagree"]},
            following,
            allowed=allowed,
            gold=gold,
            declined=np.zeros(len(gold), bool),
            labels=desk.task.label_names,
        )
        return rulings, review(
            desk,
            config,
            rulings,
            ballot,
            verdict,
            following,
            same_voter=lambda row: same_voter(ORDER, ballot, row, out_of_reach=[], attempts=2),
            price=lambda items: 2_000_000 * len(items),
            fixed=gold,
            allowed=allowed,
            round_=3,
            passes=passes,
            table=TABLE,
        )

    return go


@pytest.fixture
def submit(call):
    def submit(*outcomes, proposals=()):
        wanted = [
            {"item_id": item, "action": action, "reason": "read it"} for item, action in outcomes
        ]
        return call(
            "submit_review", outcomes=wanted, proposals=list(proposals), reason="overlap of labels"
        )

    return submit


def proposal(kind, target, **more):
    return {"kind": kind, "target": target, "text": "t", "evidence": "i01, i02", **more}


def test_without_a_model_or_in_a_later_pass_the_rule_decides(go, model):
    rulings, reviewed = go(config=CriticConfig())
    assert (reviewed.rulings, reviewed.by, reviewed.proposals) == (rulings, "rule", [])
    assert go(passes=1)[1].by == "rule"
    assert model.requests == []


def test_what_is_disputed(go, verdict):
    rulings, _ = go(config=CriticConfig())
    assert [r.action for r in rulings] == [
        "accept",
        "escalate",
        "escalate",
        "set_apart",
        "accept",
        "re_ask",
        "accept",
    ]
    gold = np.arange(7) == 4
    assert disputed(rulings, verdict, gold, 20) == [5, 3, 2, 1, 6, 0]
    assert disputed(rulings, verdict, gold, 2) == [5, 3]
    returned = [replace(r, action="return") if r.item_id == "i02" else r for r in rulings]
    assert disputed(returned, verdict, gold, 20) == [5, 3, 1, 6, 0]
    plain = [Ruling(r.item_id, "accept", "") for r in rulings]
    assert disputed(plain, verdict, gold, 20) == []


def test_nothing_disputed_costs_nothing(desk, model, ballot, verdict):
    plain = [Ruling(item, "accept", "") for item in ballot.item_ids]
    reviewed = review(
        desk,
        CriticConfig(model=model.config()),
        plain,
        ballot,
        verdict,
        lambda _: None,
        same_voter=lambda _: None,
        price=lambda _: None,
        fixed=np.zeros(7, bool),
        allowed=3,
        round_=1,
        passes=0,
        table=TABLE,
    )
    assert (reviewed.rulings, reviewed.by) == (plain, "rule: no label is disputed")
    assert model.requests == []


def test_it_reviews_and_proposes(go, model, desk, submit, call, result):
    read = []

    def then(reply):
        def step(request):
            read.append(result(request))
            return reply

        return step

    settled = Consensus("i20", "technical", 0.9, False, "model", "accept", "", {})
    desk.ledger.votes.conclude(0, 1, [settled])
    model.says(
        call("findings"),
        then(call("item", item_id="i03")),
        then(call("item", item_id="i20")),
        then(call("neighbours", item_id="i02", k=3)),
        then(call("annotator_table")),
        then(call("money")),
        then(
            submit(
                ("i01", "accept"),
                ("i02", "set_apart"),
                ("i06", "escalate"),
                ("i00", "re_ask"),
                proposals=[
                    proposal("relabel_items", "refunds", items=["i01", "i02"]),
                    proposal("edit_guideline", "billing"),
                ],
            )
        ),
    )
    rulings, reviewed = go()
    changed = {r.item_id: r for r in reviewed.rulings}
    assert (changed["i01"].action, changed["i01"].flags) == ("accept", ("neighbours disagree",))
    assert changed["i01"].reason == "critic: read it"
    assert changed["i02"].action == "set_apart"
    assert (changed["i06"].action, changed["i06"].annotator) == ("escalate", "strong")
    again = changed["i00"]
    assert (again.action, again.annotator, again.attempt) == ("re_ask", "cheap", 1)
    for row in (3, 4, 5):
        assert reviewed.rulings[row] == rulings[row]
    assert (reviewed.by, reviewed.reason) == ("model m", "overlap of labels")
    assert reviewed.settled == ("i01", "i02")
    assert [p.price_usd for p in reviewed.proposals] == [0.004, None]
    findings, item, other, near, table, money = read
    assert [line["id"] for line in findings["queue"]] == ["i05", "i03", "i02", "i01", "i06", "i00"]
    assert findings["queue"][0]["label"] is None
    assert item["votes"] == {"cheap": "billing", "strong": "technical"}
    assert item["rule_reason"].startswith("best label 'billing'")
    assert other["accepted_label"] == "technical"
    assert len(near["items"]) == 3
    assert table == {"annotators": TABLE}
    assert money == {"spent": "$0.00", "cap": "no limit", "left": "no limit"}
    assert "At most 3 labels can be sent on" in model.requests[0]["messages"][1]["content"]
    assert desk.ledger.balance().committed == model.spent() > 0


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        ([("i04", "set_apart")], "'i04' is not under review"),
        ([("i77", "accept")], "'i77' is not under review"),
        ([("i01", "accept"), ("i01", "set_apart")], "named 2 times"),
        ([("i05", "accept")], "no valid vote"),
        ([("i03", "accept")], "below 0.5 no label is accepted"),
        ([("i03", "escalate")], "has nobody above"),
        ([("i00", "escalate"), ("i06", "escalate")], "4 labels would be sent on"),
        ([("i01", "relabel")], "relabel"),
    ],
)
def test_outcomes_that_are_not_open(go, model, submit, outcomes, told):
    model.says(submit(*outcomes), submit(("i01", "accept")))
    _, reviewed = go()
    assert told in model.requests[-1]["messages"][-1]["content"]
    assert reviewed.rulings[1].action == "accept"


def test_accepting_makes_room_to_send_another(go, model, submit):
    model.says(submit(("i01", "accept"), ("i06", "escalate")))
    rulings, reviewed = go(allowed=2)
    assert [r.action for r in rulings].count("escalate") == 2
    assert reviewed.rulings[6].action == "escalate"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([proposal("relabel_items", "x")], "must list the ids"),
        ([proposal("relabel_items", "x", items=["i30"])], "no tool has returned the item 'i30'"),
        ([proposal("drop_annotator", "nobody")], "cheap, strong, ann"),
        ([proposal("add_label", "billing")], "already"),
        ([proposal("merge_labels", "billing | refunds")], "does not name labels"),
        ([proposal("merge_labels", "billing")], "two or more"),
        ([proposal("generate_for_class", "refunds")], "does not name labels"),
        ([proposal("edit_guideline", "x")] * 4, "at most 3"),
        ([proposal("edit_guideline", "x", price_usd=0.0)], "price_usd"),
    ],
)
def test_proposals_that_make_no_sense(go, model, submit, given, told):
    good = [
        proposal("merge_labels", "billing | technical"),
        proposal("generate_for_class", "technical"),
        proposal("drop_annotator", "cheap"),
    ]
    model.says(submit(proposals=given), submit(proposals=good))
    _, reviewed = go()
    assert told in model.requests[-1]["messages"][-1]["content"]
    assert [p.kind for p in reviewed.proposals] == [
        "merge_labels",
        "generate_for_class",
        "drop_annotator",
    ]


@pytest.mark.parametrize(
    ("replies", "more", "why"),
    [
        ([Reply("fine"), Reply("fine")], {}, "called no tool"),
        ([Reply("down", status=503)], {}, "HTTP 503"),
        ([], {"usd_per_decision": 0.000001}, "out of allowance"),
    ],
)
def test_a_failure_leaves_the_rule_in_charge(go, model, replies, more, why):
    model.says(*replies)
    rulings, reviewed = go(**more)
    assert (reviewed.rulings, reviewed.proposals) == (rulings, [])
    assert reviewed.by.startswith("rule: ")
    assert why in reviewed.by


def test_a_rerun_sends_nothing_although_labels_were_settled(go, model, desk, submit, call):
    model.says(call("neighbours", item_id="i03", k=10), call("money"), submit(("i01", "accept")))
    _, first = go()
    transcript = desk.ledger.log.transcript()
    # What a crash leaves that came after the labels were written and before the checkpoint.
    items = [
        Consensus(r.item_id, "billing", 0.9, False, "model", "accept", "", {}) for r in go()[0]
    ]
    desk.ledger.votes.conclude(9, 3, items)
    assert go()[1] == first
    assert len(model.requests) == 3
    assert desk.ledger.log.transcript() == transcript
    assert [m["role"] for m in transcript][:3] == ["money", "system", "user"]
    assert transcript[-1]["content"]["decision"]["reason"] == "overlap of labels"


def test_who_can_be_asked_again(ballot):
    def again(row, **more):
        return same_voter(ORDER, ballot, row, **{"out_of_reach": [], "attempts": 2, **more})

    assert again(0) == (CHEAP, 1)
    assert again(3) == (STRONG, 1)
    assert again(4) is None
    assert again(0, attempts=1) is None
    assert again(0, out_of_reach=["cheap"]) is None


def test_alarms_are_those_of_earlier_steps(desk, ballot, verdict, go):
    rulings, _ = go(config=CriticConfig())
    record = {"alarms": ["cheap: its answers follow the order of the labels"]}
    desk.ledger.log.decide(Decision(5, 2, "critic", "consistency", record, None))

    def told(step):
        bench = Bench(
            desk=replace(desk, step=step),
            config=CriticConfig(),
            rulings=rulings,
            ballot=ballot,
            verdict=verdict,
            next_voter=lambda row: None,
            same_voter=lambda row: None,
            allowed=0,
            table=TABLE,
            queue=[1],
            account={},
        )
        return "alarm: cheap" in bench.summary()

    # A step that runs again after a crash puts the same question, which is paid already.
    assert [told(step) for step in (5, 6, None)] == [False, True, True]
