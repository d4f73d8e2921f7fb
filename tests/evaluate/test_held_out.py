"""What is measured of a set that nobody knows."""

from unittest.mock import Mock

import torch
from PIL import Image

from tests.data.samples import Listed
from unitok.api.unitok import UniTok
from unitok.document import Segment
from unitok.evaluate.held_out import PAIRED, images_of, told_apart
from unitok.evaluate.judged_sets import captioned, pairs_set

RED = Image.new("RGB", (8, 8), "red")
PAIR = (Segment("text", "red"), Segment("image", RED))


def test_pages_and_conversations_have_no_captions_to_measure():
    assert next(captioned(Listed([PAIR])), None) == PAIR
    assert next(captioned(Listed([PAIR[::-1], (*PAIR, *PAIR)])), None) is None
    assert list(images_of(Listed([PAIR, (*PAIR, *PAIR)]))) == [RED] * 3


def test_texts_are_told_apart_by_their_own_images():
    judged_set = pairs_set(Listed([PAIR, (Segment("text", "blue"), PAIR[1])] * 2))
    own, foreign, equal = torch.eye(4), 1 - torch.eye(4), torch.zeros(4, 4)
    for scores, share in ((own, 1.0), (foreign, 0.0), (equal, 0.0)):
        model = Mock(spec=UniTok, mutual_information=Mock(return_value=scores.tolist()))
        assert told_apart(model, judged_set) == share
    assert told_apart(Mock(spec=UniTok), pairs_set(Listed([PAIR] * PAIRED))) == 1.0
