"""Answers about a run, from its ledger: every figure is the ledger's, none is a model's."""

from __future__ import annotations

import json
from typing import Any

from ...tools.ledger import CHECK_ATTEMPTS
from ...tools.money import NANO, show, to_nano
from ...tools.outlook import next_dollars
from ...tools.plateau import Check
from ...tools.watch import RunReader, run_status
from ...tools.watch.confusion import Confusion, confusions, items_between
from ...tools.watch.lines import Line
from ...tools.watch.live import Live
from ...tools.watch.measures import corrections_note
from ...tools.watch.queue import blind_items
from ...tools.watch.stop_words import in_plain_words
from .commands import command_rows
from .facts import Facts, last_check
from .orders import STATES
from .said import Question

LISTED = 5
"""Items, pairs or proposals that an answer names; the others are counted."""
IN_LIST, ALONE = 240, 2_000
"""Most characters of a text among others, and of the one that an answer is about."""


def answer(question: Question, reader: RunReader, facts: Facts) -> tuple[str, list[Line]]:
    """Title and lines of an answer.

    Raises:
        LedgerError: The ledger can not be read.
    """
    if question.about == "help":
        return "What you can say", [Line(f"{say}: {what}") for say, what in command_rows()]
    if question.about == "why":
        return f"Item {question.items[0]}", about_item(reader, question.items[0])
    if question.about == "confusion":
        title = "Confusions" if not question.labels else " and ".join(question.labels)
        return title, about_confusion(reader, question.labels)
    if question.about == "next_dollars":
        title = f"What another ${question.usd:,.2f} would buy"
        return title, about_next(reader, facts, question.usd)
    title, tell = {
        "status": ("Status", about_status),
        "money": ("Money", about_money),
        "quality": ("How good the labels are", about_quality),
        "stopping": ("The stop rule", about_stopping),
        "proposals": ("Proposals", about_proposals),
    }[question.about]
    return title, tell(reader, facts)


def about_status(reader: RunReader, facts: Facts) -> list[Line]:
    """Where the run stands."""
    rows = reader.rows("SELECT round, agent, kind FROM decisions ORDER BY seq DESC LIMIT 1")
    lines = [Line(f"The run is {STATES[facts.state]}.")]
    if rows:
        round_, agent, kind = rows[0]
        lines.append(Line(f"Round {round_}; last: {agent}, {kind.replace('_', ' ')}."))
    lines.append(Line(_account(facts)))
    if (checked := last_check(reader)) is not None:
        lines.append(Line(f"Last check: {in_plain_words(*checked)}"))
    waiting = [str(one.number) for one in facts.proposals if one.state == "open"]
    if waiting:
        lines.append(Line(f"Open proposals: {', '.join(waiting)}."))
    if facts.questions:
        lines.append(Line(f"{facts.questions} questions wait for people (Review page)."))
    for seq, kind in reader.rows(
        "SELECT seq, kind FROM directives WHERE seq NOT IN (SELECT directive FROM acknowledgements)"
        " ORDER BY seq DESC LIMIT ?",
        LISTED,
    ):
        what = {"stop": "pause"}.get(kind, kind.replace("_", " "))
        lines.append(Line(f"Order {seq} ({what}) is not taken up yet."))
    return lines


def about_money(reader: RunReader, facts: Facts) -> list[Line]:
    """The account, and who spent it."""
    balance = facts.balance
    lines = [Line(_account(facts))]
    lines.append(Line(f"{balance.requests:,} requests, {balance.tokens:,} tokens."))
    for agent, annotator, cost, requests in reader.rows(
        "SELECT c.agent, c.annotator, sum(s.cost) AS cost, sum(c.requests) FROM calls c "
        "JOIN settlements s USING(call_id) GROUP BY 1, 2 ORDER BY cost DESC LIMIT ?",
        2 * LISTED,
    ):
        lines.append(Line(f"{annotator or agent}: {show(cost)} for {requests:,} requests."))
    return lines


