"""Writes the model card, the README.md of a model's folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from unitok.api.learned_tasks import LearnedTask, TaskFigure, add_figures
from unitok.api.model_folder import Parts, read_tasks, update_card
from unitok.api.task_kinds import ability
from unitok.models.vision.sight import describe_sight

_CARD = """---
library_name: unitok-lm
pipeline_tag: any-to-any
tags: [unitok, text-to-image, image-to-text, vq]
---

# A unitok model

One decoder-only transformer of {parameters} parameters that reads and writes text and images as one stream
of tokens.

| | |
|---|---|
| vocabulary | {vocabulary} ids |
| images | {image} |
| text | byte-level BPE with a vocabulary of {text} |
{others}| positions | {positions} |
| context length | {length} ids |

```python
from unitok import UniTok

model = UniTok.from_pretrained("THIS FOLDER")
{usage}
```

Files: `config.json`, `model.safetensors` (the transformer), `tokenizer.json` (the text tokenizer),
`image_tokenizer/` (the image tokenizer), `sha256.json` (checksums).
"""


_MEASURED, _TASKS = "\n## Measured\n", "\n## Tasks\n"


def with_figures(card: str, figures: Mapping[str, float | int | str], *, on: str) -> str:
    """Add the figures of an evaluation on some data to a card, in place of earlier ones."""
    rows = "".join(f"| {name} | {_format(value)} |\n" for name, value in figures.items())
    return _with_section(card, _MEASURED, f"\nOn {on}.\n\n| figure | value |\n|---|---|\n{rows}")


def with_tasks(card: str, tasks: Sequence[LearnedTask]) -> str:
    """Add what a model was trained to do to a card, in place of an earlier list."""
    rows = (
        (task.name, ability(task.name), "; ".join(e.text for e in task.examples),
         "; ".join(figure.text for figure in task.figures))
        for task in tasks
    )  # fmt: skip
    table = "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in rows)
    head = "The model was trained\n\n| task | | examples | measured |\n|---|---|---|---|\n"
    return _with_section(card, _TASKS, f"\n{head}{table}")


def _with_section(card: str, heading: str, body: str) -> str:
    """A card with a section in place of an earlier one of its heading, or at its end."""
    before, _, old = card.partition(heading)
    _, mark, after = old.partition("\n## ")
    return f"{before}{heading}{body}{mark}{after}"


def record_tasks(directory: str | Path, tasks: Sequence[LearnedTask]) -> None:
    """Write a list of tasks into a model's folder, and into its card."""
    update_card(directory, lambda card: with_tasks(card, tasks), tasks=tasks)


def record_figures(directory: str | Path, figures: Mapping[str, Sequence[TaskFigure]]) -> None:
    """Add figures by task to the list of a model's folder; a folder without a list stays as it is.

    Raises:
        OSError, ValueError: a file of the folder is missing or corrupt, or cannot be written.
    """
    tasks = read_tasks(directory)
    if tasks is not None and not {*figures}.isdisjoint(task.name for task in tasks):
        record_tasks(directory, add_figures(tasks, figures))


def _format(value: float | int | str) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def model_card(model: Parts) -> str:
    """Write the README.md of a model folder, in the format of the Hugging Face Hub."""
    modality, sizes, shown = model.codec.image, model.codec.vocabulary.sizes, ("text", "image")
    cell, codebook = modality.tokenizer.cell, f"codebook of {modality.codebook_size}"
    if modality.shape:
        rows, columns = modality.shape
        image = f"{columns * cell} x {rows * cell} pixels as {rows} x {columns} codes, {codebook}"
    else:
        image = f"any size up to {modality.max_side * cell} pixels a side, {codebook}"
    others = [(name, f"{size} codes") for name, size in sizes.items() if name not in shown]
    vision = None if model.codec.vision is None else model.codec.vision.settings()
    sight = describe_sight(model.model.config.to_json(), vision)
    card = _CARD.format(
        parameters=f"{model.model.parameter_count:,}",
        vocabulary=model.codec.vocabulary.size,
        image=image,
        text=sizes["text"],
        others="".join(f"| {name} | {fact} |\n" for name, fact in (*others, *sight)),
        positions=model.codec.positions,
        length=model.model.sizes.max_length,
        usage="\n".join(_usage(model)),
    )
    return card if model.tasks is None else with_tasks(card, model.tasks)


def _usage(model: Parts) -> list[str]:
    """Lines of Python that use what a model learned: by drawing, captions, answers, or else texts."""
    learned = {"drawings", "captions"} if model.tasks is None else {task.name for task in model.tasks}
    prompt, lines = (model.example_prompts or ["a red circle"])[0], []
    if "drawings" in learned:
        lines.append(f"image = model.draw({prompt!r}, seed=0)[0]")
    elif not learned.isdisjoint(("captions", "questions")):
        lines.append('image = "photo.jpg"')
    if "captions" in learned:
        lines.append("print(model.caption(image))")
    elif "questions" in learned and lines:
        lines.append('print(model.answer(image, "what is this?"))')
    return lines or ['print(model.generate("Once", target="text")[0][-1].content)']
