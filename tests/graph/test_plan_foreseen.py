"""What a quote says beside its positions: people's time, examples to come, the chat's model."""

import hashlib
from functools import partial
from pathlib import Path

import pytest
from doubles.quotes import AGENT, ANN, CHEAP, NEAR, STRONG, quoted, texts

from labelwright.agents.annotators import Example, Question
from labelwright.agents.annotators.wording import Wording
from labelwright.graph.config import parse_config
from labelwright.tools.embedding import wordpiece_counts
from labelwright.tools.money import NANO, Price
from labelwright.tools.prompts import PromptLibrary, packaged_prompts

TASK = {"name": "t", "labels": [{"name": "a"}, {"name": "b"}]}
FREE_ANN = {**ANN, "price": "free"}
RECORDED = {"kind": "recorded", "name": "r", "path": "v.csv", "price": {"per_label": 0.03}}


@pytest.fixture
def quote(tmp_path: Path):
    """Quotes a configuration over a file of so many texts."""
    return partial(quoted, tmp_path)


@pytest.mark.parametrize(
    ("people", "human", "each", "source"),
    [
        ([], {}, 0.1, "assumed"),
        ([], {"label_usd": 0.25}, 0.25, "human.label_usd"),
        ([{**ANN, "price": {"per_label": 0.2}}], {"label_usd": 0.25}, 0.2, "the price of 'ann'"),
        ([FREE_ANN], {}, 0, "the price of 'ann'"),
        ([FREE_ANN], {"label_usd": 0.25}, 0.25, "human.label_usd"),
        ([FREE_ANN], {"label_usd": 0}, 0, "human.label_usd"),
        ([FREE_ANN, {**ANN, "name": "bob"}], {}, 0.1, "the price of 'bob'"),
        ([RECORDED], {}, 0.1, "assumed"),
        ([{**RECORDED, "person": True}], {}, 0.03, "the price of 'r'"),
    ],
)
def test_labelling_everything_yourself_has_the_stated_price(
    quote, tmp_path, people, human, each, source
):
    first = hashlib.sha256(texts(1)[0].encode()).hexdigest()[:12]
    (tmp_path / "v.csv").write_text(f"item_id,r\n{first},a\n")
    yourself = quote(NEAR, *people, n=50, human=human).alternatives[-1]
    assert yourself.money == round(50 * each * NANO)
    assert source in yourself.note


def test_people_are_told_how_often_they_will_be_asked(quote):
    assert quote(CHEAP, STRONG).questions is None
    quoted = quote(CHEAP, ANN)
    (line,) = [line for line in quoted.lines if line.what.startswith("ann")]
    asked = quoted.questions
    assert asked.people == ["ann"]
    assert (asked.fewest, asked.most) == line.requests
    assert asked.expected == sum(line.requests) // 2
    assert 0 < asked.fewest < asked.expected < asked.most
    assert quote(CHEAP, FREE_ANN).questions.most == asked.most


def test_nobody_is_asked_more_than_the_cap_pays_for(quote):
    dear = {**ANN, "name": "dear", "price": {"per_label": 1}}
    asked = quote(CHEAP, ANN, budget={"usd": 2.05}).questions
    assert (asked.fewest, asked.expected, asked.most) == (20, 20, 20)
    both = quote(CHEAP, ANN, dear, budget={"usd": 5}).questions
    assert both.people == ["ann", "dear"]
    assert both.most == 50, "the cap is there once"
    # Nobody pays those who work for nothing.
    assert quote(CHEAP, FREE_ANN, budget={"usd": 0}).questions.most > 20


