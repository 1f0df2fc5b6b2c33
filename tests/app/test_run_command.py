"""`run`, `resume`, `status`, `stop`, `export` and `doctor` on small runs."""

import csv
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doubles.openai_server import OpenAIServer, Reply

from labelwright.app import runs
from labelwright.app.exit_codes import ExitCode
from labelwright.graph import deliver, session
from labelwright.tools.ledger import Call, Ledger
from labelwright.tools.locking import hold

Cli = Callable[..., Any]


def test_file_names_are_those_of_the_run() -> None:
    assert runs.CONFIG_FILE == session.CONFIG_FILE
    assert runs.LEDGER_FILE == session.LEDGER_FILE
    assert runs.SUMMARY_FILE == deliver.SUMMARY_FILE


def test_a_run_prints_one_object_and_its_progress_elsewhere(finished: tuple[Path, Any]) -> None:
    folder, result = finished
    assert result.exit_code == ExitCode.FINISHED, result.stderr
    printed = json.loads(result.stdout)
    assert printed["status"] == "finished"
    assert printed["summary"]["money"]["spent_usd"] <= 3
    lines = result.stderr.splitlines()
    assert lines[0] == f"Run folder: {folder}"
    assert "read 60 rows: 60 texts" in result.stderr
    assert "round 2: stop (max_rounds)" in result.stderr
    assert "\x1b" not in result.stderr


def test_what_is_delivered_is_in_the_folder(finished: tuple[Path, Any]) -> None:
    names = {path.name for path in finished[0].iterdir()}
    assert {"labels.jsonl", "labels.parquet", "report.html", "card.md", "student.skops"} <= names


def test_resuming_a_finished_run_spends_nothing_and_shows_the_figures(
    cli: Cli, run_folder: Path
) -> None:
    before = json.loads((run_folder / "summary.json").read_text(encoding="utf-8"))
    result = cli("resume", "a")
    assert result.exit_code == ExitCode.FINISHED, result.stderr
    assert f"${before['money']['spent_usd']:.2f} of the cap of $3.00" in result.stdout
    for part in (
        "a: finished",
        "Label accuracy, audit",
        "Label accuracy, gold",
        "Student accuracy, gold",
        "completion",
        "macro-F1",
        "It stopped after",
        "Files in runs/a: ",
    ):
        assert part in result.stdout


def test_a_name_is_used_once(cli: Cli, project: Path, run_folder: Path) -> None:
    result = cli("run", project, "--name", "a")
    assert result.exit_code == ExitCode.CONFIG
    assert "resume it, or choose another name" in result.stderr


def test_a_name_stays_inside_the_folder_of_runs(cli: Cli, project: Path) -> None:
    assert cli("run", project, "--name", "../x").exit_code == ExitCode.CONFIG
    assert not (project.parent.parent / "x").exists()


def test_a_key_that_is_missing_is_named_before_there_is_a_run(
    cli: Cli, make_project: Callable[..., Path], tmp_path: Path
) -> None:
    price = {"in": 1, "out": 2}
    config = make_project([{"kind": "chat", "name": "cheap", "model": "m", "price": price}])
    result = cli("run", config, "--name", "keyless")
    assert result.exit_code == ExitCode.CONFIG
    assert "cheap: model 'm': the environment variable OPENAI_API_KEY is not set" in result.stderr
    assert not (tmp_path / "runs" / "keyless").exists()


def test_a_cap_on_the_command_line_is_the_cap(cli: Cli, project: Path) -> None:
    result = cli("run", project, "--name", "poor", "--usd", "0.35", "--json")
    summary = json.loads(result.stdout)["summary"]
    assert summary["money"] == {**summary["money"], "cap_usd": 0.35}
    assert 0 < summary["money"]["spent_usd"] <= 0.35
    assert cli("status", "poor").stdout.count("cap $0.35") == 1


def test_a_cap_that_is_none_makes_no_run(cli: Cli, project: Path) -> None:
    result = cli("run", project, "--name", "x", "--usd", "inf")
    assert result.exit_code == ExitCode.CONFIG
    assert "usd: expected a cap in USD of 0 or more, found inf." in result.stderr
    assert not (project.parent / "runs" / "x").exists()