def about_quality(reader: RunReader, facts: Facts) -> list[Line]:
    """What is known of the labels and the student, or why nothing is."""
    lines = []
    if facts.state == "finished" and (summary := _summary(reader)) is not None:
        lines += _delivered(summary)
        if note := corrections_note(Live(reader), run_status(reader.folder)):
            lines.append(Line(f"That is {note}."))
    rows = reader.rows("SELECT round, metrics FROM rounds ORDER BY round DESC LIMIT 1")
    if not rows:
        return lines or [Line("Nothing is known yet: no round has ended.")]
    round_, metrics = rows[0][0], json.loads(rows[0][1])
    lines.append(
        Line(
            f"Student of round {round_}, trained on {metrics['labels']:,} labels: agrees with "
            f"{metrics['agreement']:.1%} of the accepted labels out of sample, macro-F1 "
            f"{metrics['macro_f1']:.2f}."
        )
    )
    if metrics["audit_student"] is None:
        lines.append(Line("Not measured yet: nobody who is trusted has labelled a random sample."))
    else:
        lines.append(
            Line(
                f"On {metrics['audited']} audited items it is right for "
                f"{metrics['audit_student']:.1%} (95 % interval {metrics['audit_student_low']:.1%} "
                f"to {metrics['audit_student_high']:.1%})."
            )
        )
        if metrics.get("audit_label_errors") is not None:
            wrong = metrics["audit_label_errors"]
            lines.append(Line(f"{wrong} of them had a wrong label before the audit."))
    few = [name for name in facts.labels if not metrics["classes"].get(name)]
    if few:
        lines.append(Line(f"No accepted label yet: {', '.join(few[: 2 * LISTED])}."))
    return lines


def about_item(reader: RunReader, item: str) -> list[Line]:
    """An item's text, label and votes; its label only where an audit is not still blind."""
    text = reader.texts([item]).get(item)
    if text is None:
        if (first := reader.same_text(item)) is not None:
            same = f"The row {item} has the same text as {first}, and so its label:"
            return [Line(same), *about_item(reader, first)]
        return [Line(f"The pool has no item {item!r}.")]
    # An answer is kept in the ledger, and read again with the chat: a text may be of megabytes.
    lines = [Line(clip(text, ALONE), "item", item)]
    if item in blind_items(reader.folder):
        lines.append(
            Line("It is an open question of an audit: votes are shown once it is answered.")
        )
        return lines
    history = reader.rows(
        "SELECT round, label, p_correct, calibrated, source, outcome, reason FROM consensus "
        "WHERE item_id = ? ORDER BY seq DESC LIMIT ?",
        item,
        LISTED,
    )
    for number, (round_, label, p, calibrated, source, outcome, reason) in enumerate(history):
        unproven = "" if calibrated else " (not held to audits)"
        sure = "" if p is None else f", p_correct {p:.3f}{unproven}"
        what = label or "no label"
        verdict = what if outcome == "accept" else f"set apart ({what} suggested)"
        head = "Now" if number == 0 else "Before"
        lines.append(Line(f"{head}: {verdict}, by {source}, round {round_}{sure}. {reason}."))
    if not history:
        lines.append(Line("It has no label yet."))
    votes = reader.rows(
        "SELECT annotator, label, invalid, confidence, reason, purpose, round, cost FROM votes "
        "WHERE item_id = ? AND attempt < ? ORDER BY vote_id",
        item,
        CHECK_ATTEMPTS,
    )
    for annotator, label, invalid, confidence, reason, purpose, round_, cost in votes:
        said = label or f"no valid answer ({invalid})"
        stated = "" if confidence is None else f", stated confidence {confidence:.2f}"
        why = f": {reason}" if reason else ""
        lines.append(
            Line(f"{annotator} ({purpose}, round {round_}, {show(cost)}): {said}{stated}{why}")
        )
    if not votes:
        lines.append(Line("Nobody has voted on it."))
    return lines


def about_confusion(reader: RunReader, labels: tuple[str, ...]) -> list[Line]:
    """Labels taken for each other, with items where two labels are named."""
    if not labels:
        found = confusions(reader, 2 * LISTED)
        if not found:
            return [Line("Nobody has disagreed yet.")]
        return [Line(_pair_words(one)) for one in found]
    one, other = labels
    found = [c for c in confusions(reader) if {c.one, c.other} == {one, other}]
    if not found:
        return [Line(f"Nobody has taken {one} for {other} yet.")]
    items = items_between(reader, one, other, LISTED)
    texts = reader.texts([item for item, _ in items])
    lines = [Line(_pair_words(found[0]))]
    blind = blind_items(reader.folder)
    for item, who in items:
        if item not in blind:
            lines.append(Line(clip(texts.get(item, ""), IN_LIST), "item", item))
            lines.append(Line(who))
    return lines


