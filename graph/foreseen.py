"""What a quote says beside its positions: questions to people, later examples, the chat's model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..agents.annotators import Example, Question
from ..agents.annotators.settings import ChatAnnotatorConfig
from ..agents.annotators.wording import EXAMPLES, Wording
from ..agents.consult import task_inputs
from ..agents.ensemble import Voter, reference
from ..agents.model import AgentModelConfig
from ..agents.operator.agent import PROMPT
from ..agents.operator.commands import command_rows
from ..tools.embedding import wordpiece_counts
from ..tools.money import Price, show, to_nano
from ..tools.prompts import Message, PromptLibrary
from ..tools.task import TaskConfig
from .config import RunConfig
from .corrections import LONGEST_EXAMPLE
from .foreseen_votes import voters_of

AGENT_TOKENS = (3000, 400)
"""Prompt and completion tokens of one step of a tool-calling agent."""
STEPS = 2
"""Model calls of a decision that takes no more than it must: a look around, and the submission."""


@dataclass(frozen=True)
class Questions:
    """What people will be asked in a run.

    Attributes:
        people: Their names.
        fewest: Questions at the low end of the quote.
        expected: The middle of the range.
        most: Questions at the high end, cut at what the cap pays for.
        remarks: Of whom no audits will be asked, or no help with doubtful labels, and why.
    """

    people: list[str]
    fewest: int
    expected: int
    most: int
    remarks: list[str]


@dataclass(frozen=True)
class LaterExamples:
    """What texts that people offer as examples add to requests.

    Attributes:
        tokens: Prompt tokens that one adds.
        most: Most that stand in one request.
    """

    tokens: int
    most: int


@dataclass(frozen=True)
class Chat:
    """What a question to the chat's model costs; money in nanodollars.

    Attributes:
        model: Its name.
        tokens_in: Prompt tokens of a question that takes `STEPS` calls.
        tokens_out: Completion tokens of it.
        money: What they cost.
        most: Most that one question may cost.
    """

    model: str
    tokens_in: int
    tokens_out: int
    money: int
    most: int


def questions(
    votes: Mapping[str, tuple[int, int]],
    prices: Mapping[str, Price],
    cap: int,
    remarks: list[str],
) -> Questions | None:
    """How many questions people will be asked; ``None`` where nobody is asked.

    Args:
        votes: Low and high end of each person's votes, as the quote's positions have them.
        prices: What each asks for a label.
        cap: The money cap, in nanodollars.
        remarks: Of `remarks_on_people`.
    """
    if not votes:
        return None
    each = {name: prices[name].cost(labels=1) for name in votes}
    room = {name: cap // cost if cost else math.inf for name, cost in each.items()}
    together = max(room.values())
    fewest, most = (
        int(min(together, sum(min(ends[end], room[name]) for name, ends in votes.items())))
        for end in (0, 1)
    )
    return Questions(list(votes), fewest, (fewest + most) // 2, most, remarks)


def too_dear(config: RunConfig, prices: Mapping[str, Price], error: int) -> list[str]:
    """People to whom no doubtful label is put: their label costs more than a wrong one does.

    Arguments as `remarks_on_people`.
    """
    people = [voter.name for voter in voters_of(config) if voter.person]
    return [name for name in people if prices[name].cost(labels=1) > error]


def remarks_on_people(config: RunConfig, prices: Mapping[str, Price], error: int) -> list[str]:
    """What people will not be asked, and why: audits, and help with doubtful labels.

    Audits are put to one annotator, whose word is taken as the truth. A doubtful label goes to a
    person only where that costs no more than a wrong label does (`route` in `agents.routing`), or
    where a proposal to ask again is carried out.

    Args:
        config: The run's.
        prices: What each annotator asks for a label.
        error: What a wrong label costs, in nanodollars.
    """
    voters = voters_of(config)
    target = reference(voters)
    itself = "relabel_items" in config.critic.apply
    proposal = f"a proposal to is {'applied or ' if itself else ''}accepted"
    said = []
    for voter in voters:
        if not voter.person:
            continue
        if why := _without_audits(config, voter, target):
            said.append(f"No audits will be asked of {voter.name}: {why}.")
        if voter.name in too_dear(config, prices, error):
            price = show(prices[voter.name].cost(labels=1))
            said.append(
                f"Doubtful labels will not be put to {voter.name}, unless nobody else gives a "
                f"valid answer, {proposal}, or you say that accuracy is worth more: a label costs "
                f"{price} there, and a wrong one counts as only {show(error)}."
            )
    return said


def _without_audits(config: RunConfig, voter: Voter, target: Voter | None) -> str | None:
    if target is None:
        return "nobody is trusted, and no tier is above the others"
    if voter != target:
        return f"they are put to {target.name}, whose labels are taken as right"
    if not config.critic.audit_first and not config.critic.audit_share:
        return "critic.audit_first and critic.audit_share are 0"
    if not config.human.questions_per_round:
        return "human.questions_per_round is 0"
    return None


def later_examples(
    config: RunConfig, prompts: PromptLibrary, sample: Sequence[str]
) -> LaterExamples | None:
    """What an example adds to a request; ``None`` where no chat model would be shown any.

    Args:
        config: The run's.
        prompts: The templates.
        sample: Texts of the pool, which examples will be among.
    """
    short = [text for text in sample if len(text) <= LONGEST_EXAMPLE]
    models = [one for one in config.annotators if isinstance(one, ChatAnnotatorConfig)]
    around = [_around(model, config.task, prompts) for model in models]
    if not short or not any(around):
        return None
    text = float(np.mean(wordpiece_counts(short)))
    return LaterExamples(math.ceil(max(around) + text), EXAMPLES)


def chat(model: AgentModelConfig | None, task: TaskConfig, prompts: PromptLibrary) -> Chat | None:
    """What a typical question to the chat's model costs; ``None`` where it has none.

    What depends on the run is taken from the template's own sample: a few lines of status, an
    earlier question, and a sentence.
    """
    if model is None:
        return None
    template = prompts.get(PROMPT)
    usual = template.samples[-1]
    rendered = template.render(
        **{
            **usual,
            **task_inputs(task),
            "commands": [{"say": say, "what": what} for say, what in command_rows()],
            "steps_left": model.steps,
        }
    )
    out = AGENT_TOKENS[1]
    # Each call is sent all that was said before it.
    tokens_in = STEPS * _tokens(rendered) + out * (STEPS - 1)
    most = to_nano(model.usd_per_decision)
    money = min(model.price.cost(tokens_in, STEPS * out), most)
    return Chat(model.model, tokens_in, STEPS * out, money, 0 if model.price.free else most)


def _around(model: ChatAnnotatorConfig, task: TaskConfig, prompts: PromptLibrary) -> float:
    """Tokens that an example adds beside its own text; 0 where the template has no place for it."""
    wording = Wording(model, task, prompts)
    asked = [Question("1", "", 0)] * model.items_per_request
    names = task.label_names
    shown = wording.beside(
        asked, [Example(f"e{n}", ".", names[n % len(names)]) for n in range(EXAMPLES)]
    )
    if not shown:
        return 0.0
    more = _tokens(wording.messages(asked, shown)) - _tokens(wording.messages(asked))
    return more / len(shown) - 1  # the full stop that stands for the text


def _tokens(messages: Sequence[Message]) -> int:
    return sum(wordpiece_counts([message.content for message in messages]))
