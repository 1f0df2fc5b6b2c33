"""Why the review page says that something is asked."""

import json

from streamlit.testing.v1 import AppTest


def opened():
    def script():
        from labelwright.app.panel.review.page import page

        page()

    at = AppTest.from_function(script, default_timeout=30)
    at.query_params["run"], at.query_params["reviewer"] = "waiting", "eve"
    return at.run()


def test_why_something_is_asked_is_said_in_words(waiting_run):
    file = waiting_run / "questions.jsonl"
    questions = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for question in questions:
        question["purpose"] = "rest_escalated"
    questions[-1]["purpose"] = "audit"
    file.write_text("\n".join(map(json.dumps, questions)) + "\n", encoding="utf-8")
    at = opened()
    assert not at.exception
    told = at.get("progress")[0].proto.text
    assert f"texts that could not be accepted 0 of {len(questions) - 1}" in told
    captions = " ".join(caption.value for caption in at.caption)
    assert "texts that could not be accepted" in captions
    assert "rest escalated" not in told + captions
