"""The items of a run while it goes on: what its ledger adds is applied, and nothing read twice."""

import numpy as np
import pytest
import yaml

from labelwright.tools.ledger import CHECK_ATTEMPTS, Call, Consensus, Ledger, Settlement, Vote
from labelwright.tools.reviews import REVIEW, Review
from labelwright.tools.rows import Rows
from labelwright.tools.snapshot import Snapshot
from labelwright.tools.watch import RunReader
from labelwright.tools.watch import item as records
from labelwright.tools.watch.item_table import ItemTable
from labelwright.tools.watch.items import Search, doubtful, find, rows
from labelwright.tools.watch.review_log import ReviewLog


class Growing:
    """A run's folder into which a test writes."""

    def __init__(self, folder, dim=4):
        config = {
            "task": {"labels": [{"name": "a"}, {"name": "b"}]},
            "annotators": [{"kind": "embedded", "name": "one"}],
        }
        (folder / "run.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        self.ledger = Ledger(folder / "ledger.sqlite")
        (folder / "pool").mkdir()
        self.pool = Snapshot(folder / "pool", fingerprint="f", dim=dim, collection="c")
        self.rng = np.random.default_rng(0)
        self.dim, self.steps, self.calls = dim, 0, 0
        self.reader = RunReader(folder)
        self.table, self.log = ItemTable(self.reader), ReviewLog(self.reader)

    def add(self, texts, origin="real"):
        vectors = self.rng.normal(size=(len(texts), self.dim)).astype(np.float32)
        self.pool.append(list(texts), list(texts.values()), vectors, origin)
        return vectors

    def vote(self, annotator, answers, attempt=0):
        self.calls += 1
        votes = [
            Vote(item, annotator, label, None if label else "no_label_fits", "h", attempt, "x", 1)
            for item, label in answers.items()
        ]
        call = Call(f"k{self.calls}", "annotator", annotator, "m", "label", 1, tuple(answers))
        self.ledger.record(call, Settlement("answered"), votes)

    def hold(self, items, round_=1):
        self.steps += 1
        self.ledger.votes.conclude(
            self.steps,
            round_,
            [
                Consensus(
                    item,
                    label,
                    p,
                    False,
                    source,
                    outcome,
                    "why",
                    {"flags": flags, "final": final, "votes": {'"flags":[]': "a"}},
                )
                for item, label, p, source, outcome, flags, final in items
            ],
        )

    def refresh(self):
        self.table.refresh()
        self.log.refresh()

    def find(self, **search):
        self.refresh()
        places = find(self.table, Search(**search), self.log)
        return [self.table.ids[place] for place in places]

    def doubtful(self, reviewer="eve", most=10):
        self.refresh()
        return doubtful(self.table, self.log, reviewer, most)


@pytest.fixture
def growing(tmp_path):
    made = Growing(tmp_path)
    yield made
    made.reader.close()
    made.pool.close()
    made.ledger.close()


def accept(item, label="a", p=0.9, source="model", outcome="accept", flags=(), final=False):
    return (item, label, p, source, outcome, list(flags), final)


def test_a_folder_without_files_has_no_items(tmp_path):
    (tmp_path / "run.yaml").write_text("task: {labels: []}", encoding="utf-8")
    reader = RunReader(tmp_path)
    table, log = ItemTable(reader), ReviewLog(reader)
    table.refresh()
    log.refresh()
    assert len(table) == 0
    assert find(table, Search(text="x", sort="votes", disagree=True), log) == []
    assert doubtful(table, log, "eve", 5) == []


def test_what_comes_later_is_applied_without_reading_all_again(growing, monkeypatch):
    growing.add({"i1": "one", "i2": "two"})
    assert growing.find(outcome="open") == ["i1", "i2"]
    growing.hold([accept("i1", "a")])
    growing.vote("one", {"i1": "a"})
    assert growing.find(label="a") == ["i1"]
    growing.add({"i3": "three"}, origin="synthetic")
    growing.hold([accept("i1", "b", flags=["neighbours disagree"]), accept("i3", "a")], round_=2)
    growing.vote("two", {"i1": "b", "i3": "a"})
    reads = []
    whole = growing.reader.rows
    monkeypatch.setattr(
        growing.reader, "rows", lambda *given: reads.append(len(whole(*given))) or whole(*given)
    )
    assert growing.find(label="a") == ["i3"]
    assert growing.find(label="b") == growing.find(doubted=True) == ["i1"]
    assert growing.find(round=2) == ["i1", "i3"]
    assert growing.find(disagree=True) == ["i1"]
    assert growing.find(origin="synthetic") == ["i3"]
    assert growing.find(outcome="open") == ["i2"]
    assert max(reads) == 3, "two new conclusions, three votes"
    assert growing.find(text="THREE") == ["i3"]
    growing.add({"i4": "three again"})
    assert growing.find(text="THREE") == ["i3", "i4"], "a search that was kept is made anew"


def test_checks_are_no_votes_and_an_invalid_answer_takes_a_label_back(growing):
    growing.add({"i1": "one"})
    growing.vote("one", {"i1": "a"})
    growing.vote("two", {"i1": "b"}, attempt=CHECK_ATTEMPTS)
    assert growing.find(disagree=True) == []
    growing.vote("two", {"i1": "b"})
    assert growing.find(disagree=True) == ["i1"]
    growing.vote("two", {"i1": None}, attempt=1)
    assert growing.find(disagree=True) == []
    (row,) = rows(growing.reader, growing.table, [0])
    assert (row.votes, row.disagree) == (3, False)


def test_items_without_a_value_come_last_in_both_directions(growing):
    growing.add({name: name for name in ("i1", "i2", "i3")})
    growing.hold([accept("i2", p=0.3), accept("i3", p=0.7)])
    assert growing.find(sort="p_correct") == ["i2", "i3", "i1"]
    assert growing.find(sort="p_correct", descending=True) == ["i3", "i2", "i1"]
    assert growing.find(sort="round", descending=True)[-1] == "i1"
    assert growing.find(descending=True) == ["i3", "i2", "i1"]


@pytest.mark.parametrize(
    ("text", "needle"),
    [
        ("100% sure_thing", "100% S"),
        ("a_b", "_"),
        ("quote ' and \" and \\", "' and \" AND \\"),
        ("\u00dcberweisung", "\u00fcberWEISUNG".lower()),
        ("stra\u00dfe", "STRA\u00dfE"),
        ("before\x00after", "AFTER"),
        ("\u05e9\u05dc\u05d5\u05dd", "\u05dc\u05d5"),
    ],
)
def test_a_search_takes_every_character_as_it_is(growing, text, needle):
    growing.add({"hit": text, "miss": "nothing of the kind"})
    assert growing.find(text=needle) == ["hit"]
    (row, _) = rows(growing.reader, growing.table, [0, 1])
    assert row.preview == text


def test_a_huge_text_is_listed_by_its_beginning(growing):
    growing.add({"big": "\u00e4" * 1_000_000})
    growing.refresh()
    (row,) = rows(growing.reader, growing.table, [0])
    assert row.preview == "\u00e4" * len(row.preview)
    assert 100 < len(row.preview) < 1000


def test_filters_by_what_reviewers_said(growing):
    growing.add({name: name for name in ("i1", "i2", "i3", "i4")})

    def says(item, reviewer, verdict, label=None):
        review = Review(0, item, reviewer, verdict, label)
        return growing.ledger.log.direct(REVIEW, review.payload())

    says("i1", "eve", "flag")
    seq = says("i2", "eve", "label", "a")
    says("i3", "eve", "label", "a")
    says("i3", "bob", "no_label")
    growing.ledger.log.acknowledge(seq, "taken")
    assert growing.find(review="flagged") == ["i1"]
    assert growing.find(review="corrected") == ["i2", "i3"]
    assert growing.find(review="disputed") == ["i3"]
    assert growing.find(review="waiting") == ["i1", "i3"]


def test_doubtful_labels_the_worst_first(growing):
    growing.add({f"i{number}": str(number) for number in range(9)})
    growing.hold(
        [
            accept("i0", p=0.9),
            accept("i1", p=0.6),
            accept("i2", p=0.2, outcome="set_apart"),
            accept("i3", p=0.1, source="person"),
            accept("i4", None, None, outcome="set_apart", final=True),
            accept("i5", p=0.3, outcome="set_apart", final=True),
            accept("i6", p=1.0, source="person"),
        ]
    )
    assert growing.doubtful() == ["i2", "i1", "i0"]
    assert growing.doubtful(most=2) == ["i2", "i1"]
    growing.ledger.log.direct(REVIEW, Review(0, "i6", "bob", "flag").payload())
    growing.ledger.log.direct(REVIEW, Review(0, "i2", "bob", "label", "b").payload())
    assert growing.doubtful() == ["i6", "i1", "i0"], "Bob has settled i2"
    assert growing.doubtful("bob") == ["i1", "i0"], "Bob knows that he flagged i6"
    growing.ledger.log.direct(REVIEW, Review(0, "i1", "eve", "skip").payload())
    assert growing.doubtful() == ["i6", "i0"]


def test_neighbours_are_the_nearest_by_cosine(growing, monkeypatch):
    monkeypatch.setattr(records, "_BLOCK", 7)
    vectors = growing.add({f"i{number}": str(number) for number in range(40)})
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for position in (0, 6, 7, 39):
        wanted = np.argsort(-(unit @ unit[position]), kind="stable")
        wanted = [int(place) for place in wanted if place != position][:5]
        near = records.neighbours(growing.reader, position, 40, 5)
        assert [place for place, _ in near] == wanted
        assert near[0][1] == pytest.approx(float(unit[wanted[0]] @ unit[position]), abs=1e-3)


def test_rows_of_a_young_run_are_none(tmp_path):
    reader = RunReader(tmp_path)
    assert records.input_rows(reader, "x") == []
    (tmp_path / "pool").mkdir()
    Rows(tmp_path / "pool" / "rows.sqlite").close()
    assert records.input_rows(reader, "x") == []
    assert records.neighbours(reader, 0, 0) == []
