"""The pictures, looked at: what has which colour where, after the file was written and read back."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFont

from poseparity.errors import OutputError
from poseparity.keypoints import CSV_NAMES, Coco17
from poseparity.pictures import overlay as overlays
from poseparity.pictures.figure import joint_radius, side_colour
from poseparity.pictures.overlay import Overlay, write_overlay
from poseparity.pictures.palette import INK, KEPT, LEFT, MIDDLE, MISSING, MUTED, RIGHT, hexadecimal
from poseparity.pictures.plot import MOST_COLUMNS, columns_of, draw_plot, write_plot
from poseparity.pictures.strips import Caption, Header, _cut
from poseparity.pipeline import PipelineResult
from poseparity.records import Box, Company, Prediction, Size, Skeleton, Video
from poseparity.stages.decode import Decode
from poseparity.stages.interpolate import Interpolate, filled

FRAMES, GREY = 12, 120
KEPT_FRAMES = range(3, 10)
CROP = Box(40, 20, 400, 320)
GAP = 5  # the frame in which the left wrist is missing
UNKNOWN = Coco17.R_EAR  # missing in every frame
NEAR = 45  # 8-bit steps that compression may change


def close(pixel: np.ndarray, colour: tuple[int, int, int]) -> bool:
    """Whether a BGR pixel is that RGB colour, but for compression."""
    return bool(np.abs(np.asarray(pixel, int)[::-1] - colour).max() <= NEAR)


def keypoints() -> np.ndarray:
    """Joints on a grid, far enough from each other that none covers another; the figure moves to the right."""
    points = np.zeros((FRAMES, 17, 3))
    points[..., 0] = 70 + 66 * (np.arange(17) % 6) + np.arange(FRAMES)[:, None]
    points[..., 1] = 50 + 110 * (np.arange(17) // 6)
    points[..., 2] = np.linspace(0.2, 0.9, 17)
    points[GAP, Coco17.L_WRIST] = 0
    points[:, UNKNOWN] = 0
    return points


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> PipelineResult:
    """An answer about a grey video."""
    size = Size(480, 360)
    return answer_about(grey_video(tmp_path_factory.mktemp("video") / "in.avi", size), size)


def answer_about(video: Video, size: Size) -> PipelineResult:
    skeleton = Skeleton(keypoints(), frame_size=size, crop=CROP)
    whole = Skeleton(filled(skeleton.keypoints, skeleton.missing), frame_size=size, crop=CROP)
    return PipelineResult(
        bundle={},
        skeleton=skeleton,
        kept=Skeleton(whole.keypoints[KEPT_FRAMES.start : KEPT_FRAMES.stop], first_frame=KEPT_FRAMES.start),
        prediction=Prediction(("golf_swing", "squat"), np.array([0.75, 0.25], np.float32)),
        records={Decode.name: video, Interpolate.name: whole},
        seconds={},
    )


def grey_video(path, size: Size) -> Video:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 28.05, (size.width, size.height))
    for _ in range(FRAMES):
        writer.write(np.full((size.height, size.width, 3), GREY, np.uint8))
    writer.release()
    return Video(path, size, 28.05, FRAMES)


@pytest.fixture(scope="module")
def written(result, tmp_path_factory) -> list[np.ndarray]:
    """The overlay's frames, decoded from the file."""
    path = tmp_path_factory.mktemp("overlay") / "out.mp4"
    write_overlay(path, result)
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(28.05, abs=0.01)
    found = []
    while (read := capture.read())[0]:
        found.append(read[1])
    return found


def at(frame: np.ndarray, result: PipelineResult, index: int, joint: Coco17, dx: int = 0) -> np.ndarray:
    """The overlay's pixel at a joint, or beside it."""
    x, y = result.filled.keypoints[index, joint, :2].astype(int)
    return frame[y + Overlay(result).top, x + dx]


def test_every_frame_is_written_in_even_size_with_room_for_the_picture(result, written):
    assert len(written) == FRAMES
    height, width = written[0].shape[:2]
    picture = result.skeleton.frame_size
    assert (width, height % 2) == (picture.width, 0)
    assert height > picture.height + Overlay(result).top


@pytest.mark.parametrize("size", [Size(481, 361), Size(480, 361), Size(481, 360)])
def test_odd_sizes_become_even_ones(size):
    overlay = Overlay(answer_about(None, size))
    drawn = overlay.draw(GAP, np.full((size.height, size.width, 3), GREY, np.uint8))
    assert drawn.shape == (overlay.size.height, overlay.size.width, 3)
    assert (drawn.shape[0] % 2, drawn.shape[1]) == (0, size.width + size.width % 2)
    assert (drawn[overlay.top : overlay.top + 10, :] == GREY).all()