def test_people_are_told_what_they_will_not_be_asked_and_why(quote):
    def said(*people, **more):
        return " ".join(quote(CHEAP, *people, n=60, **more).questions.remarks)

    assert said(ANN) == said(FREE_ANN) == "", "a wrong label counts as much as a label"
    assert said(ANN, stopping={"items": 10, "error_cost_usd": 0.1}) == ""
    little = said(ANN, stopping={"items": 9000, "error_cost_usd": 0.05})
    assert "Doubtful labels will not be put to ann" in little
    assert "a label costs $0.10 there, and a wrong one counts as only $0.050" in little
    assert "audits" not in little, "they are asked whatever a wrong label costs"
    point = said(ANN, stopping={"point_value_usd": 0.03})
    assert "a wrong one counts as only $0.050" in point, "100 points over 60 texts"
    # Who always answers leaves nothing for a person but the audits: 30, and 1 in each later round.
    dear = {"stopping": {"items": 9000, "error_cost_usd": 0.05, "audit_changes": False}}
    audits = quote(NEAR, ANN, n=600, selection={"batch_size": 10}, **dear)
    assert audits.questions.most == 30 + audits.rounds[1] - 1
    worth = {"stopping": {"items": 9000, "error_cost_usd": 0.1, "audit_changes": False}}
    more = quote(NEAR, ANN, n=600, selection={"batch_size": 10}, **worth)
    assert more.questions.most > audits.questions.most
    # It is bought all the same where a proposal to buy it takes effect, or an accepted one does.
    asking = {**dear, "critic": {"apply": ["relabel_items"]}, "selection": {"batch_size": 10}}
    assert quote(NEAR, ANN, n=600, **asking).questions.most == more.questions.most
    assert "a proposal to is accepted, or you say that accuracy is worth more" in little
    assert "a proposal to is applied or accepted" in said(ANN, **asking)
    # One of two models may be dropped, the one that always answers.
    both = dear | {"selection": {"batch_size": 10}, "n": 600}
    assert quote(NEAR, CHEAP, ANN, **both).questions.most == more.questions.most
    stays = both | {"ensemble": {"membership": False}}
    assert quote(NEAR, CHEAP, ANN, **stays).questions.most == audits.questions.most
    # Only one annotator's word is taken as the truth.
    two = said(ANN, {**FREE_ANN, "name": "bob", "tier": 10 - 1})
    assert two == (
        "No audits will be asked of ann: they are put to bob, whose labels are taken as right."
    )
    alone = {**FREE_ANN, "trusted": False, "tier": 1}
    assert "of ann: nobody is trusted, and no tier is above the others." in said(alone)
    none = said(ANN, critic={"audit_first": 0, "audit_share": 0})
    assert (
        none == "No audits will be asked of ann: critic.audit_first and critic.audit_share are 0."
    )
    assert "human.questions_per_round is 0" in said(ANN, human={"questions_per_round": 0})


def test_the_low_end_is_the_first_round_in_which_the_rule_may_stop(quote):
    def rounds(**more):
        return quote(CHEAP, ANN, selection={"batch_size": 20}, **more).rounds[0]

    # 30 audits, 2 in each later round and 20 texts a round: 100 labels at the earliest in round 4.
    assert rounds() == 4
    assert rounds(stopping={"min_labels": 94}) == 3
    assert rounds(stopping={"min_labels": 0}) == 2
    assert rounds(stopping={"min_labels": 0, "min_rounds": 5}) == 5
    # What surely did not pay ends a run at once, whatever the patience.
    patient = {"min_labels": 0, "patience": 5}
    assert rounds(stopping=patient) == 2
    free = {"selection": {"batch_size": 20}, "stopping": patient}
    assert quote(NEAR, FREE_ANN, **free).rounds[0] == 6, "money never decides here"
    model = {"model": {**AGENT, "price": "free"}}
    assert quote(NEAR, FREE_ANN, critic=model, **free).rounds[0] == 2
    assert quote(NEAR, FREE_ANN, selection={"batch_size": 20, "model": AGENT},
                 stopping=patient).rounds[0] == 2  # fmt: skip
    free["stopping"] = {**patient, "max_rounds": 3}
    assert quote(NEAR, FREE_ANN, **free).rounds[0] == 3


def test_the_rest_that_a_guarantee_leaves_may_be_all_of_it(quote):
    guaranteed = {"error": 0.1, "audits": 50}
    kept = quote(CHEAP, FREE_ANN, n=900, ensemble={"guarantee": guaranteed}).questions
    sent = {"guarantee": {**guaranteed, "rest": "escalate"}}
    assert quote(CHEAP, FREE_ANN, n=900, ensemble=sent).questions.most == 900 > kept.most


