import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from labelwright.app.panel import processes, trouble
from labelwright.app.panel.plain import escaped
from labelwright.app.panel.processes import Job
from labelwright.tools.errors import LedgerError, LockedError
from labelwright.tools.ledger import Ledger

MAIN = str(Path(trouble.__file__).with_name("main.py"))


@pytest.fixture
def demos(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Demos that were started; none is carried out."""
    made: list[Job] = []

    def start() -> Path:
        made.append(Job("run", ("demo",)))
        return processes.new_folder("demo")

    monkeypatch.setattr(processes, "start_demo", start)
    monkeypatch.setattr(processes, "run_job", lambda _: made[-1] if made else None)
    return made


def on_page(path: str, at: AppTest | None = None, **params: str) -> AppTest:
    """The panel at the address of a page."""
    at = at or AppTest.from_file(MAIN, default_timeout=20)
    at.query_params.clear()
    for name, value in params.items():
        at.query_params[name] = value
    at._page_hash = calc_hash(path)
    return at.run()


def panel(**params: str) -> AppTest:
    at = AppTest.from_file(MAIN, default_timeout=20)
    for name, value in params.items():
        at.query_params[name] = value
    return at.run()


def test_an_empty_folder_says_what_to_do(runs_root: Path, demos: list[Job]) -> None:
    at = panel()
    assert not at.exception
    assert "no run yet" in at.markdown[0].value
    at.button(key="home_demo").click().run()
    assert len(demos) == 1
    assert "being started" in at.info[0].value


def test_a_run_that_could_not_be_started_says_why(runs_root: Path, demos: list[Job]) -> None:
    demos.append(Job("run", ("run",), state="failed", error="data: no such <b>file</b>"))
    at = panel(started="x")
    assert "could not be started" in at.error[0].value
    assert any("&lt;b&gt;file" in block.proto.body for block in at.get("html"))


def test_runs_are_listed_with_where_they_stand(finished_run: Path, empty_run: Path) -> None:
    at = panel()
    assert not at.exception
    assert [b.label for b in at.button[2:]] == ["empty", "finished"]
    captions = [c.value for c in at.caption]
    assert "not started" in captions[0]
    assert captions[1].startswith("finished")
    with Ledger(finished_run / "ledger.sqlite", create=False) as ledger:
        ledger.log.direct("cap", {"usd": 6.0})
    # The cap that counts is the one that was ordered, not the one of the configuration.
    assert escaped("of $6.00") in [c.value for c in at.run().caption][1]


def test_the_address_keeps_the_run(finished_run: Path, empty_run: Path) -> None:
    at = on_page("prompts", run="empty")
    assert at.selectbox(key="shell_run").value == "empty"
    at.selectbox(key="shell_run").select("finished").run()
    assert at.query_params["run"] == "finished"
    # The menu leads to pages without a run in their address: the last one stays.
    again = on_page("prompts", at=at)
    assert again.query_params["run"] == "finished"


def test_a_run_that_is_not_there_is_said(finished_run: Path) -> None:
    for path in ("run", "prompts", "items", "review"):
        at = on_page(path, run="../../etc")
        assert not at.exception
        assert "no run" in at.warning[0].value
        assert at.query_params["run"] == "../../etc"
        assert at.selectbox(key="shell_run").value is None
        assert not at.button
    at.selectbox(key="shell_run").select("finished").run()
    assert at.query_params["run"] == "finished"
    assert not at.warning


def test_a_demo_that_another_tab_has_just_begun_keeps_the_page(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start() -> Path:
        raise LockedError("The run 'demo' is going on, or just being started.")

    monkeypatch.setattr(processes, "start_demo", start)
    at = panel()
    at.button(key="home_demo").click().run()
    assert not at.exception
    assert "just being started" in at.warning[0].value
    assert any(b.label == "finished" for b in at.button)


def test_a_process_that_lost_the_race_says_so(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = Job("run", ("resume",), state="failed", code=8, error="in use by process 7")
    monkeypatch.setattr(processes, "run_job", lambda _: lost)
    assert "nothing was lost" in on_page("prompts", run="finished").info[0].value


@pytest.mark.parametrize("started", ["../x", "/etc", ".hidden", "a\x00b", "x" * 300])
def test_a_made_up_name_in_the_address_is_harmless(runs_root: Path, started: str) -> None:
    at = panel(started=started)
    assert not at.exception
    assert not list(runs_root.iterdir())


def test_what_markdown_would_make_a_sign_of_stays_as_it_was_typed() -> None:
    assert escaped("&copy; &#35; a & b") == r"\&copy; \&\#35; a \& b"


def test_errors_are_told_in_words() -> None:
    def page() -> None:
        from labelwright.app.panel import trouble
        from labelwright.tools.errors import LedgerError

        trouble.tell(LedgerError("can not be read: <script>"))
        trouble.tell(ValueError("sk-secret"))

    at = AppTest.from_function(page).run()
    assert "&lt;script&gt;" in at.get("html")[0].proto.body
    assert "runs are not affected" in at.error[1].value
    assert "sk-secret" not in str(at.main)
    assert issubclass(LedgerError, Exception)


def test_the_panel_loads_no_heavy_library() -> None:
    code = (
        "import sys\n"
        "from labelwright.app.panel import shell, serve, gate\n"
        "from labelwright.app.panel.new_run import page\n"
        "from labelwright.app.panel.prompts_page import page\n"
        "heavy = {'sklearn', 'scipy', 'chromadb', 'langgraph', 'langchain_core', 'openai',\n"
        "         'onnxruntime'} & {name.partition('.')[0] for name in sys.modules}\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr


def logged_in_page() -> None:
    import streamlit as st

    from labelwright.app.panel import access

    access.require_login()
    st.write("inside")


def test_where_a_login_is_set_up_nothing_is_shown_before_it(runs_root: Path) -> None:
    at = AppTest.from_function(logged_in_page)
    at.run()
    assert [m.value for m in at.markdown] == ["inside"]
    at.secrets["auth"] = {"client_id": "x"}
    at.run()
    assert "inside" not in [m.value for m in at.markdown]
    assert at.button(key="access_login")


@pytest.mark.parametrize(
    ("user", "inside"),
    [
        ({"email": "Ann@Example.org", "email_verified": True}, True),
        ({"email": "ann@example.org", "email_verified": False}, False),
        ({"email": "eve@example.org"}, False),
        ({}, False),
    ],
)
def test_only_listed_users_come_in(
    monkeypatch: pytest.MonkeyPatch, user: dict[str, object], inside: bool
) -> None:
    import streamlit as st

    monkeypatch.setattr(st, "user", {"is_logged_in": True, **user})
    at = AppTest.from_function(logged_in_page)
    at.secrets["auth"] = {"client_id": "x"}
    at.secrets["labelwright"] = {"users": ["ann@example.org"]}
    at.run()
    assert not at.exception
    assert ("inside" in [m.value for m in at.markdown]) is inside
