"""The explanation of the stop rule with a scripted model over HTTP."""

import pytest
from doubles.openai_server import Reply

from labelwright.agents.critic import CriticConfig
from labelwright.agents.stop_agent import Explanation, explain_stop, numbers
from labelwright.tools.gates import Gate

LINES = ["Churn d of the 1,000 stop-set items: 1.80 %.", "Expected gain: $1.73, less than $24.00."]
PASSED = Gate("classes", True, "50 labels for each class: met")
FAILED = Gate("label_noise", False, "14 of 100 wrong", "relabel")


@pytest.fixture
def go(desk, model):
    def go(verdict="continue", gates=(PASSED,), config=None, **more):
        return explain_stop(
            desk,
            config or CriticConfig(model=model.config(**more)),
            lines=LINES,
            gates=gates,
            verdict=verdict,
            round_=4,
        )

    return go


@pytest.fixture
def submit(call):
    def submit(text="The last rounds gained less than the $24 they cost.", spend_less=False):
        return call("submit_explanation", text=text, spend_less=spend_less, reason="$1.73 < $24")

    return submit


def test_without_a_model_there_is_no_explanation(go, model):
    assert go(config=CriticConfig()) == Explanation("", False, "", "rule")
    assert model.requests == []


def test_it_explains(go, model, desk, submit):
    model.says(submit())
    said = go("propose_stop", (PASSED, FAILED))
    assert said.text.startswith("The last rounds")
    assert (said.spend_less, said.by) == (False, "model m")
    asked = model.requests[0]
    assert (
        "label_noise: failed, 14 of 100 wrong (action: relabel)" in asked["messages"][1]["content"]
    )
    assert [tool["function"]["name"] for tool in asked["tools"]] == ["submit_explanation"]
    assert desk.ledger.balance().committed == model.spent() > 0
    assert desk.ledger.log.transcript()[-1]["content"]["decision"]["spend_less"] is False


def test_it_may_spend_less_where_the_rule_goes_on(go, model, submit):
    model.says(submit(spend_less=True))
    assert go("continue", (PASSED,)).spend_less is True


@pytest.mark.parametrize(
    ("verdict", "gates"),
    [("continue", (PASSED, FAILED)), ("stop", (PASSED,)), ("propose_stop", (PASSED,))],
)
def test_it_can_not_overrule(go, model, submit, verdict, gates):
    model.says(submit(spend_less=True), submit())
    assert go(verdict, gates).spend_less is False
    assert "spend_less: must be false" in model.requests[1]["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Another $37 would buy nothing.", "the number 37"),
        ("word " * 200, "200 words"),
    ],
)
def test_invented_numbers_and_essays_are_sent_back(go, model, submit, text, told):
    model.says(
        submit(text=text), submit(text="1.8 % of 1000 items moved, for $24.00, in 3 rounds.")
    )
    assert go().text.startswith("1.8 %")
    assert told in model.requests[1]["messages"][-1]["content"]


def test_numbers_are_read():
    assert numbers("$1,024.50 of 12, at 0.02 (3 %).") == {1024.5, 12, 0.02, 3}


@pytest.mark.parametrize(
    ("replies", "more", "why"),
    [
        ([Reply("It stops."), Reply("It stops.")], {}, "called no tool"),
        ([Reply("down", status=503)], {}, "HTTP 503"),
        ([], {"usd_per_decision": 0.000001}, "out of allowance"),
    ],
)
def test_a_failure_changes_nothing(go, model, replies, more, why):
    model.says(*replies)
    said = go(**more)
    assert (said.text, said.spend_less) == ("", False)
    assert said.by.startswith("rule: ")
    assert why in said.by


def test_a_rerun_sends_nothing(go, model, desk, submit):
    model.says(submit(spend_less=True))
    first, balance = go(), desk.ledger.balance()
    assert go() == first
    assert len(model.requests) == 1
    assert desk.ledger.balance() == balance
