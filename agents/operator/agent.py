"""The operator agent with a model: it looks at the run, answers, and may offer one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ...tools.errors import LabelwrightError
from ...tools.ledger import OPERATOR
from ...tools.task import TaskConfig
from ...tools.watch import RunReader
from ...tools.watch.lines import Line
from ..consult import Office, consult, task_inputs
from ..figures import invented, numbers
from ..model import AgentModelConfig
from .answers import answer
from .changes import change
from .commands import command_rows
from .facts import Facts
from .grammar import parse
from .orders import fault
from .said import Order, Question
from .words import amount, label

PROMPT, PURPOSE = "operator/answer", "chat"
_WORDS = 200


class Submission(BaseModel):
    """Submit the answer. This ends your work."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, description="The answer to the operator, at most 150 words.")
    order: str | None = Field(
        None,
        description="One order of the list, written as it is there, if the operator wants something"
        " done; it is shown to the operator, who confirms it. Otherwise null.",
    )


@dataclass(frozen=True)
class Said:
    """What the model said.

    Attributes:
        text: Its answer; empty after a failure.
        order: The order that it offers, possible as the run stands.
        failure: Why there is no answer.
    """

    text: str
    order: Order | None
    failure: str | None


def ask(
    office: Office,
    model: AgentModelConfig,
    task: TaskConfig,
    reader: RunReader,
    facts: Facts,
    text: str,
    *,
    message: int,
    round_: int,
    earlier: Sequence[dict[str, str]] = (),
) -> Said:
    """Have the model answer a message that is no command.

    Args:
        office: Pays and holds the prompts.
        model: The model and its allowance.
        task: The labelling task.
        reader: The run.
        facts: The run as it stands; an order is checked against it.
        text: The message.
        message: Its number; names the conversation in the ledger.
        round_: Of the run.
        earlier: The messages before it, as `talk.messages` gives them.

    Returns:
        The answer, or why there is none; never raises for what a server or a model does.
    """
    look = _Look(reader, facts, [text, *(one["text"] for one in earlier)])
    status = look.status()["lines"]
    inputs = {
        **task_inputs(task),
        "commands": [{"say": say, "what": what} for say, what in command_rows()],
        "status_lines": status,
        "earlier": list(earlier),
        "open_item": facts.item or "",
        "message": text,
        "steps_left": model.steps,
    }
    try:
        result = consult(
            office,
            model,
            PROMPT,
            inputs,
            [
                look.status,
                look.money,
                look.quality,
                look.item,
                look.confusions,
                look.next_dollars,
                look.stop_rule,
                look.proposals,
            ],
            Submission,
            submit_name="submit_answer",
            agent=OPERATOR,
            purpose=PURPOSE,
            round_=round_,
            validate=look.fault,
            thread=f"answer {message}",
        )
    except LabelwrightError as error:
        return Said("", None, str(error))
    if (said := result.decision) is None:
        return Said("", None, result.failure or "no answer")
    order = parse(said.order, facts) if said.order else None
    return Said(said.text, order if isinstance(order, Order) else None, None)


@dataclass
class _Look:
    """The agent's tools; every figure that they give is remembered.

    Attributes:
        given: What the model has been told, for the check of figures.
    """

    reader: RunReader
    facts: Facts
    given: list[str] = field(default_factory=list)

    def status(self) -> dict[str, Any]:
        """Where the run stands: state, round, money, last check, what waits for the operator."""
        return self._tell(Question("status"))

    def money(self) -> dict[str, Any]:
        """Money spent, reserved and left, and who spent it."""
        return self._tell(Question("money"))

    def quality(self) -> dict[str, Any]:
        """How good labels and student are, by audits, or why that is not known."""
        return self._tell(Question("quality"))

    def item(self, item_id: Annotated[str, Field(description="Id.")]) -> dict[str, Any]:
        """One item: text, label with its history, votes with prices and reasons."""
        if not self.facts.has_item(item_id):
            raise ValueError(f"the pool has no item {item_id!r}")
        return self._tell(Question("why", items=(item_id,)))

    def confusions(
        self,
        one: Annotated[str, Field(description="A label; empty for all pairs.")] = "",
        other: Annotated[str, Field(description="Another label; empty for all pairs.")] = "",
    ) -> dict[str, Any]:
        """Labels that are taken for each other, with counts; items where two labels are named."""
        if not (one and other):
            return self._tell(Question("confusion"))
        pair = label(one, self.facts.labels), label(other, self.facts.labels)
        return self._tell(Question("confusion", labels=pair))

    def next_dollars(
        self, usd: Annotated[float, Field(gt=0, le=1_000_000, description="Further money.")]
    ) -> dict[str, Any]:
        """What more money is expected to buy, with a band."""
        return self._tell(Question("next_dollars", usd=amount(f"{usd:.6f}")))

    def stop_rule(self) -> dict[str, Any]:
        """The last check of the stop rule: its arithmetic, the gates, the hard caps."""
        return self._tell(Question("stopping"))

    def proposals(self) -> dict[str, Any]:
        """What the critic proposes: number, kind, price, evidence, predicted effect, state."""
        return self._tell(Question("proposals"))

    def fault(self, said: Submission) -> str | None:
        """Why an answer is not acceptable, for the model."""
        if (words := len(said.text.split())) > _WORDS:
            return f"text: {words} words; at most 150 are wanted."
        shown: list[str] = []
        if said.order is not None:
            read = parse(said.order, self.facts)
            if not isinstance(read, Order):
                why = getattr(read, "why", "that is a question; answer it in text.")
                return f"order: {why} Write one order of the list, or null."
            if (why := fault(read, self.facts)) is not None:
                return f"order: {why}"
            shown = [line.text for line in change(read, self.facts).lines()]
        given = numbers(" ".join([*self.given, *shown]))
        if (number := invented(said.text, given)) is not None:
            return f"text: the number {number:g} is not among those given; use only those."
        return None

    def _tell(self, question: Question) -> dict[str, Any]:
        title, lines = answer(question, self.reader, self.facts)
        self.given += [title, *(line.text for line in lines)]
        return {"title": title, "lines": [_shown(line) for line in lines]}


def _shown(line: Line) -> Any:
    return {"id": line.item, "text": line.text} if line.role == "item" else line.text
