"""The colours of all pictures: Okabe and Ito's palette, which people with any colour vision tell apart.

https://jfly.uni-koeln.de/color/
"""

from __future__ import annotations

RGB = tuple[int, int, int]

# Orange, sky blue, yellow, bluish green and vermilion.
LEFT: RGB = (230, 159, 0)
RIGHT: RGB = (86, 180, 233)
MIDDLE: RGB = (240, 228, 66)
KEPT: RGB = (0, 158, 115)
MISSING: RGB = (213, 94, 0)

INK: RGB = (20, 20, 20)
PAPER: RGB = (255, 255, 255)
FAINT: RGB = (190, 190, 190)
MUTED: RGB = (110, 110, 110)


def hexadecimal(colour: RGB) -> str:
    """As matplotlib takes it: #rrggbb."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def bgr(colour: RGB) -> tuple[int, int, int]:
    """As OpenCV takes it."""
    return colour[::-1]
