"""Models of transformers become vision folders that give their image features, to 1e-4."""

import json
import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.tiny_towers import FORWARD, SIZES, randomise, save_tower, tiny_tower
from train.convert import main
from unitok.interop.formats import VISION_FORMATS, read_vision
from unitok.interop.language.folder import LanguageFolder
from unitok.interop.vision.bridges import READERS
from unitok.modalities.vision import Vision
from unitok.modalities.vision_folder import read_vision_folder
from unitok.models.transformer import Transformer, TransformerConfig
from unitok.models.vision.bridge import encode_pixels

transformers = pytest.importorskip("transformers")
TEXT = {"hidden_size": 40, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 2, "head_dim": 20, "vocab_size": 60}  # fmt: skip
CLIP, SIGLIP = ({"model_type": f"{kind}_vision_model"} | SIZES | FORWARD for kind in ("clip", "siglip"))
EVEN = SIZES | FORWARD | {"image_size": [32, 32], "patch_size": [8, 8]}
QFORMER = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 28,
           "encoder_hidden_size": 32}  # fmt: skip


def tiny_models():
    llama = {"model_type": "llama"} | TEXT
    return {
        "llava": lambda **more: transformers.LlavaForConditionalGeneration(
            transformers.LlavaConfig(vision_config=CLIP, text_config=llama, image_token_index=59, **more)
        ),
        "llava of SigLIP": lambda: transformers.LlavaForConditionalGeneration(
            transformers.LlavaConfig(
                vision_config=SIGLIP, text_config=llama, image_token_index=59, vision_feature_layer=-1,
                vision_feature_select_strategy="full", multimodal_projector_bias=False,
            )
        ),
        "paligemma": lambda: transformers.PaliGemmaForConditionalGeneration(
            transformers.PaliGemmaConfig(
                vision_config=SIGLIP | {"projection_dim": 40}, text_config={"model_type": "gemma"} | TEXT,
                image_token_index=59, projection_dim=40,
            )
        ),
        "internvl": lambda: transformers.InternVLForConditionalGeneration(
            transformers.InternVLConfig(
                vision_config=EVEN, text_config={"model_type": "qwen2"} | TEXT, image_token_id=59
            )
        ),
        "blip2": lambda: transformers.Blip2ForConditionalGeneration(
            transformers.Blip2Config(
                vision_config=SIZES | FORWARD, qformer_config=QFORMER, num_query_tokens=5,
                text_config={"model_type": "opt", "ffn_dim": 48, "word_embed_proj_dim": 40} | TEXT,
            )
        ),
    }  # fmt: skip


QWENS = {
    "qwen2vl": ("Qwen2VL", {"embed_dim": 32, "hidden_size": 40, "mlp_ratio": 2}),
    "qwen3vl": (
        "Qwen3VL",
        {"hidden_size": 32, "out_hidden_size": 40, "intermediate_size": 48, "num_position_embeddings": 16,
         "deepstack_visual_indexes": [1]},
    ),
}  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize("kind", QWENS)
def test_vectors_are_those_of_qwens_merger(kind, tmp_path):
    name, more = QWENS[kind]
    sizes = {"depth": 2, "num_heads": 2, "patch_size": 32, "spatial_merge_size": 2, "temporal_patch_size": 2}
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 3, 3]}
    config = getattr(transformers, f"{name}Config")(
        vision_config=sizes | more, text_config=TEXT | {"rope_parameters": rope}
    )
    torch.manual_seed(0)
    model = randomise(getattr(transformers, f"{name}ForConditionalGeneration")(config))
    processor = transformers.Qwen2VLImageProcessorPil(patch_size=32)
    save_tower(model, tmp_path / "model", processor)
    read_vision(tmp_path / "model", kind).save_pretrained(tmp_path / "vision")
    image = Image.effect_noise((448, 448), 90).convert("RGB")
    inputs = processor(image, return_tensors="pt")
    expected = model.model.get_image_features(**{
        "pixel_values": inputs["pixel_values"], "image_grid_thw": inputs["image_grid_thw"]
    }).pooler_output[0]  # fmt: skip
    vision = Vision(read_vision_folder(tmp_path / "vision"))
    assert vision.grid == (14, 14) and vision.shape == (7, 7)
    assert (vision.bridge_builder()(40)(vision.see(image).values) - expected).abs().max() < 1e-4


FEATURES = {
    "llava": {"vision_feature_layer": -2, "vision_feature_select_strategy": "default"},
    "llava of SigLIP": {"vision_feature_layer": -1, "vision_feature_select_strategy": "full"},
    "internvl": {"vision_feature_layer": -1, "vision_feature_select_strategy": "default"},
}


@torch.no_grad()
@pytest.mark.parametrize("name", ["llava", "llava of SigLIP", "paligemma", "internvl", "blip2"])
def test_vectors_are_the_image_features_of_the_model(name, tmp_path, capsys):
    torch.manual_seed(0)
    model, side = randomise(tiny_models()[name]()), 32 if name == "internvl" else 24
    square = {"height": side, "width": side}
    save_tower(model, tmp_path / "model", transformers.SiglipImageProcessorPil(size=square))
    pixels = torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8)
    owner = model if name == "blip2" else model.model
    expected = owner.get_image_features(pixels / 127.5 - 1, **FEATURES.get(name, {})).pooler_output
    expected = torch.stack(list(expected))
    kind = name.split()[0]
    main(["--format", kind, "--from", str(tmp_path / "model"), "--out", str(tmp_path / "vision")])
    assert "vectors of 32 channels" in (output := capsys.readouterr().out) and "to vectors of 40" in output
    shutil.rmtree(tmp_path / "model")
    vision = Vision(read_vision_folder(tmp_path / "vision"))
    found = vision.bridge_builder()(40)(encode_pixels(vision._encoder, pixels, torch.float32))
    assert (found.unflatten(0, (2, -1)) - expected).abs().max() < 1e-4
    assert expected.shape[1] == torch.Size(vision.shape).numel()
    with pytest.raises(ValueError, match=r"bridge.safetensors: the bridge makes 40, the model has 64"):
        vision.bridge_builder()(64)


