"""Rows that are left out are told with the reason, and what is wrong makes no run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from labelwright.app.exit_codes import ExitCode
from labelwright.app.intake import gold_warning, rejected_lines
from labelwright.app.outcome import rows
from labelwright.tools.report import write_report

Cli = Callable[..., Any]


def _spoil(project: Path) -> None:
    """Two duplicates, four rows that can not be used, and gold values that are no labels."""
    data = project.parent / "data.jsonl"
    lines = data.read_text(encoding="utf-8").splitlines()
    first = json.loads(lines[0])
    added = [
        *(json.dumps({**first, "id": f"again{n}"}) for n in range(2)),
        *(json.dumps({**first, "id": f"empty{n}", "text": " "}) for n in range(3)),
        "no json",
        *(json.dumps({"id": f"p{n}", "text": f"thanks {n}", "gold": "thanks!"}) for n in range(2)),
    ]
    data.write_text("\n".join([*lines, *added]) + "\n", encoding="utf-8")


def _change(project: Path, section: str, **values: Any) -> None:
    raw = yaml.safe_load(project.read_text(encoding="utf-8"))
    part = raw["annotators"][1] if section == "recorded" else raw[section]
    part.update(values)
    project.write_text(yaml.safe_dump(raw), encoding="utf-8")


def test_rejected_rows_are_told_while_it_reads_in_a_file_and_at_the_end(
    cli: Cli, project: Path
) -> None:
    _spoil(project)
    result = cli("run", project, "--name", "a")
    assert result.exit_code == ExitCode.FINISHED, result.stderr
    file = Path("runs/a/rejected.jsonl")
    lines = result.stderr.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("read "))
    assert lines[start].startswith("read 68 rows: 62 texts, 2 duplicates, ")
    assert lines[start].endswith(" near-duplicates, 4 rejected")
    assert lines[start + 1 : start + 6] == [
        *(f"  line {n}: the text is empty" for n in (63, 64, 65)),
        f"  see {file}",
        "Note: 2 gold values are not in the label set: 'thanks!' x2",
    ]
    written = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert written[0] == {"line": 63, "id": "empty0", "reason": "the text is empty"}
    assert (written[3]["line"], written[3]["id"]) == (66, None)
    assert written[3]["reason"].startswith("not valid JSON")
    assert "4, each with its reason in rejected.jsonl" in result.stdout
    for name in ("report.html", "card.md"):
        text = (file.parent / name).read_text(encoding="utf-8")
        assert "4 rows of the input could not be used" in text
        assert "rejected.jsonl" in text


def test_where_every_row_can_be_used_there_is_no_such_file(finished: tuple[Path, Any]) -> None:
    folder, result = finished
    assert not (folder / "rejected.jsonl").exists()
    assert "rejected.jsonl" not in result.stderr
    assert "Rejected rows" not in dict(rows(json.loads(result.stdout)["summary"]))


def test_the_quote_tells_the_same(cli: Cli, project: Path) -> None:
    _spoil(project)
    shown = cli("plan", project).stdout
    assert "62 different texts, 4 rows can not be used" in shown
    assert "  line 63: the text is empty\n" in shown
    assert "  and 1 more\n" in shown
    assert "Note: 2 gold values are not in the label set: 'thanks!' x2\n" in shown
    quote = json.loads(cli("plan", project, "--json").stdout)
    assert (quote["rejected"], len(quote["reasons"])) == (4, 3)
    assert quote["unknown_gold"] == {"thanks!": 2}


def test_many_values_outside_the_label_set_are_cut() -> None:
    counts = {"a": 1, "b": 1200, "c": 3, "d": 3, "e": 1}
    assert gold_warning(counts) == (
        "1,208 gold values are not in the label set: 'b' x1,200, 'c' x3, 'd' x3 and 2 others"
    )
    assert gold_warning({}) is None
    assert rejected_lines(0, []) == []


MISTAKES = {
    "data": ("data", {"path": "nope.jsonl"}, "nope.jsonl does not exist"),
    "gold": ("data", {"gold": "truth"}, "no row has a value in the gold column 'truth'"),
    "template": ("task", {"text": "{{ txet }}"}, "has no usable row (60 rejected)"),
    "votes": ("recorded", {"path": "nope.csv"}, "nope.csv: no such file"),
    "column": ("recorded", {"column": "judge"}, "has no column 'judge'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_about_files_is_found_before_there_is_a_run(
    cli: Cli, project: Path, mistake: str
) -> None:
    section, values, message = MISTAKES[mistake]
    _change(project, section, **values)
    for command in (["run", project, "--name", "a"], ["plan", project]):
        result = cli(*command)
        assert result.exit_code == ExitCode.DATA
        assert message in result.stderr
        assert "resume" not in result.stderr
    assert not Path("runs").exists()
    found = cli("doctor", project)
    assert found.exit_code == ExitCode.CHECK_FAILED
    what = "recorded votes" if section == "recorded" else "data"
    (line,) = [line for line in found.stdout.splitlines() if line.startswith(f"WRONG  {what}: ")]
    assert message in line


def test_data_that_fails_later_is_told_without_the_graph_and_without_resume(
    cli: Cli, project: Path
) -> None:
    data = project.parent / "data.jsonl"
    data.write_text(data.read_text(encoding="utf-8").splitlines()[0], encoding="utf-8")
    result = cli("run", project, "--name", "a")
    assert result.exit_code == ExitCode.DATA
    assert "a pool needs two different texts" in result.stderr
    assert "Nothing was spent. Correct the data or the configuration and start" in result.stderr
    assert "During task" not in result.stderr
    assert "resume" not in result.stderr


def test_labels_without_descriptions_are_noted(cli: Cli, project: Path) -> None:
    note = "labels have no description; descriptions do most of the work"
    for command in ("plan", "doctor"):
        assert note not in cli(command, project).stdout
    raw = yaml.safe_load(project.read_text(encoding="utf-8"))
    labels = raw["task"]["labels"]
    for label in labels[: len(labels) // 2 + 1]:
        label["description"] = " "
    project.write_text(yaml.safe_dump(raw), encoding="utf-8")
    for command in ("plan", "doctor"):
        result = cli(command, project)
        assert result.exit_code == 0
        assert note in result.stdout
    # Nobody but recorded votes: nobody reads a description.
    raw["annotators"] = raw["annotators"][1:]
    project.write_text(yaml.safe_dump(raw), encoding="utf-8")
    assert note not in cli("plan", project).stdout


def test_a_cap_that_was_set_is_told_as_money(cli: Cli, run_folder: Path) -> None:
    cli("resume", "a", "--usd", "0.1")
    lines = cli("status", "a").stdout.splitlines()
    (line,) = [line for line in lines if "  Order  " in line]
    assert line.startswith("  Order       1: cap set to $0.10")
    assert "{" not in line


def test_a_pool_that_is_used_up_is_told_once(finished: tuple[Path, Any], tmp_path: Path) -> None:
    detail = "every text outside the stop set has been asked about"
    summary = json.loads(finished[1].stdout)["summary"]
    summary["stop"] = {"reason": "pool_exhausted", "detail": detail}
    assert dict(rows(summary))["Why it stopped"] == f"It stopped after 2 rounds: {detail}."
    write_report(tmp_path / "report.html", summary)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert text.count(f"Reason: {detail}") == 0
    assert detail in text
