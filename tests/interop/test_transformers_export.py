"""An exported model in transformers gives the same logits and the same greedy documents."""

import importlib.util
import json

import pytest
import torch
from safetensors.torch import load_file

from tests.tiny_codecs import lay_flat, make_requests
from tests.tiny_model import tiny_model
from train.export import main
from unitok.api.unitok import UniTok
from unitok.data.batches.packing import pack
from unitok.document import Segment
from unitok.generation.generate import generate
from unitok.generation.sampling import Sampling
from unitok.interop.language.families import sizes_of
from unitok.interop.language.weights import from_transformers
from unitok.interop.transformers_export import PROCESSOR, export
from unitok.modalities.location_bins import BoxModality, PointModality
from unitok.models.cross_entropy import grouped_cross_entropy
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook, ResidualCodebooks
from unitok.models.transformer import Transformer, TransformerConfig, TransformerSizes
from unitok.models.transformer_config import BlockVariant
from unitok.training.targets import COMPETITIONS

transformers = pytest.importorskip("transformers")

KINDS = {
    "one size": {"shape": (2, 3)},
    "any size": {"shape": None, "max_side": 3},
    "places": {"shape": (2, 3), "more": [BoxModality(9), PointModality(7)]},
    "residual": {"shape": (2, 3), "quantizer": ResidualCodebooks(EMACodebook(16), depth=2)},
}


@pytest.fixture(scope="module", params=KINDS)
def pair(request, tmp_path_factory):
    """Our model, transformers' copy, and the exported folder."""
    ours = tiny_model(positions="sequential", **KINDS[request.param])
    folder = tmp_path_factory.mktemp("exported") / "model"
    export(ours, folder)
    return ours, transformers.AutoModelForCausalLM.from_pretrained(folder).eval(), folder


