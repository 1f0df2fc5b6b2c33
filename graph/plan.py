"""The quote: what the whole loop would cost, beside what else the money could buy."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..agents.annotators.build import prompt_tokens
from ..agents.annotators.chat import ChatAnnotator
from ..agents.annotators.settings import (
    ChatAnnotatorConfig,
    HumanAnnotatorConfig,
    RecordedAnnotatorConfig,
)
from ..agents.model import AgentModelConfig
from ..tools.embedding import EmbedderConfig, wordpiece_counts
from ..tools.ledger import Ledger
from ..tools.money import Price, show, to_nano
from ..tools.plateau import Value, value_of_accuracy
from ..tools.prompts import Message, PromptLibrary, packaged_prompts
from ..tools.readers import ReadReport, Row, read_rows
from .config import RunConfig, load_config
from .foreseen import (
    AGENT_TOKENS,
    STEPS,
    Chat,
    LaterExamples,
    Questions,
    chat,
    later_examples,
    questions,
    remarks_on_people,
    too_dear,
)
from .foreseen_votes import earliest, votes_foreseen
from .inputs import check_recorded, thin_descriptions

SAMPLE = 2000
"""Texts that token counts are taken from; the others are counted as like them."""
_SPREAD = (0.8, 1.4)
"""A model's own tokenizer against the packaged one: fewer tokens, or more."""


@dataclass(frozen=True)
class Line:
    """One position of a quote; money in nanodollars, low and high end.

    Attributes:
        what: Who is paid, and for what.
        requests: Requests, low and high.
        tokens_in: Prompt tokens in the middle of the range.
        tokens_out: Completion tokens in the middle of the range.
    """

    what: str
    requests: tuple[int, int]
    tokens_in: int
    tokens_out: int
    money: tuple[int, int]


@dataclass(frozen=True)
class Alternative:
    """Something else that could be done; money in nanodollars, ``None`` where there is no price."""

    name: str
    money: int | None
    note: str


@dataclass(frozen=True)
class Quote:
    """What a run may cost, before a cent is spent.

    Attributes:
        texts: Different texts of the pool.
        rejected: Rows that can not be used.
        reasons: Why, for the first of them.
        unknown_gold: How often each gold value occurs that is no label of the set.
        thin: What to say where most labels have no description.
        rounds: Least and most rounds.
        batch: Items a round.
        lines: Positions.
        low: Sum of the low ends, in nanodollars.
        high: Sum of the high ends, cut at the cap.
        uncut: Sum of the high ends as if there were no cap.
        cap: The money cap.
        value: What accuracy is worth, and where the figure comes from.
        prompt: One rendered prompt, where a chat model is asked.
        alternatives: What else could be done.
        questions: How many people will be asked; ``None`` where nobody is.
        examples: What examples that people offer during the run add to requests.
        chat: What a question to the chat's model costs; it is no position, as nobody has to ask.
    """

    texts: int
    rejected: int
    reasons: list[str]
    unknown_gold: dict[str, int]
    thin: str | None
    rounds: tuple[int, int]
    batch: int
    lines: list[Line]
    low: int
    high: int
    uncut: int
    cap: int
    value: Value
    prompt: list[Message] | None
    alternatives: list[Alternative]
    questions: Questions | None
    examples: LaterExamples | None
    chat: Chat | None


@dataclass(frozen=True)
class _Cost:
    """One vote of one annotator: mean tokens, and its price."""

    name: str
    tokens_in: float
    tokens_out: float
    price: Price
    per_request: int

    def money(self, votes: int, spread: float = 1.0) -> int:
        return self.price.cost(
            math.ceil(votes * self.tokens_in * spread),
            math.ceil(votes * self.tokens_out * spread),
            labels=votes,
        )


