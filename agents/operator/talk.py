"""The conversation with the operator, kept in the ledger of the run that it is about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Literal

from ...tools.errors import ConfigError, LedgerError
from ...tools.ledger import OPERATOR, Ledger
from ...tools.money import to_usd
from ...tools.watch import RunReader
from ...tools.watch.lines import Line, plain_lines
from ...tools.watch.reader import LEDGER_FILE
from .answers import answer
from .changes import change, plain
from .facts import Facts, read_facts
from .grammar import LONGEST, parse
from .orders import HANDLED_AT_ONCE, directive, fault, proposal, read_order
from .said import Order, Question, Unclear

GRAMMAR = "grammar"
Status = Literal["confirmed", "cancelled", "refused"]


@dataclass(frozen=True)
class Reply:
    """What came of a sentence.

    Attributes:
        message: Number of the operator's message in the ledger.
        reply: Number of the answer or offer; ``None`` where a model is to be asked.
        title: Of the answer or offer.
        lines: Its lines.
        offer: The order that awaits a yes, as plain values.
        by: ``grammar``, ``grammar: <why the model did not answer>`` or ``model <name>``.
        understood: Whether the sentence was a command.
    """

    message: int
    reply: int | None
    title: str = ""
    lines: tuple[Line, ...] = ()
    offer: dict[str, Any] | None = None
    by: str = GRAMMAR
    understood: bool = True


@dataclass(frozen=True)
class Outcome:
    """What became of an offer.

    Attributes:
        status: ``refused``: the run has changed meanwhile, and it is no longer possible.
        what: For the person.
        directive: Number of the directive that carries the order.
        todo: An order that no directive carries: the caller does it and then calls `carried_out`.
    """

    status: Status
    what: str
    directive: int | None = None
    todo: Order | None = None


def has_model(reader: RunReader) -> bool:
    """Whether the run has a model for what is no command."""
    return bool((reader.config.get("operator") or {}).get("model"))


def tell(reader: RunReader, text: str, *, by: str = OPERATOR, item: str | None = None) -> Reply:
    """Take a sentence of the operator: answer it, or offer the order that it is.

    What is a command is answered without a model, at no cost, even where there is one.

    Args:
        reader: The run.
        text: What was typed.
        by: The operator's name.
        item: The item that is open, for "this".

    Raises:
        LedgerError: The run has no ledger yet, or it can not be read.
    """
    # A terminal may hand over bytes that are no text, which no database takes.
    text = text.encode("utf-8", "replace").decode()
    facts = read_facts(reader, item=item, by=by)
    with _ledger(reader) as ledger:
        said = ledger.chat.say("operator", {"text": text[:LONGEST], "by": facts.by, "item": item})
        read = parse(text, facts)
        if isinstance(read, Unclear) and has_model(reader):
            return Reply(said, None, understood=False)
        return respond(ledger, reader, facts, said, read)


def respond(
    ledger: Ledger,
    reader: RunReader,
    facts: Facts,
    message: int,
    read: Order | Question | Unclear,
    *,
    by: str = GRAMMAR,
    text: str = "",
) -> Reply:
    """Write the answer to a message, or the offer that it leads to, into the conversation.

    Args:
        ledger: Open for writing.
        reader: The run.
        facts: The run as it stood.
        message: Number of the operator's message.
        read: What the message is.
        by: Who read it.
        text: What a model says with it.
    """
    words = [Line(line) for line in text.splitlines() if line.strip()]
    if isinstance(read, Order) and (why := fault(read, facts)) is None:
        made = change(read, facts)
        offer = plain(made)
        lines = [*words, *made.lines()]
        content = {"to": message, "by": by, "lines": plain_lines(words), **offer}
        _replace_earlier(ledger, reader, read)
        seq = ledger.chat.say("offer", content)
        return Reply(message, seq, made.title, tuple(lines), offer, by)
    if isinstance(read, Order):
        title, lines = "Not possible now", [*words, Line(str(why))]
    elif isinstance(read, Question):
        title, lines = answer(read, reader, facts)
    else:
        title, lines = unclear(read)
    return answered(ledger, message, title, lines, by=by, understood=not isinstance(read, Unclear))


def answered(
    ledger: Ledger,
    message: int,
    title: str,
    lines: Sequence[Line],
    *,
    by: str,
    understood: bool = True,
) -> Reply:
    """Write an answer into the conversation."""
    content = {"to": message, "by": by, "title": title, "lines": plain_lines(lines)}
    seq = ledger.chat.say("answer", content)
    return Reply(message, seq, title, tuple(lines), None, by, understood)


def unclear(read: Unclear) -> tuple[str, list[Line]]:
    """What is said to a sentence that is no command."""
    lines = [Line(read.why)]
    if read.near:
        lines.append(Line("Did you mean: " + "; ".join(read.near) + "?"))
    return "Not understood", [*lines, Line('Say "help" for all that can be said.')]


def settle(reader: RunReader, offer: int, *, yes: bool, by: str = OPERATOR) -> Outcome:
    """Confirm or cancel an offer; an offer is settled once, by whoever comes first.

    Raises:
        ConfigError: There is no such offer, or it was settled before.
        LedgerError: The ledger can not be read.
    """
    order = offered(reader, offer)
    facts = read_facts(reader, by=by)
    with _ledger(reader) as ledger:
        if not yes:
            return _settled(ledger, offer, Outcome("cancelled", "nothing was changed"), by)
        if (why := fault(order, facts)) is not None:
            return _settled(ledger, offer, Outcome("refused", why), by)
        given = directive(order)
        if given is None or _needs_new_run(order, facts):
            _refuse_settled(reader, offer)
            return Outcome("confirmed", "", todo=order)
        kind, payload = given
        if kind == "cap":
            payload = {**payload, "was": 0.0 if facts.cap is None else to_usd(facts.cap)}
        if kind == "review":
            payload = {**payload, "reviewer": facts.by}
        return _settled(
            ledger,
            offer,
            Outcome("confirmed", ""),
            by,
            order=(kind, payload),
            note=HANDLED_AT_ONCE.get(kind),
        )


def carried_out(
    reader: RunReader, offer: int, what: str, *, by: str, files: Sequence[str] = ()
) -> None:
    """Write down that an order without a directive was carried out.

    Raises:
        LedgerError: The ledger can not be read.
    """
    content = {"status": "confirmed", "what": what, "by": by, "files": list(files)}
    with _ledger(reader) as ledger:
        ledger.chat.settle(offer, content)


def offered(reader: RunReader, offer: int) -> Order:
    """The order of an offer.

    Raises:
        ConfigError: There is no offer of this number.
    """
    rows = reader.rows(
        "SELECT content FROM transcript WHERE seq = ? AND agent = ? AND purpose = 'chat' "
        "AND role = 'offer'",
        offer,
        OPERATOR,
    )
    if not rows:
        raise ConfigError(f"{reader.name}: there is no offer {offer} to confirm or cancel.")
    return read_order(json.loads(rows[0][0])["order"])


def messages(reader: RunReader, before: int, most: int) -> list[dict[str, str]]:
    """The last messages before one, oldest first: who said it and what, texts of the pool left out.

    Args:
        reader: The run.
        before: Number of a message.
        most: How many.
    """
    rows = reader.rows(
        "SELECT role, content FROM transcript WHERE round = 0 AND agent = ? AND purpose = 'chat' "
        "AND seq < ? ORDER BY seq DESC LIMIT ?",
        OPERATOR,
        before,
        most,
    )
    found = []
    for role, content in reversed(rows):
        said = json.loads(content)
        if role == "operator":
            found.append({"who": "operator", "text": said["text"][:500]})
            continue
        words = [line["text"] for line in said["lines"] if line["role"] != "item"]
        text = " ".join([said["title"], *words])
        found.append({"who": "you", "text": text[:500]})
    return found


def _replace_earlier(ledger: Ledger, reader: RunReader, order: Order) -> None:
    """Lay down open offers that a new one takes the place of: of its kind, about the same thing."""
    about = ("number", "item_id")
    for seq, content in reader.rows(
        "SELECT seq, content FROM transcript WHERE round = 0 AND agent = ? AND purpose = 'chat' "
        "AND role = 'offer' AND seq NOT IN (SELECT step FROM transcript WHERE round = 0 "
        "AND agent = ? AND purpose = 'offer')",
        OPERATOR,
        OPERATOR,
    ):
        earlier = read_order(json.loads(content)["order"])
        same = all(earlier.payload.get(key) == order.payload.get(key) for key in about)
        if earlier.kind == order.kind and same:
            said = {"status": "cancelled", "what": "replaced by a later one", "by": OPERATOR}
            ledger.chat.settle(seq, said)


def _needs_new_run(order: Order, facts: Facts) -> bool:
    if order.kind != "accept_proposal":
        return False
    entry = proposal(facts, order.payload["number"])
    return entry is not None and entry.changes_task


def _refuse_settled(reader: RunReader, offer: int) -> None:
    if reader.rows(
        "SELECT 1 FROM transcript WHERE round = 0 AND agent = ? AND purpose = 'offer' AND step = ?",
        OPERATOR,
        offer,
    ):
        raise ConfigError(f"{reader.name}: offer {offer} was answered before.")


def _settled(
    ledger: Ledger,
    offer: int,
    outcome: Outcome,
    by: str,
    *,
    order: tuple[str, Any] | None = None,
    note: str | None = None,
) -> Outcome:
    content = {"status": outcome.status, "what": outcome.what, "by": by}
    first, number = ledger.chat.settle(offer, content, order=order, note=note)
    if not first:
        raise ConfigError(f"offer {offer} was answered before.")
    if number is None:
        return outcome
    return replace(outcome, directive=number, what=note or f"ordered (order {number})")


def _ledger(reader: RunReader) -> closing[Ledger]:
    path = reader.folder / LEDGER_FILE
    if not path.exists():
        raise LedgerError(f"{reader.name}: has not begun; start it first.")
    return closing(Ledger(path, create=False))
