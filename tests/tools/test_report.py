"""The report: complete where there is everything, calm where there is nothing, inert always."""

import re

import pytest
from doubles.made_run import Page, made_summary

from labelwright.tools import report
from labelwright.tools.report import accuracy, percent, usd, write_report
from labelwright.tools.report.figures import learning_curve, stop_evidence


@pytest.fixture
def page(tmp_path):
    def render(summary) -> Page:
        path = tmp_path / "report.html"
        write_report(path, summary)
        return Page(path.read_text(encoding="utf-8"))

    return render


def test_a_whole_run_is_told(page):
    summary = made_summary()
    summary["labels"]["by_label"]["top_up"] = 0
    shown = page(summary)
    last = summary["stop_checks"][-1]
    for text in (
        "4,871 of 5,000 texts have a label. That cost $3.10 of a cap of $10.00.",
        "It stopped after 9 rounds: the next dollar was no longer worth it.",
        "95% interval 82.7% to 98.0%; n = 56, drawn at random",
        "Macro-F1 0.84 and agreement 87.5% with the run's own labels",
        " ".join(last["explanation"].split()),
        last["next_dollar"],
        f"a third of A $10.00 after round {last['stop_round_if']['A/3']}",
        f"three times A $90.00 after round {last['stop_round_if']['3A']}",
        "monoculture query strategies since the streak began: margin",
        "Asks for other strategy.",
        "too improbable 121",
        "card_lost 2,400 43.8%",
        "top_up none 0.0%",
        "small-model chat 1 2,300 2 88.4% 87.4% 56 1.50 $0.41",
        "selector choose mix $0.052",
        "the run never saw these 5,000 gold labels",
        "minilm@0123456789abcdef",
        "card.md, labels.jsonl",
    ):
        assert text in shown.text
    assert shown.count("svg") == 3
    assert "/somewhere/else" not in shown.text


def test_nothing_is_fetched(page, tmp_path):
    summary = made_summary(labels=("https://example.org/a.png", "url(//example.org/b)", "plain"))
    shown = page(summary)
    assert not {"script", "img", "iframe", "object", "embed", "video", "audio", "use", "image"} & {
        tag for tag, _ in shown.tags
    }
    attributes = [(name, value) for _, attrs in shown.tags for name, value in attrs.items()]
    assert [value for name, value in attributes if name in {"href", "src", "srcset"}] == ["data:,"]
    html = (tmp_path / "report.html").read_text()
    style = html[html.index("<style>") : html.index("</style>")]
    assert not re.search(r"@import|url\(|@font-face|expression", style)
    assert not any("//" in (value or "") for _, value in attributes)
    policy = [attrs["content"] for _, attrs in shown.tags if "http-equiv" in attrs]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


HOSTILE = (
    "</style><script>alert(1)</script>\"'><img src=x onerror=alert(2)> {{ 41 * 1000003 }} &lt;"
)


