"""A transformers folder with a language model, alone or inside a model that sees. Knows no training."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from unitok.interop.files import Tensors, locate_tensors, read_config, read_tensors, strip_prefix
from unitok.interop.language.families import language_config, sizes_of
from unitok.interop.language.weights import from_transformers
from unitok.json_files import read_object
from unitok.models.transformer_config import TransformerSizes

EMBEDDING, HEAD = "embed_tokens.weight", "lm_head.weight"


class LanguageFolder:
    """The language model of a transformers folder.

    Args:
        folder: its config.json is of one of `FAMILIES`, or has a text_config that is; the weights are in one
            safetensors file or several.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    @cached_property
    def _names(self) -> dict[str, str]:
        """The names of its tensors where it is alone, each with the name in the files."""
        names = {name: name for name in locate_tensors(self.folder)}
        inside = strip_prefix(names, EMBEDDING, source=self.folder)
        own = {f"model.{name}": theirs for name, theirs in inside.items()}
        head = next((name for name in names if f".{name}".endswith(f".{HEAD}")), None)
        return own if head is None else own | {HEAD: head}

    def sizes(self, *, max_length: int) -> TransformerSizes:
        """Its sizes, except max_length.

        Raises:
            FileNotFoundError: it is not a model folder.
            ValueError: our transformer cannot have these sizes, or the weights are pickled.
        """
        config = language_config(read_config(self.folder))
        try:
            sizes = TransformerSizes(**sizes_of(config) | {"max_length": max_length})
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.folder}: {error}") from error
        # configs of models that see disagree about tie_word_embeddings
        return replace(sizes, tie_embeddings=False) if HEAD in self._names else sizes

    def weights(self, sizes: TransformerSizes) -> Tensors:
        """Its weights by our names, in float32. Raises ValueError naming a tensor that is missing."""
        places = locate_tensors(self.folder)
        found = read_tensors({name: places[name] for name in self._names.values()})
        try:
            weights = from_transformers({own: found[name] for own, name in self._names.items()}, sizes)
        except ValueError as error:
            raise ValueError(f"{self.folder}: {error}") from error
        return {name: tensor.float() for name, tensor in weights.items()}

    def special_id(self, kind: str, tokenizer: Tokenizer) -> int | None:
        """The id by which it begins ("bos") or ends ("eos") a text, of several the first; None where no file
        tells."""
        config = read_config(self.folder)
        for values in (self._read("generation_config.json"), language_config(config), config):
            ids = values.get(f"{kind}_token_id")
            for token in ids if isinstance(ids, list) else [ids]:
                if type(token) is int and token >= 0:
                    return token
        name = self._read("tokenizer_config.json").get(f"{kind}_token")
        name = name.get("content") if isinstance(name, dict) else name
        return tokenizer.token_to_id(name) if isinstance(name, str) else None

    def _read(self, name: str) -> dict[str, Any]:
        """A JSON file of the folder; empty where there is none."""
        return read_object(self.folder / name) if (self.folder / name).is_file() else {}