def about_next(reader: RunReader, facts: Facts, usd: float) -> list[Line]:
    """What more money would buy, by the last check of the stop rule."""
    check = _last_check(reader)
    if check is None:
        return [Line("Nothing can be said: no round has been checked yet.")]
    bought = next_dollars(check, usd)
    lines = []
    if facts.state == "finished":
        lines.append(Line("The run is finished and buys nothing more. By its last check:"))
    lines.append(Line(bought.text))
    if bought.expected_points is not None:
        worth = check.value * bought.expected_points / 100
        verb = "less than" if worth < usd * NANO else "no less than"
        lines.append(Line(f"That is {verb} it costs; a point is worth {show(check.value // 100)}."))
    return lines


def about_stopping(reader: RunReader, facts: Facts) -> list[Line]:
    """Why the run stopped, or what it compares to decide."""
    delivered = reader.rows(
        "SELECT json_extract(evidence, '$.stop.reason'), json_extract(evidence, '$.stop.detail') "
        "FROM decisions WHERE kind = 'deliver' ORDER BY seq DESC LIMIT 1"
    )
    lines = []
    if delivered:
        reason, detail = delivered[0]
        lines.append(Line(f"It stopped ({str(reason).replace('_', ' ')}): {detail}."))
    checked = last_check(reader)
    if checked is None:
        lines.append(Line("No round has been checked yet."))
    else:
        decision, evidence = checked
        lines.append(Line(f"Last check: {in_plain_words(decision, evidence)}"))
        lines += [Line(line) for line in str(evidence.get("explanation") or "").splitlines()]
        lines += [
            Line(f"Gate {gate['name'].replace('_', ' ')} holds it back: {gate['detail']}.")
            for gate in evidence.get("gates", [])
            if not gate["passed"] and not gate.get("waived")
        ]
    if facts.state == "finished":
        return lines
    cap = "no money cap" if facts.cap is None else f"the cap of {show(facts.cap)}"
    rounds = reader.config.get("stopping", {}).get("max_rounds")
    lines.append(Line(f"At the latest it ends at {cap}, or after {rounds} rounds."))
    return lines


def about_proposals(_: RunReader, facts: Facts) -> list[Line]:
    """Every proposal with price and effect, the open ones first."""
    if not facts.proposals:
        return [Line("The critic has proposed nothing.")]
    lines = []
    for one in sorted(facts.proposals, key=lambda one: (one.state != "open", one.number)):
        price = "price unknown" if one.price_usd is None else show(to_nano(one.price_usd))
        effect = f" Expected: {one.effect}." if one.effect else ""
        lines.append(
            Line(
                f"{one.number}. [{one.state}] {one.kind.replace('_', ' ')}, {one.target}: "
                f"{one.text} {price}. {one.evidence}.{effect}"
            )
        )
    return lines


def clip(text: str, most: int) -> str:
    """A text of at most ``most`` characters, an ellipsis where something was cut off."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _account(facts: Facts) -> str:
    balance, parts = facts.balance, [f"{show(facts.balance.spent)} spent"]
    if balance.reserved:
        parts.append(f"{show(balance.reserved)} reserved")
    if balance.uncertain:
        parts.append(f"{show(balance.uncertain)} uncertain (it counts against the cap)")
    if facts.cap is None:
        return f"{', '.join(parts)}; no cap."
    left = show(max(0, facts.cap - balance.committed))
    return f"{', '.join(parts)} of a cap of {show(facts.cap)}; {left} left."


def _delivered(summary: dict[str, Any]) -> list[Line]:
    labels, found = summary["labels"], summary["quality"]["labels"]
    lines = [Line(f"{labels['accepted']:,} of {labels['texts']:,} texts are labelled.")]
    if found["estimate"] is None:
        lines.append(Line(f"No accuracy can be given: {found['why_not']}."))
    else:
        lines.append(
            Line(
                f"Delivered labels: {found['estimate']:.1%} right (95 % interval "
                f"{found['low']:.1%} to {found['high']:.1%}, {found['n']} audited)."
            )
        )
    return lines


def _summary(reader: RunReader) -> dict[str, Any] | None:
    try:
        text = (reader.folder / "summary.json").read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text)
    except (OSError, ValueError):
        return None
    return found


def _last_check(reader: RunReader) -> Check | None:
    checked = last_check(reader)
    written = None if checked is None else checked[1].get("check")
    return Check.from_dict(written) if written else None


def _pair_words(found: Confusion) -> str:
    parts = []
    if found.votes:
        parts.append(f"annotators disagree on {_many(found.votes, 'item')}")
    if found.student:
        parts.append(f"the student contradicts {_many(found.student, 'accepted label')}")
    return f"{found.one} and {found.other}: {', '.join(parts)}."


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
