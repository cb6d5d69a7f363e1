"""How sure each kind of evidence makes a cause, 0 to 1: the order of the causes that are told. Nothing else reads them.

The values matter only against each other; the fault suite (bench/faults) holds them to the right first cause. The
groups of facts of an environment have theirs in from_environment.py, beside what they take: between 0.26 and 0.86,
below all that is seen in the arrays or stands in the parameters.
"""

from __future__ import annotations

# --- what stands in the traces ---

# The runs had other inputs: nothing that follows is comparable, so it comes before all but a proof of how they differ.
INPUT = 0.97
# A parameter of the first stage that differs is other: that alone would make it differ, by a known amount or not.
PARAMETER = 0.95
# The same of a parameter that the catalogue has no words for: it may have no effect on this clip.
UNNAMED_PARAMETER = 0.9
# The stage's own code is other: often a comment. Less than a library that is seen to compute other bits.
STAGE_CODE = 0.7
# The bundles' digests are other, and no parameter is: labels, a clip, or a file that no stage reads. Rarely the cause.
BUNDLE_DIGEST = 0.2
# A parameter of a later stage does not explain the first difference; it adds to those that follow. A factor.
LATER_STAGE = 0.2
# With nothing surer than this, the report says that it does not know. Just below the weakest group of facts.
SOMETHING = 0.25

# --- what the arrays show; a test of the values against an explanation and against none ---

# The difference follows the explanation's formula to the last digits: above "the inputs differ", because it says how.
FORMULA = 0.99
# An explanation takes away nearly all of a difference between pixels. Multiplied by the share that it does take away,
# so it begins above every library that is other (at most AT_MOST, below).
PIXELS = 0.94
# Pixels differ, and none of the known ways explains it: less than any library that is other.
UNEXPLAINED_PIXELS = 0.45
# The values show it, and a parameter that says it as well (0.95) is told first.
SHOWN = 0.92
# The same where two readings are near each other, such as one side interpolated and both.
NEARLY_SHOWN = 0.9
# Where no joint is missing in between, the gaps at the ends look the same without any interpolation.
SHOWN_AT_THE_ENDS = 0.85
# The frames that were kept begin and end with the clip: a clip without static ends looks the same.
FRAMES_SHOW = 0.8

# --- what the environments show ---

# By how directly the stage computes with a library: first, second, ... in its list.
RELEVANCE = (1.0, 0.95, 0.9, 0.85)
# The stage does not compute with it at all. Still surer than not to know. A factor.
ELSEWHERE = 0.35
# Added where the fingerprint shows that the library does compute other bits; at most AT_MOST then, since which of its
# operations the stage calls is not known.
WITH_OPERATIONS, AT_MOST = 0.1, 0.9
# Only the fingerprint of a library's operations is other, and nothing says why.
OPERATIONS_ALONE = 0.75
# What is wrong in both environments alike explains less than what differs. A factor.
BOTH_SIDES = 0.5
