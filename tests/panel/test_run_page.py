import io
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from doubles.going_run import going
from malicious import LABELS, alive, write_malicious
from streamlit.testing.v1 import AppTest

from labelwright.app.panel import processes
from labelwright.app.panel.processes import Job
from labelwright.app.panel.run_page.downloads import as_csv, export_path
from labelwright.app.panel.run_page.drawing import machine
from labelwright.app.panel.session import reader
from labelwright.tools.ledger import Ledger
from labelwright.tools.watch import RunReader
from labelwright.tools.watch.agreement import Votes
from labelwright.tools.watch.feed import feed
from labelwright.tools.watch.live import Live
from labelwright.tools.watch.stage import NODES

FIGURES = ["Learning", "Classes", "Annotators", "Map"]


def script() -> None:
    from labelwright.app.panel.run_page.page import page

    page()


def opened(run: Path, **query: str) -> AppTest:
    at = AppTest.from_function(script, default_timeout=20)
    for name, value in {"run": run.name, **query}.items():
        at.query_params[name] = value
    return at.run()


def choose(at: AppTest, key: str, option: str) -> AppTest:
    at.button_group(key=key).set_value(option).run()
    assert not at.exception
    return at


def shown(at: AppTest) -> str:
    """All inert HTML of the page as its reader sees it, spaces made equal."""

    class Text(HTMLParser):
        text = ""

        def handle_data(self, data: str) -> None:
            self.text += f" {data}"

    parser = Text()
    for block in at.get("html"):
        parser.feed(block.proto.body)
    return re.sub(r"\s+", " ", parser.text)


def charts(at: AppTest) -> list[tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]]:
    """Description and tables of each figure."""
    found = []
    for element in at.get("vega_lite_chart"):
        tables = {}
        for data in element.proto.datasets:
            with pyarrow.ipc.open_stream(io.BytesIO(data.data.data)) as stream:
                tables[data.name] = stream.read_all().to_pylist()
        found.append((json.loads(element.proto.spec), tables))
    return found


def ended(job: Job | None) -> Job:
    assert job is not None
    for thread in threading.enumerate():
        if thread.name == f"job {job.pid}":
            thread.join(60)
    assert job.state != "running"
    return job


def directives(run: Path) -> list[tuple[str, Any]]:
    with Ledger(run / "ledger.sqlite", create=False) as ledger:
        return [(one.kind, one.payload) for one in ledger.log.directives()]


