"""Keys come from the environment, and a run without one ends before anything is done."""

import pytest
from doubles.scripted_models import Models, usd

from labelwright.graph import resume, run
from labelwright.graph.session import check_keys, create_run, open_run
from labelwright.tools.errors import ConfigError

KEY = "sk-loopback-0123456789abcdef"
PRICE = {"in": 1, "out": 2}


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def chat(name, **more):
    return {"kind": "chat", "name": name, "model": "m", "price": PRICE, **more}


def agent(env, **more):
    return {"model": "m", "price": PRICE, "api_key_env": env, **more}


@pytest.fixture
def keyless(corpus):
    """One key for each place that may need one."""
    return corpus.config(
        annotators=[
            chat("cheap", api_key_env="KEY_A"),
            chat("local", api_key_env="KEY_LOCAL", base_url="http://127.0.0.1:9/v1"),
            corpus.recorded("strong", 2),
        ],
        selection={"model": agent("KEY_B")},
        critic={"model": agent("KEY_C")},
        generation={"enabled": True, "model": agent("KEY_D")},
        embedder={
            "kind": "openai", "model": "e", "api_key_env": "KEY_E", "price_usd_per_mtok": 1,
        },
    )  # fmt: skip


def test_every_missing_key_is_named_with_who_needs_it(keyless):
    with pytest.raises(ConfigError) as caught:
        check_keys(keyless)
    lines = str(caught.value).splitlines()
    told = [(line.split(":")[0], line.split("variable ")[1].split(" ")[0]) for line in lines]
    assert told == [
        ("cheap", "KEY_A"),
        ("selector", "KEY_B"),
        ("critic", "KEY_C"),
        ("generator", "KEY_D"),
        ("embedder", "KEY_E"),
    ]
    assert all("is not set; export the key there" in line for line in lines)


def test_only_what_is_used_needs_a_key(keyless, monkeypatch):
    for name in "ABCDE":
        monkeypatch.setenv(f"KEY_{name}", KEY)
    check_keys(keyless)
    monkeypatch.delenv("KEY_D")
    with pytest.raises(ConfigError, match=r"^generator: [^\n]*KEY_D[^\n]*$"):
        check_keys(keyless)
    idle = keyless.generation.model_copy(update={"enabled": False})
    check_keys(keyless.model_copy(update={"generation": idle}))


def test_a_run_without_its_key_is_not_begun(corpus, tmp_path, monkeypatch):
    config = corpus.config(annotators=[chat("cheap")])
    with pytest.raises(ConfigError, match="OPENAI_API_KEY is not set"):
        run(config, name="run", runs=tmp_path)
    assert not (tmp_path / "run").exists()
    # So the name is still free once the key is there.
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    create_run(config, tmp_path / "run")
    assert (tmp_path / "run" / "run.yaml").exists()


def test_a_run_that_is_taken_up_without_its_key_reads_and_asks_nothing(
    corpus, tmp_path, monkeypatch, outcome
):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    create_run(corpus.config(annotators=[chat("cheap")]), tmp_path / "run")
    monkeypatch.delenv("OPENAI_API_KEY")
    told = []
    with pytest.raises(ConfigError, match=r"cheap: .*OPENAI_API_KEY is not set"):
        resume(tmp_path / "run", notify=told.append)
    assert told == []
    assert outcome(tmp_path / "run").sql("SELECT count(*) FROM calls") == [(0,)]


def test_what_is_finished_needs_no_key_any_more(corpus, openai_server, tmp_path, monkeypatch):
    texts = {i: text for i, text in corpus.texts.items() if i not in corpus.same}
    openai_server.script = Models(texts, corpus.gold, corpus.labels)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", openai_server.url)
    weak = chat("weak", model="weak", price=usd("weak"), max_output_tokens=64)
    config = corpus.config(annotators=[weak], stopping={"max_rounds": 1, "stop_set_size": 50})
    first = run(config, name="run", runs=tmp_path)
    assert first.status == "finished"
    served = len(openai_server.served)
    # From here on OpenAI itself is meant, and there is no key for it.
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL")
    assert resume(tmp_path / "run").summary["money"] == first.summary["money"]
    assert len(openai_server.served) == served


def test_a_run_that_lacks_a_prompt_of_a_later_version_has_the_packaged_one(corpus, tmp_path):
    create_run(corpus.config(), tmp_path / "run")
    pinned = tmp_path / "run" / "prompts" / "annotator"
    (pinned / "classify_reworded.prompt.md").unlink()
    with open_run(tmp_path / "run", notify=lambda _: None, stopping=lambda: False) as ctx:
        assert ctx.prompts.get("annotator/classify").path.parent == pinned
        assert ctx.prompts.get("annotator/classify_reworded").path.parent != pinned
