"""Runs that are stopped from outside, and taken up again."""

import os
import shutil
import signal
import subprocess
import sys
import threading

import pytest
from doubles.scripted_models import Models, usd

from labelwright.graph import resume, run, stop
from labelwright.tools.errors import ConfigError, LockedError


@pytest.fixture(scope="module")
def undisturbed(corpus, tmp_path_factory):
    return run(corpus.config(), name="undisturbed", runs=tmp_path_factory.mktemp("runs")).folder


class At:
    """Does something once, when an event comes for the n-th time."""

    def __init__(self, event, act, nth=1):
        self.event, self.act, self.left = event, act, nth

    def __call__(self, event):
        if event["event"] == self.event:
            self.left -= 1
            if self.left == 0:
                self.act()


def acknowledged(folder, outcome):
    """Wait until the run has seen all directives: it polls for them while it works."""
    with outcome(folder).ledger() as ledger:
        while ledger.log.directives(pending=True):
            threading.Event().wait(0.01)


@pytest.mark.parametrize(("event", "nth"), [("ingested", 1), ("trained", 1), ("decided", 2)])
def test_a_stopped_run_ends_like_one_that_was_not(
    corpus, undisturbed, tmp_path, outcome, event, nth
):
    folder = tmp_path / "run"

    def order():
        stop(folder)
        acknowledged(folder, outcome)

    result = run(corpus.config(), name="run", runs=tmp_path, notify=At(event, order, nth))
    assert result.status == result.summary["status"] == "stopped"
    assert result.summary["stop"] is None
    assert not (folder / "labels.jsonl").exists()
    assert (folder / "summary.json").exists()
    assert resume(folder).status == "finished"
    assert outcome(folder).decided() == outcome(undisturbed).decided()


def test_a_stop_while_a_model_is_asked_sends_nothing_more(corpus, openai_server, tmp_path, outcome):
    texts = {i: text for i, text in corpus.texts.items() if i not in corpus.same}
    models = openai_server.script = Models(texts, corpus.gold, corpus.labels)
    chat = {"kind": "chat", "name": "weak", "model": "weak", "base_url": openai_server.url}
    chat |= {"price": usd("weak"), "concurrency": 1, "max_output_tokens": 64}
    config = corpus.config(annotators=[chat], selection={"batch_size": 40})
    folder = tmp_path / "run"

    def fault(*_):
        if sum(models.asked.values()) == 5:
            stop(folder)
            acknowledged(folder, outcome)

    models.fault = fault
    assert run(config, name="run", runs=tmp_path).status == "stopped"
    assert sum(models.asked.values()) == 5
    assert resume(folder).status == "finished"
    assert set(models.asked.values()) == {1}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_at_the_next_safe_point(corpus, undisturbed, tmp_path, outcome, number):
    before = signal.getsignal(number)
    at = At("decided", lambda: os.kill(os.getpid(), number))
    result = run(corpus.config(), name="run", runs=tmp_path, notify=at)
    assert result.status == "stopped"
    assert signal.getsignal(number) == before
    assert resume(result.folder).status == "finished"
    assert outcome(result.folder).decided() == outcome(undisturbed).decided()


def test_another_process_can_stop_it_and_can_not_run_it(corpus, tmp_path, outcome):
    script = (
        "import sys; from labelwright.graph import resume, stop\n"
        "from labelwright.tools.errors import LockedError\n"
        "try: resume(sys.argv[1], usd=77)\n"
        "except LockedError as error: print(error)\n"
        "stop(sys.argv[1])"
    )
    folder, said = tmp_path / "run", []

    def other():
        command = [sys.executable, "-W", "error", "-c", script, str(folder)]
        said.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        acknowledged(folder, outcome)

    result = run(corpus.config(), name="run", runs=tmp_path, notify=At("decided", other))
    assert result.status == "stopped"
    assert f"in use by process {os.getpid()}" in said[0]
    # What the second runner wanted has no effect on a run that is not its own.
    assert resume(folder).summary["money"]["cap_usd"] == 5


def test_a_second_runner_is_refused(corpus, tmp_path):
    errors = []

    def second():
        with pytest.raises(LockedError) as caught:
            resume(tmp_path / "run")
        errors.append(str(caught.value))

    run(corpus.config(budget={"usd": 0}), name="run", runs=tmp_path, notify=At("ingested", second))
    assert "in use by process" in errors[0]


def test_a_new_cap_lets_a_stopped_run_go_on(corpus, undisturbed, tmp_path, outcome):
    small = {"budget": {"usd": 0.3}}
    folder = tmp_path / "run"
    at = At("selected", lambda: os.kill(os.getpid(), signal.SIGINT))
    assert run(corpus.config(**small), name="run", runs=tmp_path, notify=at).status == "stopped"
    for cap in (-1, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="usd: expected a cap"):
            resume(folder, usd=cap)
    # The cap that was ordered holds for later resumes as well.
    at = At("decided", lambda: os.kill(os.getpid(), signal.SIGINT))
    assert resume(folder, usd=5, notify=at).status == "stopped"
    result = resume(folder)
    assert (result.status, result.summary["stop"]["reason"]) == ("finished", "max_rounds")
    assert result.summary["money"]["cap_usd"] == 5
    assert outcome(folder).most_committed() > 300_000_000
    assert outcome(folder).decided() == outcome(undisturbed).decided()
    # What was delivered under a cap stays delivered.
    capped = run(corpus.config(**small), name="capped", runs=tmp_path)
    before = outcome(capped.folder).decided()
    assert resume(capped.folder, usd=5).status == "finished"
    assert outcome(capped.folder).decided() == before


def test_errors_name_what_is_wrong(corpus, undisturbed, tmp_path):
    with pytest.raises(ConfigError, match="not a run's folder"):
        stop(tmp_path)
    with pytest.raises(ConfigError, match="no such file"):
        resume(tmp_path / "none")
    copy = tmp_path / "undisturbed"
    shutil.copytree(undisturbed, copy)
    with pytest.raises(ConfigError, match="holds a run already"):
        run(corpus.config(), name="undisturbed", runs=tmp_path)
    for name in ("", "..", "a/b", ".hidden"):
        with pytest.raises(ConfigError, match="run name"):
            run(corpus.config(), name=name, runs=tmp_path)
    # A run is its folder, wherever it is moved.
    assert resume(copy).status == "finished"
