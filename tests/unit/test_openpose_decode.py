"""OpenPose's decoding, on heatmaps and fields drawn from known persons."""

from __future__ import annotations

import numpy as np
import pytest

from poseparity.bundle.tables import OpenPoseParameters
from poseparity.engines.openpose.decode import decode_persons, find_peaks, upsample
from poseparity.engines.openpose.image import fit_to_network
from poseparity.engines.openpose.layout import CHANNELS, PARTS
from poseparity.keypoints import Coco17, Coco18, coco17_from_coco18
from tests.planted import figure, network_output

PARAMETERS = OpenPoseParameters(network={}, net_height=184, width_multiple=16)
NET = (240, 184)  # width, height


def test_every_part_of_one_person_is_found_near_its_place():
    person = figure(120, 30)
    (found,) = decode_persons(network_output([person], NET), NET, PARAMETERS)
    assert np.abs(found[:, :2] - person).max() < 2.5
    assert (found[:, 2] > 0.5).all()


def test_two_persons_are_told_apart():
    left, right = figure(60, 30), figure(180, 32)
    found = decode_persons(network_output([left, right], NET), NET, PARAMETERS)
    assert len(found) == 2
    by_place = sorted(found, key=lambda person: person[Coco18.NECK, 0])
    for person, truth in zip(by_place, (left, right), strict=True):
        assert np.abs(person[:, :2] - truth).max() < 2.5


def test_a_part_without_a_peak_is_missing():
    (found,) = decode_persons(network_output([figure(120, 30)], NET, without=(Coco18.L_WRIST,)), NET, PARAMETERS)
    np.testing.assert_array_equal(found[Coco18.L_WRIST], 0)
    assert (found[:, 2] > 0).sum() == 17


def test_a_missing_neck_leaves_the_limbs_but_joins_nothing():
    found = decode_persons(network_output([figure(120, 30)], NET, without=(Coco18.NECK,)), NET, PARAMETERS)
    assert all((person[:, 2] > 0).sum() >= PARAMETERS.min_parts for person in found)
    assert not any(person[Coco18.NECK].any() for person in found)


def test_an_empty_picture_holds_nobody():
    assert decode_persons(np.zeros((CHANNELS, 23, 30), np.float32), NET, PARAMETERS).shape == (0, PARTS, 3)


def test_a_peak_is_strict_and_not_on_the_border():
    heatmap = np.zeros((20, 20), np.float32)
    heatmap[0, 5] = heatmap[10, 19] = 0.9  # on the border
    heatmap[8:10, 8] = 0.9  # a plateau has no strict maximum
    heatmap[15, 4] = 0.04  # under the threshold
    assert len(find_peaks(heatmap, 0.05)) == 0


def test_a_peak_is_refined_to_the_centroid_around_it():
    rows, columns = np.indices((40, 40))
    # Sigma 1, so that the 7x7 window holds all of it.
    heatmap = np.exp(-((columns - 20.3) ** 2 + (rows - 14.6) ** 2) / 2).astype(np.float32)
    ((x, y, score),) = find_peaks(heatmap, 0.05)
    assert (x, y) == (pytest.approx(20.3, abs=0.02), pytest.approx(14.6, abs=0.02))
    assert score == pytest.approx(heatmap[15, 20])


def test_upsampling_refuses_another_number_of_channels():
    with pytest.raises(ValueError, match=r"shape \(19, 2, 2\), expected \(57"):
        upsample(np.zeros((19, 2, 2), np.float32), NET)


def test_coco17_takes_each_joint_by_its_name():
    parts = np.array([[part, 0, 1] for part in Coco18], dtype=np.float64)
    for joint, row in zip(Coco17, coco17_from_coco18(parts), strict=True):
        assert Coco18(int(row[0])).name == joint.name


@pytest.mark.parametrize("size", [(300, 200), (90, 400), (1920, 1080), (1, 1), (3000, 40)])
def test_positions_survive_the_way_into_the_network_and_back(size):
    width, height = size
    crop = np.zeros((height, width, 3), np.uint8)
    prepared = fit_to_network(crop, net_height=184, width_multiple=16)
    assert prepared.pixels.shape[2] == 184 and prepared.pixels.shape[3] % 16 == 0
    assert prepared.pixels.shape[3] <= 4 * 184 + 16
    np.testing.assert_allclose(prepared.to_crop(np.array([-0.5, -0.5])), [-0.5, -0.5])
    corner = np.array([width * prepared.scale_x - 0.5, height * prepared.scale_y - 0.5])
    np.testing.assert_allclose(prepared.to_crop(corner), [width - 0.5, height - 0.5])


def test_padding_is_grey_which_the_network_sees_as_zero():
    prepared = fit_to_network(np.full((184, 150, 3), 255, np.uint8), net_height=184, width_multiple=16)
    assert prepared.pixels.shape == (1, 3, 184, 160)
    assert (prepared.pixels[..., 150:] == 0).all()
    assert (prepared.pixels[..., :150] == np.float32(255 / 256 - 0.5)).all()
