"""How sure a chat model is: stated, from the probabilities of tokens, or not asked for."""

import json
import math
import re

import pytest
from doubles.openai_server import Reply, obedient

from labelwright.agents.annotators import Asking, Question
from labelwright.agents.annotators.chat import ChatAnnotator
from labelwright.agents.annotators.settings import ChatAnnotatorConfig
from labelwright.agents.answers import label_probabilities
from labelwright.tools.errors import EndpointError
from labelwright.tools.ledger import Ledger
from labelwright.tools.prompts import PromptLibrary, packaged_prompts
from labelwright.tools.task import TaskConfig

TASK = TaskConfig.model_validate({"name": "mail", "labels": [{"name": "spam"}, {"name": "häm"}]})
PROMPTS = PromptLibrary([packaged_prompts()])
_MANY = re.compile(r'<item-\w+ id="(\d+)">\n(.*?)\n</item-', re.DOTALL)


def script(request):
    """Labels a text by its first word; states 0.7 only where it is asked to."""
    system, content = (request["messages"][place]["content"] for place in (0, -1))
    stated = {"confidence": 0.7} if '"confidence"' in system else {}
    if many := _MANY.findall(content):
        answers = [{"id": n, "label": text.split()[0], **stated} for n, text in many]
        return Reply(json.dumps({"answers": answers}, ensure_ascii=False))
    one = re.search(r"<text-\w+>\n(\S+)", content)
    if one is None:
        return obedient(request)
    label = None if one[1] == "none" else one[1]
    return Reply(json.dumps({"label": label, **stated}, ensure_ascii=False))


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "l.sqlite") as ledger:
        yield ledger


@pytest.fixture
def build(openai_server, ledger):
    openai_server.script = script
    made = []

    def annotator(prompts=PROMPTS, **more):
        basic = {"kind": "chat", "name": "m", "model": "m", "base_url": openai_server.url}
        config = {**basic, "price": {"in": 1, "out": 2}, "retries": 0, "reasons": False, **more}
        settings = ChatAnnotatorConfig.model_validate(config)
        made.append(ChatAnnotator(settings, TASK, prompts, ledger, lambda: False))
        return made[-1]

    yield annotator
    for one in made:
        one.close()


def ask(annotator, ledger, *texts):
    questions = [Question(f"i{n}", text, 0) for n, text in enumerate(texts)]
    annotator.ask(questions, Asking(ledger, "label", 1))
    return [(vote.label, vote.confidence) for vote in ledger.votes.all()]


@pytest.mark.parametrize("size", [1, 3])
def test_stated(build, ledger, size):
    annotator = build(items_per_request=size)
    assert ask(annotator, ledger, "spam a", "häm b") == [("spam", 0.7), ("häm", 0.7)]


@pytest.mark.parametrize("size", [1, 3])
def test_none_is_not_asked_for(openai_server, build, ledger, size):
    annotator = build(items_per_request=size, confidence="none")
    assert ask(annotator, ledger, "spam a", "häm b") == [("spam", None), ("häm", None)]
    last = openai_server.chats[-1].request
    assert "confidence" not in json.dumps(last)
    assert "logprobs" not in last


@pytest.mark.parametrize("size", [1, 3])
def test_from_the_tokens_of_the_label(openai_server, build, ledger, size):
    annotator = build(items_per_request=size, confidence="logprobs")
    votes = ask(annotator, ledger, "spam a", "häm b", "spam c")
    assert [label for label, _ in votes] == ["spam", "häm", "spam"]
    # The double cuts an answer into pieces of four characters at -0.125 each.
    for _, confidence in votes:
        assert any(math.isclose(confidence, math.exp(-0.125 * k)) for k in (1, 2))
    assert openai_server.chats[-1].request["logprobs"] is True
    before = len(openai_server.served)
    assert ask(annotator, ledger, "spam a", "häm b", "spam c") == votes
    assert len(openai_server.served) == before


