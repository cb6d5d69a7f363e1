"""The skeleton drawn over its video: what was seen, what was filled in, and which frames were kept."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ..errors import OutputError
from ..outputs import replacing
from ..pipeline import PipelineResult
from ..records import Size
from ..stages.decode import frames
from .figure import draw_box, draw_figure
from .strips import Caption, Footer, Header

# MPEG-4 Part 2: OpenCV's wheel can write it without a further library, and every desktop player reads it.
_CODEC = cv2.VideoWriter_fourcc(*"mp4v")
_TRIMMED_BRIGHTNESS = 0.4  # so dark that it is told at a glance, and the person is still seen


class Overlay:
    """Draws one frame of the video at a time.

    The picture keeps its size. Above it a strip names the answer and the frame, below it one shows which frames were
    kept; a frame that was trimmed away is darkened. A joint that was filled in by interpolation is hollow, one that
    is not known at all is not drawn. Where others are in the video, a line below the answer says so in the frames that
    have them, and orange red on the time line marks those in which joints of two people may be mixed.

    Args:
        result: of a video.

    Attributes:
        size: of the drawn frames; even numbers, as video needs them.
        top: height of the upper strip: a joint at (x, y) is drawn at (x, y + top).
    """

    def __init__(self, result: PipelineResult) -> None:
        picture = result.skeleton.frame_size
        self._seen = ~result.skeleton.missing
        self._filled = result.filled
        self._crop = result.skeleton.crop
        first = result.kept.first_frame
        self._kept = range(first, first + result.kept.frame_count)
        answer = result.prediction
        self._header = Header(picture.width, picture.height, answer.label, float(answer.scores[answer.index]))
        company = result.skeleton.company
        doubtful = company.mixed | company.changed if company else np.zeros(len(self._seen), bool)
        others = company is not None and (company.several | doubtful).any()
        self._caption = Caption(picture.width, picture.height, company) if others else None
        self._footer = Footer(picture.width, picture.height, result.skeleton.frame_count, self._kept, doubtful)
        self.top = self._header.height + (self._caption.height if self._caption else 0)
        height = self.top + picture.height + self._footer.height
        self.size = Size(picture.width + picture.width % 2, height + height % 2)

    def draw(self, index: int, picture: np.ndarray) -> np.ndarray:
        """The frame `picture`, uint8 (height, width, 3), BGR, with everything drawn on it and around it."""
        known = ~self._filled.missing[index]
        kept = index in self._kept
        drawn = picture.copy() if kept else cv2.convertScaleAbs(picture, alpha=_TRIMMED_BRIGHTNESS)
        draw_box(drawn, self._crop)
        draw_figure(drawn, self._filled.keypoints[index, :, :2], seen=self._seen[index], known=known, crop=self._crop)
        counts = (int(self._seen[index].sum()), int((known & ~self._seen[index]).sum()), int((~known).sum()))
        header = self._header.draw(index, len(self._seen), kept, counts)
        caption = [self._caption.draw(index)] if self._caption else []
        canvas = np.concatenate([header, *caption, drawn, self._footer.draw(index)])
        below, right = self.size.height - canvas.shape[0], self.size.width - canvas.shape[1]
        return cv2.copyMakeBorder(canvas, 0, below, 0, right, cv2.BORDER_REPLICATE)


def write_overlay(path: Path, result: PipelineResult) -> None:
    """Write the video with the skeleton drawn over it, MPEG-4 in an .mp4; frames are streamed.

    Args:
        path: ends in .mp4; an existing file is replaced when the new one is complete.
        result: of a video.

    Raises:
        InputError: the video cannot be decoded any more.
        OutputError: the file could not be written whole.
    """
    overlay = Overlay(result)
    size = (overlay.size.width, overlay.size.height)
    with replacing(path) as partial:
        writer = cv2.VideoWriter(str(partial), cv2.CAP_FFMPEG, _CODEC, result.video.frames_per_second, size)
        try:
            for index, picture in frames(result.video):
                writer.write(overlay.draw(index, picture))
        finally:
            writer.release()
        # OpenCV's writer does not tell of a full disk or a codec that it lacks.
        written = cv2.VideoCapture(str(partial), cv2.CAP_FFMPEG) if partial.exists() else None
        found = int(written.get(cv2.CAP_PROP_FRAME_COUNT)) if written and written.isOpened() else 0
        if found != result.video.frame_count:
            raise OutputError(
                f"{path} was not written: {found} of {result.video.frame_count} frames came out",
                fix="make room on the disk, or name a file on another one",
            )
