"""The ladder of structured output, probed against the double over real HTTP."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import pytest
from doubles.openai_server import OpenAIServer, Reply, mode_of, obedient
from pydantic import BaseModel

from labelwright.agents.answers import shape
from labelwright.agents.endpoint import Endpoint, EndpointConfig
from labelwright.agents.paid_call import CallRefused, RetryPolicy, request_key
from labelwright.agents.structured import LADDER, StructuredChat
from labelwright.tools.errors import EndpointError
from labelwright.tools.ledger import Call, Ledger, Vote
from labelwright.tools.prompts import Message

ASKED = [Message("system", "Label."), Message("user", "cheap pills")]


class Labelled(BaseModel):
    label: Literal["spam", "ham"]


LABELLED = shape(Labelled)


def script(request):
    """Obedient, and with JSON in plain text where the prompt asks for it."""
    if mode_of(request) in ("json_object", "plain"):
        wanted = request["messages"][-1]["content"].rpartition("Answer in JSON: ")[2]
        if wanted.startswith("{"):
            first = json.loads(wanted)["properties"]["label"]["enum"][0]
            return Reply(f'Sure!\n```json\n{{"label": "{first}"}}\n```')
    return obedient(request)


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        yield ledger


@pytest.fixture
def server(openai_server: OpenAIServer):
    openai_server.script = script
    return openai_server


@pytest.fixture
def chat(server, ledger, wire_prompts):
    opened = []

    def build(**config):
        endpoint = Endpoint(
            EndpointConfig(
                **{"model": "m", "base_url": server.url, "price": {"in": 1, "out": 2}, **config}
            )
        )
        opened.append(endpoint)
        policy = RetryPolicy(retries=2, first_s=0)
        return StructuredChat(endpoint, ledger, wire_prompts, policy=policy)

    yield build
    for endpoint in opened:
        endpoint.close()


def label_call(number=0):
    return Call(request_key("label", number), "annotator", "a", "m", "label", 1, ("i1",), "h")


@pytest.mark.parametrize("rung", range(5))
def test_the_ladder_ends_where_the_server_can_follow(server, chat, ledger, rung):
    server.refuse = dict(zip(LADDER[:rung], (400, 500, 422, 404), strict=False))
    structured = chat()
    assert structured.mode() == LADDER[rung]
    asked = structured.ask(ASKED, LABELLED, label_call())
    assert asked.value == Labelled(label="spam")
    assert mode_of(server.served[-1].request) == LADDER[rung]
    tokens_in, tokens_out = server.tokens()
    assert ledger.balance().committed == tokens_in * 1_000 + tokens_out * 2_000
    # limit probe, one probe a rung (refusals are not repeated), the question
    assert len(server.served) == 1 + (rung + 1) + 1


def test_a_server_that_ignores_the_format_falls_down_the_ladder(server, chat):
    def deaf(request):
        return Reply("yes, spam") if "response_format" in request else obedient(request)

    server.script = deaf
    assert chat().mode() == "tool_required"


def test_a_second_run_does_not_probe_again(server, chat):
    server.refuse = {"json_schema": 400}
    assert chat().mode() == "tool_required"
    before = len(server.served)
    assert chat().mode() == "tool_required"
    assert len(server.served) == before


def test_threads_and_annotators_share_one_probe(server, chat):
    chats = [chat(), chat()]
    with ThreadPoolExecutor(8) as pool:
        modes = list(pool.map(lambda n: chats[n % 2].mode(), range(8)))
    assert set(modes) == {"json_schema"}
    assert len(server.served) == 2  # the token limit and one rung


def test_a_chosen_mode_is_not_probed(server, chat):
    structured = chat(structured="json_object")
    assert structured.mode() == "json_object"
    assert [mode_of(s.request) for s in server.served] == ["plain"]  # the token limit only


def test_the_schema_reaches_the_prompt_only_where_the_server_does_not_get_it(server, chat):
    chat(structured="json_schema").ask(ASKED, LABELLED, label_call(1))
    assert server.served[-1].request["messages"][-1]["content"] == "cheap pills"
    chat(structured="plain").ask(ASKED, LABELLED, label_call(2))
    last = server.served[-1].request["messages"]
    assert [m["role"] for m in last] == ["system", "user"]
    assert last[-1]["content"].startswith("cheap pills\n\nAnswer in JSON: {")


def test_no_rung_works(server, chat):
    server.script = lambda _: Reply("I would rather talk about the weather.")
    with pytest.raises(EndpointError, match=r"json_schema: not_json.*plain: not_json"):
        chat().mode()


def test_a_wrong_key_ends_the_probe_at_once(server, chat):
    server.script = lambda _: Reply("bad key", status=401)
    with pytest.raises(CallRefused, match="401"):
        chat().mode()
    assert len(server.served) == 1


def test_a_busy_server_is_waited_for_while_probing(server, chat):
    server.queue.extend([Reply("busy", status=429), Reply("down", status=503)])
    assert chat().mode() == "json_schema"


def test_a_limit_that_is_refused_by_name(server, chat):
    server.heeds = {"max_completion_tokens"}
    server.strict_parameters = True
    structured = chat()
    structured.ask(ASKED, LABELLED, label_call())
    assert server.served[-1].request["max_completion_tokens"] == 512
    assert "max_tokens" not in server.served[-1].request


def test_a_refused_name_is_not_tried_again(server, chat):
    server.heeds = {"max_completion_tokens"}
    server.strict_parameters = True
    chat().find_limit()
    assert len(server.served) == 2
    again = chat()
    again.find_limit()
    assert again.endpoint.limit_name == "max_completion_tokens"
    assert len(server.served) == 2


LONG = " ".join(["one two three four five"] * 10)


def talkative(request):
    return Reply(LONG) if "Count" in request["messages"][-1]["content"] else script(request)


def test_a_limit_that_is_ignored(server, chat):
    server.script = talkative
    server.heeds = {"max_completion_tokens"}
    structured = chat()
    structured.mode()
    assert structured.endpoint.limit_name == "max_completion_tokens"


def test_a_server_without_any_limit_is_refused(server, chat):
    server.script = talkative
    server.heeds = set()
    with pytest.raises(EndpointError, match="no budget could be kept"):
        chat().mode()


def test_a_chosen_limit_is_not_exchanged(server, chat):
    server.script = talkative
    server.heeds = {"max_completion_tokens"}
    with pytest.raises(EndpointError, match="max_tokens: 60 tokens came"):
        chat(limit_parameter="max_tokens").mode()


def test_a_limit_too_small_to_think_in_is_a_limit(server, chat):
    def thinker(request):
        if "Count" in request["messages"][-1]["content"]:
            return Reply("could not finish: the output limit was reached", status=400)
        return script(request)

    server.script = thinker
    assert chat().mode() == "json_schema"


def test_votes_are_written_with_the_answer_and_only_once(server, chat, ledger):
    structured = chat()

    def votes(asked):
        label = asked.value.label if asked.value else None
        return [
            Vote("i1", "a", label, asked.invalid, "h", 0, "label", 1, cost=asked.settlement.cost)
        ]

    first = structured.ask(ASKED, LABELLED, label_call(), votes=votes)
    again = structured.ask(ASKED, LABELLED, label_call(), votes=votes)
    assert again.value == first.value
    assert [v.label for v in ledger.votes.all()] == ["spam"]
    assert ledger.votes.all()[0].cost == first.settlement.cost > 0


def test_an_invalid_answer_is_paid_and_has_a_reason(server, chat, ledger):
    structured = chat()
    structured.mode()
    before = ledger.balance().spent
    server.queue.append(Reply('{"label": "eggs"}'))
    asked = structured.ask(ASKED, LABELLED, label_call())
    assert (asked.value, asked.invalid) == (None, "not_in_label_set")
    assert ledger.balance().spent - before == asked.settlement.cost > 0


def test_logprobs_are_kept(server, chat):
    structured = chat(params={"logprobs": True})
    asked = structured.ask(ASKED, LABELLED, label_call())
    pieces = asked.settlement.response["logprobs"]["content"]
    assert "".join(p["token"] for p in pieces) == '{"label": "spam"}'


def test_a_long_answer_is_truncated_not_an_exception(server, chat):
    structured = chat(max_output_tokens=16)
    structured.mode()
    server.queue.append(Reply('{"reason": "' + "x" * 200))
    assert structured.ask(ASKED, LABELLED, label_call()).invalid == "truncated"