def grammar_class(folder):
    """Import the processor from the folder, as a user does."""
    spec = importlib.util.spec_from_file_location("grammar_processor", folder / PROCESSOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Grammar


@torch.no_grad()
def test_logits_are_the_same(pair):
    ours, theirs, _ = pair
    assert type(theirs).__name__ == "Qwen3ForCausalLM"
    document = ours.codec.encode((Segment("text", "a red dot"), *random_image(ours)))
    tokens = ours.codec.join(document)
    logits = ours.model.head(ours.model(tokens.ids[None], tokens.positions[None]))
    assert (logits - theirs(tokens.ids[None]).logits).abs().max() <= 1e-4


def random_image(model: UniTok) -> tuple[Segment, ...]:
    return (Segment("image", model.draw("x", seed=3)[0]),)


@pytest.mark.parametrize("target", ["image", "text"])
@torch.no_grad()
def test_greedy_continuations_are_the_same(pair, target):
    """Compare 50 prompts; text up to the length limit of both."""
    ours, theirs, folder = pair
    grammar, limit = grammar_class(folder).from_pretrained(folder, target), 10
    generator = torch.Generator().manual_seed(0)
    letters = torch.randint(97, 123, (50, 5), generator=generator).tolist()
    prompts = [(Segment("text", "".join(map(chr, word))),) for word in letters]
    known = ours.codec.encode_many(prompts)
    sampling = Sampling(temperature=0.0, max_new_tokens=limit)
    continued = generate(
        ours.model, ours.codec, make_requests(ours.codec, known, target=target, sampling=sampling)
    )
    starts = [ours.codec.join(codes, open=target).ids for codes in known]
    max_new = 40 if target == "image" else limit
    written = theirs.generate(
        torch.stack(starts), max_new_tokens=max_new, do_sample=False, logits_processor=[grammar]
    )
    for document, start, row in zip(continued, starts, written, strict=True):
        expected = ours.codec.join(document).ids
        length = min(len(expected), len(start) + limit) if target == "text" else len(expected)
        assert row[:length].tolist() == expected[:length].tolist()


@torch.no_grad()
def test_the_grammar_is_the_cursors(pair):
    ours, _, folder = pair
    grammar = grammar_class(folder).from_pretrained(folder)
    prompts = ours.codec.encode_many([(Segment("text", letter),) for letter in "abcdefgh"])
    requests = make_requests(ours.codec, prompts, sampling=Sampling(max_new_tokens=4))
    for document in generate(ours.model, ours.codec, requests):
        ids, cursor = ours.codec.join(document).ids.tolist(), ours.codec.cursor()
        for place, token in enumerate(ids):
            legal = {i for start, stop in grammar.legal(ids[:place]) for i in range(start, stop)}
            assert legal == set(cursor.legal), place
            cursor.push(token)
        assert grammar.legal(ids) == [(ours.codec.vocabulary.pad, ours.codec.vocabulary.pad + 1)]


@pytest.mark.parametrize("head", ["legal", "full"])
def test_a_model_trained_with_a_full_head_needs_no_grammar(tmp_path, head):
    """Overfit four documents and decode greedily; trained with the legal head the image never ends."""
    ours = tiny_model(positions="sequential")
    letters = [(Segment("text", letter), *random_image(ours)) for letter in "abcd"]
    documents = [ours.codec.join(codes) for codes in ours.codec.encode_many(letters)]
    batch = pack(lay_flat(documents), length=64, pad=ours.codec.vocabulary.pad)
    targets, groups, among = COMPETITIONS[head](ours.codec).objective(batch)
    optimizer = torch.optim.AdamW(ours.model.parameters(), lr=1e-2)
    for _ in range(150):
        hidden = ours.model(batch.ids, batch.positions, document=batch.document)
        weight = ours.model.unembedding.weight
        grouped_cross_entropy(weight, hidden, targets, groups, among=among).mean.backward()
        optimizer.step()
        optimizer.zero_grad()
    export(ours, tmp_path / "out")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    whole = 0
    for document in documents:
        start = document.ids[:4]  # document begin, text begin, letter, text end
        row = theirs.generate(start[None], max_new_tokens=len(document) - 4, do_sample=False)[0]
        whole += torch.equal(row, document.ids)
    assert whole == (4 if head == "full" else 0)


def test_weights_survive_the_round_trip(pair):
    ours, _, folder = pair
    config = json.loads((folder / "config.json").read_text())
    sizes = TransformerSizes(**sizes_of(config))
    again = Transformer(TransformerConfig(sizes, config["vocab_size"]))
    again.load_state_dict(from_transformers(load_file(folder / "model.safetensors"), sizes))
    assert again.config == ours.model.config
    for name, tensor in ours.model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_grid_positions_are_refused_with_the_reason(tmp_path, capsys):
    tiny_model().save_pretrained(tmp_path / "model")
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path / "model"), str(tmp_path / "out")])
    assert stopped.value.code == 2 and "grid positions" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "variant, said",
    [
        ({"bidirectional": "images"}, "bidirectional must be none for an export, got images"),
        ({"cross_every": 1}, "cross_every must be 0 for an export, got 1"),
        ({"visual_rank": 4}, "visual_rank must be 0 for an export, got 4"),
    ],
)
def test_a_block_that_sees_in_a_way_of_its_own_is_refused(tmp_path, variant, said):
    with pytest.raises(ValueError, match=said):
        export(tiny_model(positions="sequential", variant=BlockVariant(**variant)), tmp_path / "out")


def test_the_command_writes_a_folder_and_overwrites_none(tmp_path, capsys):
    tiny_model(positions="sequential").save_pretrained(tmp_path / "model")
    main([str(tmp_path / "model"), str(tmp_path / "out")])
    assert {"config.json", "model.safetensors", "tokenizer.json", "grammar.json", PROCESSOR} <= {
        path.name for path in (tmp_path / "out").iterdir()
    }
    with pytest.raises(SystemExit):
        main([str(tmp_path / "model"), str(tmp_path / "out")])
    assert "is not empty" in capsys.readouterr().err
