"""What a run reports into its folder, and what can be told of it from there."""

import json
import os
import signal

import pytest
from doubles.mortal_run import Death, carry_on

from labelwright.graph import resume, run
from labelwright.graph.events import EventLog
from labelwright.graph.session import create_run, open_run
from labelwright.tools.errors import DataError, EndpointError, LockedError
from labelwright.tools.watch import RunReader, run_status

GOLD = "gold_outside_label_set"


@pytest.fixture(scope="module")
def config(corpus):
    return corpus.write("watched.yaml", stopping={"max_rounds": 1, "stop_set_size": 50})


def events_of(folder):
    reader = RunReader(folder)
    try:
        return reader.events()[0]
    finally:
        reader.close()


def processes(folder):
    return [event["status"] for event in events_of(folder) if event["event"] == "process"]


def test_a_run_reports_what_it_does(config, tmp_path):
    told, states = [], set()

    def notify(event):
        told.append(event)
        states.add(run_status(tmp_path / "run").state)

    folder = run(config, name="run", runs=tmp_path, notify=notify).folder
    written = events_of(folder)
    assert states == {"running"}
    assert run_status(folder).state == "finished"
    assert processes(folder) == ["started", "finished"]
    assert {event["pid"] for event in written if event["event"] == "process"} == {os.getpid()}
    said = [{k: v for k, v in event.items() if k != "at"} for event in written[1:-1]]
    # What the gold column holds is in no file but its own and the ledger.
    assert told[[event["event"] for event in told].index("ingested")].pop(GOLD) == {}
    assert said == json.loads(json.dumps(told))
    assert all(event["at"].endswith("+00:00") for event in written)
    nodes = [event["node"] for event in written if event["event"] == "node"]
    assert nodes[:5] == ["ingest", "select", "annotate", "critique", "annotate"]
    assert nodes[-1] == "finish"
    steps = [event["step"] for event in written if event["event"] == "node"]
    assert steps == sorted(steps)


def test_a_finished_run_that_is_taken_up_says_so_again(config, tmp_path, outcome):
    folder = run(config, name="run", runs=tmp_path).folder
    before = outcome(folder).decided()
    resume(folder)
    assert processes(folder) == ["started", "finished"] * 2
    assert outcome(folder).decided() == before


def test_a_stopped_run(config, tmp_path):
    def stops(event):
        if event["event"] == "selected":
            os.kill(os.getpid(), signal.SIGINT)

    folder = run(config, name="run", runs=tmp_path, notify=stops).folder
    assert run_status(folder).state == "stopped"
    resume(folder)
    assert processes(folder) == ["started", "stopped", "started", "finished"]


def test_a_run_that_waits_and_one_that_fails(corpus, tmp_path):
    person = {"kind": "human", "name": "ann", "price": {"per_label": 0.1}}
    annotators = [corpus.recorded("cheap", 1), person]
    folder = run(corpus.config(annotators=annotators), name="run", runs=tmp_path).folder
    assert run_status(folder).state == "waiting_for_people"
    (folder / "answers.jsonl").write_text("{", encoding="utf-8")
    with pytest.raises(DataError):
        resume(folder)
    found = run_status(folder)
    assert (found.state, found.resumable) == ("failed", True)
    assert "can not be used, so no answer was taken" in found.error


def test_what_a_run_fails_of_holds_no_secret(config, tmp_path):
    def fails(event):
        if event["event"] == "ingested":
            raise EndpointError("refused: Bearer s3cr3t at https://me:pw@host/v1")

    with pytest.raises(EndpointError):
        run(config, name="run", runs=tmp_path, notify=fails)
    assert run_status(tmp_path / "run").error == "refused: [redacted] at https://[redacted]@host/v1"


def test_a_killed_run_is_interrupted_and_half_a_line_spoils_no_other(config, tmp_path, outcome):
    folder, whole = tmp_path / "run", tmp_path / "whole"
    assert carry_on(config, whole) == 0
    assert carry_on(config, folder, Death("ruled", 1, 5)) == -9
    assert run_status(folder).state == "interrupted"
    with (folder / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"event": "process", "status": "fin')
    assert run_status(folder).state == "interrupted"
    assert carry_on(config, folder) == 0
    assert run_status(folder).state == "finished"
    assert processes(folder) == ["started", "started", "finished"]
    assert outcome(folder).decided() == outcome(whole).decided()


def test_who_can_not_have_the_run_says_nothing(corpus, config, tmp_path):
    create_run(corpus.config(), tmp_path / "run")
    held = open_run(tmp_path / "run", notify=lambda _: None, stopping=lambda: False)
    with held, pytest.raises(LockedError):
        resume(tmp_path / "run")
    assert not (tmp_path / "run" / "events.jsonl").exists()


def test_a_second_ctrl_c_leaves_a_stopped_run(config, tmp_path):
    def aborts(event):
        if event["event"] == "selected":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(config, name="run", runs=tmp_path, notify=aborts)
    assert run_status(tmp_path / "run").state == "stopped"


def test_reading_a_large_pool_is_reported_now_and_then(tmp_path):
    log = EventLog(tmp_path)
    with log.process():
        for texts in range(5000):
            log.write({"event": "reading", "texts": texts})
            log.write({"event": "answers", "votes": texts})
    log.write({"event": "answers", "votes": 0})
    found = [event["event"] for event in events_of(tmp_path)]
    assert 1 <= found.count("reading") < 100
    assert found.count("answers") == 5000
