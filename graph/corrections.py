"""Corrections: what reviewers say of items that no question is open about.

They are taken where nothing is under way: before a batch is chosen and before labels are settled at
the end. From then on the label is the person's. It is no vote and no audit: it says nothing of the
annotators, for the items that people correct are not drawn at random. A later correction alone can
change it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ..agents.annotators import Example
from ..tools.ledger import CHECK_ATTEMPTS, Consensus, Decision, Directive
from ..tools.reviews import REVIEW, Review, Standing, read_review, standing
from .directives import OPERATOR, fresh

if TYPE_CHECKING:
    from .context import RunContext
    from .state import RunState

CORRECTIONS = "corrections"
"""Kind of the decision that holds them, by item."""
EXAMPLES = "examples"
"""Kind of the decision that holds answers to questions that are shown as examples."""
_KEPT = 64
"""Examples that are kept at hand: a request leaves out those that are its own texts."""
LONGEST_EXAMPLE = 2000
"""Characters of a text that is shown beside others."""


def pending_reviews(ctx: RunContext) -> list[Review]:
    """Reviews that wait, by the items of the pool; those that make no sense are told so."""
    found = []
    for order in ctx.ledger.log.directives(REVIEW, pending=True):
        review = _read(ctx, order)
        if isinstance(review, str):
            ctx.ledger.log.acknowledge(order.seq, f"refused: {review}")
        else:
            found.append(review)
    return found


def take_corrections(ctx: RunContext, state: RunState, round_: int) -> list[str]:
    """Take the corrections that wait, and give the items whose labels they are.

    Reviewers who differ without a majority wait for one another.
    """
    log, step = ctx.ledger.log, state["step"]
    made = log.decided_at(step)
    found = next((one for one in made if one.kind == CORRECTIONS), None)
    if found is None:
        found = _ready(ctx, step, round_) if fresh(made) else None
        if found is None:
            return []
        log.decide(found)
    ctx.ledger.votes.conclude(step, round_, _conclusions(found).values())
    later = held_out(ctx) if state["phase"] == "loop" else set()
    for item, seqs in found.decision["seqs"].items():
        for seq in seqs:
            log.acknowledge(seq, _said(found, item, later=item in later))
    items = list(found.decision["items"])
    ctx.notify({"event": CORRECTIONS, "round": round_, "items": len(items)})
    return items


def corrections_wait(ctx: RunContext) -> bool:
    """Whether a run that is over has corrections to take."""
    return _ready(ctx, 0, 0) is not None


def corrected(ctx: RunContext) -> dict[str, Consensus]:
    """The labels that people have corrected, by this step or an earlier one."""
    found: dict[str, Consensus] = {}
    for made in _made(ctx):
        found |= _conclusions(made)
    return found


def corrected_since(ctx: RunContext, step: int) -> list[str]:
    """Items that people have corrected after a step."""
    items = [item for made in _made(ctx) if made.step > step for item in made.decision["items"]]
    return list(dict.fromkeys(items))


def correctors_since(ctx: RunContext, step: int) -> list[str]:
    """Names of those whose corrections were taken after a step, sorted."""
    made = [one.decision for one in _made(ctx) if one.step > step]
    return sorted(
        {name for decision in made for names in decision["by"].values() for name in names}
    )


def held_out(ctx: RunContext) -> set[str]:
    """Corrected items of the stop set: on what the student was taught, churn says nothing."""
    return corrected(ctx).keys() & set(ctx.ids(ctx.splits.stop_set))


def examples(ctx: RunContext) -> list[Example]:
    """Texts that reviewers offered to annotators as examples, the latest last."""
    labels: dict[str, str] = {}
    made = [*_made(ctx, EXAMPLES), *_made(ctx)]
    for decision in (one.decision for one in sorted(made, key=lambda one: one.step)):
        for item in [*decision["items"], *decision["examples"]]:
            labels.pop(item, None)
        labels |= {item: decision["items"][item] for item in decision["examples"]}
    latest = list(labels)[-_KEPT:]
    texts = ctx.pool.texts(latest)
    return [Example(i, text, labels[i]) for i, text in zip(latest, texts, strict=True)]


def keep_examples(
    ctx: RunContext, state: RunState, answers: Mapping[str, str], found: Mapping[str, Standing]
) -> None:
    """Write down which of the answers to questions reviewers offer as examples.

    Args:
        ctx: The run.
        state: Of the graph.
        answers: Labels that were taken, by item.
        found: What the reviews of items come to.
    """
    offered = {item: stands for item, stands in found.items() if item in answers}
    if shown := _offered(ctx, offered):
        decision = {"items": {item: answers[item] for item in shown}, "examples": shown}
        ctx.ledger.log.decide(
            Decision(state["step"], state["round"], OPERATOR, EXAMPLES, decision, None)
        )


def _offered(ctx: RunContext, found: Mapping[str, Standing]) -> list[str]:
    """Items that may be shown as examples, in the order in which they were offered."""
    items = [item for item, stands in found.items() if stands.example and stands.label is not None]
    texts = ctx.pool.texts(items)
    short = [i for i, text in zip(items, texts, strict=True) if len(text) <= LONGEST_EXAMPLE]
    return sorted(short, key=lambda item: found[item].last)


def _made(ctx: RunContext, kind: str = CORRECTIONS) -> list[Decision]:
    found = ctx.ledger.log.decisions(kind)
    return [made for made in found if ctx.step is None or made.step <= ctx.step]


def _read(ctx: RunContext, order: Directive) -> Review | str:
    review = read_review(order.seq, order.payload, ctx.labels)
    if isinstance(review, str) or review.item_id in ctx.pool:
        return review
    # A row that repeats another one takes that one's label.
    same = ctx.rows.first_of(review.item_id)
    if same is None or same not in ctx.pool:
        return f"no such item: {review.item_id[:80]!r}"
    return Review.of(order.seq, {**review.payload(), "item_id": same})


def _ready(ctx: RunContext, step: int, round_: int) -> Decision | None:
    """The corrections that can be taken now; ``None`` where there are none."""
    waiting: dict[str, list[Review]] = defaultdict(list)
    for review in pending_reviews(ctx):
        waiting[review.item_id].append(review)
    earlier = _earlier_words(ctx, waiting) if waiting else {}
    found: dict[str, Standing] = {}
    for item, words in sorted(waiting.items()):
        if not any(word.verdict in {"label", "no_label"} for word in words):
            _note(ctx, words, corrected_before=item in earlier)
            continue
        stands = standing([*earlier.get(item, ()), *words]).get(item)
        if stands is None or not stands.said:
            _note(ctx, words, corrected_before=item in earlier)
        elif stands.settled:
            found[item] = stands
    if not found:
        return None
    decision = {
        "items": {item: stands.label for item, stands in found.items()},
        "examples": _offered(ctx, found),
        "by": {item: _names(stands) for item, stands in found.items()},
        "seqs": {item: [word.seq for word in waiting[item]] for item in found},
    }
    votes = _votes(ctx, list(found))
    return Decision(step, round_, OPERATOR, CORRECTIONS, decision, {"votes": votes})


def _earlier_words(ctx: RunContext, items: Iterable[str]) -> dict[str, list[Review]]:
    """What reviewers have said of items in corrections that were taken."""
    wanted = set(items)
    taken = {
        seq: item
        for made in _made(ctx)
        for item, seqs in made.decision["seqs"].items()
        if item in wanted
        for seq in seqs
    }
    found: dict[str, list[Review]] = defaultdict(list)
    for order in ctx.ledger.log.directives(REVIEW) if taken else ():
        review = _read(ctx, order) if order.seq in taken else ""
        if isinstance(review, Review):
            found[taken[order.seq]].append(review)
    return found


def _note(ctx: RunContext, words: Sequence[Review], *, corrected_before: bool) -> None:
    """Answer what gives no label."""
    for word in words:
        note = "noted; it changes no label"
        if word.verdict == "undo" and corrected_before:
            note = "a correction that was taken stays until another one comes"
        ctx.ledger.log.acknowledge(word.seq, note)


def _names(stands: Standing) -> list[str]:
    return sorted(name for name, label in stands.said.items() if label == stands.label)


def _votes(ctx: RunContext, items: list[str]) -> dict[str, dict[str, str]]:
    """The last label that each annotator gave each item, as in any other conclusion."""
    names = {voter.name for voter in ctx.voters}
    return {
        item: {
            vote.annotator: vote.label
            for vote in given
            if vote.label is not None and vote.annotator in names and vote.attempt < CHECK_ATTEMPTS
        }
        for item, given in ctx.ledger.votes.of_items(items).items()
    }


def _conclusions(made: Decision) -> dict[str, Consensus]:
    by, votes = made.decision["by"], made.evidence["votes"]
    return {
        item: Consensus(
            item_id=item,
            label=label,
            p_correct=None if label is None else 1.0,
            calibrated=False,
            source="person",
            outcome="set_apart" if label is None else "accept",
            reason=f"corrected by {', '.join(by[item])}"
            + (": no label fits" if label is None else ""),
            evidence={"gold": True, "votes": votes[item], "flags": [], "final": True},
        )
        for item, label in made.decision["items"].items()
    }


def _said(made: Decision, item: str, *, later: bool) -> str:
    label, by = made.decision["items"][item], ", ".join(made.decision["by"][item])
    what = "no label fits" if label is None else f"the label is {label!r}"
    shown = "; shown to chat annotators as an example" if item in made.decision["examples"] else ""
    when = "; churn is measured on it, so it is learned at the end" if later and label else ""
    return f"taken in round {made.round}: {what}, by {by}{shown}{when}"
