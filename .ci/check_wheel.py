"""Hold the listing of a wheel against the tracked files: what belongs in it, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("tools", "agents", "graph", "app", "prompts")


def tracked() -> set[str]:
    """Names that the files of the packages have inside the wheel."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", *FOLDERS], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return {f"labelwright/{name}" for name in listing.stdout.split("\0") if name}


def main() -> int:
    """Compare, and say what is missing or does not belong."""
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        names = {name for name in wheel.namelist() if not name.endswith("/")}
    dist_info = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    required = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    present = {name.split("/", 1)[1] for name in dist_info}
    missing = sorted(tracked() - names) + sorted(required - present)
    strange = sorted(names - dist_info - tracked())
    for what, found in (("missing from", missing), ("does not belong in", strange)):
        for name in found:
            sys.stderr.write(f"{name}: {what} the wheel\n")
    if not (missing or strange):
        sys.stdout.write(f"{len(names)} files, {Path(sys.argv[1]).name}: as tracked\n")
    return int(bool(missing or strange))


if __name__ == "__main__":
    sys.exit(main())
