"""What happened in a run, message by message: decisions, orders, and what was said in the chat."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..ledger import OPERATOR
from ..money import show, to_nano
from ..reviews import REVIEW
from .decided import decided, many
from .lines import Line, lines_of
from .proposals import Suggestion, read_proposals
from .queue import blind_items
from .reader import RunReader

PAGE = 50
"""Messages that are read at once."""
_TITLES = 5
"""Labels of a reviewer that are named; the others are counted."""


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes:
        key: Names it for good.
        at: When, ISO format, UTC.
        who: The agent, or the person's name.
        kind: Of the decision or directive; ``proposal``, ``operator``, ``answer``, ``offer``.
        title: In a line.
        lines: Details.
        number: Of the proposal, the directive or the offer.
        state: What became of a proposal or an offer; ``waiting`` or ``taken_up`` for an order.
        data: Plain values that a page needs besides.
    """

    key: str
    at: str
    who: str
    kind: str
    title: str
    lines: tuple[Line, ...] = ()
    number: int | None = None
    state: str = ""
    data: dict[str, Any] = field(default_factory=dict)


def feed(reader: RunReader, most: int = PAGE) -> tuple[list[Message], bool]:
    """The latest messages of a run, oldest first.

    Args:
        reader: The run.
        most: How many.

    Returns:
        The messages, and whether there are earlier ones.

    Raises:
        LedgerError: The ledger can not be read.
    """
    orders = _orders(reader, most + 1)
    said = _said(reader, most + 1, {one.number: one for one in orders})
    shown = {one.data.get("directive") for one in said}
    newest_first = [
        *said,
        *(one for one in orders if one.number not in shown),
        *_decisions(reader, most + 1),
    ]
    found = [*_proposals(reader), *reversed(newest_first)]
    found.sort(key=lambda message: message.at)
    found = _reviews_together(found)
    return found[-most:], len(found) > most


def _decisions(reader: RunReader, most: int) -> list[Message]:
    return [
        Message(f"d{seq}", at, agent, kind, title, tuple(map(Line, lines)))
        for seq, at, agent, kind, title, lines in decided(reader, most)
    ]


def _proposals(reader: RunReader) -> list[Message]:
    return [_proposal(one) for one in read_proposals(reader)]


def _proposal(one: Suggestion) -> Message:
    price = "price not known" if one.price_usd is None else show(to_nano(one.price_usd))
    lines = [one.text, f"Evidence: {one.evidence}."]
    if one.effect:
        lines.append(f"Expected: {one.effect}.")
    lines.append(f"Price: {price}.")
    if one.became:
        lines.append(one.became)
    return Message(
        key=f"p{one.number}",
        at=one.at,
        who="critic",
        kind="proposal",
        title=f"Proposal {one.number}: {one.kind.replace('_', ' ')}, {one.target}",
        lines=tuple(map(Line, lines)),
        number=one.number,
        state=one.state,
        data={"kind": one.kind, "target": one.target, "text": one.text, "items": list(one.items)},
    )


_ORDERED = {
    "stop": "pause",
    "finish": "end the run and deliver",
    "hand_in": "hand the answers in",
}


def _orders(reader: RunReader, most: int) -> list[Message]:
    found = []
    blind = blind_items(reader.folder)
    for seq, kind, payload, at, note in reader.rows(
        "SELECT d.seq, d.kind, d.payload, d.at, a.note FROM directives d LEFT JOIN "
        "acknowledgements a ON a.directive = d.seq ORDER BY d.seq DESC LIMIT ?",
        most,
    ):
        given = json.loads(payload)
        who, item = OPERATOR, str(seq)
        if isinstance(given, dict):
            who = str(given.get("reviewer" if kind == REVIEW else "by") or who)
            item = str(given.get("item_id") or item)
        found.append(
            Message(
                key=f"o{seq}",
                at=at,
                who=who,
                kind=REVIEW if kind == REVIEW else "order",
                title=(title := f"Order {seq}: {_order_words(kind, given, blind)}"),
                lines=(Line("not taken up yet" if note is None else f"taken up: {note}"),),
                number=seq,
                state="waiting" if note is None else "taken_up",
                data={
                    "items": frozenset((item,)),
                    "waiting": frozenset((item,) if note is None else ()),
                    "titles": (Line(title),),
                },
            )
        )
    return found


