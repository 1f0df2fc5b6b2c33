"""The operator's agent at work beside a run, and orders that no directive carries."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from ..agents.operator.agent import Said, ask
from ..agents.operator.facts import cap_of, read_facts
from ..agents.operator.grammar import parse
from ..agents.operator.said import Order, Unclear
from ..agents.operator.talk import Reply, answered, carried_out, messages, respond, unclear
from ..tools.errors import ConfigError, LabelwrightError
from ..tools.ledger import OPERATOR, Ledger
from ..tools.locking import hold
from ..tools.prompts import PromptLibrary, packaged_prompts
from ..tools.watch import RunReader
from ..tools.watch.lines import Line
from .acceptance import Accepted, accept, add_guideline
from .config import RunConfig, load_config
from .session import CONFIG_FILE, LEDGER_FILE, PROMPT_FOLDER

LOCK_FILE = "operator.lock"
_EARLIER = 6
"""Messages of the conversation that the model is shown."""


@dataclass(frozen=True)
class _Office:
    ledger: Ledger
    prompts: PromptLibrary
    reader: RunReader

    def stopping(self) -> bool:
        """Nobody stops an answer, but the cap may be another one before each of its calls."""
        self.ledger.caps = replace(self.ledger.caps, money=cap_of(self.reader))
        return False


def reply(folder: Path, message: int) -> Reply:
    """Have the model answer a message of the operator that is no command.

    It works while another process carries the run: both reserve in one ledger under one cap. What
    the model can not answer, the grammar does, and says so.

    Args:
        folder: The run's folder.
        message: Number of the message in the conversation.

    Raises:
        ConfigError: There is no such message, or the run has no model for it.
        LedgerError: The ledger can not be used.
    """
    config = load_config(folder / CONFIG_FILE)
    reader = RunReader(folder)
    try:
        text, by, item = _message(reader, message)
        facts = read_facts(reader, item=item, by=by)
        with Ledger(folder / LEDGER_FILE, create=False) as ledger:
            ledger.caps = replace(config.budget.caps(), money=cap_of(reader))
            said = _ask(folder, config, reader, ledger, message)
            model = "" if config.operator.model is None else config.operator.model.model
            if said.failure is None and said.order is not None:
                by_model = f"model {model}"
                return respond(
                    ledger, reader, facts, message, said.order, by=by_model, text=said.text
                )
            if said.failure is None:
                lines = [Line(line) for line in said.text.splitlines() if line.strip()]
                return answered(ledger, message, "Answer", lines, by=f"model {model}")
            read = parse(text, facts)
            if not isinstance(read, Unclear):
                return respond(ledger, reader, facts, message, read)
            title, lines = unclear(read)
            lines.append(Line(f"The model did not answer: {said.failure}"))
            by_rule = f"grammar: {said.failure}"
            return answered(ledger, message, title, lines, by=by_rule, understood=False)
    finally:
        reader.close()


def carry_out(folder: Path, offer: int, order: Order, *, by: str = OPERATOR) -> Accepted:
    """Carry out a confirmed order that changes the task: it is written for a new run.

    Args:
        folder: The run's folder.
        offer: Number of the offer.
        order: Of the kind ``guideline``, or ``accept_proposal`` of a proposal on the task.
        by: The operator's name.

    Raises:
        ConfigError: The proposal was accepted before, a name is needed, or the task is not valid.
    """
    if order.kind == "guideline":
        made = add_guideline(folder, order.payload["text"])
    else:
        number, names = order.payload["number"], order.payload["names"]
        made = accept(folder, number, names=names, text=order.payload["text"])
    reader = RunReader(folder)
    try:
        what = f"the task for a new run is in {made.files[0].name}"
        carried_out(reader, offer, what, by=by, files=[str(path) for path in made.files])
    finally:
        reader.close()
    return made


def _ask(folder: Path, config: RunConfig, reader: RunReader, ledger: Ledger, message: int) -> Said:
    model = config.operator.model
    text, by, item = _message(reader, message)
    if model is None:
        return Said("", None, "no model is configured (operator.model)")
    facts = read_facts(reader, item=item, by=by)
    rows = reader.rows("SELECT max(round) FROM decisions")
    try:
        with hold(folder / LOCK_FILE, f"the chat of the run {folder.name!r}"):
            # Only the one who holds the lock has calls of this agent open.
            ledger.recover(operator=True)
            return ask(
                _Office(
                    ledger, PromptLibrary([folder / PROMPT_FOLDER, packaged_prompts()]), reader
                ),
                model,
                config.task,
                reader,
                facts,
                text,
                message=message,
                round_=int(rows[0][0] or 0) if rows else 0,
                earlier=messages(reader, message, _EARLIER),
            )
    except LabelwrightError as error:
        return Said("", None, str(error))


def _message(reader: RunReader, message: int) -> tuple[str, str, str | None]:
    rows = reader.rows(
        "SELECT content FROM transcript WHERE seq = ? AND agent = ? AND role = 'operator' "
        "AND purpose = 'chat'",
        message,
        OPERATOR,
    )
    if not rows:
        raise ConfigError(f"{reader.name}: there is no message {message} to answer.")
    said = json.loads(rows[0][0])
    return said["text"], said["by"], said["item"]
