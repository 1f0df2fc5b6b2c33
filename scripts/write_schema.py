"""Write graph/run.schema.json, the JSON Schema of `run.yaml`, from the configuration's models."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from labelwright.graph.config import RunConfig

TARGET = Path(__file__).resolve().parent.parent / "graph" / "run.schema.json"


def schema() -> str:
    """The schema as it is published."""
    made = RunConfig.model_json_schema(by_alias=True)
    # What a validator accepts before the model does is not in the model's schema.
    made["$defs"]["Price"] = {"anyOf": [{"const": "free"}, made["$defs"]["Price"]]}
    published = {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}
    return json.dumps(published, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the schema, or with ``--check`` say whether it is up to date."""
    if "--check" in sys.argv[1:]:
        return int(not TARGET.exists() or TARGET.read_text(encoding="utf-8") != schema())
    TARGET.write_text(schema(), encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
