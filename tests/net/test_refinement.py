"""`cel`'s refinement: what is worked out once, or in a cheaper way, is what it stands for."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from animeinterp.net.cel.refinement import HIDDEN, Step, _halve


def test_a_step_with_the_context_worked_out_once_is_a_gru():
    torch.manual_seed(0)
    step = Step(12)
    torch.nn.init.normal_(step.head2.weight, std=0.1)
    hidden, context = torch.randn(2, 2, HIDDEN, 6, 7).tanh()
    correlation, flow, confidence = torch.randn(2, 12, 6, 7), torch.randn(2, 2, 6, 7), torch.rand(2, 1, 6, 7)
    found, change = step(hidden, step.cache_context(context), correlation, flow, confidence)
    seen = F.leaky_relu(step.seen(correlation), 0.1)
    moved = F.leaky_relu(step.moved(torch.cat([flow / 8, confidence], 1)), 0.1)
    motion = F.leaky_relu(step.motion(torch.cat([seen, moved], 1)), 0.1)
    update, reset = step.gates(torch.cat([hidden, context, motion], 1)).sigmoid().chunk(2, 1)
    candidate = step.candidate(torch.cat([reset * hidden, context, motion], 1)).tanh()
    expected = (1 - update) * hidden + update * candidate
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(change, step.head2(F.leaky_relu(step.head1(expected), 0.1)), rtol=1e-4, atol=1e-5)


def test_halve_is_the_mean_of_four():
    planes = torch.rand(2, 3, 8, 10)
    torch.testing.assert_close(_halve(planes), F.avg_pool2d(planes, 2))
