"""Ctrl-C on a real process: the first stops, the second aborts, and both can be resumed."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doubles.openai_server import OpenAIServer, Reply, obedient

from labelwright.app.exit_codes import ExitCode


class Interrupter:
    """Answers a server's requests; at the third one it does something to the client's process."""

    def __init__(self, act: Callable[[subprocess.Popen[str]], None]) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.started = threading.Event()
        self._act, self._lock, self._count = act, threading.Lock(), 0

    def __call__(self, request: dict[str, Any]) -> Reply:
        with self._lock:
            self._count += 1
            if self._count == 5:
                self.started.wait()
                assert self.process is not None
                self._act(self.process)
        return obedient(request)


def _interrupted(
    config: Path, server: OpenAIServer, act: Callable[[subprocess.Popen[str]], None]
) -> subprocess.CompletedProcess[str]:
    server.script = interrupter = Interrupter(act)
    program = "from labelwright.app.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "run", str(config), "--name", "a"],
        cwd=config.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    interrupter.process = process
    interrupter.started.set()
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture
def chat_project(make_project: Callable[..., Path], openai_server: OpenAIServer) -> Path:
    return make_project(
        [
            {
                "kind": "chat",
                "name": "cheap",
                "model": "m",
                "base_url": openai_server.url,
                "price": {"in": 1, "out": 2},
                "concurrency": 1,
                "structured": "json_schema",
            }
        ]
    )


def test_ctrl_c_stops_and_resume_finishes_without_asking_twice(
    cli: Callable[..., Any], chat_project: Path, openai_server: OpenAIServer
) -> None:
    ended = _interrupted(
        chat_project, openai_server, lambda process: process.send_signal(signal.SIGINT)
    )
    assert ended.returncode == ExitCode.STOPPED, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Go on with: labelwright resume runs/a" in ended.stdout
    assert json.loads(cli("status", "a", "--json").stdout)["status"] == "stopped"
    # What is stored is what scripts know it by; people read the panel's word.
    assert "a: paused" in ended.stdout
    assert "a: paused" in cli("status", "a").stdout
    assert "paused" in cli("status").stdout
    assert cli("export", "a").exit_code == 0
    before = len(openai_server.chats)
    openai_server.script = obedient
    result = cli("resume", "a")
    assert result.exit_code == ExitCode.FINISHED, result.stderr
    asked = [json.dumps(served.request["messages"]) for served in openai_server.chats]
    assert len(asked) > before
    labels = [text for text in asked if "Label this text" in text]
    assert len(labels) == len(set(labels))


def test_a_second_ctrl_c_aborts_and_the_run_can_be_resumed(
    cli: Callable[..., Any], chat_project: Path, openai_server: OpenAIServer
) -> None:
    def insist(process: subprocess.Popen[str]) -> None:
        # This request is not answered, so the process can only end by the second signal.
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                continue

    ended = _interrupted(chat_project, openai_server, insist)
    assert ended.returncode == ExitCode.ABORTED, ended.stderr
    assert "Aborted. Go on with: labelwright resume runs/a" in ended.stderr
    state = json.loads(cli("status", "a", "--json").stdout)
    assert state["status"] == "interrupted"
    assert state["reserved_usd"] > 0
    openai_server.script = obedient
    result = cli("resume", "a", "--json")
    assert result.exit_code == ExitCode.FINISHED, result.stderr
    assert json.loads(result.stdout)["summary"]["money"]["uncertain_usd"] > 0
