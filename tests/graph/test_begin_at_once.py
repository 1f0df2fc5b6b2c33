"""Two who begin a run of one name at the same time."""

import threading

import pytest

from labelwright.graph import session
from labelwright.graph.session import create_run
from labelwright.tools.errors import ConfigError, LockedError
from labelwright.tools.locking import hold


def test_one_of_two_gets_the_name_and_the_folder_is_all_of_one(corpus, tmp_path, monkeypatch):
    # Both have found the name free before either takes it.
    meeting = threading.Barrier(2, timeout=30)
    check_data = session.check_data

    def meet(config):
        check_data(config)
        meeting.wait()

    monkeypatch.setattr(session, "check_data", meet)
    refused = []

    def begin(usd):
        try:
            create_run(corpus.config(budget={"usd": usd}), tmp_path / "run")
        except (ConfigError, LockedError) as error:
            refused.append((usd, error))

    both = [threading.Thread(target=begin, args=(usd,)) for usd in (1, 99)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    [(lost, error)] = refused
    assert "holds a run already" in str(error) or "in use" in str(error)
    won = {1: 99, 99: 1}[lost]
    assert session.load_config(tmp_path / "run" / "run.yaml").budget.usd == won
    assert not list((tmp_path / "run").glob("*.partial"))


def test_a_name_that_is_being_taken_is_not_touched(corpus, tmp_path):
    with hold(tmp_path / "run" / "run.lock", "the run"), pytest.raises(LockedError):
        create_run(corpus.config(), tmp_path / "run")
    assert not (tmp_path / "run" / "run.yaml").exists()
    assert not (tmp_path / "run" / "prompts").exists()