def plan(config: RunConfig | Path | str) -> Quote:
    """Quote the whole loop; reads the data and the templates, sends nothing.

    The low end stops as early as the rule allows and needs no second opinion; the high end runs
    every round, sends every label through the whole cascade, asks again as often as it may, writes
    all the texts it may, and is cut at the cap.

    Raises:
        LabelwrightError: The configuration or the data can not be used.
    """
    if not isinstance(config, RunConfig):
        config = load_config(Path(config))
    report = ReadReport()
    texts, sample = _read(config, report)
    check_recorded(config)
    prompts = PromptLibrary([*([config.prompts] if config.prompts else []), packaged_prompts()])
    own = float(np.mean(wordpiece_counts(sample)))
    costs, prompt = _costs(config, prompts, sample, own)
    batch = config.selection.size(texts, len(config.task.labels))
    open_texts = texts - min(config.stopping.stop_set_size, texts // 4)
    most = min(config.stopping.max_rounds, max(1, math.ceil(open_texts / batch)))
    least = earliest(config, texts, batch, most)
    value = value_of_accuracy(config.stopping, texts, config.human.label_usd)
    prices = {name: cost.price for name, cost in costs.items()}
    error = value.nano // (config.stopping.items or texts)
    dear = too_dear(config, prices, error)
    votes = votes_foreseen(config, batch, texts, (least, most), dear)
    lines = [_line(costs[name], "annotates", ends) for name, ends in votes.items()]
    lines += _agent_lines(config, (least, most))
    if config.embedder.kind == "openai":
        lines.insert(0, _embedder_line(config.embedder, texts, own))
    low = sum(line.money[0] for line in lines)
    uncut = sum(line.money[1] for line in lines)
    cap = to_nano(config.budget.usd)
    return Quote(
        texts=texts,
        rejected=report.rejected,
        reasons=report.reasons,
        unknown_gold=dict(sorted(report.unknown_gold.items())),
        thin=thin_descriptions(config),
        rounds=(least, most),
        batch=batch,
        lines=lines,
        low=min(low, cap),
        high=min(uncut, cap),
        uncut=uncut,
        cap=cap,
        value=value,
        prompt=prompt,
        alternatives=_alternatives(config, costs, texts),
        questions=questions(
            {a.name: votes[a.name] for a in config.annotators if a.kind == "human"},
            prices,
            cap,
            remarks_on_people(config, prices, error),
        ),
        examples=later_examples(config, prompts, sample),
        chat=chat(config.operator.model, config.task, prompts),
    )


def _read(config: RunConfig, report: ReadReport) -> tuple[int, list[str]]:
    """(different texts, a sample of them)."""
    seen: set[int] = set()
    sample: list[str] = []
    for entry in read_rows(config.data, config.task, report):
        if isinstance(entry, Row) and hash(entry.text) not in seen:
            seen.add(hash(entry.text))
            if len(sample) < SAMPLE:
                sample.append(entry.text)
    return len(seen), sample


def _costs(
    config: RunConfig, prompts: PromptLibrary, sample: list[str], own: float
) -> tuple[dict[str, _Cost], list[Message] | None]:
    costs: dict[str, _Cost] = {}
    prompt: list[Message] | None = None
    with tempfile.TemporaryDirectory() as scratch, Ledger(Path(scratch) / "l.sqlite") as ledger:
        for settings in config.annotators:
            tokens_in, tokens_out, per_request = 0.0, 0.0, 1
            if isinstance(settings, ChatAnnotatorConfig):
                chat = ChatAnnotator(settings, config.task, prompts, ledger, lambda: True)
                counts_in, counts_out = chat.tokens(sample)
                tokens_in, tokens_out = float(counts_in.mean()), float(counts_out.mean())
                per_request = settings.items_per_request
                prompt = prompt or chat.example(sample[0])
                chat.close()
            elif isinstance(settings, RecordedAnnotatorConfig) and settings.price.input is not None:
                tokens_in = own + prompt_tokens(config.task, prompts)
                tokens_out = float(settings.answer_tokens)
            costs[settings.name] = _Cost(
                settings.name, tokens_in, tokens_out, settings.price, per_request
            )
    return costs, prompt


def _agent_lines(config: RunConfig, rounds: tuple[int, int]) -> list[Line]:
    lines = []
    for name, model, decisions in (
        ("selector", config.selection.model, 1),
        ("critic", config.critic.model, 2),  # the review, and the explanation of the stop rule
        ("generator", config.generation.model if config.generation.enabled else None, 1),
    ):
        if model is not None:
            lines.append(_agent_line(name, model, rounds, decisions))
    return lines


def _line(cost: _Cost, what: str, votes: tuple[int, int]) -> Line:
    middle = (votes[0] + votes[1]) // 2
    return Line(
        what=f"{cost.name}: {what}",
        requests=(
            math.ceil(votes[0] / cost.per_request),
            math.ceil(votes[1] / cost.per_request),
        ),
        tokens_in=round(middle * cost.tokens_in),
        tokens_out=round(middle * cost.tokens_out),
        money=(cost.money(votes[0], _SPREAD[0]), cost.money(votes[1], _SPREAD[1])),
    )


def _embedder_line(embedder: EmbedderConfig, texts: int, own: float) -> Line:
    """Every text once."""
    each = embedder.price_usd_per_mtok
    price = Price.model_validate({"in": each, "out": 0} if each != "free" else "free")
    requests = math.ceil(texts / embedder.batch_size)
    low, high = (price.cost(math.ceil(texts * own * spread)) for spread in _SPREAD)
    return Line(
        what=f"embedder: reads every text ({embedder.model})",
        requests=(requests, requests),
        tokens_in=round(texts * own),
        tokens_out=0,
        money=(low, high),
    )


def _agent_line(
    name: str, model: AgentModelConfig, rounds: tuple[int, int], decisions: int
) -> Line:
    """At least one decision of two steps a round, at most ``decisions`` with an allowance each."""
    steps = (STEPS * rounds[0], model.steps * rounds[1] * decisions)
    tokens_in, tokens_out = AGENT_TOKENS
    allowance = to_nano(model.usd_per_decision) * rounds[1] * decisions
    low, high = (model.price.cost(n * tokens_in, n * tokens_out) for n in steps)
    middle = sum(steps) // 2
    return Line(
        what=f"{name}: decides ({model.model})",
        requests=steps,
        tokens_in=middle * tokens_in,
        tokens_out=middle * tokens_out,
        money=(min(low, allowance), min(high, allowance)),
    )


def _alternatives(config: RunConfig, costs: dict[str, _Cost], texts: int) -> list[Alternative]:
    models = [costs[a.name] for a in config.annotators if a.kind != "human"]
    cheapest = min(models, key=lambda cost: cost.money(1000))
    strongest = models[-1] if len(models) == 1 else _strongest(config, costs)
    future = config.stopping.items
    inference = strongest.money(future) if future else None
    per_1000 = f"{strongest.name} on every item to come, no training"
    return [
        Alternative(
            f"{cheapest.name} labels everything",
            cheapest.money(texts),
            f"one vote of the cheapest annotator on each of {texts:,} texts, nothing checked",
        ),
        Alternative(
            f"{strongest.name} at inference time",
            inference if inference is not None else strongest.money(1000),
            f"{per_1000}: {future:,} items" if future else f"{per_1000}: for each 1,000 items",
        ),
        _yourself(config, texts),
    ]


def _yourself(config: RunConfig, texts: int) -> Alternative:
    """A person on every text, at the price that was stated for one."""
    prices = [(a.price, a.name) for a in config.annotators if isinstance(a, HumanAnnotatorConfig)]
    prices += [
        (a.price, a.name)
        for a in config.annotators
        if isinstance(a, RecordedAnnotatorConfig) and a.person and a.price.input is None
    ]
    # Whoever works for nothing says less of what it would cost than whoever is paid.
    paid = [one for one in prices if not one[0].free]
    usd, stated = config.human.label_usd, "label_usd" in config.human.model_fields_set
    if paid or (prices and not stated):
        price, name = [*paid, *prices][0]
        source = f"the price of {name!r}"
    else:
        price = Price(per_label=usd) if usd else Price(free=True)
        source = "human.label_usd" if stated else "assumed: no price of a person is stated"
    return Alternative(
        "you label everything yourself",
        price.cost(labels=texts),
        f"one label by a person on each of {texts:,} texts, at {show(price.cost(labels=1))} "
        f"({source})",
    )


def _strongest(config: RunConfig, costs: dict[str, _Cost]) -> _Cost:
    """The highest tier that is a model; recorded people do not work at inference time."""
    models = [a for a in config.annotators if a.kind != "human" and not a.trusted]
    models = models or [a for a in config.annotators if a.kind != "human"]
    return costs[max(models, key=lambda a: a.tier).name]