def test_no_label_has_a_probability_as_well(build, ledger):
    (vote,) = ask(build(confidence="logprobs"), ledger, "none of them")
    assert vote[0] is None


def test_an_endpoint_that_gives_none_is_refused_before_a_vote_is_paid(build, ledger, openai_server):
    def deaf(request):
        request.pop("logprobs", None)
        return script(request)

    openai_server.script = deaf
    with pytest.raises(EndpointError, match=r"the endpoint gives none.*confidence: stated"):
        ask(build(confidence="logprobs"), ledger, "spam a")
    assert ledger.votes.count() == 0


def test_an_endpoint_that_refuses_them_is_named(build, ledger, openai_server):
    def strict(request):
        if "logprobs" in request:
            return Reply("logprobs is not supported with this model", status=400)
        return script(request)

    openai_server.script = strict
    with pytest.raises(EndpointError, match=r"refuses to give them \(HTTP 400\)"):
        ask(build(confidence="logprobs"), ledger, "spam a")


def test_tool_calls_have_no_log_probabilities(build, ledger, openai_server):
    openai_server.refuse = {"json_schema": 400}
    with pytest.raises(EndpointError, match=r"tool_required.*json_object may help"):
        ask(build(confidence="logprobs"), ledger, "spam a")


def test_an_answer_that_lacks_them_has_none(build, ledger, openai_server):
    def once(request):
        if re.search(r"<text-\w+>", request["messages"][-1]["content"]):
            request.pop("logprobs", None)
        return script(request)

    openai_server.script = once
    assert ask(build(confidence="logprobs"), ledger, "spam a") == [("spam", None)]


def pieces(*parts):
    return {"content": [{"token": text, "logprob": math.log(p)} for text, p in parts]}


def test_only_the_tokens_of_the_label_count():
    parts = [('{"label', 0.1), ('": "', 0.1), ("sp", 0.8), ("am", 0.5), ('", "reason": "x"}', 0.1)]
    content = "".join(text for text, _ in parts)
    found = label_probabilities({"content": content, "logprobs": pieces(*parts)})
    assert found == [pytest.approx(0.4)]


def test_what_the_tokens_do_not_say_is_not_made_up():
    content = '{"label": "spam"}'
    assert label_probabilities({"content": content}) is None
    other = pieces(('{"label": "ham"}', 0.5))
    assert label_probabilities({"content": content, "logprobs": other}) is None
    quoted = '{"reason": "so \\"label\\": \\"x\\"", "label": null}'
    assert label_probabilities({"content": quoted, "logprobs": pieces((quoted, 0.5))}) == [
        pytest.approx(0.5)
    ]


def test_a_character_may_be_cut_by_tokens():
    raw = '{"label": "技"}'.encode()
    cuts = [raw[:11], raw[11:12], raw[12:]]
    entries = [{"token": "?", "bytes": list(cut), "logprob": math.log(0.5)} for cut in cuts]
    found = label_probabilities({"content": raw.decode(), "logprobs": {"content": entries}})
    assert found == [pytest.approx(0.25)]


def test_a_template_that_knows_nothing_of_it_serves_where_it_is_stated(build, ledger, tmp_path):
    own = tmp_path / "own" / "annotator" / "classify.prompt.md"
    own.parent.mkdir(parents=True)
    own.write_text(
        "---\nname: annotator/classify\ndescription: d\noutput: o\ninputs:\n"
        "  task_name: {type: string}\n  guidelines: {type: string}\n  labels: {type: array}\n"
        "  want_reason: {type: boolean}\n  text: {type: string}\n"
        "samples: [{task_name: t, guidelines: '', labels: [], want_reason: true, text: x}]\n---\n"
        "# system\n{{ task_name }}{{ guidelines }}{{ labels | json }}{{ want_reason | json }}\n"
        'Write "confidence".\n'
        '# user\n{{ text | fenced("text") }}\n'
    )
    annotator = build(prompts=PromptLibrary([tmp_path / "own", packaged_prompts()]))
    assert ask(annotator, ledger, "spam a") == [("spam", 0.7)]
