"""Where hints decide how `cel` and `studio` draw."""

from __future__ import annotations

import torch

from animeinterp.net.cel.hinted import land_hints, reach_of_hints, weight_of_hints
from animeinterp.net.flow_pair import FlowPair, Hinted
from animeinterp.net.ops.intermediate_flow import IntermediateMotion

SIZE = (32, 64)
HALF = torch.tensor([0.5])


def marks(left):
    """A part of 8x8 px at a column."""
    plane = torch.zeros(1, 1, *SIZE)
    plane[..., 12:20, left : left + 8] = 1
    return plane


# The part moves from column 8 to column 40; all else is at rest, and less important.
HINTED = Hinted(marks(8), marks(40))
FLOW = torch.tensor([32.0, 0.0]).view(1, 2, 1, 1)
FLOWS = FlowPair(FLOW * HINTED.frame0, -FLOW * HINTED.frame1, 3 * HINTED.frame0, 3 * HINTED.frame1)


def test_hints_decide_where_parts_land_and_where_the_intermediate_flow_leaves_them():
    landed = land_hints(HINTED, FLOWS, HALF.view(1, 1, 1, 1))
    still = IntermediateMotion(torch.zeros(1, 4, *SIZE), torch.zeros(1, 1, *SIZE))
    weight = weight_of_hints(HINTED, landed, still)[0, 0, 16]
    assert weight[24:32].min() > 0.9  # where the part is
    assert weight[9:15].min() > 0.9  # where the intermediate flow still draws it
    assert weight[41:47].min() > 0.9
    assert weight[:4].max() == 0
    assert weight[52:].max() == 0


def test_a_correct_intermediate_flow_is_left_alone_elsewhere():
    landed = land_hints(HINTED, FLOWS, HALF.view(1, 1, 1, 1))
    right = torch.cat([-FLOW / 2, FLOW / 2], 1).expand(1, 4, *SIZE)
    weight = weight_of_hints(HINTED, landed, IntermediateMotion(right, torch.zeros(1, 1, *SIZE)))[0, 0, 16]
    assert weight[24:32].min() > 0.9
    assert weight[9:15].max() < 0.1


def test_the_reach_of_hints_is_where_parts_were_are_and_will_be():
    reach = reach_of_hints(HINTED, FLOWS, HALF)[0, 0, 16]
    assert reach[[10, 28, 44]].min() > 0.9
    assert reach[60:].max() == 0
