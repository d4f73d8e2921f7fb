"""Files by which AutoProcessor of transformers prepares texts and images for an exported model that sees.

The tokenizer gets a token for each id that begins or ends something, and a chat template that lays out turns
as our own does. Knows no weights.
"""

import json
from pathlib import Path
from typing import Any

from unitok.atomic_files import write_text
from unitok.chat_template import ChatTemplate
from unitok.json_files import read_object
from unitok.modalities.text import TEXT_TOKENIZER
from unitok.tokens.codec import Codec
from unitok.tokens.vision_layout import VISION

IMAGE = "<image>"
"""The place of an image in a prompt; the processor repeats it for every vector."""
LAYOUT = """\
{%- macro text(value) -%}{{ '<|begin_text|>' + value + '<|end_text|>' }}{%- endmacro -%}
{%- macro turn(value) -%}{{ text(' ' + value if value in marks.values() else value) }}{%- endmacro -%}
{%- macro mark(role) -%}{%- if marks[role] -%}{{ text(marks[role]) }}{%- endif -%}{%- endmacro -%}
{{- '<|begin_document|>' -}}
{%- if system and not (messages | selectattr('role', 'equalto', 'system') | list) -%}
{{- mark('system') + text(system) -}}
{%- endif -%}
{%- for message in messages if message['content'] -%}
{{- mark(message['role']) -}}
{%- if message['content'] is string -%}
{{- turn(message['content']) -}}
{%- else -%}
{%- for part in message['content'] -%}
{{- '<|begin_vision|><image><|end_vision|>' if part['type'] == 'image' else turn(part['text']) -}}
{%- endfor -%}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{%- if not messages or messages[-1]['role'] != 'assistant' -%}{{- mark('assistant') -}}{%- endif -%}
{{- '<|begin_text|>' -}}
{%- endif -%}
"""
"""A chat template (jinja); `marks` and `system` are set before it."""


def write_processor(
    folder: Path, codec: Codec, chat: ChatTemplate, *, pixels: dict[str, Any], patch: int, strategy: str
) -> None:
    """Write the files of a LlavaProcessor into a folder that holds the text tokenizer.

    Args:
        folder: it holds tokenizer.json.
        codec: of the model.
        chat: its chat template.
        pixels: preprocessor_config.json of its encoder.
        patch: pixels per side of the encoder's patches.
        strategy: "default" where the encoder has a vector before its patches, which LLaVA drops, or "full".

    Raises:
        ValueError: a token that begins or ends something is a text's already, or no token can be added.
    """
    tokens = control_tokens(codec)
    tokenizer = add_tokens(read_object(folder / TEXT_TOKENIZER), tokens)
    write_text(folder / TEXT_TOKENIZER, json.dumps(tokenizer, ensure_ascii=False))
    begin, end, pad = "<|begin_document|>", "<|end_document|>", "<|pad|>"
    _write(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "processor_class": "LlavaProcessor"}
        | {"bos_token": begin, "eos_token": end, "pad_token": pad, "padding_side": "left"}
        | {"clean_up_tokenization_spaces": False},
    )
    _write(folder / "preprocessor_config.json", pixels | {"processor_class": "LlavaProcessor"})
    _write(
        folder / "processor_config.json",
        {"processor_class": "LlavaProcessor", "image_token": IMAGE, "patch_size": patch}
        | {"num_additional_image_tokens": int(strategy == "default")}
        | {"vision_feature_select_strategy": strategy},
    )
    write_text(folder / "chat_template.jinja", chat_template(chat))


def control_tokens(codec: Codec) -> dict[str, int]:
    """The tokens of ids outside of texts and codes, by name, and of the place of an image."""
    vocabulary = codec.vocabulary
    tokens = {
        "<|pad|>": vocabulary.pad,
        "<|begin_document|>": vocabulary.document_begin,
        "<|end_document|>": vocabulary.document_end,
        IMAGE: vocabulary.vectors(1).start,
    }
    for name in (*codec.modalities, VISION):
        tokens |= {f"<|begin_{name}|>": vocabulary.begin(name), f"<|end_{name}|>": vocabulary.end(name)}
    return tokens


def add_tokens(tokenizer: dict[str, Any], tokens: dict[str, int]) -> dict[str, Any]:
    """Add tokens with their ids to the contents of a tokenizer.json, which encodes texts as before.

    Raises:
        ValueError: one is a token already, or the tokenizer has no vocabulary by name.
    """
    words = tokenizer.get("model", {}).get("vocab")
    if not isinstance(words, dict):
        kind = tokenizer.get("model", {}).get("type")
        raise ValueError(f"{TEXT_TOKENIZER} must have a vocabulary by name for an export, got {kind!r:.80}")
    added = tokenizer.get("added_tokens", [])
    known = words.keys() | {token["content"] for token in added}
    if taken := sorted(known & tokens.keys()):
        raise ValueError(f"{TEXT_TOKENIZER} must not have a token {taken[0]} for an export, got one")
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    more = [{"id": id, "content": token, **flags} for token, id in tokens.items()]
    model = tokenizer["model"] | {"vocab": words | tokens}
    # a prompt begins as its template says, with nothing before it
    return tokenizer | {"model": model, "added_tokens": [*added, *more], "post_processor": None}


def chat_template(chat: ChatTemplate) -> str:
    """The jinja of a chat template."""
    marks, system = json.dumps(chat.marks), json.dumps(chat.system)
    return f"{{%- set marks = {marks} -%}}\n{{%- set system = {system} -%}}\n{LAYOUT}"


def _write(path: Path, values: dict[str, Any]) -> None:
    write_text(path, json.dumps(values, indent=2) + "\n")
