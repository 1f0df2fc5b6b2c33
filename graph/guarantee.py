"""The last audit: a random sample of the finished labels, and what it proves of the rest.

Before it is drawn every label and its probability are settled: no vote is bought any more, the
student is trained, and the audits of the rounds have taught what they can. What the last audit
finds changes no other label, so that it is a fair test of them (see `tools/guarantee.py`). The
audits of the rounds themselves could not be one: weights and calibration were learned from them,
and they have votes that other texts lack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..agents.ballot import Ballot
from ..agents.critic import Ruling
from ..agents.ensemble import Ask, Voter, ask, reference
from ..agents.panel import Panel
from ..agents.verdict import Verdict, declined_by_gold, gold_labels, weigh
from ..tools.aggregation import NO_VOTE
from ..tools.guarantee import LAST_AUDIT, REST, Acceptance, GuaranteeConfig
from ..tools.ledger import CHECK_ATTEMPTS, Decision
from .context import RunContext
from .labelled import labelled_items
from .rounds import RoundFit
from .state import RunState

PROVEN = "guarantee"
"""Kind of the decision that holds what it has shown."""
PRICED_TEXTS = 200
"""Texts whose prices stand for those of the rest."""


@dataclass(frozen=True)
class Finished:
    """Labels that are settled but for the last audit.

    Attributes:
        ballot: Votes on them, those of the last audit included.
        verdict: What the votes add up to without those of the last audit: what is tested.
        delivered: With them.
        audited: Positions of the last audit's texts, in the order in which they were drawn.
        heard: Which of the last audit's texts were answered for it, in the same order.
        escalated: Positions of those that were put to the trusted annotator afterwards.
    """

    ballot: Ballot
    verdict: Verdict
    delivered: Verdict
    audited: NDArray[np.int64]
    heard: NDArray[np.bool_]
    escalated: NDArray[np.int64]


def last_audit(ctx: RunContext) -> list[str] | None:
    """The sample of the last audit; ``None`` before it is drawn.

    It holds through a delivery that nothing has followed: a run that is taken up again, only to
    find that it must end, has no other labels to prove something of.
    """
    drawn, delivered = _earlier(ctx, LAST_AUDIT), _earlier(ctx, "deliver")
    if not drawn:
        return None
    if (
        ctx.step is not None
        and delivered
        and delivered[-1].step > drawn[-1].step
        and bought_since(ctx, delivered[-1].step)
    ):
        return None
    items: list[str] = drawn[-1].decision["items"]
    return items


def escalated(ctx: RunContext) -> Decision | None:
    """What of the rest was put to the trusted annotator after the last audit, if it was."""
    drawn, made = _earlier(ctx, LAST_AUDIT), _earlier(ctx, REST)
    return made[-1] if drawn and made and made[-1].step > drawn[-1].step else None


def audit_under_way(ctx: RunContext) -> bool:
    """Whether the last audit is drawn and its labels are not delivered yet: they must not move."""
    drawn, delivered = _earlier(ctx, LAST_AUDIT), _earlier(ctx, "deliver")
    return bool(drawn) and not (delivered and delivered[-1].step > drawn[-1].step)


def proof_stands(ctx: RunContext) -> Decision | None:
    """What the last test has shown of the labels, where nothing was bought since.

    People may have corrected some of them: the others are still the labels that were tested.
    """
    proven = _earlier(ctx, PROVEN)
    return proven[-1] if proven and not bought_since(ctx, proven[-1].step) else None


def _earlier(ctx: RunContext, kind: str) -> list[Decision]:
    # A step that runs again after a crash must not see its own: it would draw and pay once more.
    found = ctx.ledger.log.decisions(kind)
    return [made for made in found if ctx.step is None or made.step < ctx.step]


def bought_since(ctx: RunContext, step: int) -> bool:
    """Whether the run has ordered votes after a step, in a round or for the sweep."""
    made = [one for kind in ("batch", "sweep") for one in _earlier(ctx, kind) if one.decision]
    return any(one.step > step for one in made)


def money_kept(ctx: RunContext) -> int:
    """What the last audit is expected to cost, in nanodollars: rounds and sweep leave it alone."""
    guarantee, judge = ctx.config.ensemble.guarantee, reference(ctx.voters)
    if guarantee is None or judge is None or last_audit(ctx) is not None:
        return 0
    each = float(asking_costs(ctx, ctx.pool.ids[:PRICED_TEXTS]).mean())
    return round(each * min(guarantee.size, len(ctx.pool)))


def asking_costs(ctx: RunContext, items: list[str]) -> NDArray[np.int64]:
    """What the trusted annotator is expected to cost for each text, in nanodollars, shape (n,)."""
    _, judge = terms(ctx)
    who = ctx.people.get(judge.name) or ctx.annotators[judge.name]
    return who.expect(ctx.pool.texts(items))


def draw_last_audit(
    ctx: RunContext, state: RunState, panel: Panel, fit: RoundFit | None
) -> list[str]:
    """Draw the sample from all labels that nobody trusted has given, and write it down."""
    guarantee, judge = terms(ctx)
    finished = finished_labels(ctx, state, panel, fit, [])
    ids = finished.ballot.item_ids
    order = ctx.rng(state["step"], LAST_AUDIT).permutation(len(ids))[: guarantee.size]
    items = [ids[row] for row in order.tolist()]
    costs, left = np.cumsum(asking_costs(ctx, items)), ctx.ledger.left()
    if left is not None:
        # The first so many of a random order are a random sample, too.
        items = items[: int(np.searchsorted(costs, left, side="right"))]
        left -= int(costs[len(items) - 1]) if items else 0
    ctx.ledger.log.decide(
        Decision(
            state["step"],
            state["round"],
            "critic",
            LAST_AUDIT,
            {"items": items},
            {
                "of": len(ids),
                "wanted": guarantee.size,
                "judge": judge.name,
                "expert": _within_reach(ctx, finished, {*items}, left)
                if guarantee.of == "delivered"
                else 0,
            },
        )
    )
    ctx.notify({"event": LAST_AUDIT, "asked": len(items), "judge": judge.name})
    return items


def _within_reach(ctx: RunContext, finished: Finished, sample: set[str], left: int | None) -> int:
    """How many texts the money will pay for after the audit, the least probable first."""
    ids = finished.ballot.item_ids
    if left is None:
        return len(ids)
    order = np.argsort(finished.verdict.p_correct, kind="stable").tolist()
    rest = [ids[row] for row in order if ids[row] not in sample]
    return int(np.searchsorted(np.cumsum(asking_costs(ctx, rest)), left, side="right"))


def expert_planned(ctx: RunContext) -> int:
    """Labels that the trusted annotator was to give the rest, as the last audit was drawn with."""
    drawn = _earlier(ctx, LAST_AUDIT)
    return int(drawn[-1].evidence.get("expert", 0)) if drawn else 0


def questions_left(ctx: RunContext, items: list[str], purpose: str = LAST_AUDIT) -> list[Ask]:
    """The questions that have no answer yet; a person gets some at a time."""
    _, judge = terms(ctx)
    answered = ctx.ledger.votes.attempts(judge.name, items)
    left = [item for item in items if item not in answered]
    if judge.person:
        left = left[: ctx.config.human.questions_per_round]
    return [ask(judge.name, left, purpose)] if left else []


def finished_labels(
    ctx: RunContext,
    state: RunState,
    panel: Panel,
    fit: RoundFit | None,
    items: list[str],
    rest: Sequence[str] = (),
) -> Finished:
    """All labels that no trusted annotator had given before the last audit.

    Left out are texts of which it is settled that no label is right, those without vote and
    student, and those of the rounds' audits that were never answered: what they might still teach
    the weights would make the test unfair.

    Args:
        ctx: The run.
        state: Of the graph.
        panel: What the audits of the rounds have taught.
        fit: The student that is kept.
        items: The last audit's texts.
        rest: Those that were escalated after it; what came back is not seen by the test.
    """
    synthetic = ctx.pool.origins()
    closed = {item for item, settled in labelled_items(ctx).items() if settled.evidence["final"]}
    closed -= set(items)
    closed |= set(ctx.audit_ids(state["audited"]))
    ids = [
        item for row, item in enumerate(ctx.pool.ids) if not synthetic[row] and item not in closed
    ]
    ballot = ctx.ballot(ids)
    sample, asked = set(items), {*items, *rest}
    drawn = np.asarray([item in sample for item in ids], bool)
    before = _without(ballot, np.asarray([item in asked for item in ids], bool), panel)
    kept = gold_labels(before, panel) == NO_VOTE
    kept &= (before.votes != NO_VOTE).any(axis=1) | (fit is not None) | drawn
    ballot, before = ballot.take(np.flatnonzero(kept)), before.take(np.flatnonzero(kept))
    row = {item: position for position, item in enumerate(ballot.item_ids)}
    student, classes = ctx.student_view(list(ballot.item_ids), fit), len(ctx.labels)
    verdict = weigh(before, panel, student, classes=classes)
    delivered = weigh(ballot, panel, student, classes=classes) if items else verdict
    return Finished(
        ballot,
        verdict,
        delivered,
        np.asarray([row[item] for item in items], np.int64),
        _heard(ctx, items),
        np.asarray([row[item] for item in rest if item in row and item not in sample], np.int64),
    )


def unanswered_audits(ctx: RunContext, audited: int) -> list[str]:
    """Accepted texts of the rounds' audits for which no trusted label has come."""
    accepted = labelled_items(ctx)
    return [
        item
        for item in ctx.audit_ids(audited)
        if item in accepted
        and accepted[item].outcome == "accept"
        and not accepted[item].evidence["gold"]
    ]