@torch.no_grad()
def test_a_llava_folder_gives_all_three_parts_of_a_model(tmp_path):
    """Encoder and projector by its vision folder, the language model by itself: logits are LLaVA's."""
    torch.manual_seed(0)
    model = randomise(tiny_models()["llava"]())
    save_tower(model, tmp_path / "llava")
    read_vision(tmp_path / "llava", "llava").save_pretrained(tmp_path / "vision")
    vision, language = Vision(read_vision_folder(tmp_path / "vision")), LanguageFolder(tmp_path / "llava")
    sizes = language.sizes(max_length=64)
    ours = Transformer(TransformerConfig(sizes, 60), vision.bridge_builder()).eval()
    bridge = {f"bridge.{name}": weight for name, weight in ours.bridge.state_dict().items()}
    ours.load_state_dict(language.weights(sizes) | bridge)
    pixels = torch.randint(0, 256, (2, 3, 24, 24), dtype=torch.uint8)
    theirs = torch.tensor([[1, *[59] * 9, 5, 6, 7], [3, 4, *[59] * 9, 8, 9]])
    ids = theirs.clone()
    ids[theirs == 59] = torch.arange(60, 60 + 18)
    positions = torch.arange(13)[None, :, None].expand(2, -1, 3)
    logits = ours.head(ours(ids, positions, tiles=encode_pixels(vision._encoder, pixels, torch.float32)))
    expected = model(input_ids=theirs, pixel_values=pixels / 127.5 - 1).logits
    assert (logits - expected).abs().max() < 1e-4 < expected.std()


@pytest.mark.parametrize(
    ("kind", "family"),
    [("siglip", "siglip_vision_model"), ("clip", "clip_vision_model"), ("dinov2", "dinov2_with_registers")],
)
def test_an_encoder_alone_has_a_new_bridge(kind, family, tmp_path, capsys):
    save_tower(tiny_tower(family), tmp_path / "tower")
    main(["--format", kind, "--from", str(tmp_path / "tower"), "--out", str(tmp_path / "vision")])
    assert "3 x 3 vectors of 32 channels, of 24 x 24 pixels; a new Projector" in capsys.readouterr().out
    config = read_vision_folder(tmp_path / "vision")
    assert config.bridge_weights is None and config.encoder.layer == 2
    assert Vision(config).grid == (3, 3)


def test_the_encoder_of_a_folder_is_trained_where_its_settings_say_so(tmp_path):
    saved_llava(tmp_path / "llava")
    read_vision(tmp_path / "llava", "llava").save_pretrained(tmp_path / "vision")
    frozen = Vision(read_vision_folder(tmp_path / "vision"))
    path = tmp_path / "vision/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"precompute": False, "tiles": 2}))
    trained = Vision(read_vision_folder(tmp_path / "vision"))
    pixels = torch.randint(0, 256, (1, 3, 24, 24), dtype=torch.uint8)
    features = encode_pixels(frozen._encoder, pixels, torch.float32)
    found = trained.bridge_builder()(40)
    assert torch.equal(found(pixels), frozen.bridge_builder()(40)(features))
    assert all(weight.requires_grad for weight in found.parameters()) and trained.config.tiles == 2


def saved_llava(folder, **changes):
    return save_tower(tiny_models()["llava"](**changes), folder)


def without(folder, name):
    tensors = load_file(folder / "model.safetensors")
    save_file({key: tensor for key, tensor in tensors.items() if not key.endswith(name)},
              folder / "model.safetensors")  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"projector_hidden_act": "relu"}, "projector_hidden_act must be gelu, got 'relu'"),
        ({"vision_feature_layer": [-2, -1]}, r"vision_feature_layer must be one integer, got \[-2, -1\]"),
    ],
)
def test_a_setting_that_ours_has_not_is_refused(changes, said, tmp_path):
    saved_llava(tmp_path, **changes)
    with pytest.raises(ValueError, match=f"{tmp_path}: {said}"):
        read_vision(tmp_path, "llava")


def test_what_cannot_be_read_is_named_in_one_line(tmp_path, capsys):
    folder = saved_llava(tmp_path / "llava")
    for kind, said in (
        ("paligemma", "model_type must be paligemma for paligemma, got 'llava'"),
        ("siglip", "model_type must be siglip_vision_model for siglip, got 'clip_vision_model'"),
    ):
        with pytest.raises(ValueError, match=said):
            read_vision(folder, kind)
    without(folder, "multi_modal_projector.linear_2.weight")
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["--format", "llava", "--from", str(folder), "--out", str(tmp_path / "vision")])
    error = capsys.readouterr().err
    assert error == f"unitok convert: error: {folder}: no tensor multi_modal_projector.linear_2.weight\n"
    assert not (tmp_path / "vision").exists()
    with pytest.raises(ValueError, match="format must be one of siglip, clip, dinov2, llava"):
        read_vision(folder, "taming")


def test_every_format_is_listed():
    assert list(VISION_FORMATS) == list(READERS)
