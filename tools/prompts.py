"""Prompt templates on disk: layers of folders, checks, and the copy that a run pins.

A prompt is the file ``<agent>/<name>.prompt.md`` of the first folder that has it, so a user's
folder overrides the packaged one file by file; shared includes (``_shared/*.md.j2``) likewise.
"""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from .errors import PromptError
from .prompt_file import Role
from .prompt_template import Message, Prompt, fenced

__all__ = ["Message", "Prompt", "PromptLibrary", "Role", "fenced", "packaged_prompts"]

_SUFFIX = ".prompt.md"
_NAME = re.compile(r"[a-z][a-z0-9_]*/[a-z][a-z0-9_]*")


def packaged_prompts() -> Path:
    """Return the folder of the prompts that come with the package."""
    return Path(__file__).resolve().parent.parent / "prompts"


class PromptLibrary:
    """The prompts of several folders, the first folder that has a file winning.

    Files are read anew at each call, so the next ``get`` sees an edit. Keep the ``Prompt``, or pin
    a ``snapshot``, where it must not change.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        """Take the folders in order: the user's first, ``packaged_prompts()`` last.

        Raises:
            PromptError: There is no folder, or one does not exist.
        """
        self.folders = [Path(folder) for folder in folders]
        if not self.folders:
            raise PromptError("No prompt folder was given; expected at least packaged_prompts().")
        for folder in self.folders:
            if not folder.is_dir():
                raise PromptError(f"{folder}: not a folder; expected one with <agent>/*{_SUFFIX}.")

    def names(self) -> list[str]:
        """Return the names of all prompts, sorted."""
        return sorted({name for name, _ in self._files() if _NAME.fullmatch(name)})

    def get(self, name: str) -> Prompt:
        """Read one prompt, such as ``annotator/classify``.

        Raises:
            PromptError: There is none of this name, or it is malformed.
        """
        path = self._find(name + _SUFFIX) if _NAME.fullmatch(name) else None
        if path is None:
            folders = ", ".join(map(str, self.folders))
            raise PromptError(
                f"No prompt '{name}' in {folders}. There are: {', '.join(self.names()) or 'none'}."
            )
        return Prompt(name, path, self._find)

    def hashes(self) -> dict[str, str]:
        """Return the hash of every prompt by its name.

        Raises:
            PromptError: One of them is malformed.
        """
        return {name: self.get(name).hash for name in self.names()}

    def check(self) -> list[str]:
        """Return what is wrong with any prompt, one line each; empty when all is well.

        Every template is read and its samples are rendered. A template that overrides another must
        also accept the samples of the one below it, since its callers pass the same inputs.
        """
        problems = [
            f"{path}: expected the path <agent>/<name>{_SUFFIX}, in lower case, digits and _."
            for name, path in self._files()
            if not _NAME.fullmatch(name)
        ]
        for name in self.names():
            try:
                prompt = self.get(name)
                layers = [prompt] + [
                    Prompt(name, path, self._find)
                    for path in (folder / (name + _SUFFIX) for folder in self.folders)
                    if path.is_file() and path != prompt.path
                ]
            except PromptError as error:
                problems.append(str(error))
                continue
            for layer in layers:
                for number, sample in enumerate(layer.samples):
                    try:
                        prompt.render(**sample)
                    except PromptError as error:
                        problems.append(f"{error} (samples[{number}] of {layer.path})")
        return problems

    def snapshot(self, target: Path) -> dict[str, str]:
        """Copy the resolved prompts and their includes to a folder, whole or not at all.

        Args:
            target: A folder that does not exist, is empty, or holds the same prompts already.

        Returns:
            The hash of each prompt by its name, as ``PromptLibrary([target])`` reads them.

        Raises:
            PromptError: A prompt is malformed, or the target holds something else.
        """
        prompts = [self.get(name) for name in self.names()]
        unfinished = target.with_name(target.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
        for prompt in prompts:
            for name, text in {prompt.name + _SUFFIX: prompt.source, **prompt.includes}.items():
                file = unfinished / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8", newline="\n")
        hashes = PromptLibrary([unfinished]).hashes()
        if not target.is_dir() or not any(target.iterdir()):
            os.replace(unfinished, target)
        else:
            shutil.rmtree(unfinished)
            if PromptLibrary([target]).hashes() != hashes:
                raise PromptError(f"{target}: holds other prompts; expected a new or empty folder.")
        return hashes

    def _find(self, file: str) -> Path | None:
        return next((f / file for f in self.folders if (f / file).is_file()), None)

    def _files(self) -> list[tuple[str, Path]]:
        """Every template file of every folder, with the name its path gives it."""
        return [
            (path.relative_to(folder).as_posix().removesuffix(_SUFFIX), path)
            for folder in self.folders
            for path in sorted(folder.rglob("*" + _SUFFIX))
        ]
