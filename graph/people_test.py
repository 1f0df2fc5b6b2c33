"""May a model take the place of people here? Asked of the votes in a run's ledger."""

from __future__ import annotations

import numpy as np

from ..tools.aggregation import NO_VOTE
from ..tools.alternative_annotator import EPSILON, AltTest, alternative_annotator_test
from .context import RunContext


def people_of(ctx: RunContext) -> list[str]:
    """Annotators whose votes are a person's: kind human, or recorded and declared so."""
    return [
        settings.name
        for settings in ctx.config.annotators
        if settings.kind == "human" or (settings.kind == "recorded" and settings.person)
    ]


def hold_models_to_people(
    ctx: RunContext, epsilon: float = EPSILON["skilled"]
) -> dict[str, AltTest]:
    """The alternative annotator test of every model of the run, by its name.

    A model is judged on the texts that it was asked about; where its answer was no label, it agrees
    with nobody.

    Args:
        ctx: The run.
        epsilon: Advantage of people, see `tools.alternative_annotator.EPSILON`.
    """
    people = people_of(ctx)
    ids = sorted({v.item_id for v in ctx.ledger.votes.all() if v.annotator in people})
    ballot = ctx.ballot(ids)
    votes = {name: ballot.column(name) for name in ballot.annotators}
    given = [name for name in people if (votes[name] != NO_VOTE).any()]
    matrix = (
        np.column_stack([votes[name] for name in given]) if given else np.empty((len(ids), 0), int)
    )
    found = {}
    for name in ballot.annotators:
        if name in people:
            continue
        asked = ballot.answers[:, ballot.annotators.index(name)] > 0
        found[name] = alternative_annotator_test(
            votes[name][asked], matrix[asked], given, epsilon=epsilon
        )
    return found