def test_texts_of_the_run_are_inert(page):
    def spoilt(value):
        """Every text of the summary, keys of labels included, replaced by markup."""
        if isinstance(value, dict):
            return {key: spoilt(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [spoilt(entry) for entry in value]
        return HOSTILE if isinstance(value, str) else value

    summary = spoilt(made_summary(labels=(HOSTILE, "b")))
    shown = page(summary)
    assert not {"script", "img"} & {tag for tag, _ in shown.tags}
    assert not any(name.startswith("on") for _, attrs in shown.tags for name in attrs)
    assert shown.count("style") == 1
    # Label, annotator, gate, reason, explanation and more, each exactly as it was written.
    assert shown.text.count(" ".join(HOSTILE.split())) > 20
    assert "41000123" not in shown.text


def test_without_audit_nothing_is_called_accurate(page):
    summary = made_summary(audit=False)
    summary["quality"]["gold"] = None
    shown = page(summary)
    assert shown.text.count("uncalibrated no annotator is trusted, so no label was audited") == 2
    assert "95% interval 0" not in shown.text
    assert "No text was audited, so there is no unbiased accuracy to draw." in shown.text
    assert "Against gold labels" not in shown.text


def test_free_rounds_are_drawn_by_labels_without_evidence_of_money(page):
    summary = made_summary(rounds=6, window_cost=0.0, sweep=False)
    curve = summary["curve"]
    assert ">labels</text>" in learning_curve(curve, 6)
    assert "No round cost anything, so there are no grey marks" in page(summary).text
    # Without any gain either there is no chart.
    for row in curve:
        row["check"]["next_gain"] = row["check"]["certificate_gain"] = 0
    assert stop_evidence(curve, 6) is None
    assert "nothing was spent or gained that it could show" in page(summary).text


def test_rounds_that_an_earlier_version_has_checked_are_no_evidence_of_a_next_batch(page):
    summary = made_summary(rounds=6)
    for row in summary["curve"][:-1]:
        if row.get("check"):
            del row["check"]["next_gain"]
    assert page(summary).text


@pytest.mark.parametrize("rounds", [0, 1, 2, 50])
@pytest.mark.parametrize("sweep", [False, True])
def test_any_number_of_rounds(page, rounds, sweep):
    shown = page(made_summary(rounds=rounds, sweep=sweep))
    assert ("No round was finished." in shown.text) == (rounds == 0 and not sweep)
    assert ("No check was made" in shown.text) == (rounds == 0)
    assert ("after sweep" in shown.text) == (sweep and rounds > 0)
    # The training after the sweep is in no round: not in the table, and not in a chart's tooltip.
    assert ("In bold: the last training, whose student" in shown.text) == sweep
    assert not re.search(rf"\bround {rounds + 1}\b", shown.text)


def test_many_classes_are_listed_in_a_table_that_scrolls(page):
    labels = tuple(f"class_{k}" for k in range(77))
    shown = page(made_summary(labels=labels))
    regions = {a["aria-label"]: a["class"] for _, a in shown.tags if a.get("role") == "region"}
    assert "long" in regions["Classes"]
    assert "long" not in regions["Gates"]
    assert all(name in shown.text for name in labels)


def test_a_run_that_goes_on_says_so_and_marks_no_stop(page):
    waiting = page(made_summary() | {"status": "waiting_for_people", "stop": None})
    assert "It is waiting for answers of people, after 9 rounds;" in waiting.text
    shown = page(made_summary() | {"status": "stopped", "stop": None})
    assert "It is not finished: 9 rounds so far; it can be resumed." in shown.text
    assert "every figure is of this moment" in shown.text
    assert "stop, round" not in shown.text


def test_every_part_may_be_missing(page):
    summary = made_summary()
    page({})
    for key in summary:
        page({k: v for k, v in summary.items() if k != key})
        page(summary | {key: None})


def test_every_figure_may_be_none(page):
    """Whatever is None inside a part, the page is whole and no None is printed."""
    for part in ("money", "pool", "quality", "labels"):
        summary = made_summary()
        for key, kept in summary[part].items():
            summary[part][key] = None
            assert "None" not in page(summary).text
            summary[part][key] = kept
    summary = made_summary()
    for row in summary["annotators"]:
        row |= {"reliability": None, "weight": None, "spent_usd": None}
    for row in summary["curve"]:
        row |= {"macro_f1": None, "audit_student": None, "moved": None, "check": None}
    summary["stop_checks"] = [{"value": None, "value_from": ""}]
    assert "None" not in page(summary).text


def test_the_same_run_gives_the_same_bytes(tmp_path):
    first, second = tmp_path / "a.html", tmp_path / "b.html"
    write_report(first, made_summary())
    write_report(second, made_summary())
    assert first.read_bytes() == second.read_bytes()


def test_figures_for_people():
    assert accuracy({"estimate": 0.5, "low": 0.25, "high": 0.75, "n": 1200}) == (
        "50.0% (95% interval 25.0% to 75.0%, n = 1,200)"
    )
    assert accuracy({"estimate": None, "low": 0.0, "high": 1.0, "n": 0}) == "uncalibrated"
    assert accuracy(None) == "uncalibrated"
    assert usd(0.0015) == "$0.0015"
    assert {usd(None), percent(None), report.count(None), report.number(None)} == {report.NOTHING}
