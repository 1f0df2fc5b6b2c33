"""What must not happen: money by a wrong word, an audit given away, figures of a run that is gone.

Without a browser.
"""

import io
import json
import shutil
import time
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from streamlit.testing.v1 import AppTest

from labelwright.app.panel import processes
from labelwright.app.panel.access import Access
from labelwright.app.panel.gate import Gate
from labelwright.app.panel.new_run.draft import blank, new_draft, read
from labelwright.app.panel.new_run.sample import sample
from labelwright.app.panel.processes import Job
from labelwright.app.panel.review import going_on
from labelwright.app.panel.run_page.watched import watched
from labelwright.app.panel.session import reader
from labelwright.tools.errors import ConfigError
from labelwright.tools.ledger import Consensus, Ledger
from labelwright.tools.reviews import Review

TASK = {
    "name": "t",
    "labels": [{"name": name, "description": "", "examples": []} for name in "ab"],
    "guidelines": "",
    "text": "{{ text }}",
}
QUOTE: dict[str, Any] = {
    "low_usd": 1.0, "high_usd": 2.5, "uncut_usd": 2.5, "cap_usd": 5.0, "texts": 3,
    "rounds": [2, 4], "rejected": 0, "reasons": [], "unknown_gold": {}, "thin": None,
    "lines": [], "value": {"usd": 100.0, "explanation": "3 items"}, "alternatives": [],
    "prompt": None,
}  # fmt: skip


def opened(page: str, **params: Any) -> AppTest:
    def script(package: str) -> None:
        import importlib

        importlib.import_module(f"labelwright.app.panel.{package}.page").page()

    at = AppTest.from_function(script, default_timeout=30, args=(page,))
    for name, value in params.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception
    return at


def state(folder: Path, status: str) -> None:
    with (folder / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"at": "", "event": "process", "status": status}) + "\n")


