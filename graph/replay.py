"""Replay: another stop rule, aggregation, selector or setting on a finished run, at no cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..tools.errors import ConfigError
from .config import RunConfig
from .context import Notify
from .replay_copy import opened_copy
from .replay_labels import Reweighed, reweigh
from .replay_run import derive
from .replay_stops import StopRow, all_rules, stop_table
from .run import RunResult


@dataclass(frozen=True)
class Replay:
    """What a replay found.

    Attributes:
        folder: The run whose rounds and votes the tables are about: the original, or the new one.
        stops: Where the stop rules would have ended it.
        labels: What another aggregation makes of its votes.
        run: The derived run, where one was made.
    """

    folder: Path
    stops: list[StopRow]
    labels: Reweighed | None
    run: RunResult | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "folder": str(self.folder),
            "stops": [asdict(row) for row in self.stops],
            "labels": asdict(self.labels) if self.labels else None,
            "run": self.run.summary if self.run else None,
        }


def replay(
    run_folder: Path | str,
    *,
    stop: str | Sequence[str] | None = None,
    aggregation: str | None = None,
    strategy: str | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    value: float | None = None,
    out: Path | str | None = None,
    notify: Notify | None = None,
) -> Replay:
    """Try something else on a finished run, without asking or paying anybody.

    Stop rules are evaluated on the rounds in its ledger, and votes are weighed again, without a new
    run. A strategy, a seed, further settings or `out` make a derived run in a new folder, in which
    every annotator is replaced by the votes that the ledger holds, at their recorded price. The
    original is copied from and never changed.

    Args:
        run_folder: The run's folder.
        stop: Names of stop rules, such as ``kappa`` or ``kappa:threshold=0.97``; all without.
        aggregation: How the votes are weighed again, as `ensemble.aggregation`.
        strategy: Query strategy of the derived run.
        seed: Seed of the derived run.
        settings: Further settings of the derived run by ``section.field``; ``None`` takes one out.
        value: USD that a point of accuracy is worth, for the stop rules and the derived run.
        out: Folder of the derived run; beside the original without.
        notify: As for `run`.

    Raises:
        LabelwrightError: What was wrong and what to do.
    """
    source = Path(run_folder)
    changes: dict[str, Any] = dict(settings or {})
    if strategy is not None:
        changes["selection.strategy"] = strategy
    if seed is not None:
        changes["seed"] = seed
    made: RunResult | None = None
    folder = source
    if changes or out is not None:
        if value is not None:
            changes |= {"stopping.point_value_usd": value}
            changes |= {"stopping.items": None, "stopping.error_cost_usd": None}
        if aggregation is not None:
            changes["ensemble.aggregation"] = aggregation
        folder = Path(out) if out is not None else _beside(source)
        made = derive(source, folder, changes, notify)
    with opened_copy(folder) as ctx:
        return Replay(
            folder,
            stop_table(ctx, all_rules(stop), value),
            reweigh(ctx, aggregation) if aggregation is not None else None,
            made,
        )


def parse_settings(given: Sequence[str]) -> dict[str, Any]:
    """Read ``section.field=value`` pairs, the values as YAML.

    Raises:
        ConfigError: Something is no pair, or its section is none.
    """
    import yaml

    found: dict[str, Any] = {}
    for pair in given:
        path, equals, text = pair.partition("=")
        if not equals or path.split(".")[0] not in RunConfig.model_fields:
            raise ConfigError(f"{pair!r}: expected section.field=value, such as student.C=3.")
        try:
            found[path] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(f"{pair!r}: the value can not be read as YAML.") from None
    return found


def _beside(source: Path) -> Path:
    """A folder that is free, named after the original."""
    source = source.resolve()
    number = 1
    while (found := source.with_name(f"{source.name}-replay-{number}")).exists():
        number += 1
    return found
