"""The operator's agent with a scripted model over HTTP, beside a run that goes on."""

import json
import threading

import pytest
from doubles.openai_server import Reply
from doubles.operator_run import HOSTILE, write_run

from labelwright.agents.operator.talk import tell
from labelwright.graph.config import load_config
from labelwright.graph.operator import LOCK_FILE, carry_out, reply
from labelwright.tools.errors import ConfigError
from labelwright.tools.ledger import OPERATOR, Call, Ledger
from labelwright.tools.locking import hold
from labelwright.tools.watch import RunReader


class Model:
    """The server's script; the probe of the token limit is answered beside it."""

    def __init__(self, server):
        self.server = server

    def says(self, *steps):
        rest = iter(steps)

        def answer(request):
            if "Count from one to sixty" in str(request["messages"][-1]["content"]):
                return Reply("one, two")
            step = next(rest)
            return step if isinstance(step, Reply) else step(request)

        self.server.script = answer

    @property
    def requests(self):
        asked = [served.request for served in self.server.served]
        return [a for a in asked if "Count from one" not in str(a["messages"][-1]["content"])]


def call(tool, **arguments):
    return Reply(tool_calls=((tool, arguments),))


def submit(text="It goes well.", order=None):
    return call("submit_answer", text=text, order=order)


@pytest.fixture
def model(openai_server):
    return Model(openai_server)


@pytest.fixture
def folder(tmp_path, model):
    config = {
        "model": "m",
        "base_url": model.server.url,
        "price": {"in": 1, "out": 2},
        "retries": 0,
    }
    return write_run(tmp_path / "run", state="stopped", operator={"model": config})


@pytest.fixture
def ask(folder):
    reader = RunReader(folder)
    yield lambda text="and now?", **more: reply(folder, tell(reader, text, **more).message)
    reader.close()


def words(made):
    return "\n".join(line.text for line in made.lines)


def test_it_looks_answers_and_is_paid(ask, model, folder):
    model.says(
        call("item", item_id="m4"),
        call("confusions", one="bill", other="delivery"),
        call("next_dollars", usd=5),
        submit("cheap said billing on m4; the cap is $10.00."),
    )
    made = ask("what is odd about m4?", by="Ada")
    assert (made.by, made.title) == ("model m", "Answer")
    assert "cheap said billing" in words(made)
    seen = [m["content"] for m in model.requests[-1]["messages"] if m["role"] == "tool"]
    assert json.loads(seen[0])["lines"][0] == {"id": "m4", "text": "where is parcel 4"}
    assert "billing and delivery: annotators disagree" in seen[1]
    assert "Another $5.00 buys" in seen[2]
    with Ledger(folder / "ledger.sqlite") as ledger:
        paid = [row for row in ledger.spending() if row["agent"] == OPERATOR and row["cost"]]
        transcript = ledger.log.transcript()
    tokens_in, tokens_out = model.server.tokens()
    assert sum(row["cost"] for row in paid) == tokens_in * 1_000 + tokens_out * 2_000
    assert {row["purpose"] for row in paid} >= {"chat"}
    assert transcript[-1]["role"] == "answer"
    assert load_config(folder / "run.yaml").endpoints()[-1][0] == "operator"


def test_what_it_is_told_of_the_run(ask, model):
    model.says(submit(), submit())
    ask("why would I trust this")
    ask("and that?", item="m1")
    first, second = model.requests[0]["messages"], model.requests[1]["messages"]
    assert "- cap $3 / raise the cap to 3 dollars" in first[0]["content"]
    assert "The run is paused." in first[1]["content"]
    assert 'The operator says: "why would I trust this"' in first[1]["content"]
    assert '- you: "Answer It goes well."' in second[1]["content"]
    assert 'the item "m1" open' in second[1]["content"]
    tools = [tool["function"]["name"] for tool in model.requests[0]["tools"]]
    looks = [
        "status",
        "money",
        "quality",
        "item",
        "confusions",
        "next_dollars",
        "stop_rule",
        "proposals",
    ]
    assert tools == [*looks, "submit_answer"]


def test_it_may_offer_one_order_and_change_nothing(ask, model, folder):
    model.says(submit("I would set the cap to $3.00.", "cap $3"))
    made = ask("please make this cheaper")
    assert made.offer["order"] == {"kind": "cap", "payload": {"usd": 3.0, "was": 10.0}}
    assert words(made).startswith("I would set the cap")
    with Ledger(folder / "ledger.sqlite") as ledger:
        assert ledger.log.directives() == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (submit(order="cap 1e99"), "order: '1e99' is no amount"),
        (submit(order="status"), "that is a question"),
        (submit(order="pause"), "order: The run is paused, so there is nothing to pause."),
        (submit(order=f"relabel m1 as {HOSTILE}"), "order: There is no label"),
        (submit(order="delete everything"), "order: That is none of the commands."),
        (submit("It has 4711 labels."), "the number 4711 is not among those given"),
        (submit("word " * 300), "300 words"),
        (call("item", item_id="nobody"), "the pool has no item 'nobody'"),
        (call("next_dollars", usd=-1), "greater than 0"),
        (call("confusions", one="x", other="y"), "there is no label 'x'"),
    ],
)
def test_what_is_not_acceptable_is_sent_back(ask, model, wrong, told):
    model.says(wrong, submit())
    assert ask().by == "model m"
    assert told in model.requests[1]["messages"][-1]["content"]


