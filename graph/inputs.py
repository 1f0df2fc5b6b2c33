"""What a run is given, looked at before there is a run: a mistake here should cost nothing."""

from __future__ import annotations

from ..agents.annotators.recorded import read_recorded
from ..agents.annotators.settings import RecordedAnnotatorConfig
from ..tools.readers import ReadReport, read_rows
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
    """Read the recorded votes of every annotator that has some.

    Raises:
        DataError: No such file, or no vote of the annotator in it.
    """
    for settings in config.annotators:
        if isinstance(settings, RecordedAnnotatorConfig):
            read_recorded(settings.path, settings.column or settings.name)


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
