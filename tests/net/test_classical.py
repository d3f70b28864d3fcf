"""Selection between warped frames: exact on shifts, holes filled from the other side."""

import torch

from animeinterp.net.classical import compose, warp


def planes(seed: int = 0, size=(20, 30)):
    return torch.rand((1, 3, *size), generator=torch.Generator().manual_seed(seed))


def shift(dx: float, dy: float, size=(20, 30)):
    return torch.tensor([dx, dy]).view(1, 2, 1, 1).expand(1, 2, *size)


ONES = torch.ones(1, 1, 20, 30)


def test_a_still_frame_stays():
    frame = planes()
    for mode in ("average", "softmax"):
        still = warp(frame, shift(0, 0), ONES, 0.5, mode)
        torch.testing.assert_close(still.planes, frame)
        torch.testing.assert_close(still.confidence, ONES)


def test_a_whole_shift_moves_exactly_and_leaves_a_hole():
    frame = planes()
    moved = warp(frame, shift(8, -4), ONES, 0.5)
    torch.testing.assert_close(moved.planes[..., :-2, 4:], frame[..., 2:, :-4])
    assert not moved.confidence[..., :4].any()
    assert not moved.planes[..., :4].any()


def test_holes_are_filled_from_the_other_side():
    frame0, frame1 = planes(0), planes(1)
    away = warp(frame0, shift(60, 0), ONES, 0.5)  # all of it leaves the frame
    still = warp(frame1, shift(0, 0), ONES, 0.5)
    drawn = compose(frame0, frame1, away, still, 0.5)
    # The cross-fade keeps a share of 0.003 / (0.5 + 0.003).
    assert (drawn - frame1).abs().max() < 0.02


def test_the_trusted_frame_wins():
    frame0, frame1 = planes(0), planes(1)
    sure, doubtful = warp(frame0, shift(0, 0), ONES, 0.5), warp(frame1, shift(0, 0), 0.01 * ONES, 0.5)
    drawn = compose(frame0, frame1, sure, doubtful, 0.5)
    assert (drawn - frame0).abs().mean() < 0.1 * (drawn - frame1).abs().mean()


def test_swapping_frames_and_time_gives_the_same_frame():
    frame0, frame1 = planes(0), planes(1)
    flow01, flow10 = shift(6, 2), shift(-5, -1)
    there = compose(frame0, frame1, warp(frame0, flow01, ONES, 0.3), warp(frame1, flow10, ONES, 0.7), 0.3)
    back = compose(frame1, frame0, warp(frame1, flow10, ONES, 0.7), warp(frame0, flow01, ONES, 0.3), 0.7)
    torch.testing.assert_close(there, back)