def test_a_cap_for_a_run_that_had_finished_is_told_so(cli: Cli, run_folder: Path) -> None:
    result = cli("resume", "a", "--usd", "9", "--json")
    assert result.exit_code == ExitCode.FINISHED
    assert "--usd: the cap is $9; the run had finished (max_rounds)" in result.stderr


def test_status_of_a_finished_run(cli: Cli, run_folder: Path) -> None:
    state = json.loads(cli("status", "a", "--json").stdout)
    # The training after the second batch has a number, and is no round.
    assert (state["status"], state["rounds"], state["cap_usd"]) == ("finished", 2, 3.0)
    with Ledger(run_folder / "ledger.sqlite", create=False) as ledger:
        assert ledger.log.decisions("trained")[-1].round == 3
    assert state["summary"]["labels"]["texts"] == 60
    assert state["stage"] == "critic: deliver"
    shown = cli("status", "a").stdout
    assert "a: finished" in shown
    assert "stop (max_rounds): 2 rounds, as configured" in shown


def test_status_lists_runs(cli: Cli, run_folder: Path) -> None:
    other = run_folder.parent / "new"
    other.mkdir()
    (other / "run.yaml").write_text("budget: {usd: 2}\n", encoding="utf-8")
    listed = json.loads(cli("status", "--json").stdout)["runs"]
    assert [(run["name"], run["status"], run["cap_usd"]) for run in listed] == [
        ("a", "finished", 3.0),
        ("new", "not_started", 2.0),
    ]
    assert "not started" in cli("status").stdout


def test_status_without_runs_says_so(cli: Cli) -> None:
    assert cli("status").stdout == "No runs in runs.\n"
    assert json.loads(cli("status", "--json").stdout) == {"runs": []}


def test_status_of_a_run_that_was_killed(cli: Cli, run_folder: Path) -> None:
    with Ledger(run_folder / "ledger.sqlite") as ledger:
        call = Call("k", "annotator", "reviewer", "recorded", "label", 2)
        ledger.reserve(call, 10**8, try_no=0, bound_tokens=0)
    state = json.loads(cli("status", "a", "--json").stdout)
    assert state["status"] == "interrupted"
    assert state["reserved_usd"] == 0.1
    assert state["summary"] is None


def test_status_changes_nothing_while_a_run_is_held(cli: Cli, run_folder: Path) -> None:
    with hold(run_folder / "run.lock", "the run 'a'"):
        state = json.loads(cli("status", "a", "--json").stdout)
        assert state["status"] == "running"
        assert state["held_by"].startswith("process ")
    assert json.loads(cli("status", "a", "--json").stdout)["status"] == "finished"


def test_stop_reaches_a_run_that_is_held_and_status_shows_it(cli: Cli, run_folder: Path) -> None:
    with hold(run_folder / "run.lock", "the run 'a'"):
        result = cli("stop", "a")
        assert result.exit_code == 0, result.stderr
        assert "a: told to pause (order 1)" in result.stdout
        assert "Order       1: pause (not yet taken up)" in cli("status", "a").stdout


def test_status_counts_reviews_instead_of_listing_them(cli: Cli, run_folder: Path) -> None:
    with Ledger(run_folder / "ledger.sqlite", create=False) as ledger:
        words = [("m1", "label"), ("m1", "undo"), ("m2", "label"), ("m3", "flag")]
        given = [{"item_id": item, "verdict": verdict} for item, verdict in words]
        *_, last = [ledger.log.direct("review", one) for one in given]
        ledger.log.acknowledge(last, "noted")
        ledger.log.direct("review", {})
    shown = cli("status", "a").stdout
    assert [line.split(None, 1)[1] for line in shown.splitlines() if "  Order  " in line] == [
        "reviews of 1 text taken up",
        "reviews of 3 texts not yet taken up",
    ]


def test_stop_refuses_where_nothing_runs(cli: Cli, run_folder: Path) -> None:
    result = cli("stop", "a")
    assert result.exit_code == ExitCode.CONFIG
    assert "not running, so there is nothing to pause" in " ".join(result.stderr.split())
    with Ledger(run_folder / "ledger.sqlite") as ledger:
        assert ledger.log.directives() == []


