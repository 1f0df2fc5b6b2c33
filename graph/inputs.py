"""What a run is given, looked at before there is a run: a mistake here should cost nothing."""

from __future__ import annotations

from ..agents.annotators.recorded import read_recorded
from ..agents.annotators.settings import RecordedAnnotatorConfig
from ..tools.errors import DataError
from ..tools.readers import ReadReport, Row, read_rows
from .config import RunConfig


def check_data(config: RunConfig) -> None:
    """Read the data until one row can be used, and one has gold where gold is configured.

    Raises:
        DataError: No such file or column, or no usable row.
    """
    report = ReadReport()
    for _ in read_rows(config.data, config.task, report):
        if report.rows and (config.data.gold is None or report.with_gold):
            return


def check_recorded(config: RunConfig) -> None:
    """Read the recorded votes of every annotator that has some, and the data until they meet.

    Raises:
        DataError: No such file, no vote of the annotator in it, or none on a text of the data.
    """
    recorded = {
        settings.name: (
            settings.path,
            read_recorded(settings.path, settings.column or settings.name),
        )
        for settings in config.annotators
        if isinstance(settings, RecordedAnnotatorConfig)
    }
    some = ""
    for row in read_rows(config.data, config.task) if recorded else ():
        if isinstance(row, Row):
            some = some or row.id
            recorded = {name: on for name, on in recorded.items() if row.id not in on[1]}
        if not recorded:
            return
    for name, (path, votes) in recorded.items():
        raise DataError(
            f"{path}: the {len(votes)} votes of {name!r} are on other texts than those of "
            f"{config.data.path}: {next(iter(votes))!r} there, {some!r} here. data.id names the "
            "column with the ids; without it they are made from the texts."
        )


def thin_descriptions(config: RunConfig) -> str | None:
    """What to say where models read the descriptions and most labels have none."""
    if not any(settings.kind in ("chat", "embedded") for settings in config.annotators):
        return None
    labels = config.task.labels
    empty = sum(not label.description.strip() for label in labels)
    if 2 * empty <= len(labels):
        return None
    return (
        f"{empty} of {len(labels)} labels have no description; descriptions do most of the work: "
        "write what belongs in each, in a sentence."
    )
