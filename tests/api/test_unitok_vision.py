"""A model that sees does all that one without vision does, by the same calls; its folder keeps all of it."""

import json

import pytest
import torch
from PIL import Image

from tests.generation.test_likelihood import make_image
from tests.tiny_model import BRIEF, tiny_model
from unitok.api.unitok import UniTok
from unitok.document import Segment
from unitok.modalities.vision import VisionConfig
from unitok.models.image_tokenizer.vit import ViT
from unitok.models.transformer import Transformer
from unitok.models.vision.bridge import Projector
from unitok.models.vision.encoder import Latents, Network, Patches
from unitok.models.vision.qformer import QFormer
from unitok.models.vision.resampler import Resampler

VIT = Network(ViT(factor=4, width=8, depth=1, heads=2, hidden=8), channels=6, size=(16, 16))
KINDS = {
    "latents": VisionConfig(Latents(), Projector(hidden=8)),
    "trained latents": VisionConfig(Latents(size=(16, 24)), Projector(), precompute=False),
    "patches with codes": VisionConfig(Patches(4), Projector(norm="after"), with_codes=True),
    "network": VisionConfig(VIT, Projector(hidden=8), precompute=False),
    "merged tiles": VisionConfig(Latents(size=(16, 16)), Projector(hidden=8, norm="each", merge=2), tiles=3),
    "resampler": VisionConfig(Latents(), Resampler(queries=5, layers=1, heads=2, head_width=4)),
    "queries of tiles": VisionConfig(
        Patches(4), QFormer(5, width=8, layers=3, heads=2, hidden=8), tiles=4, thumbnail=False
    ),
}
CONFIGS = pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)


def seeing(config: VisionConfig, **options) -> UniTok:
    model = tiny_model(vision=config, sampling=BRIEF, fills=True, **options)
    model.model.bridge.layers.scale_to(3.0)
    return model


@CONFIGS
def test_every_task_sees_images_without_a_new_argument(config):
    model, images = seeing(config), [make_image(1), make_image(2)]
    assert model.caption(images)[:1] == model.caption(images[:1])
    assert len(model.answer(images, "which?", choices=["a", "b"])) == 2
    assert {index for index, _ in model.rank(images, "a dog")} == {0, 1}
    scores = model.score([(Segment("image", image), Segment("text", "abc")) for image in images])
    assert scores[0].log_probability != scores[1].log_probability
    written = model.score([(Segment("text", "abc"), Segment("image", images[0]))])
    assert written[0].count == 6
    assert model.classify(images, ["a", "b"])[0].keys() == {"a", "b"}
    assert [image.size for image in model.draw("a dog", best_of=2)] == [(12, 8)]
    edited = model.edit(images, ["make it red"] * 2, guidance_scale=3.0, image_guidance_scale=1.5)
    assert [image.size for image in edited] == [(12, 8)] * 2
    hole = Image.new("L", (12, 8))
    hole.paste(255, (0, 0, 8, 8))
    assert model.inpaint(images[0], hole, "a dog", best_of=2)[0].size == (12, 8)
    assert model.vary(images[0], "a dog", keep=0.5)[0].size == (12, 8)
    (chosen,) = model.generate([(Segment("image", images[0]), Segment("text", "go on"))], max_segments=2)
    assert 2 <= len(chosen) <= 4
    assert model.encode_image(images[0]).shape == (2, 3)


@CONFIGS
def test_a_folder_keeps_and_restores_what_a_model_sees_with(config, tmp_path):
    model, images = seeing(config), [make_image(1), make_image(2)]
    model.save_pretrained(tmp_path / "model")
    again = UniTok.from_pretrained(tmp_path / "model", dtype="float32", verify=True)
    assert again.codec.fingerprint() == model.codec.fingerprint()
    assert again.caption(images) == model.caption(images)
    weights = model.model.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in again.model.state_dict().items())
    assert any(name.startswith("bridge.encoder.") for name in weights) != config.precompute


