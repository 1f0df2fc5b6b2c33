"""How many votes a quote counts with: from the earliest stop to all that may be asked."""

from __future__ import annotations

import math
from collections.abc import Collection

from ..agents.ensemble import Voter, cascade, reference
from ..tools.rho import AUDITS
from .config import RunConfig
from .nodes.generate import blind_annotator


def voters_of(config: RunConfig) -> list[Voter]:
    """The annotators of a configuration, in the order of the cascade."""
    return cascade(
        [
            Voter(a.name, a.tier, a.trusted, a.kind == "human", a.kind == "chat")
            for a in config.annotators
        ]
    )


def earliest(config: RunConfig, texts: int, batch: int, most: int) -> int:
    """The first round after which the rule may stop: its gates ask for rounds and for labels.

    Args:
        config: The run's.
        texts: Different texts of the pool.
        batch: Items a round.
        most: Most rounds, which it never passes.
    """
    stopping = config.stopping
    # Churn needs two rounds. What surely did not pay ends a run without waiting for the streak, as
    # a model that may spend less does; without one, where nothing costs anything, a run waits.
    waits = config.critic.model is None and _all_free(config)
    fewest = max(2, stopping.min_rounds, stopping.patience + 1 if waits else 2)
    wanted = max(min(stopping.min_labels, texts // 4), 2 * len(config.task.labels))
    each = batch + (_written(config, texts) if config.generation.enabled else 0)
    for rounds in range(fewest, most):
        if each * rounds + sum(audit_sizes(config, batch, rounds)) >= wanted:
            return rounds
    return most


def audit_sizes(config: RunConfig, batch: int, rounds: int) -> list[int]:
    """Texts of the random audit sample, by round."""
    later = math.ceil(config.critic.audit_share * batch)
    return [config.critic.audit_first, *[later] * (rounds - 1)]


def votes_foreseen(
    config: RunConfig,
    batch: int,
    texts: int,
    rounds: tuple[int, int],
    too_dear: Collection[str] = (),
) -> dict[str, tuple[int, int]]:
    """Fewest and most votes of each annotator, in the order of the cascade.

    Args:
        config: The run's.
        batch: Items a round.
        texts: Different texts of the pool.
        rounds: Fewest and most.
        too_dear: People whose label costs more than a wrong one does.
    """
    voters = voters_of(config)
    target = reference(voters)
    first = next(voter for voter in voters if not voter.person)
    critic = config.critic
    judge = blind_annotator(config, voters) if config.generation.enabled else None
    room = config.human.questions_per_round
    # The stop set is neither chosen from nor audited.
    open_texts = texts - min(config.stopping.stop_set_size, texts // 4)
    # Without a valid answer a text goes on to whoever is left, at any price, and so it does with a
    # proposal that is carried out.
    never = _always_answered(config) and "relabel_items" not in critic.apply
    votes = {}
    for voter in voters:
        audits = [0, 0]
        if target is not None and (not voter.person or voter == target):
            sizes = [audit_sizes(config, batch, r) for r in rounds]
            # What a round has no room for is not made up for in a later one.
            audits = [sum(min(n, room) if voter.person else n for n in each) for each in sizes]
        sent_on = math.ceil(critic.escalate_share * batch)
        if voter.name in too_dear and never:
            sent_on = 0
        label = [batch * r for r in rounds] if voter == first else [0, sent_on * rounds[1]]
        sweep = 0 if voter.person else max(0, texts - batch * rounds[0])
        most = min(audits[1] + label[1] + sweep, texts)
        # Audits may fall on texts of a batch, which are asked about once.
        fewest = min(max(audits[0], label[0]), open_texts, most)
        if voter.person:
            most = min(most, room * rounds[1])
        most *= critic.attempts if voter.repeats else 1
        if config.ensemble.guarantee is not None and voter == target:
            last = config.ensemble.guarantee.size
            fewest, most = min(fewest + last, texts), max(most, min(most + last, texts))
            if config.ensemble.guarantee.rest == "escalate":
                most = max(most, texts)
        if voter == target and voter.trusted and config.stopping.audit_changes:
            space = room if voter.person else max(AUDITS)
            changes = min(space, max(AUDITS)) if space >= min(AUDITS) else 0
            most = max(most, min(most + changes, texts))
        if voter.repeats:
            checks = critic.checks
            asked_again = checks.order + checks.template + checks.retest + checks.counter
            most += math.ceil(asked_again * most)
        if voter.name == judge:
            most += _written(config, texts) * rounds[1]
        votes[voter.name] = (fewest, most)
    return votes


def _all_free(config: RunConfig) -> bool:
    models = [config.selection.model]
    models += [config.generation.model] if config.generation.enabled else []
    priced = [*config.annotators, *(model for model in models if model is not None)]
    return all(one.price.free for one in priced)


def _always_answered(config: RunConfig) -> bool:
    """Whether every text gets a valid answer without people."""
    embedded = [one.kind == "embedded" for one in config.annotators if one.kind != "human"]
    # One of several may be dropped, and then those that are left give answers that are no label.
    return all(embedded) or (any(embedded) and not config.ensemble.membership)


def _written(config: RunConfig, texts: int) -> int:
    """Most texts that are written in a round; each gets one blind label."""
    share = config.generation.max_share
    room = math.floor(share / (1 - share) * texts)
    return min(config.generation.per_class * len(config.task.labels), room)
