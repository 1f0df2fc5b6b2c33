"""The messages of an answered request, rendered as the annotator renders them."""

from __future__ import annotations

from dataclasses import dataclass

from ....agents.annotators import Example, Question
from ....agents.annotators.settings import ChatAnnotatorConfig
from ....agents.annotators.wording import Wording
from ....tools.prompts import Message, PromptLibrary
from ....tools.task import TaskConfig
from ....tools.watch import RunReader
from ....tools.watch.item import VoteLine, asked_together, examples_at
from .prompt import PROMPT_FOLDER


@dataclass(frozen=True)
class SentAgain:
    """A request rendered again.

    Attributes:
        template: Name of the template.
        hash: Its hash.
        same: Whether template, task, settings and examples are those of the ledger.
    """

    messages: list[Message]
    template: str
    hash: str
    same: bool


def sent_again(
    reader: RunReader, vote: VoteLine, prompts: PromptLibrary | None = None
) -> SentAgain:
    """Render the request that brought a vote.

    Args:
        reader: The run.
        vote: Of a chat annotator.
        prompts: Templates to render it with; those that the run is pinned to without.

    Raises:
        PromptError: A pinned template is missing or malformed.
        ValueError: The run's configuration is of another version.
    """
    settings = next(one for one in reader.config["annotators"] if one["name"] == vote.annotator)
    config = ChatAnnotatorConfig.model_validate(settings)
    task = TaskConfig.model_validate(reader.config["task"])
    pinned = PromptLibrary([reader.folder / PROMPT_FOLDER]) if prompts is None else prompts
    wording = Wording(config, task, pinned)
    together = asked_together(reader, vote.call_id)
    texts = reader.texts([item for item, _ in together])
    questions = [Question(item, texts.get(item, ""), attempt) for item, attempt in together]
    shown: list[Example] = []
    same = wording.hash_of(questions[0], shown) == vote.prompt_hash
    for known in () if same else examples_at(reader):
        texts = reader.texts([item for item, _ in known])
        examples = [Example(item, texts[item], label) for item, label in known if item in texts]
        tried = wording.beside(questions, examples)
        if wording.hash_of(questions[0], tried) == vote.prompt_hash:
            shown, same = tried, True
            break
    template = wording.template(questions)
    return SentAgain(wording.messages(questions, shown), template.name, template.hash, same)
