"""A large pool from ingest to delivery with the embedded annotator: seconds and memory a stage.

    python tests/benchmarks/big_pool.py --data DIR [--texts 100000] [--embedder static]

Texts are pairs of texts of `banking77`, all different. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from labelwright.graph import run
from labelwright.graph.config import parse_config


def write_pool(source: Path, target: Path, n: int) -> None:
    """Different pairs of real texts."""
    texts = [
        json.loads(line)["text"] for line in source.read_text(encoding="utf-8").splitlines() if line
    ]
    rng = np.random.default_rng(0)
    with target.open("w", encoding="utf-8") as file:
        for left, right in rng.choice(len(texts), (n, 2)):
            file.write(json.dumps({"text": f"{texts[left]} {texts[right]}"}) + "\n")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--embedder", default="static", choices=("static", "minilm"))
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="labelwright-"))
    write_pool(arguments.data / "banking77" / "pool.jsonl", work / "pool.jsonl", arguments.texts)
    labels = json.loads((arguments.data / "banking77" / "labels.json").read_text(encoding="utf-8"))
    config = parse_config(
        {
            "task": {"name": "pairs", "labels": labels["labels"]},
            "data": {"path": "pool.jsonl"},
            "embedder": {"kind": arguments.embedder},
            "annotators": [{"kind": "embedded", "name": "embedded"}],
            "selection": {"batch_size": 1000},
            "stopping": {"max_rounds": 3},
            "budget": {"usd": 0},
        },
        folder=work,
    )
    stages: list[dict[str, Any]] = []
    last = time.perf_counter()

    def stage(name: str) -> None:
        nonlocal last
        now = time.perf_counter()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        stages.append({"stage": name, "seconds": round(now - last, 1), "peak_mb": round(peak)})
        print(f"{name:<12}{now - last:>9.1f} s{peak:>9.0f} MB peak so far", flush=True)
        last = now

    def notify(event: dict[str, Any]) -> None:
        if event["event"] == "ingested":
            stage("ingest")
        elif event["event"] == "decided":
            stage(f"round {event['round']}")
        elif event["event"] == "trained" and event["round"] > 3:
            stage("sweep")

    result = run(config, name="big", runs=work, notify=notify)
    stage("delivery")
    counts = result.summary["labels"]
    print(json.dumps({"texts": counts["texts"], "accepted": counts["accepted"], "stages": stages}))


if __name__ == "__main__":
    main()
