import json
import re
import shutil
import threading
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from doubles.going_run import going
from malicious import LABELS, alive, write_malicious
from streamlit.testing.v1 import AppTest

from labelwright.app.panel import processes
from labelwright.app.rules_in_words import NO_GATES, RULES
from labelwright.tools.ledger import Consensus, Ledger
from labelwright.tools.stop_rules import STOP_RULES


def script() -> None:
    from labelwright.app.panel.compare.page import page

    page()


def opened(*runs: str) -> AppTest:
    at = AppTest.from_function(script, default_timeout=20)
    if runs:
        at.query_params["with"] = list(runs)
    return at.run()


def choose(at: AppTest, key: str, option: str) -> AppTest:
    at.button_group(key=key).set_value(option).run()
    assert not at.exception
    return at


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"


def shown(at: AppTest) -> str:
    reader = Reader()
    for block in at.get("html"):
        reader.feed(block.proto.body)
    return re.sub(r"\s+", " ", reader.text)


def delivered(run: Path) -> dict[str, dict[str, Any]]:
    lines = (run / "labels.jsonl").read_text("utf-8").strip().split("\n")
    return {row["id"]: row for row in map(json.loads, lines) if not row["duplicate_of"]}


def change(run: Path, items: list[str], label: str) -> None:
    said = [Consensus(i, label, 1.0, True, "person", "accept", "corrected", {}) for i in items]
    with Ledger(run / "ledger.sqlite", create=False) as ledger:
        ledger.votes.conclude(10_000, 99, said)


def content(run: Path) -> dict[str, bytes]:
    """What is in a run's folder, but for the files that SQLite keeps while somebody reads."""
    files = (path for path in run.iterdir() if path.is_file())
    return {path.name: path.read_bytes() for path in files if "sqlite-" not in path.name}


@pytest.fixture
def twin(finished_run: Path) -> Path:
    """A copy of the finished run in which thirteen of its labels were changed."""
    folder = Path(shutil.copytree(finished_run, finished_run.with_name("twin")))
    change(folder, changed_items(finished_run), "fraud_report")
    return folder


def changed_items(run: Path) -> list[str]:
    others = (i for i, row in delivered(run).items() if row["label"] not in {None, "fraud_report"})
    return sorted(others)[:13]


def test_runs_stand_side_by_side(finished_run: Path, twin: Path) -> None:
    at = opened("finished", "twin")
    assert not at.exception
    summary = json.loads((finished_run / "summary.json").read_text("utf-8"))
    text = shown(at)
    assert text.count(f"${summary['money']['spent_usd']:.2f}") == 2
    assert f"{summary['quality']['labels']['estimate']:.1%}" in text
    assert "after round" in text
    assert at.query_params["with"] == ["finished", "twin"]
    for measure in ("agrees with the labels", "macro-F1"):
        assert len(choose(at, "compare_measure", measure).get("vega_lite_chart")) == 1


def test_the_labels_that_differ_are_listed_page_by_page(finished_run: Path, twin: Path) -> None:
    at = choose(opened("finished", "twin"), "compare_part", "Labels that differ")
    rows, changed = delivered(finished_run), changed_items(finished_run)
    was = Counter(rows[item]["label"] for item in changed)
    table = at.dataframe[0].value
    assert dict(zip(table["finished"], table["texts"], strict=True)) == was
    assert set(table["twin"]) == {"fraud_report"}
    text = shown(at)
    # Ten on the first page, the rest on the second; in the order of their ids.
    assert all(f" {item} " in f"{text} " for item in changed[:10])
    assert not any(f" {item} " in f"{text} " for item in changed[10:])
    assert all(re.sub(r"\s+", " ", rows[item]["text"]) in text for item in changed[:10])
    assert "fraud_report (person)" in text
    label, n = was.most_common(1)[0]
    at.selectbox(key="compare_pair").select_index(1).run()
    assert not at.exception
    only = shown(at)
    mine = [item for item in changed if rows[item]["label"] == label]
    assert n == len(mine)
    assert all(f" {item} " in f"{only} " for item in mine)


def test_a_label_that_comes_later_is_seen(finished_run: Path, twin: Path) -> None:
    at = choose(opened("finished", "twin"), "compare_part", "Labels that differ")
    assert f"Different {len(changed_items(finished_run))} " in shown(at)
    assert "labelled by one run only" not in shown(at)
    for item in changed_items(finished_run):
        row = delivered(finished_run)[item]
        with Ledger(twin / "ledger.sqlite", create=False) as ledger:
            again = Consensus(item, row["label"], 1.0, True, "person", "accept", "", {})
            ledger.votes.conclude(10_001, 99, [again])
    at.run()
    assert any("labelled the same" in one.value for one in at.success)


def test_runs_over_other_data_are_not_compared(finished_run: Path, empty_run: Path) -> None:
    at = choose(opened("finished", "empty"), "compare_part", "Labels that differ")
    assert any("no text in common" in info.value for info in at.info)
    # What has not begun has no curve, and the table says so.
    assert "not started" in shown(at)


def test_one_run_can_be_looked_at_and_a_name_that_is_none_is_left_out(finished_run: Path) -> None:
    at = opened("finished", "../finished", "nobody")
    assert not at.exception
    assert at.multiselect(key="compare_runs").value == ["finished"]
    assert any("another run" in caption.value for caption in at.caption)
    at.multiselect(key="compare_runs").set_value([]).run()
    assert any("Choose the runs" in info.value for info in at.info)


def test_without_runs_the_page_says_where_they_come_from(runs_root: Path) -> None:
    assert any("New run" in info.value for info in opened().info)


def test_a_replay_shows_where_other_rules_would_have_stopped(finished_run: Path) -> None:
    before = content(finished_run)
    at = choose(opened("finished"), "compare_part", "Stop rules")
    at.button(key="compare_replay").click().run()
    job = processes.job(f"replay:{finished_run.resolve()}")
    assert job is not None
    for thread in threading.enumerate():
        if thread.name == f"job {job.pid}":
            thread.join(60)
    assert (job.state, job.error) == ("done", "")
    at.run()
    assert not at.exception
    text = shown(at)
    for row in job.result["stops"]:
        assert row["rule"] in text
        assert row["why_not"] is None or row["why_not"] in text
        assert RULES[row["rule"]] in text
    assert set(RULES) == set(STOP_RULES)
    assert NO_GATES in text
    assert content(finished_run) == before


def test_a_run_that_is_going_on_is_not_replayed(finished_run: Path) -> None:
    with going(finished_run):
        at = choose(opened("finished"), "compare_part", "Stop rules")
        assert at.button(key="compare_replay").disabled


def test_malicious_names_and_texts_stay_text(runs_root: Path, tmp_path: Path) -> None:
    from labelwright.graph import run

    config = write_malicious(tmp_path / "project", [{"kind": "embedded", "name": "embedded"}])
    folder = run(config, name="evil", runs=runs_root).folder
    twin = Path(shutil.copytree(folder, folder.with_name("**twin** <b> $x$")))
    change(twin, [row["id"] for row in delivered(folder).values()], LABELS[0]["name"])
    at = choose(opened("evil", twin.name), "compare_part", "Labels that differ")
    assert at.dataframe[0].value.shape[0] >= 1
    for part in ("Labels that differ", "Curves", "Stop rules"):
        choose(at, "compare_part", part)
        assert not [line for line in alive(at) if not line.startswith("html")]
        for body in (block.proto.body for block in at.get("html")):
            assert not re.search(r"<(img|script|svg|iframe|a|b|h2)\b", body)
