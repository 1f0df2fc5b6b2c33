import os
import signal
import subprocess
import sys
import threading

import pytest

from labelwright.tools.errors import LockedError
from labelwright.tools.locking import hold

HOLDER = """
import sys, pathlib
from labelwright.tools.locking import hold
held = hold(pathlib.Path(sys.argv[1]), "The thing")
print("held", flush=True)
sys.stdin.read()
"""


def test_the_second_owner_is_told_who_the_first_is(tmp_path):
    path = tmp_path / "new folder" / ".lock"
    with hold(path, "The pool x"):
        with pytest.raises(LockedError) as error:
            hold(path, "The pool x")
        message = str(error.value)
        assert message.startswith(f"The pool x is in use by process {os.getpid()} since 20")
        assert str(path) in message
        assert "Wait for it, or stop it." in message
    hold(path, "The pool x").release()


def test_an_unreadable_owner_file_does_not_hide_the_lock(tmp_path):
    path = tmp_path / ".lock"
    with hold(path, "It"):
        path.with_name(".lock.owner").write_text("{")
        with pytest.raises(LockedError, match="in use by another process"):
            hold(path, "It")


def test_release_twice_and_from_another_thread(tmp_path):
    path = tmp_path / ".lock"
    held = hold(path, "It")
    thread = threading.Thread(target=held.release)
    thread.start()
    thread.join()
    held.release()
    hold(path, "It").release()


def test_a_killed_owner_leaves_no_lock(tmp_path):
    path = tmp_path / ".lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=f"process {process.pid} "):
            hold(path, "The thing")
        process.send_signal(signal.SIGKILL)
        process.wait()
    hold(path, "The thing").release()