def test_what_a_round_has_no_room_to_ask_is_not_counted_for_a_later_one(quote):
    few = {"questions_per_round": 10}
    asked = quote(CHEAP, ANN, selection={"batch_size": 20}, human=few, stopping={"min_labels": 0})
    assert asked.rounds[0] == 2
    assert asked.questions.fewest == 10 + 2


def test_examples_of_labels_are_in_the_quote_from_the_beginning(quote):
    few = ["a parcel that never came, and nobody answers", "where is it"]
    shown = [{"name": "a", "examples": few}, {"name": "b"}]
    without, with_ = quote(CHEAP), quote(CHEAP, task={**TASK, "labels": shown})
    votes = sum(without.lines[0].requests) // 2
    more = with_.lines[0].tokens_in - without.lines[0].tokens_in
    assert more >= votes * sum(wordpiece_counts(few))
    assert with_.low > without.low


@pytest.mark.parametrize("size", [1, 5])
def test_what_an_example_adds_later_is_what_it_adds_to_a_request(quote, tmp_path, size):
    task = parse_config(
        {
            "task": TASK,
            "data": {"path": "pool.jsonl"},
            "annotators": [{**CHEAP, "items_per_request": size}],
            "budget": {"usd": 1},
        },
        folder=tmp_path,
    )
    [model] = task.annotators
    wording = Wording(model, task.task, PromptLibrary([packaged_prompts()]))
    asked = [Question("1", "x", 0)] * size
    known = [Example(f"e{n}", text, "a") for n, text in enumerate(texts(8))]

    def tokens(shown):
        messages = wording.messages(asked, wording.beside(asked, shown))
        return sum(wordpiece_counts([message.content for message in messages]))

    later = quote({**CHEAP, "items_per_request": size}).examples
    assert later.most == 8
    assert 8 * later.tokens == pytest.approx(tokens(known) - tokens([]), rel=0.05)
    long = quote(CHEAP, rows=[f"{'word ' * 300}{i}" for i in range(20)])
    assert long.examples.tokens == pytest.approx(later.tokens + 290, abs=5)


def test_examples_are_foreseen_only_where_a_model_would_see_them(quote, tmp_path):
    assert quote(NEAR, ANN).examples is None
    # Nobody can offer texts that are longer than an example may be.
    assert quote(CHEAP, rows=[f"{'word ' * 500}{i}" for i in range(3)]).examples is None
    source = (packaged_prompts() / "annotator" / "classify.prompt.md").read_text(encoding="utf-8")
    head, rest = source.split("  examples:\n    description: Labelled", 1)
    rest = rest[rest.index("  want_reason:") :]
    rest = rest[: rest.index("    examples:\n")] + rest[rest.index("    text: |-") :]
    start, end = rest.index("{% if examples %}"), rest.index("Label this text:")
    folder = tmp_path / "own" / "annotator"
    folder.mkdir(parents=True)
    (folder / "classify.prompt.md").write_text(head + rest[:start] + rest[end:], encoding="utf-8")
    assert quote(CHEAP, prompts="own").examples is None
    assert quote({**CHEAP, "items_per_request": 2}, prompts="own").examples is not None


def test_the_chats_model_is_told_of_and_is_no_position(quote):
    plain = quote(CHEAP)
    assert plain.chat is None
    quoted = quote(CHEAP, operator={"model": AGENT})
    assert (quoted.low, quoted.uncut) == (plain.low, plain.uncut)
    chat = quoted.chat
    assert chat.model == "big"
    assert chat.money == Price.model_validate(AGENT["price"]).cost(chat.tokens_in, chat.tokens_out)
    assert chat.most == NANO // 20
    short, long = (
        quote(CHEAP, operator={"model": AGENT}, task={**TASK, "guidelines": "word " * words}).chat
        for words in (100, 200)
    )
    # The guidelines stand in the prompt of each of the two calls.
    assert long.tokens_in - short.tokens_in == 200
    small = quote(CHEAP, operator={"model": {**AGENT, "usd_per_decision": 0.001}})
    assert small.chat.money == small.chat.most == NANO // 1000
    assert quote(CHEAP, operator={"model": {**AGENT, "price": "free"}}).chat.most == 0
