"""Faults of a label set: which of them the critic proposes to mend.

``recorded``: sets whose recorded prompts offered a wrong label list, told by the field
``gold_offered_in_prompt`` of the pool; labels that were invented are named in the set's README.
Votes for an invented label were recorded as "outside the label set", without its name, so that
whether the critic finds an invented label can not be measured on them: that nobody ever chose it
is then an artefact of the recording. It is printed, and marked.

``hidden`` (semi-synthetic): some labels of a set are taken off the list; a vote for one becomes an
answer that no label fits. ``forced`` (semi-synthetic): such a vote becomes the other label that the
annotators chose most often on the nearest texts. ``split`` (semi-synthetic): one label has two
names, and each vote takes one at random. ``as is``: the list is right, and each proposal is a false
alarm or a matter of taste.

The critic sees texts, list and votes of three annotators (all of them for ``recorded``), and a
random audit in which a person names the right label, in the person's own words where the list lacks
it. Recall is of the labels that occur in the pool.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from recorded_sets import RecordedSet, load_set

from labelwright.tools.aggregation import NO_VOTE, majority
from labelwright.tools.codebook import Fault, label_set_faults, refusals

AUDITS = (0, 50, 100, 200)
HIDDEN = 0.2
"""Share of the labels that are hidden, at least one."""
ARTEFACT = "remove_label (artefact of the recording)"


def measure(data: Path, name: str, seed: int) -> list[dict[str, Any]]:
    """All scenarios of one set under one seed."""
    pool = load_set(data, name)
    rng = np.random.default_rng([seed, *name.encode()])
    asked = ((pool.votes >= 0) | pool.outside).mean(axis=0) >= 0.9
    usable = np.flatnonzero(asked & ((pool.votes >= 0).mean(axis=0) >= 0.75))
    three = rng.choice(usable, min(3, len(usable)), replace=False)
    votes, outside = pool.votes[:, three], pool.outside[:, three]
    audit = rng.permutation(len(pool.texts))
    rows = []
    missing, invented = recorded_faults(data / name, pool)
    if missing:
        rows += _scenario("recorded", pool, pool.votes, pool.outside, audit, missing, invented)
    else:
        rows += _scenario("as is", pool, votes, outside, audit, [], [])
    if missing:
        # What was really missing is no part of a made-up fault.
        pool, votes, outside = _without(pool, votes, outside, missing)
        audit = rng.permutation(len(pool.texts))
    if pool.classes >= 4:
        common = np.flatnonzero(np.bincount(pool.gold, minlength=pool.classes) >= 5)
        size = max(1, round(HIDDEN * pool.classes))
        hidden = sorted(rng.choice(common, min(size, len(common)), replace=False).tolist())
        rows += _scenario("hidden", pool, votes, outside, audit, hidden, [])
        forced = _forced(pool, votes, hidden)
        rows += _scenario("forced", pool, forced, outside, audit, hidden, [])
    rows += _split(pool, votes, outside, audit, rng)
    return [{"set": name, **row} for row in rows]


def _without(
    pool: RecordedSet,
    votes: NDArray[np.int64],
    outside: NDArray[np.bool_],
    missing: list[int],
) -> tuple[RecordedSet, NDArray[np.int64], NDArray[np.bool_]]:
    """The items whose true label was offered, under the labels that were."""
    offered = [k for k in range(pool.classes) if k not in missing]
    place = np.full(pool.classes + 1, NO_VOTE)
    place[offered] = np.arange(len(offered))
    kept = np.flatnonzero(~np.isin(pool.gold, missing))
    labels = [pool.task.labels[k] for k in offered]
    # Taken over: they are kept on disk by the texts of the whole set.
    vectors = pool.vectors[kept]
    cut = replace(
        pool,
        task=pool.task.model_copy(update={"labels": labels}),
        texts=[pool.texts[row] for row in kept.tolist()],
        ids=[pool.ids[row] for row in kept.tolist()],
        gold=place[pool.gold[kept]],
    )
    vars(cut)["vectors"] = vectors
    seen = place[votes[kept]]
    return cut, seen, outside[kept] | ((seen == NO_VOTE) & (votes[kept] != NO_VOTE))


def recorded_faults(folder: Path, pool: RecordedSet) -> tuple[list[int], list[str]]:
    """True labels that the recorded prompts did not offer, and invented ones that they did."""
    missing = set()
    with (folder / "pool.jsonl").open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line) if line.strip() else {}
            if row.get("gold_offered_in_prompt") is False:
                missing.add(row["gold"])
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8") if missing and readme.is_file() else ""
    named = re.search(r"invented ones are in it \(([^)]*)\)", text)
    invented = [part.strip() for part in named[1].split(",")] if named else []
    return sorted(pool.task.label_names.index(name) for name in missing), invented


def _scenario(
    kind: str,
    pool: RecordedSet,
    votes: NDArray[np.int64],
    outside: NDArray[np.bool_],
    audit: NDArray[np.int64],
    missing: list[int],
    invented: list[str],
) -> list[dict[str, Any]]:
    """Proposals about a label list without some labels and with some invented ones."""
    offered = [k for k in range(pool.classes) if k not in missing]
    place = np.full(pool.classes + 1, NO_VOTE)
    place[offered] = np.arange(len(offered))
    seen = place[votes]  # index -1 is the last entry, which stays without a vote
    answered = (votes != NO_VOTE) | outside
    invalid = refusals(answered & (seen == NO_VOTE), answered)
    names = [pool.task.label_names[k] for k in offered] + invented
    label, _ = majority(seen, len(names))
    found = []
    for audits in AUDITS:
        if audits > len(audit):
            continue
        told = {
            row: int(place[truth]) if place[truth] != NO_VOTE else pool.task.label_names[truth]
            for row, truth in ((row, int(pool.gold[row])) for row in audit[:audits].tolist())
        }
        faults = label_set_faults(pool.vectors, seen, label, invalid, told, classes=len(names))
        add = [fault for fault in faults if fault.kind == "add_label"]
        remove = [fault for fault in faults if fault.kind == "remove_label"]
        hits = [_meant(fault, pool, missing) for fault in add]
        removed = [fault.labels[0] >= len(offered) for fault in remove]
        row: dict[str, Any] = {"scenario": kind, "audits": audits}
        row["add_label"] = _figures(
            [hit is not None for hit in hits], len({h for h in hits if h is not None}), len(missing)
        )
        named = [fault.words is not None for fault in add]
        row["add_label"]["named"] = float(sum(named))
        remove_key = ARTEFACT if invented else "remove_label"
        row[remove_key] = _figures(removed, sum(removed), len(invented))
        row["merge_labels"] = _figures(
            [False] * sum(f.kind == "merge_labels" for f in faults), 0, 0
        )
        found.append(row)
    return found


def _split(
    pool: RecordedSet,
    votes: NDArray[np.int64],
    outside: NDArray[np.bool_],
    audit: NDArray[np.int64],
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """One label under two names, taken at random vote by vote."""
    counts = np.bincount(votes[votes != NO_VOTE], minlength=pool.classes)
    often = np.flatnonzero(counts >= max(30, np.median(counts)))
    if not len(often):
        return []
    target = int(rng.choice(often))
    second = pool.classes
    doubled = np.where((votes == target) & (rng.random(votes.shape) < 0.5), second, votes)
    answered = (votes != NO_VOTE) | outside
    invalid = refusals(outside, answered)
    label, _ = majority(doubled, second + 1)
    faults = label_set_faults(pool.vectors, doubled, label, invalid, {}, classes=second + 1)
    pairs = [fault.labels == (target, second) for fault in faults if fault.kind == "merge_labels"]
    row: dict[str, Any] = {"scenario": "split", "audits": 0}
    row["merge_labels"] = _figures(pairs, sum(pairs), 1)
    return [row]


def _forced(pool: RecordedSet, votes: NDArray[np.int64], hidden: list[int]) -> NDArray[np.int64]:
    """Votes for a hidden label moved to the usual other label of the nearest texts."""
    moved = votes.copy()
    unit = pool.vectors / np.linalg.norm(pool.vectors, axis=1, keepdims=True)
    barred = np.isin(votes, hidden)
    for row in np.flatnonzero(barred.any(axis=1)).tolist():
        near = np.argsort(-(unit @ unit[row]), kind="stable")[:50]
        others = votes[near][~barred[near]]
        counts = np.bincount(others[others != NO_VOTE], minlength=pool.classes)
        moved[row, barred[row]] = counts.argmax() if counts.any() else NO_VOTE
    return moved


def _meant(fault: Fault, pool: RecordedSet, missing: list[int]) -> int | None:
    """The missing label that a proposal is about, if it is about one."""
    if fault.words is not None:
        k = pool.task.label_names.index(fault.words)
        return k if k in missing else None
    counts = np.bincount(pool.gold[list(fault.rows)], minlength=pool.classes)
    k = int(counts.argmax())
    return k if k in missing and counts[k] >= len(fault.rows) / 2 else None


def _figures(right: list[bool], different: int, there: int) -> dict[str, float]:
    return {
        "proposals": float(len(right)),
        "precision": float(np.mean(right)) if right else float("nan"),
        "recall": different / there if there else float("nan"),
        "there": float(there),
    }


def summarise(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over seeds, by set, scenario, audits and kind of proposal."""
    table: dict[str, Any] = {}
    for key in sorted({(r["set"], r["scenario"], r["audits"]) for r in results}):
        mine = [r for r in results if (r["set"], r["scenario"], r["audits"]) == key]
        cell = table.setdefault(key[0], {}).setdefault(key[1], {}).setdefault(str(key[2]), {})
        for kind in [kind for kind in mine[0] if isinstance(mine[0][kind], dict)]:
            figures = {f for r in mine for f in r[kind]}
            cell[kind] = {f: _mean_sd([r[kind][f] for r in mine]) for f in sorted(figures)}
    return table


def _mean_sd(values: list[float]) -> list[float | None]:
    known = np.asarray([value for value in values if not np.isnan(value)])
    if not len(known):
        return [None, None]
    return [round(float(known.mean()), 4), round(float(known.std()), 4)]


def show(table: dict[str, Any]) -> None:
    for name, scenarios in table.items():
        print(f"\n{name}: faults of the label set")
        head = f"{'there':>8}{'proposals':>16}{'precision':>16}{'recall':>16}"
        print(f"  {'scenario, audits':18}{'kind':42}{head}")
        for scenario, by_audits in scenarios.items():
            for audits, kinds in sorted(by_audits.items(), key=lambda entry: int(entry[0])):
                for kind, figures in kinds.items():
                    there = figures["there"][0] or 0
                    line = "".join(
                        f"{_spelt(figures[column]):>16}"
                        for column in ("proposals", "precision", "recall")
                    )
                    print(f"  {f'{scenario}, {audits}':18}{kind:42}{there:8.1f}{line}")


def _spelt(figure: list[float | None]) -> str:
    return "-" if figure[0] is None else f"{figure[0]:.2f} ± {figure[1]:.2f}"
