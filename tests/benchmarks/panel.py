"""The control panel beside a large run, in a real browser: paints, refreshes, memory, slow-down.

    python tests/benchmarks/panel.py [--items 100000] [--paints 10] [--repeats 5] [--work DIR]

1. A real run: as many different pairs of the demo's messages, the embedded annotator on the static
   embedder, and the reviewer of the demo for audits and disputes. While it goes on its page is open
   in Chromium: every refresh from the script's start on the server to the frame after its end.
2. On the finished run, each page in a browser with an empty cache: from the navigation to the first
   contents, and to the frame after the script has ended and its charts are drawn; and the latter
   again after the first.
3. Memory of the panel's process (resident set), sampled all the while.
4. Runs with their page open beside the same runs without a panel, in pairs of alternating order:
   of the embedded annotator (it computes, so it shares the cores with panel and browser) and of a
   model behind an endpoint (it waits for answers, as most runs do; a double on loopback).

`--run DIR` takes a run that an earlier call has left in `--work`. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "panel"))

from browser import PROGRAM, Panel, chromium, served
from doubles.openai_server import OpenAIServer
from panel_pools import slowly, write_asked, write_pairs

from labelwright.app.panel.shell import PAGES
from labelwright.graph.config import parse_config
from labelwright.graph.session import create_run
from labelwright.tools.watch import RunReader

KEYS = ("median_s", "p95_s")
WATCH = """
(() => {
  const seen = (window.__spans = []);
  let begun = null;
  let last = null;
  const look = () => {
    const app = document.querySelector('[data-testid="stApp"]');
    const state = app && app.dataset.testScriptState;
    if (state === last) return;
    last = state;
    if (state === "running" && begun === null) begun = performance.now();
    if (state === "notRunning" && begun !== null) {
      const from = begun;
      begun = null;
      requestAnimationFrame(() =>
        requestAnimationFrame(() => seen.push([from, performance.now()])));
    }
  };
  new MutationObserver(look).observe(document, {
    subtree: true, childList: true, attributes: true, attributeFilter: ["data-test-script-state"],
  });
})();
"""
PAINTED = """
() => {
  if (!window.__spans.length) return false;
  const drawn = [...document.querySelectorAll('[data-testid="stVegaLiteChart"]')]
    .every((chart) => chart.querySelector("canvas, svg"));
  const waiting = document.querySelector('[data-testid="stSkeleton"], [data-testid="stSpinner"]');
  return drawn && !waiting ? performance.now() : false;
}
"""


def prepare(runs: Path, name: str, settings: dict[str, Any], data: Path) -> Path:
    """Write a run down that nobody has begun."""
    create_run(parse_config(settings, folder=data), runs / name)
    return runs / name


def carry(folder: Path) -> subprocess.Popen[bytes]:
    """Start the run's process."""
    with (folder / "process.log").open("ab") as log:
        return subprocess.Popen(
            [*PROGRAM, "resume", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


class Memory:
    """Resident set of a process, sampled in a thread; in MB."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        self.samples: list[float] = []
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while not self._over.wait(0.25):
            try:
                self.samples.append(self._process.memory_info().rss / 2**20)
            except psutil.NoSuchProcess:
                return

    def close(self) -> dict[str, float]:
        """Stop sampling; the median and the most."""
        self._over.set()
        self._thread.join()
        found = self.samples or [float("nan")]
        return {"median": round(statistics.median(found)), "max": round(max(found))}


@contextmanager
def visit(browser: Any, panel: Panel) -> Iterator[Any]:
    """A page of a browser with an empty cache, whose spans are measured."""
    context = browser.new_context(base_url=panel.url, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(120_000)
    context.add_init_script(WATCH)
    try:
        yield context.new_page()
    finally:
        context.close()


def painted(page: Any, address: str) -> float:
    """Seconds from the navigation to the whole page."""
    page.goto(address, wait_until="commit")
    return float(page.wait_for_function(PAINTED).json_value()) / 1000


def first_contents(page: Any) -> float:
    """Seconds from the navigation to the browser's first contentful paint."""
    found = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    return float(found) / 1000


def spans(page: Any) -> list[float]:
    """Seconds of each refresh after the first paint of the page."""
    return [(end - begun) / 1000 for begun, end in page.evaluate("window.__spans")[1:]]


def figures(seconds: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and number."""
    if not seconds:
        return {"n": 0}
    low, high = np.percentile(seconds, [50, 95])
    return {"n": len(seconds), "median_s": round(float(low), 3), "p95_s": round(float(high), 3)}


@dataclass(frozen=True)
class Carried:
    """How a run's process ended, by the clock and by the processor."""

    seconds: float
    cpu_s: float


def ended(process: subprocess.Popen[bytes], folder: Path, began: float, wait: bool) -> Any:
    """What a run's process took, once it has ended; ``None`` before."""
    pid, status, used = os.wait4(process.pid, 0 if wait else os.WNOHANG)
    if not pid:
        return None
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError((folder / "process.log").read_text(encoding="utf-8"))
    return Carried(time.perf_counter() - began, used.ru_utime + used.ru_stime)


def watch_live(browser: Any, panel: Panel, folder: Path) -> tuple[list[float], Carried]:
    """Carry a run to its end with its page open from before its start; its refreshes."""
    refreshes: list[float] = []
    with visit(browser, panel) as page:
        painted(page, f"/run?run={folder.name}")
        page.wait_for_timeout(1000)
        began = time.perf_counter()
        process = carry(folder)
        looked = began
        while (carried := ended(process, folder, began, wait=False)) is None:
            # Playwright's own loop has to turn for the page to be served.
            page.wait_for_timeout(100)
            if time.perf_counter() - looked > 20:
                # A list that grows for long is not what is measured.
                refreshes += spans(page)
                page.evaluate("window.__spans.splice(1)")
                looked = time.perf_counter()
        refreshes += spans(page)
    return refreshes, carried


def alone(folder: Path) -> Carried:
    """Carry a run to its end without a panel."""
    began = time.perf_counter()
    carried: Carried = ended(carry(folder), folder, began, wait=True)
    return carried


def slow_down(
    browser: Any, work: Path, kind: str, settings: dict[str, Any], data: Path, repeats: int
) -> dict[str, Any]:
    """Pairs of the same run with its page open and without a panel, in alternating order."""
    pairs = []
    for number in range(repeats):
        took = {}
        for watched in (True, False) if number % 2 else (False, True):
            runs = work / f"{kind}-{number}-{'watched' if watched else 'alone'}"
            folder = prepare(runs, "live", settings, data)
            if watched:
                with served(runs) as panel:
                    _, took[watched] = watch_live(browser, panel, folder)
            else:
                took[watched] = alone(folder)
        pairs.append((took[False], took[True]))
        for watched, one in took.items():
            how = "watched" if watched else "alone"
            print(f"  {kind}, {how}: {one.seconds:.1f} s, {one.cpu_s:.1f} s of CPU", flush=True)
    ratios = [watched.seconds / alone.seconds - 1 for alone, watched in pairs]
    return {
        "pairs": [[asdict(alone), asdict(watched)] for alone, watched in pairs],
        "median": round(statistics.median(ratios), 4),
        "low": round(min(ratios), 4),
        "high": round(max(ratios), 4),
    }


def rows_of(folder: Path) -> dict[str, int]:
    """How much there is to show."""
    reader = RunReader(folder)
    tables = ("votes", "consensus", "calls", "decisions", "rounds")
    found = {table: int(reader.rows(f"SELECT count(*) FROM {table}")[0][0]) for table in tables}
    found["items"] = int(reader.items("SELECT count(*) FROM items")[0][0])
    reader.close()
    return found


def measure_pages(browser: Any, panel: Panel, name: str, paints: int) -> dict[str, Any]:
    """First paints of each page with an empty cache, and paints of a browser that knows it."""
    found = {}
    for path in PAGES:
        contents, first, again = [], [], []
        for _ in range(paints):
            with visit(browser, panel) as page:
                first.append(painted(page, f"/{path}?run={name}"))
                contents.append(first_contents(page))
                again.append(painted(page, f"/{path}?run={name}"))
        taken = {"contents": contents, "first": first, "again": again}
        found[path] = {kind: figures(seconds) for kind, seconds in taken.items()}
        cells = [found[path][kind][key] for kind in taken for key in KEYS]
        print(f"{path:<10}" + "".join(f"{cell:>8.2f} s" for cell in cells), flush=True)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--paints", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5, help="pairs of runs; 0 leaves them out")
    parser.add_argument("--live-items", type=int, default=20_000, help="of the embedded pairs")
    parser.add_argument("--asked-items", type=int, default=600, help="of the pairs with a model")
    parser.add_argument("--work", type=Path, help="where runs are made and left")
    parser.add_argument("--run", type=Path, help="a run of an earlier call, instead of a new one")
    arguments = parser.parse_args()
    work = arguments.work or Path(tempfile.mkdtemp(prefix="labelwright-panel-"))
    out: dict[str, Any] = {"cores": os.cpu_count(), "load": os.getloadavg()[0]}
    with ExitStack() as stack:
        browser = stack.enter_context(chromium())
        if arguments.run:
            folder = arguments.run.resolve()
        else:
            data = work / "data"
            folder = prepare(work / "runs", "big", write_pairs(data, arguments.items), data)
        panel = stack.enter_context(served(folder.parent))
        memory = Memory(panel.process.pid)
        if not arguments.run:
            print(f"A real run of {arguments.items:,} texts, with its page open ...", flush=True)
            refreshes, carried = watch_live(browser, panel, folder)
            out["run_s"], out["refresh"] = round(carried.seconds), figures(refreshes)
            print(f"refreshes of the run page: {out['refresh']}  (goal: < 0.5 s)")
        out["rows"] = rows_of(folder)
        print("in the ledger:", ", ".join(f"{n:,} {name}" for name, n in out["rows"].items()))
        print("page        contents: median, p95   whole: median, p95   again: median, p95")
        out["pages"] = measure_pages(browser, panel, folder.name, arguments.paints)
        out["memory_mb"] = memory.close()
        print(f"memory of the panel: {out['memory_mb']} MB  (goal: < 600)")
    if arguments.repeats:
        out["slow_down"] = paired(arguments, work)
        for kind, found in out["slow_down"].items():
            print(
                f"slow-down, {kind}: {found['median']:+.1%} "
                f"(from {found['low']:+.1%} to {found['high']:+.1%})  (goal: < 3 %)"
            )
    print(json.dumps(out))


def paired(arguments: argparse.Namespace, work: Path) -> dict[str, Any]:
    """The slow-down of both kinds of runs."""
    found = {}
    with chromium() as browser:
        data = work / "embedded"
        settings = write_pairs(data, arguments.live_items)
        found["embedded"] = slow_down(browser, work, "embedded", settings, data, arguments.repeats)
        data = work / "asked"
        with OpenAIServer() as server:
            settings = write_asked(data, arguments.asked_items, server.url)
            server.script = slowly(data)
            found["model"] = slow_down(browser, work, "model", settings, data, arguments.repeats)
    return found


if __name__ == "__main__":
    main()
