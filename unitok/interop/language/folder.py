"""A transformers folder with a language model, alone or inside a model that sees. Knows no training."""

from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from unitok.interop.files import Tensors, read_config, read_folder, strip_prefix
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
    def _tensors(self) -> Tensors:
        """The language model's tensors by the names that they have where it is alone."""
        _, tensors = read_folder(self.folder)
        inside = strip_prefix(tensors, EMBEDDING, source=self.folder)
        renamed = {f"model.{name}": tensor for name, tensor in inside.items()}
        head = next((name for name in tensors if f".{name}".endswith(f".{HEAD}")), None)
        return renamed if head is None else renamed | {HEAD: tensors[head]}

    def sizes(self, *, max_length: int) -> TransformerSizes:
        """Its sizes, except max_length.

        Raises:
            FileNotFoundError: it is not a model folder.
            ValueError: our transformer cannot have these sizes.
        """
        config = read_config(self.folder)
        try:
            values = sizes_of(language_config(config)) | {"max_length": max_length}
            if HEAD in self._tensors:  # configs of models that see disagree about tie_word_embeddings
                values["tie_embeddings"] = False
            return TransformerSizes(**values)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.folder}: {error}") from error

    def weights(self, sizes: TransformerSizes) -> Tensors:
        """Its weights by our names, in float32. Raises ValueError naming a tensor that is missing."""
        try:
            weights = from_transformers(self._tensors, sizes)
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
