"""Foreground and its components: one threshold, connectivity and minimum area for every judge."""

import numpy as np
import pytest

from unitok.worlds.connected_components import components, foreground, nearest_colour


def pixels(*spots: tuple[int, int]) -> np.ndarray:
    """Black spots (y, x) on white, 8 × 8."""
    image = np.full((8, 8, 3), 255, np.uint8)
    for y, x in spots:
        image[y, x] = 0
    return image


@pytest.mark.parametrize("value, is_foreground", [(255 - 34, False), (255 - 35, True)])
def test_the_threshold_is_a_distance_of_sixty(value, is_foreground):
    image = np.full((1, 1, 3), value, np.uint8)  # 34 · √3 = 58.9, 35 · √3 = 60.6
    assert foreground(image, (255, 255, 255)).item() is is_foreground


def test_corners_do_not_connect_and_specks_do_not_count():
    image = pixels((1, 1), (1, 2), (2, 3), (3, 3), (3, 4), (6, 6))
    parts = components(image, (255, 255, 255), min_area=2)
    assert [(p.left, p.top, p.mask.sum()) for p in parts] == [(1, 1, 2), (3, 2, 3)]
    assert parts[1].mask.tolist() == [[True, False], [True, True]]
    assert all((p.colour == 0).all() for p in parts)


def test_an_even_picture_has_no_parts():
    assert components(pixels(), (255, 255, 255), min_area=1) == []


def test_a_part_never_holds_pixels_of_another_in_its_box():
    ring = [(y, x) for y in range(1, 7) for x in range(1, 7) if y in (1, 6) or x in (1, 6)]
    outer, inner = components(pixels(*ring, (3, 3)), (255, 255, 255), min_area=1)
    assert outer.mask.sum() == len(ring) and inner.mask.shape == (1, 1)


def test_the_nearest_colour_has_a_name():
    palette = {"red": (255, 0, 0), "blue": (0, 0, 255)}
    assert nearest_colour(np.array([200.0, 90.0, 120.0]), palette) == "red"