def test_an_image_larger_than_what_is_drawn_reaches_the_encoder_at_its_size():
    model = seeing(VisionConfig(Patches(4, size=(64, 96)), Projector()))
    fine = Image.new("RGB", (96, 64))
    fine.paste((255, 255, 255), (40, 30, 43, 33))
    plain = [Image.new("RGB", (96, 64)), fine]
    seen, other = (model.codec.encode_prompts([(Segment("image", image),)])[0][0] for image in plain)
    assert seen.features.shape == (16, 24) and not seen.codes.numel()
    assert not torch.equal(seen.features.values, other.features.values)


def test_an_image_of_several_tiles_is_read_whole():
    """200 x 96 pixels, by a model that draws 48 x 48; a pixel in a corner is part of what is read."""
    vision = VisionConfig(Patches(16), Projector(hidden=8), tiles=8)
    model = tiny_model(shape=(12, 12), vision=vision, sampling=BRIEF)
    model.model.bridge.layers.scale_to(5.0)
    images = [Image.new("RGB", (200, 96), "white") for _ in range(2)]
    images[1].paste("black", (190, 86, 200, 96))
    documents = [(Segment("image", image), Segment("text", "abc")) for image in images]
    (codes, _), _ = model.codec.encode_prompts(documents)
    assert codes.features.arrangements == ((1, 1), (2, 4)) and codes.features.count == 9 * 9
    plain, corner = (score.log_probability for score in model.score(documents))
    assert plain != corner
    small = Image.new("RGB", (48, 48), "red")
    assert model.caption([*images, small]) == [model.caption(image)[0] for image in (*images, small)]


def test_what_is_seen_of_an_image_depends_on_no_other():
    codec = seeing(KINDS["latents"]).codec
    documents = [(Segment("image", make_image(n)),) for n in range(5)]
    together = codec.encode_prompts(documents)
    for document, (codes,) in zip(documents, together, strict=True):
        ((alone,),) = codec.encode_prompts([document])
        assert torch.equal(alone.features.values, codes.features.values)
        assert alone.features.digest == codes.features.digest


def test_a_folder_without_vision_has_no_word_of_it(tmp_path):
    tiny_model().save_pretrained(tmp_path / "model")
    assert "vision" not in (tmp_path / "model/config.json").read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v["bridge"].update(hidden=-1), "vision: hidden must be an integer of at least 0, got -1"),
        (lambda v: v["bridge"].update(hidden=9), "tensor bridge.layers.first.bias must be .9,., got .8,."),
        (lambda v: v["encoder"].update(kind="Eye"), "vision: kind must be one of .*Latents.* got Eye"),
        (lambda v: v["encoder"].update(size=[7, 8]), "vision: encoder.size must be multiples of its cell"),
        (lambda v: v.update(precompute=1), "vision: precompute must be bool, got 1"),
        (lambda v: v.update(tiles=0), "vision: tiles must be an integer in 1..64, got 0"),
        (lambda v: v.update(tile=2), "vision: unknown tile; VisionConfig has encoder, bridge"),
        (
            lambda v: v["bridge"].update(merge=2),
            "vision: bridge.merge must divide the encoder's grid of .2, 3.",
        ),
        (lambda v: v.pop("with_codes"), "vision: must be an object with encoder, bridge"),
        (lambda v: v.update(bridge=v["encoder"]), "vision: bridge must be BridgeConfig, got Latents"),
    ],
)
def test_a_corrupt_setting_is_named(change, said, tmp_path):
    seeing(KINDS["latents"]).save_pretrained(tmp_path / "model")
    path = tmp_path / "model/config.json"
    values = json.loads(path.read_text())
    change(values["vision"])
    path.write_text(json.dumps(values))
    with pytest.raises(ValueError, match=said) as error:
        UniTok.from_pretrained(tmp_path / "model")
    assert "\n" not in str(error.value)


def test_a_transformer_and_a_codec_that_do_not_fit_are_refused():
    model = seeing(KINDS["latents"])
    blind = Transformer(model.model.config)
    with pytest.raises(ValueError, match="must both have vision, or neither"):
        UniTok(blind, model.codec)
    with pytest.raises(ValueError, match=r"encoder.size must be .height, width. where images have any size"):
        seeing(KINDS["latents"], shape=None)
    with pytest.raises(ValueError, match="precompute must be false for the encoder Network"):
        VisionConfig(VIT)
