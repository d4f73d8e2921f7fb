"""Writes the model card, the README.md of a model's folder."""

from collections.abc import Mapping

from unitok.api.model_folder import Parts

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
image = model.draw({prompt!r}, seed=0)[0]
print(model.caption(image))
```

Files: `config.json`, `model.safetensors` (the transformer), `tokenizer.json` (the text tokenizer),
`image_tokenizer/` (the image tokenizer), `sha256.json` (checksums).
"""


_MEASURED = "\n## Measured\n"


def with_figures(card: str, figures: Mapping[str, float | int | str], *, on: str) -> str:
    """Add the figures of an evaluation on some data to a card, in place of earlier ones."""
    rows = "".join(f"| {name} | {_format(value)} |\n" for name, value in figures.items())
    return f"{card.split(_MEASURED)[0]}{_MEASURED}\nOn {on}.\n\n| figure | value |\n|---|---|\n{rows}"


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
    return _CARD.format(
        parameters=f"{model.model.parameter_count:,}",
        vocabulary=model.codec.vocabulary.size,
        image=image,
        text=sizes["text"],
        others="".join(f"| {name} | {size} codes |\n" for name, size in sizes.items() if name not in shown),
        positions=model.codec.positions,
        length=model.model.sizes.max_length,
        prompt=(model.example_prompts or ["a red circle"])[0],
    )
