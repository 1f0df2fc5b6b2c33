"""What the README and the guide to running tell people to type is typed here, word for word.

Three things differ from what a reader does. The first block installs the package, which `.ci/run`
does in an empty environment; here the installed checkout is used. The chat model is a double on the
loopback interface, named by OPENAI_BASE_URL. The person of the Python example types into a pipe.
"""

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from doubles.openai_server import OpenAIServer, Reply, obedient

ROOT = Path(__file__).resolve().parent.parent
MESSAGES = {
    "billing": "my billing statement shows charge number {} twice",
    "delivery": "the delivery of parcel {} is late again",
    "returns": "how do returns work for order {}",
}

Shell = Callable[..., subprocess.CompletedProcess[str]]


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def annotate(request: dict[str, Any]) -> Reply:
    """The label whose name stands in the text; anything else is answered as asked."""
    form = request.get("response_format", {}).get("json_schema", {}).get("schema", {})
    if "label" not in form.get("properties", {}):
        return obedient(request)
    text = request["messages"][-1]["content"]
    label = next((name for name in MESSAGES if name in text), None)
    # Before the first text the endpoint is tried with a question of its own.
    known = {"label": label, "confidence": 0.9, "reason": "it says so"}
    return Reply(known) if label else obedient(request)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A reader's folder, with a file of messages."""
    with (tmp_path / "messages.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "message", "label"])
        for number in range(25):
            for label, text in MESSAGES.items():
                table.writerow([f"{label}-{number}", text.format(number), label])
    return tmp_path


@pytest.fixture
def shell(folder: Path) -> Iterator[Shell]:
    """Runs a command there, with the double as the model's endpoint."""
    with OpenAIServer(annotate) as server:
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "OPENAI_API_KEY": "a-key-of-nobody",
            "OPENAI_BASE_URL": server.url,
            "NO_PROXY": "127.0.0.1",
        }

        def run(*command: str, typed: str = "") -> subprocess.CompletedProcess[str]:
            done = subprocess.run(
                command,
                cwd=folder,
                env=environment,
                input=typed,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
            return done

        yield run


def test_the_demo(shell: Shell, folder: Path) -> None:
    install, command = blocks("README.md", "bash")[0].strip().split(" && ")
    assert install == "pip install ."
    done = shell("bash", "-c", command)
    assert "NOT a language model" in done.stdout
    assert "Files in runs/demo: " in done.stdout
    assert (folder / "runs" / "demo" / "report.html").is_file()
    summary = json.loads((folder / "runs" / "demo" / "summary.json").read_text(encoding="utf-8"))
    claimed = re.search(r"labels (\d+) messages", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert claimed is not None
    assert summary["pool"]["rows"] == int(claimed[1])


def test_the_commands_and_then_the_python(shell: Shell, folder: Path) -> None:
    done = shell("bash", "-euo", "pipefail", "-c", blocks("README.md", "bash")[1])
    assert "Alternative" in done.stdout or "labels everything" in done.stdout
    assert "first: finished" in done.stdout
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 75
    labelled = [row for row in rows if row["label"]]
    assert labelled
    assert all(row["id"].startswith(row["label"]) for row in labelled)
    (snippet,) = blocks("README.md", "python")
    printed = shell(sys.executable, "-W", "error", "-c", snippet).stdout
    assert re.match(r"75 texts, at most \$\d+\.\d\d\n", printed), printed
    assert (folder / "runs" / "second" / "labels.jsonl").is_file()


def test_the_commands_that_check_are_those_of_ci() -> None:
    install, tests = blocks("README.md", "bash")[2].strip().split(" && ")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert install.replace("install", "install --quiet") in script
    assert tests in script


def test_a_person_answers_in_python(shell: Shell, folder: Path) -> None:
    config = {
        "task": {
            "name": "messages",
            "text": "{{ message }}",
            "labels": [{"name": name, "description": name} for name in MESSAGES],
        },
        "data": {"path": "messages.csv", "id": "id"},
        "annotators": [
            {"kind": "embedded", "name": "nearest"},
            {"kind": "human", "name": "me", "price": {"per_label": 0.1}},
        ],
        "selection": {"batch_size": 10},
        "critic": {"audit_first": 3, "escalate_share": 0},
        "human": {"questions_per_round": 3},
        "budget": {"usd": 5},
        "stopping": {"max_rounds": 1},
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (snippet,) = blocks("docs/running.md", "python")
    shell(sys.executable, "-c", snippet, typed="billing\n" * 30)
    summary = json.loads((folder / "runs" / "with_me" / "summary.json").read_text(encoding="utf-8"))
    assert summary["status"] == "finished"
    assert summary["labels"]["by_source"]["person"] == 3


def test_where_the_prompts_are(shell: Shell) -> None:
    (command,) = blocks("docs/prompts.md", "bash")
    printed = shell("bash", "-c", command).stdout.strip()
    assert (Path(printed) / "annotator" / "classify.prompt.md").is_file()
