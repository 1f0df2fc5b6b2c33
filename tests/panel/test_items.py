"""The items page, as it runs without a browser."""

import shutil
import sqlite3
from contextlib import closing

import pytest
from malicious import LABELS, TEXTS, alive, item_id, texts_shown, write_malicious
from streamlit.testing.v1 import AppTest

from labelwright.app.panel.plain import escaped
from labelwright.tools.ledger import Call, Decision, Ledger, Settlement, Vote
from labelwright.tools.prompts import PromptLibrary
from labelwright.tools.task import TaskConfig
from labelwright.tools.watch import RunReader
from labelwright.tools.watch import item as records
from labelwright.tools.watch.items import PAGE


def opened(run, reviewer="eve", **asked):
    def script():
        from labelwright.app.panel.items.page import page

        page()

    at = AppTest.from_function(script, default_timeout=30)
    at.query_params["run"] = run
    if reviewer:
        at.query_params["reviewer"] = reviewer
    for name, value in asked.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception
    return at


def listed(at):
    return list(at.dataframe[0].value["Id"]) if at.dataframe else []


def press(at, name):
    button = next(b for b in at.button if b.label.startswith(name))
    assert not button.disabled
    at = button.click().run()
    assert not at.exception
    return at


def param(at, name):
    found = at.query_params.get(name)
    return found[0] if isinstance(found, list) else found


def held(run):
    with Ledger(run / "ledger.sqlite", create=False) as ledger:
        return ledger.votes.concluded()


def orders(run):
    with Ledger(run / "ledger.sqlite", create=False) as ledger:
        return ledger.log.directives()


def ids_of(run):
    reader = RunReader(run)
    found = [item for (item,) in reader.items("SELECT id FROM items ORDER BY position")]
    reader.close()
    return found


