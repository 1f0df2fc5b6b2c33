"""Runs that are stopped from outside, and taken up again."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from importlib import import_module

import pytest
from doubles.scripted_models import Models, usd

from labelwright.graph import resume, run, session, stop
from labelwright.graph.labelled import training_set
from labelwright.graph.session import open_run
from labelwright.tools.errors import ConfigError, LockedError


@pytest.fixture(scope="module")
def undisturbed(corpus, tmp_path_factory):
    return run(corpus.config(), name="undisturbed", runs=tmp_path_factory.mktemp("runs")).folder


class Killed(Exception):
    """Stands for a kill."""


def dies(*_):
    raise Killed


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
    # Checks ask about an item twice on purpose.
    config = corpus.config(
        annotators=[chat],
        selection={"batch_size": 40},
        critic={"checks": {"order": 0, "template": 0, "retest": 0}},
    )
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


@pytest.fixture(scope="module")
def capped(corpus, tmp_path_factory):
    config = corpus.config(budget={"usd": 0.3}, stopping={"max_rounds": 9, "stop_set_size": 50})
    return run(config, name="capped", runs=tmp_path_factory.mktemp("runs"))


def answers_to_caps(folder, outcome):
    with outcome(folder).ledger() as ledger:
        return [d.acknowledged for d in ledger.log.directives() if d.kind == "cap"]


def test_a_higher_cap_takes_a_run_up_that_a_cap_had_finished(corpus, capped, tmp_path, outcome):
    assert capped.summary["stop"]["reason"] == "cap"
    folder = shutil.copytree(capped.folder, tmp_path / "run")
    before = outcome(folder)
    spent = before.decided()["spent"]
    with before.ledger() as ledger:
        first, rounds = ledger.log.decisions(), [number for number, _, _ in ledger.log.rounds()]
    result = resume(folder, usd=2)
    assert result.status == "finished"
    assert result.summary["money"]["cap_usd"] == 2
    assert answers_to_caps(folder, outcome) == ["the cap is $2"]
    assert spent < outcome(folder).decided()["spent"] <= outcome(folder).most_committed()
    assert outcome(folder).most_committed() <= 2_000_000_000
    with outcome(folder).ledger() as ledger:
        decisions, closed = ledger.log.decisions(), ledger.log.rounds()
    # All that was decided stands, and nothing of what came after was swallowed.
    assert decisions[: len(first)] == first
    after = decisions[len(first) :]
    assert min(d.step for d in after) > max(d.step for d in first)
    kinds = [d.kind for d in after]
    assert (kinds[0], kinds.count("deliver")) == ("stop_check", 1)
    batches = [d.round for d in after if d.kind == "batch"]
    assert batches == list(range(rounds[-1] + 1, rounds[-1] + 1 + len(batches)))
    assert batches
    numbers = [number for number, _, _ in closed]
    assert numbers[: len(rounds)] == rounds
    assert numbers == sorted({*numbers})
    # The student's own labels are no labels to learn from: it has not more than there are votes.
    with outcome(folder).ledger() as ledger:
        voted = {vote.item_id for vote in ledger.votes.all()}
    assert all(metrics["labels"] <= len(voted) for _, metrics, _ in closed)
    assert [row["id"] for row in outcome(folder).labels] == list(corpus.gold)
    assert all(row["outcome"] in {"accept", "set_apart"} for row in outcome(folder).labels)
    # What the sweep has labelled is still not learned from where churn is measured.
    with open_run(folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        held = set(ctx.ids(ctx.splits.stop_set))
        assert all(not held & set(ctx.round_fit(number).ids) for number in batches)
        assert held & set(ctx.round_fit(numbers[-1]).ids)
    # It is over, and says the same again.
    ended = outcome(folder).decided()
    assert resume(folder).status == "finished"
    assert outcome(folder).decided() == ended


def test_what_a_sweep_has_bought_is_learned_though_nothing_follows_it(capped, tmp_path, outcome):
    folder = shutil.copytree(capped.folder, tmp_path / "run")

    def end(event):
        if event["event"] == "trained":
            with outcome(folder).ledger() as ledger:
                ledger.log.direct("finish", {})

    assert resume(folder, usd=2, notify=end).summary["stop"]["reason"] == "operator"
    with open_run(folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        held = set(ctx.ids(ctx.splits.stop_set)) & set(training_set(ctx).ids)
        numbers = [number for number, _, _ in ctx.ledger.log.rounds()]
        batches = [made.round for made in ctx.ledger.log.decisions("batch")]
        checks = [made.evidence["check"] for made in ctx.ledger.log.decisions("stop_check")]
    assert held
    assert numbers[-1] == batches[-1] + 1
    with open_run(folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        assert held <= set(ctx.round_fit(numbers[-1]).ids)
    # The sweep's training, which learned from the stop set, is in no look of the stop rule.
    assert len(numbers) == len(batches) + 2
    assert checks[-1]["round"] == len(batches)


def test_it_may_be_stopped_and_killed_on_the_way(capped, tmp_path, outcome, monkeypatch):
    whole = shutil.copytree(capped.folder, tmp_path / "whole")
    resume(whole, usd=2)
    folder = shutil.copytree(capped.folder, tmp_path / "run")
    at = At("decided", lambda: os.kill(os.getpid(), signal.SIGINT))
    with monkeypatch.context() as patch:
        # The package's `run` is the function; what dies here dies before the run is taken up.
        patch.setattr(import_module("labelwright.graph.run"), "check_keys", dies)
        with pytest.raises(Killed):
            resume(folder, usd=2)
    assert answers_to_caps(folder, outcome) == [None]
    assert resume(folder, notify=at).status == "stopped"
    assert resume(folder).status == "finished"
    assert outcome(folder).decided() == outcome(whole).decided()


def test_a_cap_that_changes_nothing_is_told_so(capped, undisturbed, tmp_path, outcome):
    for source, usd_, reason in ((capped.folder, 0.2, "cap"), (undisturbed, 9, "max_rounds")):
        folder = shutil.copytree(source, tmp_path / reason)
        before = outcome(folder).decided()
        assert resume(folder, usd=usd_).status == "finished"
        assert outcome(folder).decided() == before
        said = f"the cap is ${usd_:g}; the run had finished ({reason}) and stays so"
        assert answers_to_caps(folder, outcome) == [said]


def test_a_stop_while_the_run_is_being_opened_is_honoured(
    corpus, undisturbed, tmp_path, outcome, monkeypatch
):
    folder = tmp_path / "run"
    opened = session.build_embedder

    def stopped_meanwhile(*args, **more):
        stop(folder)
        return opened(*args, **more)

    monkeypatch.setattr(session, "build_embedder", stopped_meanwhile)
    assert run(corpus.config(), name="run", runs=tmp_path).status == "stopped"
    monkeypatch.undo()
    # One that came when nobody ran it has nobody to stop.
    stop(folder)
    assert resume(folder).status == "finished"
    assert outcome(folder).decided() == outcome(undisturbed).decided()


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