def least(ctx: RunContext, proven: Acceptance) -> float:
    """The least probability with which a label is kept."""
    return ctx.config.critic.set_apart_below if proven.threshold is None else proven.threshold


def rulings(ctx: RunContext, finished: Finished, panel: Panel, proven: Acceptance) -> list[Ruling]:
    """What becomes of every finished label, given what was proven.

    Without a proof labels are kept or set apart by their probability alone, as in a run without a
    guarantee; the summary says that there is none.
    """
    limit = least(ctx, proven)
    below = f"< {limit:g}" if proven.threshold is None else f"< {limit:.3f}, as guaranteed"
    probable = finished.verdict.p_correct.tolist()
    return [
        trusted
        or (
            Ruling(item, "accept", f"p_correct {p:.3f}")
            if p >= limit
            else Ruling(item, "set_apart", f"p_correct {p:.3f} {below}")
        )
        for item, p, trusted in zip(
            finished.ballot.item_ids, probable, trusted_rulings(finished.ballot, panel), strict=True
        )
    ]


def trusted_rulings(ballot: Ballot, panel: Panel) -> list[Ruling | None]:
    """What becomes of each item by the word of a trusted annotator; ``None`` without one."""
    why = "a trusted annotator finds no label right"
    gold, declined = gold_labels(ballot, panel) != NO_VOTE, declined_by_gold(ballot, panel)
    return [
        Ruling(item, "accept", "a trusted label")
        if known
        else Ruling(item, "set_apart", why, final=True)
        if none
        else None
        for item, known, none in zip(ballot.item_ids, gold, declined, strict=True)
    ]


