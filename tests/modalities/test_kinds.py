"""The registry of modalities: complete, of unique names, and never filled by what a folder says."""

import json

import pytest

import unitok.api.model_folder  # noqa: F401 (all modalities register themselves)
from tests.tiny_codecs import GridModality, byte_text
from tests.tiny_model import tiny_model
from unitok.api.unitok import UniTok
from unitok.modalities.base import Modality
from unitok.modalities.kinds import KINDS, modality_kind
from unitok.modalities.location_bins import BoxModality
from unitok.tokens.codec import Codec


def concrete(kind):
    """All subclasses of a class that can be built, those of this package alone."""
    for subclass in kind.__subclasses__():
        yield from concrete(subclass)
        if not subclass.__abstractmethods__ and subclass.__module__.startswith("unitok."):
            yield subclass


def test_every_modality_is_registered():
    registered = {kind for kind in KINDS.values() if kind.__module__.startswith("unitok.")}
    assert registered == set(concrete(Modality))


def test_a_name_stands_for_one_class():
    known = dict(KINDS)
    try:
        first = modality_kind(type("Once", (BoxModality,), {"__module__": "a"}))
        again = modality_kind(type("Once", (BoxModality,), {"__module__": "a"}))
        assert KINDS["Once"] is again is not first, "a module that is imported again replaces its classes"
        with pytest.raises(ValueError, match="a name of its own, got Once in b and in a"):
            modality_kind(type("Once", (BoxModality,), {"__module__": "b"}))
    finally:
        KINDS.clear()
        KINDS.update(known)


def test_a_codec_has_one_modality_a_name():
    with pytest.raises(ValueError, match="different names, got text, image, image"):
        Codec([byte_text(), GridModality(), GridModality()])
    with pytest.raises(ValueError, match=r"lower-case letters, digits and _, not structure, got '\.\./x'"):
        Codec([byte_text(), GridModality("../x")])
    with pytest.raises(ValueError, match="not structure, got 'structure'"):
        Codec([byte_text(), GridModality("structure")])


def test_a_codec_without_images_says_so():
    with pytest.raises(ValueError, match="needs a model with images, got one of text, box"):
        _ = Codec([byte_text(), BoxModality()]).image


def test_what_no_folder_could_name_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="GridModality must be registered"):
        tiny_model(more=[GridModality("grid")]).save_pretrained(tmp_path / "m")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    "modalities, message",
    [
        ({"x": {"kind": "os.system"}}, "x: kind must be one of .*BoxModality.*, got 'os.system': import"),
        ({"x": {"kind": ["BoxModality"]}}, r"x: kind must be one of .*, got \['BoxModality'\]"),
        ({"x": {}}, "x: kind must be one of .*, got None"),
        ({"../x": {"kind": "BoxModality"}}, r"lower-case letters, digits and _, not structure, got '\.\./x'"),
        ({"x": {"kind": "BoxModality"}}, "x: its name must be 'x', got 'box'"),
        ({"box": {"kind": "BoxModality", "bins": "9"}}, "box: bins must be int, got '9'"),
        ({"box": {"kind": "BoxModality", "size": 9}}, "box: unknown size; BoxModality has bins"),
        ({"image": {"kind": "BoxModality"}}, "image: its name must be 'image', got 'box'"),
        ({"x": "BoxModality"}, "modalities must be"),
        ([], "modalities must be"),
    ],
)
def test_a_folder_that_names_anything_else_is_one_error(tmp_path, modalities, message):
    tiny_model().save_pretrained(tmp_path / "m")
    config = json.loads((tmp_path / "m/config.json").read_text())
    assert "modalities" not in config
    (tmp_path / "m/config.json").write_text(json.dumps(config | {"modalities": modalities}))
    with pytest.raises(ValueError, match=rf"m/config.json: .*{message}") as caught:
        UniTok.from_pretrained(tmp_path / "m", device="cpu")
    assert "\n" not in str(caught.value)


def test_modalities_come_back_in_the_order_of_their_ids(tmp_path):
    codec = Codec([byte_text(), BoxModality(9), tiny_model().codec.image])
    from unitok.api.codec_folder import describe_modalities, load_codec, save_modalities

    save_modalities(codec, tmp_path)
    config = {"modalities": {}, **json.loads(json.dumps(describe_modalities(codec)))}
    back = load_codec(tmp_path, config, order=list(codec.modalities), positions="grid")
    assert back.fingerprint() == codec.fingerprint()
