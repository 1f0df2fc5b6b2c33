"""The selector agent: a model that looks at the pool and chooses the mix of one batch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ..tools import strategies
from .consult import clip, consult, opening_money, task_inputs
from .desk import Desk
from .selector import STUDENTLESS, Mix, PoolView, SelectionConfig, error_auroc

AGENT, PURPOSE = "selector", "choose batch"
_IN_LIST, _IN_FULL = 160, 600
"""Most characters of a text, where many are listed and where few are looked at."""


@dataclass(frozen=True)
class Choice:
    """Which items a batch is to consist of.

    Attributes:
        mix: Shares of the query strategies.
        first: Pool rows that must be in the batch, at most half of it.
        by: ``rule``, ``rule: <why the model did not decide>`` or ``model <name>``.
        avoid: Pool rows that must not be in it.
    """

    mix: Mix
    first: tuple[int, ...]
    by: str
    avoid: tuple[int, ...] = ()


class Batch(BaseModel):
    """Submit the batch. This ends your work."""

    model_config = ConfigDict(extra="forbid")

    strategy_mix: dict[str, float] = Field(
        min_length=1, description="Share of the batch by query strategy; the shares sum to 1."
    )
    must_include: list[str] = Field(
        default_factory=list, description="Ids that must be in the batch, at most half of it."
    )
    avoid: list[str] = Field(
        default_factory=list, description="Ids that must not be in this batch."
    )
    reason: str = Field(min_length=1, description="What you saw and how it led to the mix.")


def choose_mix(
    desk: Desk,
    config: SelectionConfig,
    view: PoolView,
    rule: Mix,
    *,
    round_: int,
    size: int,
    findings: Sequence[str],
    counts: Mapping[str, int],
    student_summary: str,
    seed: int,
) -> Choice:
    """Choose the mix: by the model where one is configured and decides, else by the rule.

    Args:
        desk: The run.
        config: Settings.
        view: The pool.
        rule: The rule policy's mix.
        round_: The round that the batch is for.
        size: Items in the batch.
        findings: What checks and the critic have found, a line each.
        counts: Accepted labels per class.
        student_summary: Of the last student, empty before the first.
        seed: Of the run.

    Returns:
        The choice; the model's has at least half of the configured random share.

    Raises:
        ConfigError, CallStopped, EndpointError: As `consult`.
    """
    if config.model is None:
        return Choice(rule, (), "rule")
    if config.strategy is not None:
        return Choice(rule, (), "rule: the strategy is configured")
    if not len(view.candidates):
        return Choice(rule, (), "rule: there is nothing to choose from")
    look = _Look(desk, view, round_, size, seed, findings, counts)
    usable = STUDENTLESS if view.proba is None else tuple(strategies.STRATEGIES)
    shares = ", ".join(f"{name} {share:.2f}" for name, share in rule.shares.items())
    inputs = {
        **task_inputs(desk.task),
        "round": round_,
        "batch_size": size,
        "money": opening_money(desk.ledger, agent=AGENT, purpose=PURPOSE, round_=round_),
        "student_summary": student_summary,
        "class_counts": dict(counts) if any(counts.values()) else {},
        "strategies": [
            {"name": name, "description": strategies.STRATEGIES[name]} for name in usable
        ],
        "steps_left": config.model.steps,
        "rule_choice": f"{shares}: {rule.reason}.",
    }
    result = consult(
        desk,
        config.model,
        "selector/choose_batch",
        inputs,
        [
            look.pool_statistics,
            look.list_candidates,
            look.look_at_items,
            look.neighbours,
            look.open_findings,
        ],
        Batch,
        submit_name="submit_batch",
        agent=AGENT,
        purpose=PURPOSE,
        round_=round_,
        validate=lambda batch: look.fault(batch, usable),
    )
    if result.decision is None:
        return Choice(rule, (), f"rule: {result.failure}")
    batch = result.decision
    return Choice(
        with_random(batch.strategy_mix, config.random_share / 2, clip(batch.reason, 600)),
        tuple(desk.pool.index(item) for item in dict.fromkeys(batch.must_include)),
        f"model {config.model.model}",
        tuple(desk.pool.index(item) for item in dict.fromkeys(batch.avoid)),
    )


def with_random(mix: Mapping[str, float], least: float, reason: str) -> Mix:
    """A mix whose shares sum to 1, with at least a share ``least`` of random items."""
    total = sum(mix.values())
    shares = {name: share / total for name, share in mix.items() if share > 0}
    given = shares.get("random", 0.0)
    if given < least:
        shares = {name: share * (1 - least) / (1 - given) for name, share in shares.items()}
        shares["random"] = least
        reason = f"{reason} (random raised from {given:.3f} to {least:.3f}, the least allowed)"
    return Mix(shares, reason)


@dataclass
class _Look:
    """The selector's tools; what they return is fixed by the round, so that a rerun sees the same.

    Attributes:
        seen: Ids that a tool has returned.
    """

    desk: Desk
    view: PoolView
    round_: int
    size: int
    seed: int
    findings: Sequence[str]
    counts: Mapping[str, int]
    seen: set[str] = field(default_factory=set)

    def pool_statistics(self) -> dict[str, Any]:
        """Sizes, accepted labels per class, and what the student thinks of the candidates."""
        view = self.view
        statistics: dict[str, Any] = {
            "texts": len(view.vectors),
            "candidates": len(view.candidates),
            "labelled": int(view.labelled.sum()),
            "accepted_per_class": dict(self.counts),
        }
        if view.proba is None:
            return {**statistics, "student": "none yet"}
        proba = np.asarray(view.proba[view.candidates])
        predicted = np.bincount(proba.argmax(axis=1), minlength=proba.shape[1]) / len(proba)
        doubt = strategies.uncertainty(proba, "margin")
        auroc = error_auroc(view)
        return {
            **statistics,
            "predicted_share_of_candidates": {
                label: round(float(share), 3)
                for label, share in zip(self.desk.task.label_names, predicted, strict=True)
            },
            "doubt_of_candidates": {
                f"{q}%": round(float(np.percentile(doubt, q)), 3) for q in (10, 50, 90, 99)
            },
            "auroc_of_doubt_against_errors": "too few errors" if auroc is None else round(auroc, 3),
        }

    def list_candidates(
        self,
        strategy: Annotated[str, Field(description="Name of a query strategy.")],
        n: Annotated[int, Field(ge=1, le=30, description="How many, at most 30.")] = 10,
    ) -> dict[str, Any]:
        """The candidates that a query strategy would pick first, with the student's opinion."""
        rng = np.random.default_rng([self.seed, self.round_, *strategy.encode()])
        rows = strategies.pick(
            strategy,
            self.view.candidates,
            n,
            rng,
            vectors=self.view.vectors,
            labelled_mask=self.view.labelled,
            proba=self.view.proba,
        )
        return {"items": self._show([self.desk.pool.ids[row] for row in rows.tolist()], _IN_LIST)}

    def look_at_items(
        self,
        ids: Annotated[list[str], Field(min_length=1, max_length=20, description="At most 20.")],
    ) -> dict[str, Any]:
        """Longer texts of some items."""
        self._refuse_unknown(ids)
        return {"items": self._show(ids, _IN_FULL)}

    def neighbours(
        self,
        item_id: Annotated[str, Field(description="Id of any item.")],
        k: Annotated[int, Field(ge=1, le=10, description="How many, at most 10.")] = 5,
    ) -> dict[str, Any]:
        """The items nearest to one, with their accepted labels."""
        self._refuse_unknown([item_id])
        vector = self.view.vectors[self.desk.pool.index(item_id)][None]
        found = [near for near in self.desk.pool.neighbours(vector, k + 1)[0] if near[0] != item_id]
        shown = self._show([item for item, _ in found[:k]], _IN_LIST)
        return {
            "items": [
                {**entry, "similarity": round(similarity, 2)}
                for entry, (_, similarity) in zip(shown, found, strict=False)
            ]
        }

    def open_findings(self) -> dict[str, Any]:
        """What checks and the critic have found so far."""
        return {"findings": list(self.findings)}

    def fault(self, batch: Batch, usable: Sequence[str]) -> str | None:
        """Why a batch is not acceptable, for the model."""
        shares = batch.strategy_mix
        if unknown := [name for name in shares if name not in usable]:
            return f"strategy_mix: no strategy {unknown[0]!r} here; use {', '.join(usable)}."
        if any(not math.isfinite(share) or share < 0 for share in shares.values()):
            return "strategy_mix: a share is a number from 0 to 1."
        if abs(sum(shares.values()) - 1) > 0.01:
            return f"strategy_mix: the shares sum to {sum(shares.values()):.3f}, not to 1."
        candidates = np.zeros(len(self.view.vectors), bool)
        candidates[self.view.candidates] = True
        for item in [*batch.must_include, *batch.avoid]:
            if item not in self.seen:
                return f"{item!r}: no tool has returned this id in this conversation."
            if not candidates[self.desk.pool.index(item)]:
                return f"{item!r}: is labelled or reserved already and can not be in a batch."
        if len(set(batch.must_include)) > self.size // 2:
            return f"must_include: at most {self.size // 2} ids, half of the batch."
        if both := sorted({*batch.must_include} & {*batch.avoid}):
            return f"{both[0]!r} is in must_include and in avoid."
        return None

    def _refuse_unknown(self, ids: Sequence[str]) -> None:
        for item in ids:
            if item not in self.desk.pool:
                raise ValueError(f"the pool has no item {item!r}")

    def _show(self, ids: Sequence[str], most: int) -> list[dict[str, Any]]:
        self.seen.update(ids)
        names = self.desk.task.label_names
        shown = []
        for item, text in zip(ids, self.desk.pool.texts(ids), strict=True):
            row = self.desk.pool.index(item)
            entry: dict[str, Any] = {"id": item, "text": clip(text, most)}
            if self.view.labels[row] >= 0:
                entry["label"] = names[self.view.labels[row]]
            elif self.view.proba is not None:
                best = int(self.view.proba[row].argmax())
                entry["student"] = f"{names[best]} {float(self.view.proba[row, best]):.2f}"
            shown.append(entry)
        return shown
