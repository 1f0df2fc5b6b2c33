"""Proposals that follow from rules: what would keep errors from coming back, at which price.

Each is typed, carries its evidence and a predicted effect, and changes nothing by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..tools.audit import lower_bound, upper_bound
from ..tools.codebook import Fault
from .consult import clip
from .critic_bench import Proposal

_SHOWN = 3
_LISTED = 50
"""Most items that a proposal lists."""
CONFUSED = 3
"""Audited items with the same mistake from which the guidelines are to say more."""


def of_label_set(
    faults: Sequence[Fault],
    labels: Sequence[str],
    ids: Sequence[str],
    texts: Sequence[str],
    vote_usd: float | None,
    pool: int,
) -> list[Proposal]:
    """Proposals about the label set.

    Args:
        faults: What is wrong with it.
        labels: The label set.
        ids: Items, length n; the rows of the faults.
        texts: Their texts, length n.
        vote_usd: What one vote costs at the annotator that is asked first.
        pool: Texts to be labelled.
    """
    made = []
    for fault in faults:
        share, low, high = fault.share
        names = [labels[k] for k in fault.labels]
        shown = "; ".join(repr(clip(texts[row], 80)) for row in fault.rows[:_SHOWN])
        if fault.kind == "add_label":
            target = fault.words or f"(to be named) {clip(texts[fault.rows[0]], 60)}"
            text = f"Texts such as {shown} belong under a label that the set does not have."
            effect = (
                f"about {share:.1%} of the items ({low:.1%} to {high:.1%}) can not be right before"
            )
        elif fault.kind == "remove_label":
            target, text = names[0], f"Remove {names[0]!r}, or say which label it stands for."
            effect = "no item loses its label; prompts get shorter, and a trap is gone"
        else:
            target = " | ".join(names)
            both = " and ".join(map(repr, names))
            text = f"Merge {both}, or say in the guidelines how they differ."
            effect = f"about {share:.1%} of the items are no longer labelled at random"
        price = None if vote_usd is None else round(share * pool * vote_usd, 6)
        made.append(
            Proposal(
                kind=fault.kind,
                target=target,
                text=text,
                evidence=fault.why,
                items=[ids[row] for row in fault.rows[:_LISTED]],
                price_usd=price,
                effect=effect,
            )
        )
    return made


def of_confusions(
    given: NDArray[np.int64], truth: NDArray[np.int64], labels: Sequence[str], ids: Sequence[str]
) -> list[Proposal]:
    """Guidelines for labels that are taken for another one again and again.

    Args:
        given: (n,) labels of audited items.
        truth: (n,) what is right.
        labels: The label set.
        ids: Length n.
    """
    pairs = Counter(
        (g, t) for g, t in zip(given.tolist(), truth.tolist(), strict=True) if g != t and g >= 0
    )
    made = []
    for (wrong, right), count in sorted(pairs.items(), key=lambda entry: (-entry[1], entry[0])):
        if count < CONFUSED:
            break
        rows = np.flatnonzero((given == wrong) & (truth == right)).tolist()
        one, other = labels[right], labels[wrong]
        made.append(
            Proposal(
                kind="edit_guideline",
                target=f"{one} | {other}",
                text=f"Say when a text is {one!r} rather than {other!r}.",
                evidence=f"{count} of {len(ids)} audited items are {one!r}, labelled {other!r}",
                items=[ids[row] for row in rows[:_LISTED]],
                price_usd=0.0,
                effect=f"up to {count / len(ids):.1%} of the labels, if the rule settles them",
            )
        )
    return made


def of_annotators(
    table: Sequence[Mapping[str, object]], right: Mapping[str, int]
) -> list[Proposal]:
    """Annotators that are outdone by one that is no dearer, beyond doubt.

    Args:
        table: For each annotator that is no reference ``annotator``, ``audited`` and ``price``
            (nanodollars of a vote).
        right: Audited items on which each was right.
    """
    made = []
    rows = [row for row in table if int(str(row["audited"]))]
    for row in rows:
        name, n = str(row["annotator"]), int(str(row["audited"]))
        most = upper_bound(right[name], n)
        for other in rows:
            rival, m = str(other["annotator"]), int(str(other["audited"]))
            cheaper = int(str(other["price"])) <= int(str(row["price"]))
            if rival == name or not cheaper or lower_bound(right[rival], m) <= most:
                continue
            saved = int(str(row["price"])) / 1e9
            made.append(
                Proposal(
                    kind="drop_annotator",
                    target=name,
                    text=f"Ask {name} no more: {rival} is better and costs no more.",
                    evidence=f"right on {right[name]} of {n} audited items, {rival} on "
                    f"{right[rival]} of {m}",
                    price_usd=0.0,
                    effect=f"saves about ${saved:.6f} for each vote that it would give",
                )
            )
            break
    return made


def of_suspects(
    items: Sequence[str], p_wrong: Sequence[float], price_usd: float | None
) -> list[Proposal]:
    """Labels that are to be put to the next annotator.

    Args:
        items: The most suspect labels, first the worst.
        p_wrong: How probably each is wrong.
        price_usd: What their next votes cost in all.
    """
    if not items:
        return []
    wrong = sum(p_wrong)
    return [
        Proposal(
            kind="relabel_items",
            target=f"the {len(items)} most suspect labels",
            text="Put them to the next annotator.",
            evidence=f"about {wrong:.1f} of them are expected to be wrong",
            items=list(items),
            price_usd=price_usd,
            effect=f"up to {wrong:.1f} labels put right",
        )
    ]


def of_classes(counts: Mapping[str, int], fewest: int, price_usd: float | None) -> list[Proposal]:
    """Texts to be written for classes with too few labels to learn from.

    Args:
        counts: Accepted labels by class.
        fewest: From how many on a class is learned.
        price_usd: What the texts of one class may cost.
    """
    return [
        Proposal(
            kind="generate_for_class",
            target=label,
            text=f"Write texts for {label!r}.",
            evidence=f"{count} labels so far; below {fewest} the student hardly learns a class",
            price_usd=price_usd,
            effect="the student can predict the class at all",
        )
        for label, count in counts.items()
        if count < fewest
    ]
