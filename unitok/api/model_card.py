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
| ids | {vocabulary} |
| pictures | {picture} |
| text | byte-level BPE of {text} codes |
| positions | {positions} |
| longest document | {length} ids |

```python
from unitok import UniTok

model = UniTok.from_pretrained("THIS FOLDER")
image = model.draw({prompt!r}, seed=0)[0]
print(model.caption(image))
```

Files: `config.json`, `model.safetensors` (the transformer), `tokenizer.json` (text), `image_tokenizer/`
(pixels to codes and back), `sha256.json` (a checksum per file).
"""


_MEASURED = "\n## Measured\n"


def with_figures(card: str, figures: Mapping[str, float | int | str], *, on: str) -> str:
    """A card with what was measured on some data, in place of what it says of an earlier measurement."""
    rows = "".join(f"| {name} | {_in_digits(value)} |\n" for name, value in figures.items())
    return f"{card.split(_MEASURED)[0]}{_MEASURED}\nOn {on}.\n\n| figure | value |\n|---|---|\n{rows}"


def _in_digits(value: float | int | str) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def model_card(model: Parts) -> str:
    """The README.md of a model folder, in the Hub's format."""
    image = model.codec.modalities["image"]
    cell = image.tokenizer.cell
    if image.shape:
        rows, columns = image.shape
        picture = (
            f"{columns * cell} x {rows * cell} pixels, {rows} x {columns} codes of {image.codebook_size}"
        )
    else:
        picture = f"any size up to {image.max_side * cell} pixels a side, codes of {image.codebook_size}"
    return _CARD.format(
        parameters=f"{model.model.parameter_count:,}",
        vocabulary=model.codec.vocabulary.size,
        picture=picture,
        text=model.codec.vocabulary.sizes["text"],
        positions=model.codec.positions,
        length=model.model.config.max_length,
        prompt=(model.example_prompts or ["a picture"])[0],
    )