@pytest.mark.parametrize("index", [0, GAP, FRAMES - 1])
def test_seen_joints_are_discs_in_the_colour_of_their_side(result, written, index):
    for joint in set(Coco17) - {UNKNOWN, Coco17.L_WRIST}:
        expected = MIDDLE if joint is Coco17.NOSE else LEFT if joint.name.startswith("L_") else RIGHT
        assert close(at(written[index], result, index, joint), expected), joint


def test_an_interpolated_joint_is_a_ring(result, written):
    radius = joint_radius(CROP)
    assert close(at(written[GAP], result, GAP, Coco17.L_WRIST), INK)
    ring = [at(written[GAP], result, GAP, Coco17.L_WRIST, side * radius) for side in (-1, 1)]
    assert any(pixel[2] > pixel[0] + NEAR for pixel in ring)  # orange: red over blue
    assert close(at(written[GAP - 1], result, GAP - 1, Coco17.L_WRIST), LEFT)


def test_a_joint_that_is_not_known_is_not_drawn(written):
    corner = written[GAP][:, : CROP.x // 2]  # 0, 0 would be drawn here, and the limb to it
    assert not any(close(pixel, RIGHT) for pixel in corner.reshape(-1, 3))


def test_trimmed_frames_are_dark_and_kept_ones_are_not(result, written):
    row = Overlay(result).top + 10
    for index, frame in enumerate(written):
        bright = frame[row, 10].mean() > 100
        assert bright is np.bool_(index in KEPT_FRAMES), index


def test_the_crop_is_outlined(result, written):
    for x, y in ((CROP.x, CROP.y + 90), (CROP.x + CROP.width, CROP.y + 90), (CROP.x + 9, CROP.y)):
        around = written[GAP][Overlay(result).top + y - 3 :][:6, x - 3 : x + 3]
        assert around.min(axis=2).max() > 200


def test_the_time_line_shows_what_was_kept_and_where_we_are(result, written):
    top, height = Overlay(result).top, result.skeleton.frame_size.height
    footer = [frame[top + height :] for frame in written]
    line = footer[0][footer[0].shape[0] // 2]
    colours = ["kept" if close(pixel, KEPT) else "trimmed" if close(pixel, MUTED) else "" for pixel in line]
    kept = [x for x, colour in enumerate(colours) if colour == "kept"]
    width = len(line)
    assert min(kept) == pytest.approx(width * KEPT_FRAMES.start / FRAMES, abs=12)
    assert max(kept) == pytest.approx(width * KEPT_FRAMES.stop / FRAMES, abs=12)
    assert "trimmed" in colours[max(kept) :]
    markers = [int(np.argmax(strip.min(axis=2).max(axis=0) > 200)) for strip in footer]
    assert markers == sorted(set(markers))


def test_the_header_has_text_on_both_sides_that_changes_with_the_frame(result, written):
    header = [frame[: Overlay(result).top].max(axis=2) for frame in written]
    half = header[0].shape[1] // 2
    assert (header[0][:, :half] > 150).any() and (header[0][:, half:] > 150).any()
    assert np.abs(header[2].astype(int) - header[3]).max() > 100  # "trimmed" becomes "kept"


@pytest.mark.parametrize("size", [(320, 240), (1920, 1080), (1080, 1920)])
def test_texts_never_meet(size):
    """A label of any length leaves the text on the right as it is, and a gap before it; the score is not cut."""
    long = Header(*size, "a_label_that_goes_on_and_on" * 9, 0.25)
    strip = long.draw(8999, 9000, False, (10, 6, 1))
    assert strip.shape == (long.height, size[0], 3)
    alone = Header(*size, "", 0.25).draw(8999, 9000, False, (10, 6, 1))
    middle = size[0] // 3  # the score of the empty label ends before it
    start = middle + int(np.argmax((alone[: long.height // 2, middle:] > 100).any(axis=(0, 2))))
    np.testing.assert_array_equal(strip[:, start - 2 :], alone[:, start - 2 :])
    other = Header(*size, "a_label_that_goes_on_and_on" * 9, 0.75).draw(8999, 9000, False, (10, 6, 1))
    assert (other != strip).any()


def test_a_picture_too_small_for_its_texts_is_drawn_all_the_same():
    strip = Header(64, 48, "golf_swing", 0.5).draw(8999, 9000, False, (10, 6, 1))
    assert strip.shape[1:] == (64, 3)


def test_a_long_text_is_cut_to_its_room():
    font = ImageFont.load_default(size=12)
    assert _cut("short", font, 500) == "short"
    cut = _cut("a text that is far too long", font, 60)
    assert cut.endswith("…") and font.getlength(cut) <= 60


def test_the_pictures_own_input_is_left_as_it_is(result):
    picture = np.full((result.skeleton.frame_size.height, result.skeleton.frame_size.width, 3), GREY, np.uint8)
    Overlay(result).draw(GAP, picture)
    assert (picture == GREY).all()


def test_an_overlay_that_cannot_be_encoded_is_told_and_leaves_nothing(result, tmp_path, monkeypatch):
    monkeypatch.setattr(overlays, "_CODEC", cv2.VideoWriter_fourcc(*"none"))
    with pytest.raises(OutputError, match=f"0 of {FRAMES} frames came out"):
        write_overlay(tmp_path / "out.mp4", result)
    assert list(tmp_path.iterdir()) == []


# --- others in the video ---------------------------------------------------------------------------------------------


def in_company(result: PipelineResult, **frames: list[int]) -> Overlay:
    """The overlay of an answer whose video had others in these frames."""
    marks = {name: np.isin(np.arange(FRAMES), frames.get(name, [])) for name in ("several", "mixed", "changed")}
    most = 2 if marks["several"].any() else 1
    return Overlay(replace(result, skeleton=replace(result.skeleton, company=Company(most, **marks))))


def grey(result: PipelineResult) -> np.ndarray:
    return np.full((result.skeleton.frame_size.height, result.skeleton.frame_size.width, 3), GREY, np.uint8)


def test_an_overlay_without_others_is_as_it_was(result):
    alone = Overlay(result)
    for overlay in (in_company(result), in_company(result, several=[])):
        assert (overlay.top, overlay.size) == (alone.top, alone.size)
        np.testing.assert_array_equal(overlay.draw(GAP, grey(result)), alone.draw(GAP, grey(result)))


def test_frames_in_which_joints_may_be_mixed_have_a_caption_in_orange_red(result):
    overlay = in_company(result, several=[2, 4, 6], mixed=[4], changed=[6])
    alone = Overlay(result)
    captions = [overlay.draw(index, grey(result))[alone.top : overlay.top] for index in range(FRAMES)]
    ground = ["red" if close(caption[2, -2], MISSING) else "ink" for caption in captions]
    assert [index for index, colour in enumerate(ground) if colour == "red"] == [4, 6]
    written = [bool((caption.min(axis=2) > 200).any()) for caption in captions]
    assert [index for index, has_text in enumerate(written) if has_text] == [2, 4, 6]
    assert (captions[4] != captions[6]).any(), "a mixture and another person are told apart"


def test_the_picture_lies_below_the_caption(result):
    overlay = in_company(result, several=[2])
    drawn = overlay.draw(0, grey(result))
    assert (drawn[overlay.top + 5, :10] == drawn[overlay.top + 5, 0]).all()
    x, y = result.filled.keypoints[GAP, Coco17.NOSE, :2].astype(int)
    assert close(overlay.draw(GAP, grey(result))[y + overlay.top, x], MIDDLE)


def test_the_time_line_marks_those_frames(result):
    overlay = in_company(result, several=[2, 3, 4, 6], mixed=[3, 4], changed=[6])
    footer = overlay.draw(0, grey(result))[overlay.top + result.skeleton.frame_size.height :]
    marked = [x for x in range(footer.shape[1]) if any(close(pixel, MISSING) for pixel in footer[:, x])]
    frames = sorted({x * FRAMES // footer.shape[1] for x in marked})
    assert {3, 4, 6} <= set(frames) <= {2, 3, 4, 5, 6, 7} and 9 not in frames
    plain = in_company(result, several=[2, 3]).draw(0, grey(result))[overlay.top + result.skeleton.frame_size.height :]
    assert not any(close(pixel, MISSING) for pixel in plain.reshape(-1, 3))


@pytest.mark.parametrize("size", [(64, 48), (320, 240), (1920, 1080), (1080, 1920)])
def test_a_caption_fits_into_every_picture(size):
    mixed = np.ones(3, bool)
    strip = Caption(*size, Company(2, mixed, mixed, ~mixed)).draw(1)
    assert strip.shape[1:] == (size[0], 3)
    assert close(strip[0, -1], MISSING), "room is left at the end"


def test_a_limb_between_the_sides_has_the_middles_colour():
    assert side_colour(Coco17.L_HIP, Coco17.R_HIP) == MIDDLE
    assert side_colour(Coco17.NOSE, Coco17.L_EYE) == LEFT
    assert side_colour(Coco17.R_KNEE, Coco17.R_ANKLE) == RIGHT


# --- the plot --------------------------------------------------------------------------------------------------------


def cell_colour(figure, image: np.ndarray, frame: float, joint: int) -> str:
    """The colour in the middle of a cell, as #rrggbb."""
    x, y = figure.axes[0].transData.transform((frame, joint + 0.5))
    return hexadecimal(tuple(int(value) for value in image[round(image.shape[0] - y), round(x)]))


def plotted(tmp_path, skeleton: Skeleton, kept: Skeleton | None = None):
    """The figure, and the pixels of the PNG that was written."""
    write_plot(tmp_path / "out.png", skeleton, kept, caption="a caption with $ and _")
    with Image.open(tmp_path / "out.png") as image:
        assert image.format == "PNG"
        return draw_plot(skeleton, kept, caption=""), np.asarray(image.convert("RGB"))


def test_missing_cells_and_no_others_have_their_colour(tmp_path):
    skeleton = Skeleton(keypoints())
    figure, image = plotted(tmp_path, skeleton)
    assert image.shape == (975, 1950, 3)
    for frame in range(FRAMES):
        for joint in Coco17:
            found = cell_colour(figure, image, frame, joint)
            assert (found == hexadecimal(MISSING)) == skeleton.missing[frame, joint], (frame, joint)


def test_confidence_is_the_shade(tmp_path):
    figure, image = plotted(tmp_path, Skeleton(keypoints()))
    low, high = (
        np.array(bytearray.fromhex(cell_colour(figure, image, 1, joint)[1:])).sum()
        for joint in (Coco17.NOSE, Coco17.R_ANKLE)
    )
    assert low > high + 100


def test_trimmed_ends_are_paler_and_missing_cells_in_them_still_differ(tmp_path):
    skeleton = Skeleton(keypoints())
    kept = Skeleton(skeleton.keypoints[3:10], first_frame=3)
    figure, image = plotted(tmp_path, skeleton, kept)
    inside, outside, seen = (
        bytearray.fromhex(cell_colour(figure, image, frame, joint)[1:])
        for frame, joint in ((GAP, UNKNOWN), (0.1, UNKNOWN), (0.1, Coco17.R_ANKLE))
    )
    assert tuple(inside) == MISSING
    assert sum(outside) > sum(inside) and outside[0] > outside[2] + 50
    assert seen[2] > seen[0]


def test_rows_are_named_and_counted():
    figure = draw_plot(Skeleton(keypoints()), None, caption="")
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(CSV_NAMES)
    right = [label.get_text() for label in axes.child_axes[0].get_yticklabels()]
    assert right[UNKNOWN] == "12  never seen"
    assert right[Coco17.L_WRIST] == "1  (8.3%)"
    assert right[Coco17.NOSE] == "0"
    assert "13 of 204 (6.37%)" in figure.texts[0].get_text()


def test_no_text_leaves_the_picture_or_touches_another():
    long = Skeleton(np.zeros((9000, 17, 3)))
    figure = draw_plot(long, Skeleton(long.keypoints[10:8000], first_frame=10), caption="a_Long_Name_" * 30)
    figure.canvas.draw()
    axes = figure.axes[0]
    texts = [*figure.texts, *figure.legends, axes.xaxis.label, *axes.get_yticklabels()]
    texts += axes.child_axes[0].get_yticklabels()
    boxes = [text.get_window_extent() for text in texts]
    for box in boxes:
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1
    touching = [(a, b) for i, a in enumerate(boxes) for b in boxes[i + 1 :] if a.overlaps(b)]
    assert not touching


@pytest.mark.parametrize("frames, width", [(2, 1), (MOST_COLUMNS, 1), (MOST_COLUMNS + 1, 2), (9000, 13)])
def test_a_single_missing_frame_is_seen_in_a_recording_of_any_length(frames, width):
    skeleton = Skeleton(np.full((frames, 17, 3), 0.5))
    skeleton.keypoints[frames - 1, Coco17.NOSE] = 0
    cells, found = columns_of(skeleton)
    assert found == width
    assert cells.shape == (17, -(-frames // width))
    assert np.isnan(cells[Coco17.NOSE, -1]) and np.isnan(cells).sum() == 1
    assert np.nanmax(np.abs(cells - 0.5)) < 1e-12
