"""Corrections and answers that reviewers offer to chat annotators as examples."""

import json

from doubles.scripted_models import Models, usd

from labelwright.graph import resume, run
from labelwright.tools.ledger import Ledger
from labelwright.tools.reviews import REVIEW, Review


def say(folder, *reviews, example=False):
    """Write reviews: (item, reviewer, verdict, label)."""
    with Ledger(folder / "ledger.sqlite") as ledger:
        for item, reviewer, verdict, label in reviews:
            review = Review(0, item, reviewer, verdict, label, example=example)
            ledger.log.direct(REVIEW, review.payload())


def notes(folder):
    with Ledger(folder / "ledger.sqlite") as ledger:
        return [order.acknowledged for order in ledger.log.directives(REVIEW)]


def decided(folder, kind):
    with Ledger(folder / "ledger.sqlite") as ledger:
        return ledger.log.decisions(kind)


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


def test_examples_are_shown_beside_other_texts(corpus, openai_server, tmp_path, outcome):
    texts = {i: text for i, text in corpus.texts.items() if i not in corpus.same}
    models = openai_server.script = Models(texts, corpus.gold, corpus.labels)
    chat = {"kind": "chat", "base_url": openai_server.url, "max_output_tokens": 64}
    config = corpus.config(
        annotators=[{**chat, "name": "weak", "model": "weak", "price": usd("weak")}],
        selection={"batch_size": 20},
        critic={"checks": {"order": 0, "template": 0, "retest": 0}},
        stopping={"max_rounds": 2, "stop_set_size": 50},
    )
    folder, shown = tmp_path / "run", list(texts)[:10]

    def corrects():
        say(folder, *((i, "bea", "label", corpus.gold[i]) for i in shown), example=True)
        before.append(len(openai_server.chats))

    before = []
    result = run(config, name="run", runs=tmp_path, notify=Once("trained", corrects))
    assert result.status == "finished"
    prompts = [str(served.request["messages"][-1]["content"]) for served in openai_server.chats]
    early, late = prompts[: before[0]], prompts[before[0] :]
    assert not any("labelled already" in prompt for prompt in early)
    assert late
    assert all("labelled already" in prompt for prompt in late)
    for prompt in late:
        seen = [item for item in shown if f"\n{texts[item]}\n" in prompt.split("Label this")[0]]
        assert seen == shown[2:]
    # Other prompts are other requests, and other hashes of votes.
    with Ledger(folder / "ledger.sqlite") as ledger:
        hashes = {vote.round: vote.prompt_hash for vote in ledger.votes.all()}
        assert len(set(hashes.values())) == 2
        assert ledger.balance().spent == models.charged(openai_server)
    assert notes(folder)[0].endswith("; shown to chat annotators as an example")
    assert decided(folder, "corrections")[0].decision["examples"] == sorted(shown)


def test_an_answer_may_be_an_example_as_well(corpus, openai_server, tmp_path):
    texts = {i: text for i, text in corpus.texts.items() if i not in corpus.same}
    openai_server.script = Models(texts, corpus.gold, corpus.labels)
    chat = {"kind": "chat", "base_url": openai_server.url, "max_output_tokens": 64}
    person = {"kind": "human", "name": "ann", "price": {"per_label": 0.1}}
    config = corpus.config(
        annotators=[{**chat, "name": "weak", "model": "weak", "price": usd("weak")}, person],
        selection={"batch_size": 20},
        critic={"audit_first": 3, "checks": {"order": 0, "template": 0, "retest": 0}},
        stopping={"max_rounds": 2, "stop_set_size": 50},
    )
    folder = run(config, name="run", runs=tmp_path).folder
    before = len(openai_server.chats)
    lines = (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    first, second, *others = (json.loads(line)["item_id"] for line in lines)
    say(folder, (first, "bea", "label", corpus.gold[first]), example=True)
    say(folder, (second, "bea", "no_label", None), example=True)
    say(folder, *((item, "bea", "label", corpus.gold[item]) for item in others))
    resume(folder)
    [made] = decided(folder, "examples")
    assert made.decision == {"items": {first: corpus.gold[first]}, "examples": [first]}
    late = [str(s.request["messages"][-1]["content"]) for s in openai_server.chats[before:]]
    assert late
    for prompt in late:
        shown = prompt.split("Label this")[0]
        assert f"\n{texts[first]}\n" in shown
        assert f"\n{texts[second]}\n" not in shown