@pytest.fixture
def summary(finished_run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((finished_run / "summary.json").read_text("utf-8"))
    return found


@pytest.fixture
def running(finished_run: Path) -> Iterator[Path]:
    """A run with figures that looks as if its process were going on."""
    with going(finished_run):
        yield finished_run


# -- the figures are those of the summary ---------------------------------------------------------


def test_a_finished_runs_figures_are_those_of_its_summary(
    finished_run: Path, summary: dict[str, Any]
) -> None:
    live = Live(RunReader(finished_run))
    labels, balance = summary["labels"], live.balance()
    assert balance.texts == labels["texts"]
    assert balance.labelled == labels["accepted"]
    assert balance.set_apart == labels["set_apart"]
    assert balance.by_source() == labels["by_source"]
    assert balance.by_label() == {name: n for name, n in labels["by_label"].items() if n}
    assert balance.calibrated == labels["calibrated"]
    money = live.money()
    assert money.spent == round(summary["money"]["spent_usd"] * 10**9)
    assert money.requests == summary["requests"]
    assert money.cap == round(summary["money"]["cap_usd"] * 10**9)
    spent: Counter[str | None] = Counter()
    for one in live.spending():
        spent[one.annotator] += one.cost
    found = {one.annotator: one for one in live.agreement().audited}
    for row in summary["annotators"]:
        assert spent[row["annotator"]] == round(row["spent_usd"] * 10**9)
        mine = found[row["annotator"]]
        assert (mine.votes, mine.invalid) == (row["votes"], row["invalid"])
        assert mine.trusted == row["trusted"]
        assert row["right"] == (asdict(mine.right) if mine.right.n else None)
    assert found["embedded"].right.n == summary["annotators"][0]["audited"] > 0


def test_the_rounds_are_those_of_the_summarys_curve(
    finished_run: Path, summary: dict[str, Any]
) -> None:
    rounds = Live(RunReader(finished_run)).rounds()
    check_set = summary["curve"][0]["check"]["stop_set"]
    assert len(rounds) == len(summary["curve"]) >= 2
    for mine, row in zip(rounds, summary["curve"], strict=True):
        assert (mine.round, mine.spent, mine.labels) == (row["round"], row["spent"], row["labels"])
        assert (mine.agreement, mine.macro_f1) == (row["agreement"], row["macro_f1"])
        assert mine.student.estimate == row["audit_student"]
        assert mine.moved == row["moved"]
        assert sum(mine.predicted) == check_set
        check, theirs = mine.check, row["check"]
        assert (check is None) == (theirs is None)
        if check is not None:
            assert check.next_gain == theirs["next_gain"]
            assert check.next_price == theirs["money_next"]
            assert check.churn.estimate == theirs["churn"]
            assert check.verdict == theirs["verdict"]


def test_votes_that_come_in_parts_add_up_to_the_same(finished_run: Path) -> None:
    whole = Votes().refresh(RunReader(finished_run))

    class Slow(RunReader):
        """Sees only the first votes of the ledger."""

        upto = 0

        def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
            if sql == "SELECT max(vote_id) FROM votes":
                return [(self.upto,)]
            return super().rows(sql, *values)

    slow, votes = Slow(finished_run), Votes()
    for slow.upto in (1, 40, 41, 150, 10**6):
        found = votes.refresh(slow)
    assert found == whole


# -- the page -------------------------------------------------------------------------------------


def test_a_finished_run_shows_what_it_came_to(finished_run: Path, summary: dict[str, Any]) -> None:
    at = opened(finished_run)
    assert not at.exception
    text = shown(at)
    assert "finished" in text
    assert f"{summary['quality']['labels']['estimate']:.1%}" in text
    assert f"n = {summary['quality']['labels']['n']}" in text
    assert f"${summary['money']['spent_usd']:.2f}" in text
    assert f"{summary['labels']['set_apart']} of {summary['labels']['texts']} texts" in text
    assert not [button for button in at.button if button.key in {"run_pause", "run_finish"}]
    assert {button.label for button in at.download_button} >= {
        "Labels (CSV)",
        "Labels (JSON Lines)",
        "Report",
        "Configuration",
    }


def test_each_figure_is_drawn_when_it_is_chosen(
    finished_run: Path, summary: dict[str, Any]
) -> None:
    at = opened(finished_run)
    learning = charts(at)
    points = learning[0][1]["points"]
    audits = [p["value"] for p in points if p["series"] == "right on audits"]
    assert audits == [row["audit_student"] for row in summary["curve"]]
    assert [mark["word"] for mark in learning[0][1]["marks"]]
    for axis in ("labels", "rounds"):
        places = charts(choose(at, "run_axis", axis))[0][1]["points"]
        expected = [
            row[axis.removesuffix("s") if axis == "rounds" else axis] for row in summary["curve"]
        ]
        assert sorted({p["x"] for p in places}) == sorted({float(x) for x in expected})
    choose(at, "run_figure", "Classes")
    (_, tables), *_ = charts(at)
    shares = Counter()
    for bar in tables["bars"]:
        shares[bar["name"]] += bar["share"] * summary["labels"]["accepted"]
    assert {name: round(n) for name, n in shares.items()} == {
        name: n for name, n in summary["labels"]["by_label"].items() if n
    }
    assert sum(tick["share"] for tick in tables["ticks"]) == pytest.approx(1)
    choose(at, "run_figure", "Annotators")
    (_, heat), (_, audited) = charts(at)
    assert {(c["one"], c["other"]) for c in heat["cells"]} == {
        ("embedded", "reviewer"),
        ("reviewer", "embedded"),
    }
    assert [p["name"] for p in audited["points"]] == ["embedded"]
    choose(at, "run_figure", "Map")
    for colour in ("label", "uncertainty", "origin"):
        ((_, drawn),) = charts(choose(at, "run_colour", colour))
        assert len(drawn["points"]) == summary["labels"]["texts"]


def test_what_is_not_shown_is_not_computed(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    for name in ("agreement", "pool_map", "spending"):
        monkeypatch.setattr(Live, name, lambda self, name=name: asked.append(name))
    assert not opened(finished_run).exception
    assert asked == []


def test_the_arithmetic_of_the_stop_rule_can_be_read(finished_run: Path) -> None:
    at = opened(finished_run)
    before = shown(at).count("Value A =")
    at.toggle(key="run_arithmetic").set_value(True).run()
    assert not at.exception
    # The chat has it, too.
    assert shown(at).count("Value A =") == before + 1
    assert {"min labels", "labels"} & set(at.dataframe[0].value["gate"])


def test_a_run_that_has_not_begun_says_how_to_begin(empty_run: Path) -> None:
    at = opened(empty_run)
    assert not at.exception
    assert at.button(key="run_resume").label == "Start"
    assert any("nothing is spent" in caption.value for caption in at.caption)
    assert charts(at) == []


@pytest.mark.parametrize("figure", FIGURES)
def test_a_young_run_has_no_figures_yet_and_says_so(empty_run: Path, figure: str) -> None:
    with going(empty_run):
        at = choose(opened(empty_run), "run_figure", figure)
        assert not at.exception
        assert "running" in shown(at)
        assert charts(at) == []
        assert [info.value for info in at.info if "yet" in info.value or "first" in info.value]


def test_a_run_without_such_a_name_is_an_empty_page(finished_run: Path) -> None:
    at = AppTest.from_function(script, default_timeout=20)
    at.query_params["run"] = "../finished"
    assert "no such run" in at.run().info[0].value


# -- steering -------------------------------------------------------------------------------------


def test_pause_is_an_order_in_the_ledger_and_given_once(running: Path) -> None:
    at = opened(running)
    assert not at.exception
    at.button(key="run_pause").click().run()
    assert directives(running) == [("stop", None)]
    assert at.button(key="run_pause").disabled
    assert any("Pause was ordered" in info.value for info in at.info)
    # Labels of a run that is going on can not be taken.
    assert not [b for b in at.download_button if "Labels" in b.label]


def test_an_order_is_given_in_the_visitors_name(running: Path) -> None:
    opened(running, reviewer="Ada").button(key="run_pause").click().run()
    assert directives(running) == [("stop", {"by": "Ada"})]
    (told,) = [one for one in feed(RunReader(running))[0] if one.kind == "order"]
    assert (told.who, told.title) == ("Ada", "Order 1: pause")


def test_finish_asks_first(running: Path) -> None:
    at = opened(running)
    at.button(key="run_finish").click().run()
    assert directives(running) == []
    at.button(key="run_finish_no").click().run()
    assert directives(running) == []
    at.button(key="run_finish").click().run()
    at.button(key="run_finish_yes").click().run()
    assert not at.exception
    assert directives(running) == [("finish", {})]


def test_a_finished_run_can_be_resumed_when_something_was_ordered_since(finished_run: Path) -> None:
    at = opened(finished_run)
    assert not [button for button in at.button if button.key == "run_resume"]
    with Ledger(finished_run / "ledger.sqlite", create=False) as ledger:
        ledger.log.direct("accept_proposal", {"number": 1})
    assert opened(finished_run).button(key="run_resume").label == "Resume"


def test_why_a_run_failed_is_shown_as_text(finished_run: Path) -> None:
    words = "<b>no</b> **key** for ![x](http://evil.example/x)"
    event = {"event": "process", "status": "failed", "pid": 1, "error": words, "at": "2026-01-01"}
    with (finished_run / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(event) + "\n")
    at = opened(finished_run)
    assert not at.exception
    assert "failed" in shown(at)
    assert words in shown(at)
    assert at.button(key="run_resume").label == "Resume"
    assert not [line for line in alive(at) if not line.startswith("html")]


def test_what_stands_in_the_way_of_an_order_is_said(
    running: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = opened(running)
    (running / "ledger.sqlite").unlink()
    at.button(key="run_pause").click().run()
    assert any("no ledger here" in error.value for error in at.error)


# -- downloads ------------------------------------------------------------------------------------


def test_a_delivered_table_has_nothing_that_a_spreadsheet_would_carry_out(tmp_path: Path) -> None:
    lines = tmp_path / "labels.jsonl"
    rows = [{"id": "=1+1", "text": "@SUM(1)"}, {"id": "b", "text": "+1", "label": "-2"}]
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    table = as_csv(lines).decode()
    assert "'=1+1,'@SUM(1)" in table
    assert "b,'+1,'-2" in table


def test_labels_so_far_are_written_by_a_process_of_their_own(waiting_run: Path) -> None:
    at = opened(waiting_run)
    at.button(key="run_export_csv").click().run()
    path = export_path(waiting_run, reader(waiting_run), "csv")
    assert ended(processes.job(f"export:{path}")).error == ""
    assert path.read_text("utf-8").startswith("id,text,label")
    at.run()
    assert [b.label for b in at.download_button if "Labels" in b.label] == ["Labels (CSV)"]
    # Outside of the run, so that it is not taken for what was delivered.
    assert waiting_run not in path.parents


# -- untrusted text -------------------------------------------------------------------------------


def test_malicious_names_and_texts_stay_text(runs_root: Path, tmp_path: Path) -> None:
    from labelwright.graph import run

    config = write_malicious(tmp_path / "project", [{"kind": "embedded", "name": "embedded"}])
    folder = run(config, name="evil", runs=runs_root).folder
    at = opened(folder)
    for figure in FIGURES:
        choose(at, "run_figure", figure)
        assert not [line for line in alive(at) if not line.startswith("html")]
        for body in (block.proto.body for block in at.get("html")):
            assert not re.search(r"<(img|script|svg|iframe|a|b|h2)\b", body)
            assert not re.search(r"<[^>]*\son\w+=", body)
        for spec, tables in charts(at):
            # Data of a run are in the tables; a description holds names for its scales alone.
            assert "href" not in json.dumps(spec)
            assert "url" not in json.dumps(spec)
            for row in (row for rows in tables.values() for row in rows):
                assert not any(ord(c) < 32 for v in row.values() if isinstance(v, str) for c in v)
    names = {point["label"] for point in charts(at)[0][1]["points"]}
    assert names & {label["name"][:60] for label in LABELS}


@pytest.mark.parametrize("node", [*NODES, ""])
def test_the_drawing_marks_the_node_that_is_under_way(node: str) -> None:
    drawn = machine(node, 'a "title" <b>')
    assert drawn.count("data:image/svg+xml") == (4 if node else 2)
    assert 'aria-label="a &quot;title&quot; &lt;b&gt;"' in drawn
    assert "http://www.w3.org" not in drawn.replace("http%3A//www.w3.org/2000/svg", "")
