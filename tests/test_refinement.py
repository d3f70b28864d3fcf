"""`cel`'s refinement: what is worked out once, or in a cheaper way, is what it stands for."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from animeinterp.net.refinement import HIDDEN, Refinement, Step, _halved
from animeinterp.options import CEL


def test_a_step_with_the_context_worked_out_once_is_a_gru():
    torch.manual_seed(0)
    step = Step(12)
    torch.nn.init.normal_(step.head2.weight, std=0.1)
    hidden, context = torch.randn(2, 2, HIDDEN, 6, 7).tanh()
    correlation, flow, trust = torch.randn(2, 12, 6, 7), torch.randn(2, 2, 6, 7), torch.rand(2, 1, 6, 7)
    found, change = step(hidden, step.prepare(context), correlation, flow, trust)
    seen = F.leaky_relu(step.seen(correlation), 0.1)
    moved = F.leaky_relu(step.moved(torch.cat([flow / 8, trust], 1)), 0.1)
    motion = F.leaky_relu(step.motion(torch.cat([seen, moved], 1)), 0.1)
    update, reset = step.gates(torch.cat([hidden, context, motion], 1)).sigmoid().chunk(2, 1)
    candidate = step.candidate(torch.cat([reset * hidden, context, motion], 1)).tanh()
    expected = (1 - update) * hidden + update * candidate
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(change, step.head2(F.leaky_relu(step.head1(expected), 0.1)), rtol=1e-4, atol=1e-5)


def test_halved_is_the_mean_of_four():
    planes = torch.rand(2, 3, 8, 10)
    torch.testing.assert_close(_halved(planes), F.avg_pool2d(planes, 2))


def test_motion_out_of_the_frame_stays_as_it_came():
    torch.manual_seed(0)
    refinement = Refinement(CEL).eval()
    torch.nn.init.normal_(refinement.step.head2.weight, std=0.2)
    coarse = torch.zeros(2, 2, 64, 96)
    coarse[0, 0] = 40  # of the first frame what is right of 55 leaves
    coarse[1, 0] = -40
    features, frames = torch.randn(2, CEL.widths[2], 8, 12), torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        refined = refinement(features, frames, coarse, torch.ones(2, 1, 64, 96))
    assert refined.change[0, :, :, :48].abs().mean() > 0.05
    assert not refined.change[0, :, :, 60:].any()
    assert not refined.change[1, :, :, :36].any()
    assert refined.change[1, :, :, 48:].abs().mean() > 0.05
