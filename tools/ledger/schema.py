"""Tables of the ledger. Rows are only ever added: triggers refuse an update or a delete."""

from __future__ import annotations

VERSION = 1

TABLES = """
-- One row a try, written before anything is sent.
CREATE TABLE calls(
  call_id INTEGER PRIMARY KEY, request_key TEXT NOT NULL, try_no INTEGER NOT NULL,
  agent TEXT NOT NULL, annotator TEXT, model TEXT NOT NULL, purpose TEXT NOT NULL,
  round INTEGER NOT NULL, items TEXT NOT NULL, prompt_hash TEXT NOT NULL,
  requests INTEGER NOT NULL, bound INTEGER NOT NULL, bound_tokens INTEGER NOT NULL,
  at TEXT NOT NULL, UNIQUE(request_key, try_no));

-- One row a call that has ended, however it ended.
CREATE TABLE settlements(
  call_id INTEGER PRIMARY KEY REFERENCES calls(call_id), outcome TEXT NOT NULL
    CHECK(outcome IN ('answered', 'refused_by_server', 'unknown')),
  cost INTEGER NOT NULL CHECK(cost >= 0), tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL,
  cached_tokens INTEGER NOT NULL, seconds REAL NOT NULL, response TEXT, error TEXT,
  at TEXT NOT NULL);

-- Running balances; the last row is the state of the account.
CREATE TABLE journal(
  seq INTEGER PRIMARY KEY, call_id INTEGER NOT NULL REFERENCES calls(call_id),
  kind TEXT NOT NULL CHECK(kind IN ('reserve', 'settle')),
  spent INTEGER NOT NULL, reserved INTEGER NOT NULL, uncertain INTEGER NOT NULL,
  tokens INTEGER NOT NULL, tokens_reserved INTEGER NOT NULL, requests INTEGER NOT NULL);

CREATE TABLE votes(
  vote_id INTEGER PRIMARY KEY, item_id TEXT NOT NULL, annotator TEXT NOT NULL, label TEXT,
  invalid TEXT, confidence REAL, reason TEXT, prompt_hash TEXT NOT NULL, attempt INTEGER NOT NULL,
  purpose TEXT NOT NULL, round INTEGER NOT NULL, call_id INTEGER NOT NULL REFERENCES calls(call_id),
  cost INTEGER NOT NULL, CHECK((label IS NULL) <> (invalid IS NULL)),
  UNIQUE(item_id, annotator, prompt_hash, attempt));
CREATE INDEX votes_by_item ON votes(item_id);

CREATE TABLE consensus(
  seq INTEGER PRIMARY KEY, item_id TEXT NOT NULL, step INTEGER NOT NULL, round INTEGER NOT NULL,
  label TEXT, p_correct REAL, calibrated INTEGER NOT NULL, source TEXT NOT NULL,
  outcome TEXT NOT NULL, reason TEXT NOT NULL, evidence TEXT NOT NULL, UNIQUE(item_id, step));

CREATE TABLE decisions(
  seq INTEGER PRIMARY KEY, step INTEGER NOT NULL, round INTEGER NOT NULL, agent TEXT NOT NULL,
  kind TEXT NOT NULL, decision TEXT NOT NULL, evidence TEXT NOT NULL, at TEXT NOT NULL,
  UNIQUE(step, agent, kind));

-- The student after each round: its metrics, and its predictions on the stop set.
CREATE TABLE rounds(
  round INTEGER PRIMARY KEY, metrics TEXT NOT NULL, predictions BLOB NOT NULL);

CREATE TABLE transcript(
  seq INTEGER PRIMARY KEY, round INTEGER NOT NULL, agent TEXT NOT NULL, purpose TEXT NOT NULL,
  step INTEGER NOT NULL, part INTEGER NOT NULL, role TEXT NOT NULL, content TEXT NOT NULL,
  at TEXT NOT NULL, UNIQUE(round, agent, purpose, step, part));

CREATE TABLE directives(
  seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, payload TEXT NOT NULL, at TEXT NOT NULL);
CREATE TABLE acknowledgements(
  directive INTEGER PRIMARY KEY REFERENCES directives(seq), note TEXT NOT NULL, at TEXT NOT NULL);
"""

APPEND_ONLY = (
    "calls",
    "settlements",
    "journal",
    "votes",
    "consensus",
    "decisions",
    "rounds",
    "transcript",
    "directives",
    "acknowledgements",
)


def script() -> str:
    """The whole schema as one SQL script."""
    triggers = "".join(
        f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: {table}'); END;\n"
        for table in APPEND_ONLY
        for verb in ("update", "delete")
    )
    return f"{TABLES}\n{triggers}\nPRAGMA user_version = {VERSION};"