def ask_about(folder: Path, *items: str, purpose: str = "audit") -> None:
    lines = [
        {"item_id": item, "text": "t", "labels": ["a"], "annotator": "ann", "purpose": purpose}
        for item in items
    ]
    (folder / "questions.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))


@pytest.mark.parametrize(
    ("status", "offered"), [("finished", True), ("stopped", False), ("failed", False)]
)
def test_only_a_finished_run_takes_corrections_up_for_nothing(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch, status: str, offered: bool
) -> None:
    monkeypatch.setattr(going_on, "resume_run", pytest.fail)
    with Ledger(finished_run / "ledger.sqlite", create=False) as ledger:
        (item,) = reader(finished_run).items("SELECT id FROM items LIMIT 1")[0]
        ledger.log.direct("review", Review(0, item, "eve", "no_label").payload())
    state(finished_run, status)
    at = opened("review", run="finished", reviewer="eve")
    words = " ".join(one.value for one in at.caption)
    assert "Reviews of 1 text wait" in words
    assert ("Nothing is bought" in words) is offered
    assert [b.key for b in at.button if b.key == "review_resume"] == ["review_resume"] * offered


@pytest.mark.parametrize(
    ("kind", "payload", "free"),
    [
        ("cap", {"usd": 50.0, "was": 10.0}, False),
        ("accept_proposal", {"number": 1}, False),
        ("focus", {"labels": ["a"], "rounds": 1}, False),
        ("dismiss_proposal", {"number": 1}, True),
        ("hand_in", {}, True),
    ],
)
def test_corrections_are_not_said_to_be_free_beside_an_order_that_may_buy(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch, kind: str, payload: Any, free: bool
) -> None:
    monkeypatch.setattr(going_on, "resume_run", pytest.fail)
    with Ledger(finished_run / "ledger.sqlite", create=False) as ledger:
        (item,) = reader(finished_run).items("SELECT id FROM items LIMIT 1")[0]
        ledger.log.direct("review", Review(0, item, "eve", "no_label").payload())
        ledger.log.direct(kind, payload)
    at = opened("review", run="finished", reviewer="eve")
    words = " ".join(one.value for one in at.caption)
    assert ("Nothing is bought" in words) is free
    assert ("may buy something" in words) is not free
    assert any(b.key == "review_resume" for b in at.button) is free


def test_a_run_that_was_made_anew_is_not_shown_as_the_one_before(
    finished_run: Path, runs_root: Path
) -> None:
    with Ledger(finished_run / "ledger.sqlite", create=False) as ledger:
        spent = ledger.balance().spent
    before = reader(finished_run)
    assert watched(finished_run).money().spent == spent > 0
    kept = runs_root / "kept"
    finished_run.rename(kept)
    fresh = runs_root / "finished"
    fresh.mkdir()
    shutil.copy(kept / "run.yaml", fresh)
    assert watched(fresh).money().spent == 0
    assert reader(fresh) is not before
    assert reader(fresh) is reader(fresh)


def points(at: AppTest) -> list[dict[str, Any]]:
    (chart,) = at.get("vega_lite_chart")
    (data,) = [one for one in chart.proto.datasets if one.name == "points"]
    with pyarrow.ipc.open_stream(io.BytesIO(data.data.data)) as stream:
        found: list[dict[str, Any]] = stream.read_all().to_pylist()
    return found


def test_the_map_tells_nothing_of_what_an_audit_asks(finished_run: Path) -> None:
    rows = reader(finished_run).rows("SELECT DISTINCT item_id FROM consensus ORDER BY 1 LIMIT 3")
    items = [item for (item,) in rows]

    def labels() -> int:
        at = opened("run_page", run="finished", reviewer="eve")
        found = points(at.segmented_control(key="run_figure").set_value("Map").run())
        return sum(point["label"] != "without a label" for point in found)

    before = labels()
    ask_about(finished_run, *items)
    state(finished_run, "waiting_for_people")
    assert labels() == before - 3
    with Ledger(finished_run / "ledger.sqlite", create=False) as ledger:
        ledger.log.direct("review", Review(0, items[0], "eve", "no_label").payload())
    assert labels() == before - 2


def test_comparing_tells_nothing_of_what_an_audit_asks(finished_run: Path) -> None:
    twin = Path(shutil.copytree(finished_run, finished_run.with_name("twin")))
    rows = reader(finished_run).rows(
        "SELECT item_id FROM consensus WHERE outcome = 'accept' AND label <> 'fraud_report' "
        "GROUP BY item_id ORDER BY 1 LIMIT 2"
    )
    items = [item for (item,) in rows]
    with Ledger(twin / "ledger.sqlite", create=False) as ledger:
        said = [Consensus(i, "fraud_report", 1.0, True, "person", "accept", "", {}) for i in items]
        ledger.votes.conclude(10_000, 99, said)

    def listed() -> set[str]:
        at = opened("compare", **{"with": ["finished", "twin"]})
        at.segmented_control(key="compare_part").set_value("Labels that differ").run()
        shown = " ".join(block.proto.body for block in at.get("html"))
        return {item for item in items if f">{item}<" in shown}

    assert listed() == set(items)
    ask_about(twin, items[0])
    assert listed() == {items[1]}


@pytest.mark.parametrize("other", ['theme={"a": 1}', "a b=c", "=", "x=\x7f"])
def test_a_cookie_of_another_server_keeps_nobody_out(other: str) -> None:
    gate = Gate(None, access=Access(None, token="correct horse battery"))  # type: ignore[arg-type]
    scope = {"server": ("127.0.0.1", 8501)}
    until = str(int(time.time()) + 60)
    own = f"labelwright_8501={until}.{gate._sign(until)}"
    assert gate._known({"cookie": f"{other}; {own}"}, scope)
    assert not gate._known({"cookie": f"{other}; {own}0"}, scope)
    assert not gate._known({"cookie": other}, scope)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{after}: &{after} [{', '.join(['*' + before] * 10)}]\n"
            for before, after in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "a: &a [*a]\n",
        "a: &a {b: *a}\n",
    ],
)
def test_a_configuration_that_grows_without_end_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="aliases"):
        read(text)
    assert read("a: &a [1]\nb: *a\n") == {"a": [1], "b": [1]}


