"""Models that see by cross-attention or visual updates are trained, resumed and saved; words stay."""

import pytest
import torch

from tests.data.samples import write_lines
from tests.generation.test_likelihood import make_image
from tests.training.test_transformer_vision import CAPTIONS, LATENTS, STEADY
from unitok.api.unitok import UniTok
from unitok.document import Segment

pytestmark = pytest.mark.filterwarnings("ignore:LightningCLI's args", "ignore:Mismatch dtype")
VISION = (
    "{encoder: {class_path: Latents}, one_place: true, bridge: {class_path: Resampler, init_args: "
    "{queries: 4, layers: 1, heads: 2, head_width: 8}}}"
)
CROSS = ("--model.sizes.variant.cross_every", "1", "--data.codec.vision", VISION)
VISUAL = ("--model.sizes.variant.visual_rank", "3", "--data.codec.vision", LATENTS)
KINDS = {"cross": (CROSS, "_gate", 12), "visual": (VISUAL, "visual_up", 45)}
"""Settings, names of the weights that start as zero, and the most ids of a short prompt with an image."""


@pytest.mark.slow
@pytest.mark.parametrize("positions", ["grid", "sequential"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_run_has_the_losses_of_one_never_stopped_and_its_model_sees_the_same(
    train, tmp_path, kind, positions
):
    settings, awake, most = KINDS[kind]
    more = (*settings, *STEADY, *CAPTIONS, "--data.codec.positions", positions)
    whole, rows = train("whole", *more)
    _, first = train("parts", *more, steps=3)
    _, rest = train("parts", *more, "--ckpt_path", "last")
    assert [*first, *rest] == rows
    trained, model = whole.model.model_with_codec(), UniTok.from_pretrained(tmp_path / "whole/model")
    assert any(bool(w.any()) for name, w in model.model.named_parameters() if name.endswith(awake))
    images = [make_image(1), make_image(2)]
    assert model.caption(images) == trained.caption(images)
    prompt = (Segment("image", images[0]), Segment("text", "red"))
    assert (
        len(model.codec.join(model.codec.encode_prompts([prompt])[0])) <= most
    )  # cross-attention: an image takes one place


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        CROSS,
        VISUAL,
        VISUAL[2:],
        (*VISUAL[2:], "--data.codec.positions", "sequential"),
        (*VISUAL[2:], "--model.sizes.variant.bidirectional", "images"),
        (*VISUAL[2:], "--model.sizes.variant.bidirectional", "prefix", "--data.task.answers", "one"),
    ],
    ids=["cross", "visual", "bridge", "sequential", "images", "prefix"],
)
def test_compiled_blocks_give_the_same_losses(train, more):
    pytest.importorskip("torch._inductor")
    more = (*more, *STEADY, *CAPTIONS)
    _, plain = train("plain", *more, steps=3)
    _, compiled = train("compiled", *more, "--model.compute.compile", "true", steps=3)
    assert torch.allclose(torch.tensor(plain), torch.tensor(compiled), rtol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_language_model_that_is_held_says_the_same_of_texts_to_the_bit(train, tmp_path, kind):
    settings, awake, _ = KINDS[kind]
    write_lines(tmp_path / "words.jsonl", [{"text": f"a small red circle {n % 7}"} for n in range(60)])
    data = ("--data.train", "null", "--data.val", "null", "--data.path", str(tmp_path / "words.jsonl"))
    train("words", *data, steps=4)
    words = str(tmp_path / "words/model")
    start = ("--model.start.init_from", words, "--data.codec.image_tokenizer", "null", *CAPTIONS)
    cli, _ = train("run", *start, *settings, "--model.start.parts", f"[bridge, {kind}, rows]")
    old, new = UniTok.from_pretrained(words), cli.model.model_with_codec()
    assert any(bool(w.any()) for name, w in new.model.named_parameters() if name.endswith(awake))
    tokens = old.codec.join(old.codec.encode((Segment("text", "a large circle"),)))
    ids, positions = tokens.ids[None], tokens.positions[None]
    hidden = old.model(ids, positions)
    assert torch.equal(hidden, new.model(ids, positions))
    block = old.codec.vocabulary.block("text")
    assert torch.equal(old.model.head(hidden, block), new.model.head(hidden, block))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (CROSS[:2], "cross_every and data.codec.vision.one_place must be given together, got 1 and false"),
        (CROSS[2:], "must be given together, got 0 and true"),
        ((*CROSS[2:3], VISION[:-1] + ", tiles: 4}"), "one_place needs tiles=1 and with_codes=false, got 4"),
        (("--model.sizes.variant.cross_every", "9"), "cross_every must be in 0..2, the layers, got 9"),
        (VISUAL[:2], "visual_rank=3 needs images that are seen: data.codec.vision, got none"),
        (("--model.sizes.variant.visual_rank", "-1"), "variant.visual_rank must be at least 0, got -1"),
        (("--model.start.parts", "[cross]"), "parts must be some of rows, words, blocks, got ['cross']"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(train, capsys, more, said):
    with pytest.raises(SystemExit):
        train("run", *more, steps=2)
    assert said in capsys.readouterr().err
