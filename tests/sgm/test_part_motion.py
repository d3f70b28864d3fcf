"""How a part moves by its points."""

from __future__ import annotations

import numpy as np
import pytest

from animeinterp.sgm.part_motion import PartPoints, bend, pixel_places, pose_between

PLACES = pixel_places((7, 9))


def points(source, target):
    return PartPoints(np.array(source, np.float64), np.array(target, np.float64))


def test_one_point_moves_everything_alike():
    assert np.allclose(bend(points([[3, 4]], [[5, 1]]), PLACES), PLACES + 2 - 3j)


def test_two_points_give_a_similarity():
    turned = bend(points([[0, 0], [2, 0]], [[1, 1], [1, 5]]), PLACES)
    assert np.allclose(turned, (1 + 1j) + 2j * PLACES)


def test_more_points_bend_and_are_met():
    source, target = [[0, 0], [4, 0], [8, 0]], [[0, 0], [4, 0], [4, 4]]
    moved = bend(points(source, target), np.array([0j, 4, 8]))
    assert np.allclose(moved, [0, 4, 4 + 4j], atol=0.5)


def test_a_limb_swings_around_the_point_at_rest():
    limb = points([[10, 10], [20, 10], [30, 10]], [[10, 10], [10, 20], [10, 30]])
    middle = pose_between(limb, 0.5)
    assert np.allclose(np.hypot(*(middle - [10, 10]).T), [0, 10, 20])
    assert np.allclose(middle[2], [10 + 20 / 2**0.5, 10 + 20 / 2**0.5])


@pytest.mark.parametrize("t", [0, 0.3, 1])
def test_both_directions_pass_the_same_poses(t):
    limb = points([[0, 0], [5, 1], [9, 4]], [[3, 1], [2, 7], [-3, 9]])
    assert np.allclose(pose_between(limb, t), pose_between(limb.swapped(), 1 - t))
    assert np.allclose(pose_between(limb, 0), limb.source)
    assert np.allclose(pose_between(limb, 1), limb.target)


def test_points_that_coincide_in_one_image_give_finite_motion():
    limb = points([[2, 2], [2, 2]], [[2, 2], [2, 2]])
    assert np.isfinite(bend(limb, PLACES)).all()
    assert np.allclose(pose_between(limb, 0.5), limb.source)