def _reviews_together(messages: list[Message]) -> list[Message]:
    """Words of one reviewer that follow on each other as one message: there may be hundreds."""
    found: list[Message] = []
    for message in messages:
        before = found[-1] if found else None
        if not (before and message.kind == before.kind == REVIEW and message.who == before.who):
            found.append(message)
            continue
        # A text may have been spoken of twice: texts are counted, as everywhere.
        items = before.data["items"] | message.data["items"]
        waiting = before.data["waiting"] | message.data["waiting"]
        said = f"{many(len(waiting), 'text')} not taken up yet" if waiting else "all taken up"
        titles = (Line(message.title), *before.data["titles"])[:_TITLES]
        found[-1] = replace(
            before,
            title=f"Reviews of {many(len(items), 'text')} by {message.who}",
            lines=(Line(said), *titles),
            state="waiting" if waiting else "taken_up",
            data={"items": items, "waiting": waiting, "titles": titles},
        )
    return found


def _order_words(kind: str, payload: Any, blind: frozenset[str]) -> str:
    if kind in _ORDERED or not isinstance(payload, dict):
        return _ORDERED.get(kind, kind.replace("_", " "))
    if kind == "cap":
        return f"cap {_usd(payload.get('usd'))}"
    if kind == "value":
        return f"a point of accuracy is worth {_usd(payload.get('point_usd'))}"
    if kind == "focus":
        labels, rounds = payload.get("labels"), payload.get("rounds")
        if not isinstance(labels, list) or not isinstance(rounds, int):
            return kind  # anybody may have written it; the run's refusal says more
        named = ", ".join(map(str, labels))
        return f"search for {named} in {many(rounds, 'batch', 'batches')}"
    if kind in {"accept_proposal", "dismiss_proposal"}:
        return f"{kind.partition('_')[0]} proposal {payload.get('number')}"
    if kind == "review" and str(payload.get("item_id")) in blind:
        return f"a word on {payload['item_id']}, which an audit still asks others about"
    if kind == "review":
        said = {"label": payload.get("label"), "no_label": "no label fits"}
        verdict = said.get(str(payload.get("verdict")), payload.get("verdict"))
        return f"{payload.get('item_id')} is {verdict}"
    return kind.replace("_", " ")


def _usd(amount: Any) -> str:
    return f"${amount:,.2f}" if isinstance(amount, int | float) else str(amount)


def _said(reader: RunReader, most: int, orders: Mapping[int | None, Message]) -> list[Message]:
    settled = {
        offer: json.loads(content)
        for offer, content in reader.rows(
            "SELECT step, content FROM transcript WHERE round = 0 AND agent = ? "
            "AND purpose = 'offer' ORDER BY seq DESC LIMIT ?",
            OPERATOR,
            most,
        )
    }
    found = []
    for seq, role, content, at in reader.rows(
        "SELECT seq, role, content, at FROM transcript WHERE round = 0 AND agent = ? "
        "AND purpose = 'chat' ORDER BY seq DESC LIMIT ?",
        OPERATOR,
        most,
    ):
        said = json.loads(content)
        if role == "operator":
            found.append(
                Message(f"c{seq}", at, str(said["by"]), role, "", (Line(said["text"]),), seq)
            )
            continue
        by = str(said["by"])
        who = by.removeprefix("model ") if by.startswith("model ") else "labelwright"
        message = Message(
            f"c{seq}", at, who, role, said["title"], lines_of(said["lines"]), seq,
            data={"to": said.get("to"), "by": by},
        )  # fmt: skip
        if role == "offer":
            message = _offer(message, said, settled.get(seq), orders)
        found.append(message)
    return found


def _offer(
    message: Message, said: dict[str, Any], became: Any, orders: Mapping[int | None, Message]
) -> Message:
    """An offer with what became of it: the word on it, and then the run's."""
    data = {name: said[name] for name in ("order", "before", "after", "notes", "patch", "say")}
    if became is None:
        return replace(message, state="open", data=data)
    directive, what = became.get("directive"), str(became.get("what") or "")
    lines = [f"{became['status'].capitalize()} by {became['by']}" + (f": {what}" if what else "")]
    if directive is not None:
        order = orders.get(directive)
        lines[0] += f", ordered (order {directive})"
        lines += [] if order is None else [order.lines[0].text]
    data |= {"directive": directive, "became": lines, "files": became.get("files") or []}
    return replace(message, state=str(became["status"]), data=data)