def times_tested(ctx: RunContext) -> tuple[int, float]:
    """How often the run was tested, and the probability that all of its tests are right.

    A run that goes on after its delivery is tested again, and the best of several tests is less
    sure than one (Bonferroni).
    """
    guarantee, _ = terms(ctx)
    tests = len({made.step for made in ctx.ledger.log.decisions(LAST_AUDIT)})
    return tests, round(max(0.0, 1 - tests * (1 - guarantee.confidence)), 6)


def terms(ctx: RunContext) -> tuple[GuaranteeConfig, Voter]:
    """What is to be proven, and whose labels count as the truth."""
    guarantee, judge = ctx.config.ensemble.guarantee, reference(ctx.voters)
    if guarantee is None or judge is None:
        raise ValueError("a last audit needs ensemble.guarantee and a trusted annotator")
    return guarantee, judge


def _heard(ctx: RunContext, items: list[str]) -> NDArray[np.bool_]:
    """Which texts the judge has answered, but when the rest was escalated: the sample is closed."""
    _, judge = terms(ctx)
    given = ctx.ledger.votes.of_items(items)
    return np.asarray(
        [
            any(
                vote.annotator == judge.name
                and vote.purpose != REST
                and vote.attempt < CHECK_ATTEMPTS
                for vote in given.get(item, ())
            )
            for item in items
        ],
        bool,
    )


def _without(ballot: Ballot, rows: NDArray[np.bool_], panel: Panel) -> Ballot:
    """The ballot as it was before trusted annotators said anything of some items."""
    told = np.outer(rows, [name in panel.gold for name in ballot.annotators])
    return replace(
        ballot,
        votes=np.where(told, NO_VOTE, ballot.votes),
        answers=np.where(told, 0, ballot.answers),
        declined=None if ballot.declined is None else ballot.declined & ~told,
        blank=None if ballot.blank is None else ballot.blank & ~told,
    )