@pytest.mark.parametrize("command", ["resume", "export"])
def test_a_run_that_is_held_is_left_alone(cli: Cli, run_folder: Path, command: str) -> None:
    with hold(run_folder / "run.lock", "the run 'a'"):
        result = cli(command, "a")
    assert result.exit_code == ExitCode.LOCKED
    assert "process " in result.stderr


def test_an_unknown_run_is_answered_with_the_known_ones(cli: Cli, run_folder: Path) -> None:
    result = cli("status", "b")
    assert result.exit_code == ExitCode.CONFIG
    assert "Runs there: a." in result.stderr


def test_a_run_may_be_given_by_its_folder(cli: Cli, run_folder: Path) -> None:
    assert cli("status", run_folder, "--runs", "elsewhere").exit_code == 0


def test_export_writes_the_same_rows_in_every_format(cli: Cli, run_folder: Path) -> None:
    from pyarrow import parquet  # type: ignore[import-untyped]

    delivered = (run_folder / "labels.jsonl").read_bytes()
    for name in ("out.jsonl", "out.csv", "out.parquet"):
        result = cli("export", "a", "--out", name)
        assert result.exit_code == 0, result.stderr
        assert "60 rows" in result.stdout
    assert Path("out.jsonl").read_bytes() == delivered
    rows = [json.loads(line) for line in delivered.splitlines()]
    with Path("out.csv").open(encoding="utf-8", newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == [row["id"] for row in rows]
    labels = parquet.read_table("out.parquet").column("label").to_pylist()
    assert labels == [row["label"] for row in rows]


def test_export_goes_into_the_run_by_default(cli: Cli, run_folder: Path) -> None:
    assert cli("export", "a", "--format", "csv").exit_code == 0
    assert (run_folder / "labels.csv").exists()


def test_export_names_a_suffix_that_it_does_not_know(cli: Cli, run_folder: Path) -> None:
    result = cli("export", "a", "--out", "labels.xlsx")
    assert result.exit_code == ExitCode.CONFIG
    assert ".parquet" in result.stderr


def test_doctor_finds_a_sound_run_sound_and_rebuilds_its_index(cli: Cli, run_folder: Path) -> None:
    result = cli("doctor", "a", "--rebuild")
    assert result.exit_code == 0, result.stdout
    assert "made anew from the snapshot" in result.stdout
    assert "60 texts in the snapshot" in result.stdout
    assert result.stdout.endswith("Nothing wrong.\n")


def test_doctor_sees_money_that_does_not_add_up(cli: Cli, run_folder: Path) -> None:
    with sqlite3.connect(run_folder / "ledger.sqlite") as db:
        db.execute("DROP TRIGGER settlements_no_update")
        db.execute("UPDATE settlements SET cost = cost + 1 WHERE call_id = 1")
    db.close()
    result = cli("doctor", "a")
    assert result.exit_code == ExitCode.CHECK_FAILED
    assert "WRONG  ledger balance" in result.stdout


def test_doctor_sees_a_damaged_ledger_and_a_cut_pool(cli: Cli, run_folder: Path) -> None:
    (run_folder / "ledger.sqlite").write_bytes(b"no database at all" * 100)
    result = cli("doctor", "a")
    assert result.exit_code == ExitCode.CHECK_FAILED
    assert "WRONG  ledger: " in result.stdout
    vectors = run_folder / "pool" / "vectors.f32"
    vectors.write_bytes(vectors.read_bytes()[:100])
    assert "WRONG  pool: " in cli("doctor", "a").stdout


def test_doctor_tells_whether_keys_are_set_and_never_what_they_are(
    cli: Cli, make_project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    price = {"in": 1, "out": 2}
    config = make_project(
        [
            {"kind": "chat", "name": "a", "model": "m", "price": price},
            {
                "kind": "chat",
                "name": "b",
                "model": "m",
                "price": price,
                "api_key_env": "MY_KEY",
                "base_url": "http://127.0.0.1:1/v1",
            },
        ]
    )
    result = cli("doctor", config)
    assert result.exit_code == ExitCode.CHECK_FAILED
    assert "WRONG  key OPENAI_API_KEY (for a): not set, and the endpoint needs one" in result.stdout
    assert "note   key MY_KEY (for b): not set" in result.stdout
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    result = cli("doctor", config)
    assert result.exit_code == 0, result.stdout
    assert "ok     key OPENAI_API_KEY (for a): set" in result.stdout
    assert "very-secret" not in result.stdout


def test_doctor_alone_looks_at_the_installation(cli: Cli) -> None:
    result = cli("doctor")
    assert result.exit_code == 0, result.stdout
    assert "hashes as published" in result.stdout
    assert cli("doctor", "--rebuild").exit_code == ExitCode.CONFIG


def test_an_endpoint_that_fails_ends_the_run_and_says_how_to_go_on(
    cli: Cli, make_project: Callable[..., Path], openai_server: OpenAIServer
) -> None:
    openai_server.script = lambda _: Reply("no such model", status=404)
    annotator = {
        "kind": "chat",
        "name": "cheap",
        "model": "m",
        "base_url": openai_server.url,
        "price": {"in": 1, "out": 2},
        "structured": "json_schema",
    }
    result = cli("run", make_project([annotator]), "--name", "a")
    assert result.exit_code == ExitCode.ENDPOINT, result.stderr
    assert "Error: " in result.stderr
    assert result.stderr.endswith("go on with: labelwright resume runs/a\n")
    assert result.stdout == ""


def test_people_are_waited_for_and_answered_by_file(
    cli: Cli, make_project: Callable[..., Path], tmp_path: Path
) -> None:
    config = make_project(
        [
            {"kind": "embedded", "name": "nearest"},
            {"kind": "human", "name": "me", "price": {"per_label": 0.1}},
        ]
    )
    result = cli("run", config, "--name", "people")
    assert result.exit_code == ExitCode.WAITING_FOR_PEOPLE, result.stderr
    put = Path("runs/people/questions.jsonl").read_text().splitlines()
    assert f"Questions put: {len(put)}, in runs/people/questions.jsonl." in result.stdout
    example = {"item_id": json.loads(put[0])["item_id"], "label": json.loads(put[0])["labels"][0]}
    assert json.dumps(example) in result.stdout
    assert "Go on with: labelwright resume runs/people --answers answers.jsonl" in result.stdout
    Path("bad.jsonl").write_text('{"item": 1}\n' + json.dumps({**example, "label": "x"}))
    failed = cli("resume", "people", "--answers", "bad.jsonl")
    assert failed.exit_code == ExitCode.DATA
    assert "line 1: no item_id" in failed.stderr
    assert "go on with: labelwright resume runs/people" in failed.stderr
    assert "line 2: " in failed.stderr
    missing = cli("resume", "people", "--answers", "nowhere.jsonl")
    assert missing.exit_code == ExitCode.DATA
    assert "nowhere.jsonl: no such file." in missing.stderr
    gold = {
        row["id"]: row["gold"]
        for row in map(json.loads, (tmp_path / "data.jsonl").read_text().splitlines())
    }
    asked: list[str] = []
    while result.exit_code == ExitCode.WAITING_FOR_PEOPLE:
        # What is answered before must not pass for "nobody knows" on the questions that follow.
        lines = Path("runs/people/questions.jsonl").read_text().splitlines()
        new = [json.loads(line)["item_id"] for line in lines]
        assert new
        assert not {*new} & {*asked}
        asked += new
        Path("answers.jsonl").write_text(
            "".join(json.dumps({"item_id": item, "label": gold[item]}) + "\n" for item in new)
        )
        result = cli("resume", "people", "--answers", "answers.jsonl", "--json")
        assert f"me: {len(new)} of {len(new)} answered" in result.stderr
    assert result.exit_code == ExitCode.FINISHED, result.stderr
    summary = json.loads(result.stdout)["summary"]
    assert summary["money"]["spent_usd"] == pytest.approx(0.1 * len(asked))
    assert summary["labels"]["by_source"]["person"] == len(asked)
