from pathlib import Path

from streamlit.testing.v1 import AppTest

from labelwright.tools.prompts import PromptLibrary, packaged_prompts

MARKUP = "<img src=x onerror=alert(1)> **bold**"


def script() -> None:
    from labelwright.app.panel.prompts_page.page import page

    page()


def opened(run: Path | None = None, **params: str) -> AppTest:
    at = AppTest.from_function(script, default_timeout=20)
    if run:
        params["run"] = run.name
    for name, value in params.items():
        at.query_params[name] = value
    return at.run()


def shown(at: AppTest) -> str:
    return "\n".join(block.proto.body for block in at.get("html"))


def test_without_a_run_the_packaged_prompts_are_shown(runs_root: Path) -> None:
    at = opened()
    assert not at.exception
    names = PromptLibrary([packaged_prompts()]).names()
    assert at.selectbox(key="prompts_name").options == names
    for name in reversed(names):
        at.selectbox(key="prompts_name").select(name).run()
        assert not at.exception, name
        assert not at.error, name
        assert at.query_params["prompt"] == name


def test_an_annotators_prompt_is_filled_in_with_a_text_of_the_run(finished_run: Path) -> None:
    at = opened(finished_run, prompt="annotator/classify")
    assert not at.exception
    assert "comes with the program" in "\n".join(c.value for c in at.caption)
    first = shown(at)
    assert "customer messages" in first
    assert "triggers my migraines" in first
    at.number_input(key="prompts_item").set_value(2).run()
    assert "triggers my migraines" not in shown(at)
    assert "doesnt match the pics" in shown(at)
    at.selectbox(key="prompts_name").select("annotator/classify_many").run()
    assert "doesnt match the pics" in shown(at)
    assert "unpaid invoice letter" in shown(at)


def test_a_run_that_has_read_nothing_shows_a_sample(empty_run: Path) -> None:
    at = opened(empty_run, prompt="annotator/classify")
    assert not at.exception
    assert "not read its texts yet" in "\n".join(c.value for c in at.caption)


def test_what_a_run_has_changed_is_shown_as_text(finished_run: Path) -> None:
    file = finished_run / "prompts" / "annotator" / "classify.prompt.md"
    file.write_text(file.read_text().replace("# user\n", f"# user\n{MARKUP}\n"))
    at = opened(finished_run, prompt="annotator/classify")
    assert "differs" in at.info[0].value
    assert any(f"+{MARKUP}" in code.value for code in at.code)
    assert "&lt;img" in shown(at)
    assert "<img" not in shown(at)


def test_a_template_that_is_broken_is_said(finished_run: Path) -> None:
    file = finished_run / "prompts" / "annotator" / "classify.prompt.md"
    file.write_text("no front matter")
    at = opened(finished_run, prompt="annotator/classify")
    assert not at.exception
    assert "not in order" in at.error[0].value


def test_a_name_that_is_no_prompt_shows_the_first(runs_root: Path) -> None:
    at = opened(prompt="../../etc/passwd")
    assert not at.exception
    assert at.selectbox(key="prompts_name").value == "annotator/classify"