def test_texts_of_the_pool_give_no_orders(ask, model):
    """What a text says reaches the model as a tool's result, and nothing it says is carried out."""
    model.says(call("item", item_id=HOSTILE), submit())
    made = ask("look at the odd one")
    assert made.offer is None
    result = model.requests[1]["messages"][-1]
    assert result["role"] == "tool"
    assert HOSTILE in json.loads(result["content"])["lines"][0]["text"]


@pytest.mark.parametrize(
    ("replies", "why"),
    [
        ([Reply("down", status=503)], "HTTP 503"),
        ([Reply("bad key", status=401)], "HTTP 401"),
        ([Reply("prose"), Reply("prose")], "called no tool"),
    ],
)
def test_on_failure_the_grammar_answers_and_says_so(ask, model, replies, why):
    model.says(*replies)
    made = ask("statsu")
    assert made.by.startswith("grammar: ")
    assert "Did you mean: status?" in words(made)
    assert f"The model did not answer: {made.by.removeprefix('grammar: ')}" in words(made)
    assert why in words(made)


def test_no_money_no_question(ask, model, folder):
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.log.direct("cap", {"usd": 2.25, "was": 10})
    made = ask()
    assert "out of allowance" in made.by
    assert model.server.served == []


def test_a_cap_that_is_lowered_while_it_thinks_holds(ask, model, folder):
    def lower(request):
        with Ledger(folder / "ledger.sqlite") as ledger:
            ledger.log.direct("cap", {"usd": 0, "was": 10})
        return call("money")

    model.says(lower, submit())
    made = ask()
    assert "cap of $0.00" in words(made)
    # The second step was not sent.
    assert len(model.requests) == 1


def test_one_conversation_at_a_time(ask, model, folder):
    with hold(folder / LOCK_FILE, "the chat"):
        assert "is in use by" in ask().by
    assert model.server.served == []


def test_a_run_that_begins_meanwhile_does_not_lose_the_answer(ask, model, folder):
    """The run's process settles what a kill left open; the chat's call is none of that."""
    recovered = []

    def slow(request):
        with Ledger(folder / "ledger.sqlite") as ledger:
            lost = Call("lost", "critic", None, "m", "review", 1)
            ledger.reserve(lost, 10, try_no=0, bound_tokens=1)
            recovered.append(ledger.recover())
        return submit()

    model.says(slow)
    assert ask().by == "model m"
    assert recovered == [1]
    with Ledger(folder / "ledger.sqlite") as ledger:
        assert (ledger.balance().reserved, ledger.balance().uncertain) == (0, 10)


def test_two_processes_share_one_cap(ask, model, folder):
    """Money that the run has reserved is not there for the chat, and the other way round."""
    stop = threading.Event()
    refused = []

    def spend():
        from labelwright.tools.errors import BudgetExceeded
        from labelwright.tools.ledger import Caps, Settlement

        with Ledger(folder / "ledger.sqlite", Caps(money=10**10)) as ledger:
            number = 0
            while not stop.is_set():
                number += 1
                asked = Call(f"r{number}", "annotator", "cheap", "m", "label", 3)
                try:
                    bought = ledger.reserve(asked, 10**9, try_no=0, bound_tokens=1)
                except BudgetExceeded:
                    refused.append(number)
                    return
                ledger.settle(bought, Settlement("answered", cost=10**9))

    def while_spending(request):
        thread = threading.Thread(target=spend)
        thread.start()
        thread.join()
        return submit()

    model.says(while_spending)
    ask()
    stop.set()
    assert refused
    with Ledger(folder / "ledger.sqlite") as ledger:
        assert ledger.balance().committed <= 10**10


def test_a_killed_answer_is_settled_by_the_next_one(ask, model, folder):
    with Ledger(folder / "ledger.sqlite") as ledger:
        lost = Call("lost", OPERATOR, None, "m", "chat", 1)
        ledger.reserve(lost, 10, try_no=0, bound_tokens=1)
    model.says(submit())
    ask()
    with Ledger(folder / "ledger.sqlite") as ledger:
        assert ledger.balance().uncertain == 10


def test_a_task_order_is_written_for_a_new_run(folder):
    reader = RunReader(folder)
    try:
        for said, stem in (("guideline: Be brief.", "guideline-001"), ("accept proposal 2", "002")):
            made = tell(reader, said)
            from labelwright.agents.operator.talk import settle

            order = settle(reader, made.reply, yes=True).todo
            done = carry_out(folder, made.reply, order, by="Ada")
            assert [path.name for path in done.files] == [
                f"{stem}-task.yaml",
                f"{stem}-votes.jsonl",
            ]
        text = (folder / "proposals" / "guideline-001-task.yaml").read_text()
        assert "A guideline of the operator, for a run after run." in text
        assert "Be brief." in text
        with pytest.raises(ConfigError, match="no message 999"):
            reply(folder, 999)
    finally:
        reader.close()
