import json
from pathlib import Path

import pytest
import yaml
from doubles.openai_server import OpenAIServer, Reply, obedient
from typer.testing import CliRunner

from labelwright.app.cli import app
from labelwright.app.probe import REQUESTS


def write(folder: Path, server: OpenAIServer, **more: object) -> Path:
    annotator = {
        "kind": "chat", "name": "m", "model": "m-1", "base_url": server.url,
        "api_key_env": "PROBED_KEY", "price": {"in": 1.0, "out": 2.0}, **more,
    }  # fmt: skip
    config = {
        "task": {"name": "t", "labels": [{"name": "a"}, {"name": "b"}]},
        "data": {"path": "none.csv"},
        "annotators": [annotator],
        "budget": {"usd": 0},
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROBED_KEY", "sk-secret")


def probe(*arguments: object):
    return CliRunner().invoke(app, ["doctor", *map(str, arguments), "--probe"])


def test_an_endpoint_says_what_it_can_do(tmp_path: Path, openai_server: OpenAIServer) -> None:
    result = probe(write(tmp_path, openai_server), "--json")
    assert result.exit_code == 0, result.output
    (report,) = json.loads(result.stdout)["probes"]
    assert (report["mode"], report["error"]) == ("json_schema", "")
    assert 0 < report["requests"] == len(openai_server.chats) <= REQUESTS
    assert 0 < report["usd"] <= 0.05
    assert "keeps to" in probe(write(tmp_path, openai_server)).stdout


def test_a_test_never_passes_its_cap(tmp_path: Path, openai_server: OpenAIServer) -> None:
    result = probe(write(tmp_path, openai_server), "--usd", "0.0000001", "--json")
    assert result.exit_code == 10
    (report,) = json.loads(result.stdout)["probes"]
    assert report["error"]
    assert report["usd"] == 0
    assert not openai_server.chats


def test_an_endpoint_that_refuses_is_said_without_the_key(tmp_path: Path) -> None:
    def refuse(request: dict[str, object]) -> Reply:
        return Reply("invalid key sk-secret", status=401)

    with OpenAIServer(refuse) as server:
        result = probe(write(tmp_path, server))
    assert result.exit_code == 10
    assert "WRONG" in result.stdout
    assert "sk-secret" not in result.output


def test_without_a_chat_endpoint_nothing_is_sent(tmp_path: Path) -> None:
    with OpenAIServer(obedient) as server:
        path = write(tmp_path, server)
        config = yaml.safe_load(path.read_text())
        config["annotators"] = [{"kind": "embedded", "name": "e"}]
        path.write_text(yaml.safe_dump(config))
        assert "nothing was sent" in probe(path).stdout
        assert not server.chats


def test_a_check_up_as_json(tmp_path: Path, openai_server: OpenAIServer) -> None:
    path = write(tmp_path, openai_server)
    result = CliRunner().invoke(app, ["doctor", str(path), "--json"])
    found = json.loads(result.stdout)
    assert result.exit_code == 10
    assert found["wrong"] == sum(finding["ok"] is False for finding in found["findings"]) > 0
    assert not openai_server.chats