def test_pages_of_the_whole_list(finished_run):
    ids = ids_of(finished_run)
    at = opened("finished")
    assert any(f"{len(ids)} items of {len(ids)}" in c.value for c in at.caption)
    assert listed(at) == ids[:PAGE]
    seen = []
    for number in range(1, -(-len(ids) // PAGE) + 1):
        seen += listed(opened("finished", items_page=str(number)))
    assert seen == ids
    assert listed(opened("finished", items_page="99")) == ids[:PAGE]


def test_search_filters_and_order_by_the_address_and_by_hand(finished_run):
    last = held(finished_run)
    label = next(c.label for c in last.values() if c.source == "model" and c.label)
    wanted = [i for i in ids_of(finished_run) if last[i].label == label]
    by_address = opened("finished", items_label=label)
    assert listed(by_address) == wanted[:PAGE]
    at = opened("finished")
    field = next(s for s in at.selectbox if s.label == "Label")
    assert listed(field.set_value(label).run()) == wanted[:PAGE]
    order = next(s for s in at.selectbox if s.label == "Order")
    at = order.set_value("probability").run()
    p = [last[item].p_correct for item in listed(at)]
    assert p == sorted(p)
    assert set(listed(at)) <= set(wanted)
    at = at.toggle(key="items_down").set_value(True).run()
    assert next(last[item].p_correct for item in listed(at)) == max(
        last[i].p_correct for i in wanted
    )
    at = at.text_input(key="items_text").set_value("no text is like this").run()
    assert listed(at) == []
    assert "No item is like this" in at.info[0].value
    people = [i for i in ids_of(finished_run) if last[i].source == "person"]
    assert listed(opened("finished", items_source="person")) == people[:PAGE]
    assert (
        listed(opened("finished", items_source="nobody", items_round="x"))
        == ids_of(finished_run)[:PAGE]
    )


def test_a_new_search_begins_on_its_first_page(finished_run):
    at = opened("finished", items_page="2")
    at = at.text_input(key="items_text").set_value("m00").run()
    wanted = [i for i in ids_of(finished_run) if "m00" in i]
    assert listed(at) == wanted[:PAGE]


def test_one_item_by_its_address_with_all_that_is_known(finished_run):
    last = held(finished_run)
    item = next(i for i, c in last.items() if c.source == "person")
    at = opened("finished", item=item)
    shown = texts_shown(at)
    assert all(name in shown for name in ("embedded", "reviewer"))
    assert last[item].reason in shown
    assert "$0.10" in shown
    near = [b for b in at.button if (b.key or "").startswith("items_near_")]
    assert len(near) == 10
    at = near[0].click().run()
    other = param(at, "item")
    assert other != item
    assert f"items_near_{ids_of(finished_run).index(other)}" == near[0].key
    at = press(at, "Close")
    assert param(at, "item") is None
    assert listed(at)


def test_the_nearest_texts_are_looked_for_once(finished_run, monkeypatch):
    looked = []
    found = records.neighbours
    monkeypatch.setattr(
        records, "neighbours", lambda *given: looked.append(given[1]) or found(*given)
    )
    first, second = ids_of(finished_run)[:2]
    at = opened("finished", item=first).run()
    assert not at.exception
    assert any(b.key.startswith("items_near_") for b in at.button)
    assert looked == [0]
    opened("finished", item=second)
    opened("finished", item=first)
    assert looked == [0, 1]


def test_previous_and_next_follow_the_list(finished_run):
    ids = ids_of(finished_run)
    at = opened("finished", item=ids[1], items_sort="input")
    at = press(at, "Previous")
    assert param(at, "item") == ids[0]
    assert next(b for b in at.button if b.label == "Previous").disabled
    at = press(press(at, "Next"), "Next")
    assert param(at, "item") == ids[2]


def test_an_unknown_item_is_said_and_the_list_is_there(finished_run):
    at = opened("finished", item="../<b>nobody</b>")
    assert "no item" in at.warning[0].value
    assert alive(at) == []
    assert len(listed(at)) == PAGE


def test_a_row_that_repeats_a_text_leads_to_the_item_that_has_it(finished_run):
    first = ids_of(finished_run)[5]
    with closing(sqlite3.connect(finished_run / "pool" / "rows.sqlite")) as db, db:
        db.execute(
            "INSERT INTO rows (line, id, text_sha, duplicate_of, fields) VALUES (?, ?, ?, ?, ?)",
            (9000, "twin*9000", b"", first, "{}"),
        )
    same = f"Row twin\\*9000 has the same text as item {escaped(first)}, and so its label."
    at = opened("finished", items_text="TWIN*9000")
    assert listed(at) == [first]
    at = opened("finished", items_text="twin*9000")
    assert listed(at) == [first]
    assert same in [one.value for one in at.caption]
    at = opened("finished", item="twin*9000")
    assert same in [one.value for one in at.caption]
    assert alive(at) == []
    assert not at.warning
    assert next(b for b in at.button if b.label == "Next")


def test_a_correction_is_written_shown_as_waiting_and_acknowledged(finished_run):
    item = ids_of(finished_run)[3]
    at = opened("finished", item=item)
    assert next(b for b in at.button if b.label == "Set it").disabled
    choice = next(s for s in at.selectbox if s.key and s.key.startswith("items_set_"))
    at = choice.set_value(1).run()
    at = at.checkbox[0].set_value(True).run()
    at = press(at, "Set it")
    label = RunReader(finished_run).labels[1]
    (order,) = orders(finished_run)
    assert order.kind == "review"
    assert order.payload == {
        "item_id": item,
        "reviewer": "eve",
        "verdict": "label",
        "label": label,
        "example": True,
        "blind": False,
    }
    assert "waits for the run" in texts_shown(at)
    assert listed(opened("finished", items_review="not yet taken up")) == [item]
    at = press(at, "Set it")
    assert len(orders(finished_run)) == 1, "the same again says nothing new"
    with Ledger(finished_run / "ledger.sqlite", create=False) as ledger:
        ledger.log.acknowledge(order.seq, "taken in round <9>")
    at = opened("finished", item=item)
    assert "taken in round <9>" in texts_shown(at)
    assert next(b for b in at.button if b.label == "Take back").disabled
    assert listed(opened("finished", items_review="not yet taken up")) == []
    assert listed(opened("finished", items_review="reviewed")) == [item]


def test_flag_and_take_back(finished_run):
    item = ids_of(finished_run)[0]
    at = press(opened("finished", item=item), "Flag")
    assert next(b for b in at.button if b.label == "Flag").disabled
    at = press(at, "Take back")
    assert [o.payload["verdict"] for o in orders(finished_run)] == ["flag", "undo"]
    assert "(taken back)" in texts_shown(at)
    choice = next(s for s in at.selectbox if s.key and s.key.startswith("items_set_"))
    none = len(RunReader(finished_run).labels)
    at = press(choice.set_value(none).run(), "Set it")
    assert orders(finished_run)[-1].payload["verdict"] == "no_label"


def test_without_a_name_nothing_can_be_written(finished_run):
    at = opened("finished", reviewer=None, item=ids_of(finished_run)[0])
    assert not any(b.label in {"Set it", "Flag"} for b in at.button)
    name = next(f for f in at.text_input if f.label == "Your name")
    at = name.set_value(" bob ").run()
    press(at, "Flag")
    assert orders(finished_run)[0].payload["reviewer"] == "bob"


def test_an_audit_that_asks_the_reader_is_not_given_away(waiting_run):
    reader = RunReader(waiting_run)
    lines = (waiting_run / "questions.jsonl").read_text(encoding="utf-8")
    assert '"purpose": "audit"' in lines
    item = next(i for i in ids_of(waiting_run) if f'"{i}"' in lines)
    assert records.votes(reader, item)
    at = opened("waiting", item=item)
    assert "An audit asks you about this item" in at.info[0].value
    assert not any(word in texts_shown(at) for word in ("embedded", "Round"))
    table = at.dataframe[0].value
    assert "hidden" in table.loc[table["Id"] == item, "Outcome"].iloc[0]
    reader.close()


def test_a_young_run_says_so(empty_run):
    assert "not read its texts" in opened("empty").info[0].value
    assert "Choose a run" in opened("nothing").info[0].value


# -- prompts --------------------------------------------------------------------------------------


def shown_with_an_example(folder, reader, voted):
    """Votes that were given beside an example are found with the examples of that time."""
    from labelwright.agents.annotators import Example, Question
    from labelwright.agents.annotators.settings import ChatAnnotatorConfig
    from labelwright.agents.annotators.wording import Wording
    from labelwright.app.panel.items.wording import sent_again

    example, later, asked = voted[0], voted[1], voted[2]
    texts = reader.texts([example, asked])
    (settings,) = reader.config["annotators"]
    wording = Wording(
        ChatAnnotatorConfig.model_validate(settings),
        TaskConfig.model_validate(reader.config["task"]),
        PromptLibrary([folder / "prompts"]),
    )
    label = reader.labels[0]
    question = Question(asked, texts[asked], 1)
    shown = wording.beside([question], [Example(example, texts[example], label)])
    assert len(shown) == 1
    made = wording.hash_of(question, shown)
    with Ledger(folder / "ledger.sqlite", create=False) as ledger:
        for step, item in enumerate((example, later), 9_000):
            decision = {"items": {item: label}, "examples": [item], "by": {}, "seqs": {}}
            ledger.log.decide(Decision(step, 9, "operator", "corrections", decision, {}))
        vote = Vote(asked, "cheap", label, None, made, 1, "label", 9)
        call = Call("again", "annotator", "cheap", "m", "label", 9, (asked,), made)
        ledger.record(call, Settlement("answered"), [vote])
    again = sent_again(reader, records.votes(reader, asked)[-1])
    assert again.same
    assert any(texts[example] in message.content for message in again.messages)


@pytest.mark.parametrize("together", [1, 3])
def test_the_prompt_of_a_vote_is_what_the_server_got(
    make_project, runs_root, openai_server, monkeypatch, together
):
    from labelwright.graph import run

    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")
    chat = {
        "kind": "chat",
        "name": "cheap",
        "tier": 1,
        "model": "m",
        "base_url": openai_server.url,
        "price": {"input": 1, "output": 1},
        "max_output_tokens": 256,
        "items_per_request": together,
        "retries": 0,
    }
    config = make_project(
        [chat],
        texts=60,
        stopping={"max_rounds": 1, "stop_set_size": 50},
        selection={"batch_size": 6},
    )
    folder = run(config, name="chat", runs=runs_root).folder
    reader = RunReader(folder)
    sent = [
        "\n".join(str(message["content"]) for message in served.request["messages"])
        for served in openai_server.chats
    ]
    voted = [i for i in ids_of(folder) if records.votes(reader, i)]
    assert len(voted) > 20
    for item in voted[::20]:
        (vote, *_) = records.votes(reader, item)
        at = opened("chat", item=item)
        prompt = next(s for s in at.selectbox if s.label == "Prompt of")
        at = prompt.set_value(0).run()
        assert not at.exception
        assert any("Its hash is the one in the ledger" in c.value for c in at.caption)
        from labelwright.app.panel.items.wording import sent_again

        again = sent_again(reader, vote)
        assert again.same
        assert any(all(m.content in request for m in again.messages) for request in sent)
        assert reader.texts([item])[item] in again.messages[-1].content
    # What runs of earlier versions are pinned to has no template for an objection.
    (folder / "prompts" / "annotator" / "classify_objected.prompt.md").unlink()
    assert sent_again(reader, records.votes(reader, voted[0])[0]).same
    shown_with_an_example(folder, reader, voted)
    (folder / "prompts" / "annotator" / "classify.prompt.md").write_text("broken", "utf-8")
    (folder / "prompts" / "annotator" / "classify_many.prompt.md").unlink()
    at = next(s for s in at.selectbox if s.label == "Prompt of").set_value(0).run()
    assert "can not be rendered again" in at.warning[0].value
    reader.close()


# -- a pool that would like to be more than text --------------------------------------------------


@pytest.fixture(scope="module")
def made_evil(tmp_path_factory):
    from labelwright.graph import run

    home = tmp_path_factory.mktemp("evil_items")
    annotators = [{"kind": "embedded", "name": "embedded", "tier": 1}]
    return run(write_malicious(home, annotators), name="evil", runs=home / "runs").folder


@pytest.fixture
def evil(made_evil, runs_root):
    return shutil.copytree(made_evil, runs_root / "evil")


@pytest.mark.parametrize("name", sorted(set(TEXTS) - {"nul"}))
def test_an_item_is_shown_as_text(evil, name):
    item = item_id(name)
    at = opened("evil", "<img src=x> *m*", item=item, items_text=TEXTS[name][:50])
    assert alive(at) == []
    assert not at.warning
    choice = next(s for s in at.selectbox if s.key and s.key.startswith("items_set_"))
    at = press(choice.set_value(len(name) % len(LABELS)).run(), "Set it")
    assert alive(at) == []
    assert orders(evil)[0].payload["item_id"] == item


def test_no_text_of_the_list_begins_a_formula_that_can_be_saved(evil):
    at = opened("evil")
    body = "".join(element.proto.body for element in at.get("html"))
    assert 'st-key-items_table [data-testid="stElementToolbar"] { display: none; }' in body
    assert "nul" not in listed(at), "what is no text does not come into the pool"
