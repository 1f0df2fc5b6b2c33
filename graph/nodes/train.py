"""Train: the student learns from the accepted labels, and is looked at from outside."""

from __future__ import annotations

from typing import Any

import numpy as np
from langgraph.runtime import Runtime
from numpy.typing import NDArray

from ...tools.audit import macro_f1
from ...tools.ledger import Decision
from ...tools.student import Fit, fit
from ..context import RunContext
from ..labelled import TrainingSet, labelled_items, training_set
from ..quality import audit_figures, label_strata, wrong_labels
from ..rounds import save_round
from ..state import RunState


def train(state: RunState, runtime: Runtime[RunContext]) -> RunState:
    """Fit the student, keep it, and write down the round."""
    ctx = runtime.context
    # The training after the last batch has a number of its own, and is no round.
    round_ = state["round"] + (state["phase"] == "deliver")
    labelled = training_set(ctx, in_loop=state["phase"] == "loop")
    if not len(labelled.ids):
        return {"go": _next(state), "round": round_}
    fitted = _fit(ctx, labelled)
    save_round(ctx.folder, round_, fitted, labelled.ids, labelled.labels, ctx.embedder.fingerprint)
    ctx.round_fit.cache_clear()
    kept = ctx.round_fit(round_)
    predictions = _predict(ctx, kept.student.predict_proba, ctx.splits.stop_set)
    metrics = {
        **_metrics(ctx, labelled, fitted),
        **_audit(ctx, state["audited"], round_),
        "spent": ctx.ledger.balance().spent,
        "votes": ctx.ledger.votes.count(),
    }
    ctx.ledger.log.close_round(round_, metrics, predictions)
    ctx.ledger.log.decide(
        Decision(
            state["step"], round_, "student", "trained", {"labels": len(labelled.ids)}, metrics
        )
    )
    ctx.notify({"event": "trained", "round": round_, **metrics})
    return {"step": state["step"] + 1, "round": round_, "go": _next(state)}


def _next(state: RunState) -> str:
    return "decide" if state["phase"] == "loop" else "finish"


def _fit(ctx: RunContext, labelled: TrainingSet) -> Fit:
    settings = ctx.config.student
    texts = ctx.pool.texts(labelled.ids) if settings.features != "embedding" else None
    return fit(
        settings,
        ctx.pool.vectors()[labelled.rows],
        labelled.labels,
        labelled.weights,
        ctx.labels,
        texts=texts,
        seed=ctx.config.seed,
        groups=_groups(ctx, labelled.ids),
    )


def _groups(ctx: RunContext, ids: list[str]) -> NDArray[np.int64]:
    """Near-duplicates share a group, so that no fold is judged on a text it has nearly seen."""
    twins = ctx.rows.near_duplicates()
    kept = [twins.get(item, item) for item in ids]
    return np.unique(np.asarray(kept), return_inverse=True)[1].astype(np.int64)


def _predict(ctx: RunContext, proba: Any, rows: NDArray[np.int64]) -> NDArray[np.int32]:
    texts = ctx.pool.texts(ctx.ids(rows)) if ctx.config.student.features != "embedding" else None
    return np.asarray(proba(ctx.pool.vectors()[rows], texts).argmax(axis=1), np.int32)


def _metrics(ctx: RunContext, labelled: TrainingSet, fitted: Fit) -> dict[str, Any]:
    # Written texts are trained on, and say nothing about how the student does on the pool.
    real = ~ctx.pool.origins()[labelled.rows]
    truth, weights = labelled.labels[real], labelled.weights[real]
    predicted = fitted.out_of_sample[real].argmax(axis=1)
    agreement = float(weights @ (predicted == truth)) / (float(weights.sum()) or 1.0)
    counts = np.bincount(labelled.labels, minlength=len(ctx.labels))
    return {
        "labels": len(labelled.ids),
        "agreement": round(agreement, 6),
        "macro_f1": round(macro_f1(truth, predicted, len(ctx.labels)), 6),
        "classes": {label: int(n) for label, n in zip(ctx.labels, counts, strict=True)},
    }


def _audit(ctx: RunContext, audited: int, round_: int) -> dict[str, Any]:
    fit = ctx.round_fit(round_)
    figures = audit_figures(ctx, audited, fit)
    strata = label_strata(ctx, audited, fit, labelled_items(ctx).values())
    return {
        "audited": figures.n,
        "audit_label_errors": wrong_labels(strata, figures.n),
        "audit_student": figures.student.estimate,
        "audit_student_low": figures.student.low,
        "audit_student_high": figures.student.high,
    }
