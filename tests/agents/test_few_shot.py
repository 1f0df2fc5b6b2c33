"""Texts that people have labelled, shown to chat models beside questions about others."""

import pytest

from labelwright.agents.annotators import Asking, Example, Question
from labelwright.agents.annotators.chat import ChatAnnotator
from labelwright.agents.annotators.settings import ChatAnnotatorConfig
from labelwright.agents.annotators.wording import EXAMPLES, beside
from labelwright.tools.ledger import CHECK_ATTEMPTS, Ledger
from labelwright.tools.prompts import PromptLibrary, packaged_prompts
from labelwright.tools.task import TaskConfig

TASK = TaskConfig.model_validate(
    {"name": "mail", "labels": [{"name": "spam"}, {"name": "ham"}, {"name": "news"}]}
)
KNOWN = [Example(f"e{n}", f"example text {n}", "ham") for n in range(12)]


@pytest.fixture
def build(openai_server, tmp_path):
    made = []

    def build(examples=(), prompts=None, **more):
        config = ChatAnnotatorConfig.model_validate(
            {
                "kind": "chat",
                "name": "m",
                "model": "m",
                "base_url": openai_server.url,
                "price": {"in": 1, "out": 2},
                "retries": 0,
                "limit_parameter": "max_tokens",
                "structured": "json_schema",
                **more,
            }
        )
        ledger = Ledger(tmp_path / f"{len(made)}.sqlite")
        library = prompts or PromptLibrary([packaged_prompts()])
        one = ChatAnnotator(config, TASK, library, ledger, lambda: False, lambda: list(examples))
        made.append((one, ledger))
        return one, ledger

    yield build
    for one, ledger in made:
        one.close()
        ledger.close()


def prompts_of(server, since=0):
    found = [served.request["messages"] for served in server.chats[since:]]
    return sorted([m["content"] for m in one] for one in found if "a question" in str(one))


def asks(annotator, ledger, *texts, attempt=0):
    questions = [Question(f"q{n}", text, attempt) for n, text in enumerate(texts)]
    return annotator.ask(questions, Asking(ledger, "label", 1))


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("attempt", [0, 2 * CHECK_ATTEMPTS])
def test_the_latest_are_shown_and_none_changes_nothing(build, openai_server, size, attempt):
    plain, first = build(items_per_request=size)
    asks(plain, first, "a question", "a question more", attempt=attempt)
    usual = prompts_of(openai_server)
    none, second = build([], items_per_request=size)
    since = len(openai_server.chats)
    asks(none, second, "a question", "a question more", attempt=attempt)
    assert prompts_of(openai_server, since) == usual
    hashes = {vote.prompt_hash for vote in first.votes.all()}
    assert {vote.prompt_hash for vote in second.votes.all()} == hashes
    few, third = build(KNOWN, items_per_request=size)
    since = len(openai_server.chats)
    asks(few, third, "a question", "a question more", attempt=attempt)
    for prompt in prompts_of(openai_server, since):
        shown = [one.item_id for one in KNOWN if f"\n{one.text}\n" in prompt[-1]]
        assert shown == [one.item_id for one in KNOWN[-EXAMPLES:]]
    assert not {vote.prompt_hash for vote in third.votes.all()} & hashes
    assert not _keys(third) & _keys(first)
    # The reservation is of the prompt that is sent.
    assert third.balance().spent > first.balance().spent
    assert _within_bounds(third)
    assert few.expect(["a question"])[0] > plain.expect(["a question"])[0]


def _keys(ledger):
    return {
        row[0] for row in ledger._store.rows("SELECT request_key FROM calls WHERE items <> '[]'")
    }


def _within_bounds(ledger):
    rows = ledger._store.rows("SELECT cost, bound FROM calls JOIN settlements USING(call_id)")
    return rows and all(cost <= bound for cost, bound in rows)


def test_no_text_is_its_own_example():
    own = [Question("e11", "another text"), Question("q", " Example  TEXT 10\n")]
    assert [one.item_id for one in beside(KNOWN, own)] == [f"e{n}" for n in range(2, 10)]
    assert beside([], own) == []


def test_a_request_about_several_texts_shows_none_of_them(build, openai_server):
    annotator, ledger = build(KNOWN[:3], items_per_request=3)
    questions = [
        Question("e0", KNOWN[0].text),
        Question("q1", KNOWN[1].text),
        Question("q2", "a question"),
    ]
    annotator.ask(questions, Asking(ledger, "label", 1))
    [prompt] = prompts_of(openai_server)
    shown, _, _ = prompt[-1].partition("Label these")
    assert [one.text in shown for one in KNOWN[:3]] == [False, False, True]


def test_a_template_without_a_place_for_them_is_asked_as_before(build, openai_server, tmp_path):
    source = packaged_prompts() / "annotator" / "classify.prompt.md"
    text = source.read_text(encoding="utf-8")
    head, body = text.split("  examples:\n    description: Labelled", 1)
    own = head + body[body.index("  want_reason:") :]
    start = own.index("{% if examples %}")
    own = own[:start] + own[own.index("{% endif %}", start) + len("{% endif %}") :]
    at = own.index("samples:")
    own = own[:at] + _without_examples(own[at:])
    folder = tmp_path / "prompts" / "annotator"
    folder.mkdir(parents=True)
    (folder / "classify.prompt.md").write_text(own, encoding="utf-8")
    library = PromptLibrary([tmp_path / "prompts", packaged_prompts()])
    few, first = build(KNOWN, prompts=library)
    plain, second = build(prompts=library)
    asks(few, first, "a question")
    asks(plain, second, "a question")
    one, other = prompts_of(openai_server)
    assert one == other
    assert first.votes.all() == second.votes.all()
    assert _keys(first) == _keys(second)


def _without_examples(samples):
    """The samples of a template without their few-shot examples."""
    kept, skipping = [], False
    for line in samples.split("\n"):
        if line.startswith("    examples:"):
            skipping = True
            continue
        skipping = skipping and line.startswith("      ")
        if not skipping:
            kept.append(line)
    return "\n".join(kept)