def test_a_small_file_that_unpacks_to_no_end_is_gone_through_at_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labelwright.app.panel.new_run.sample._MOST_CHARACTERS", 5_000_000)
    texts = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 50_000), ["x" * 1_000])
    path = tmp_path / "bomb.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": texts}), path, compression="zstd")
    assert path.stat().st_size < 10_000
    found = sample({"task": {"text": "{{ text }}"}, "data": {"path": str(path)}})
    assert found.cut
    assert 4_000 <= found.rows < 5_000


def test_what_is_kept_of_a_file_is_little_whatever_is_in_it(tmp_path: Path) -> None:
    rows = 12_000
    table = {
        "text": ["y" * 50_000] * 10 + ["y"] * (rows - 10),
        "gold": [f"{number}" + "g" * 3_000 * (number < 10) for number in range(rows)],
    }
    path = tmp_path / "wide.parquet"
    pyarrow.parquet.write_table(pyarrow.table(table), path, compression="zstd")
    data = {"path": str(path), "gold": "gold"}
    found = sample({"task": {"text": "{{ text }}"}, "data": data})
    assert found.rows == rows
    assert len(repr(found)) < 2_000_000
    assert max(map(len, found.texts)) <= 2_000
    assert max(map(len, found.gold)) <= 2_000
    assert all(len(cell) < 1_000 for row in found.first for cell in row.values())


def test_columns_that_are_no_text_are_counted_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labelwright.app.panel.new_run.sample._MOST_CHARACTERS", 1_000_000)
    long = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 5_000), ["x" * 10_000])
    path = tmp_path / "beside.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a"] * 5_000, "more": long}), path)
    found = sample({"task": {"text": "{{ text }}"}, "data": {"path": str(path)}})
    assert found.cut
    assert found.rows < 200


def test_an_upload_takes_the_place_of_the_one_before_at_once(runs_root: Path) -> None:
    draft = new_draft(blank())
    path = draft.keep("votes.csv", io.BytesIO(b"item_id,ann\n1,a\n"))

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError("the browser has gone")

    with path.open("rb") as reading:
        with pytest.raises(OSError, match="gone"):
            draft.keep("votes.csv", Broken())
        assert path.read_bytes() == reading.read()
        draft.keep("votes.csv", io.BytesIO(b"other"))
        reading.seek(0)
        assert reading.read().startswith(b"item_id")
    assert sorted(file.name for file in draft.folder.iterdir()) == ["run.yaml", "votes.csv"]


def test_what_is_started_is_what_was_quoted_whatever_is_started_beside_it(
    runs_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[Path, str]] = []
    quoted = Job("plan", ("plan",), state="done", code=0, result=QUOTE)
    monkeypatch.setattr(processes, "job", lambda key: quoted if key.startswith("plan:") else None)
    monkeypatch.setattr(processes, "start_run", lambda file, name: started.append((file, name)))
    draft = new_draft({**blank(), "task": TASK, "data": {"path": "none.csv"}})
    for name, usd in (("one-run", 1.0), ("One_Run", 99.0)):
        draft.save({**draft.load(), "budget": {"usd": usd}})
        at = opened("new_run", draft=draft.name, step="start")
        field = next(one for one in at.text_input if one.label == "Name of the run")
        field.set_value(name).run()
        at.button(key="new_start").click().run()
    assert [name for _, name in started] == ["one-run", "One_Run"]
    assert [read(file.read_text())["budget"]["usd"] for file, _ in started] == [1.0, 99.0]
