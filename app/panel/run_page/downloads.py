"""What can be taken away: labels as a table or as lines, the report, the configuration."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from ....tools.export import write_csv
from ....tools.watch import RunReader, RunStatus
from ....tools.watch.reader import CONFIG_FILE
from .. import processes
from ..plain import show_text
from ..session import born, runs_root

_FORMATS = {"csv": ("CSV", "text/csv"), "jsonl": ("JSON Lines", "application/x-ndjson")}


def downloads(folder: Path, reader: RunReader, status: RunStatus, lack: str = "") -> None:
    """Offer the files of a run, under one button.

    Args:
        folder: The run's.
        reader: Of the run.
        status: Where it stands.
        lack: Of how many texts reviews wait that the labels do not have, in words.
    """
    with st.popover("Download"):
        if lack and status.state != "running":
            st.caption(f"The labels do not have the reviews of {lack} yet.")
        if status.state == "running":
            st.caption("Labels can be taken when the run is paused or finished.")
        elif status.state == "not_started":
            st.caption("There are no labels before the run begins.")
        elif status.state == "finished" and (folder / "labels.jsonl").is_file():
            for suffix in _FORMATS:
                _offer(folder.name, suffix, _delivered(folder, suffix))
        else:
            for suffix in _FORMATS:
                _exported(folder, reader, suffix)
        for file, title, kind in (
            ("report.html", "Report", "text/html"),
            ("card.md", "Data card", "text/markdown"),
            (CONFIG_FILE, "Configuration", "application/yaml"),
        ):
            if (folder / file).is_file() and (file == CONFIG_FILE or status.state == "finished"):
                st.download_button(
                    title,
                    _bytes(folder / file),
                    file_name=f"{folder.name}-{file}",
                    mime=kind,
                    key=f"run_download_{file}",
                    on_click="ignore",
                )


def _offer(run: str, suffix: str, data: Callable[[], bytes]) -> None:
    title, kind = _FORMATS[suffix]
    st.download_button(
        f"Labels ({title})",
        # A callable: nothing is read before it is asked for.
        data,
        file_name=f"{run}-labels.{suffix}",
        mime=kind,
        key=f"run_download_{suffix}",
        on_click="ignore",
    )


def _delivered(folder: Path, suffix: str) -> Callable[[], bytes]:
    lines = folder / "labels.jsonl"
    return _bytes(lines) if suffix == "jsonl" else lambda: as_csv(lines)


def _bytes(path: Path) -> Callable[[], bytes]:
    return path.read_bytes


def as_csv(lines: Path) -> bytes:
    """Delivered labels as a table that a spreadsheet takes for nothing but text."""
    with tempfile.TemporaryDirectory() as folder, lines.open(encoding="utf-8") as file:
        table = Path(folder) / "labels.csv"
        write_csv(table, map(json.loads, file))
        return table.read_bytes()


def _exported(folder: Path, reader: RunReader, suffix: str) -> None:
    """Labels so far of a run that has not finished: another process writes them on demand."""
    path = export_path(folder, reader, suffix)
    if path.is_file():
        _offer(folder.name, suffix, _bytes(path))
        return
    title, _ = _FORMATS[suffix]
    key = f"export:{path}"
    job = processes.job(key)
    if job is not None and job.state == "failed":
        show_text(job.error)
    waiting = job is not None and job.state == "running"
    st.button(
        f"Labels so far ({title})",
        key=f"run_export_{suffix}",
        disabled=waiting,
        on_click=_export,
        args=(key, folder, path, suffix),
        help="The labels as they stand are written in the background, then offered here.",
    )
    if waiting:
        processes.waiting(key, "The labels are being written")


def export_path(folder: Path, reader: RunReader, suffix: str) -> Path:
    """Where the labels of this moment are written; another file when there are others."""
    rows = reader.rows("SELECT max(seq) FROM consensus")
    seq = rows[0][0] if rows and rows[0][0] else 0
    name = f"labels-{born(folder)[1]}-{seq}.{suffix}"
    return runs_root() / ".panel" / "exports" / folder.name / name


def _export(key: str, folder: Path, path: Path, suffix: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for older in path.parent.glob(f"labels-*.{suffix}"):
        older.unlink(missing_ok=True)
    place = ("--format", suffix, "--out", str(path.resolve()))
    processes.forget(key)
    processes.command(key, ("export", str(folder.resolve()), *place))
