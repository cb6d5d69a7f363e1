"""The inputs of the fingerprint, and its digests."""

from __future__ import annotations

import hashlib

import numpy

from poseparity.environment.fingerprint import FAILURES, Inputs, attempt


def hash_by_hand(number: int) -> int:
    """What Inputs.hashes() makes of a number, in Python's own integers."""
    mask = 2**64 - 1
    mixed = number * 0x9E3779B97F4A7C15 & mask
    mixed = (mixed ^ mixed >> 29) * 0xBF58476D1CE4E5B9 & mask
    return mixed >> 40


def test_inputs_are_integers_hashes_and_exact():
    inputs = Inputs(numpy)
    by_hand = [hash_by_hand(number) for number in range(5, 65)]
    assert inputs.hashes((3, 4, 5), 5).ravel().tolist() == by_hand
    assert inputs.floats(3, 4, 5, first=5).ravel().tolist() == [value / 2**24 - 0.5 for value in by_hand]
    assert inputs.pixels(60).tolist() == [hash_by_hand(number) >> 16 for number in range(1, 61)]
    assert inputs.floats(2).dtype == numpy.float32 and inputs.doubles(2).dtype == numpy.float64


def test_a_digest_covers_type_shape_and_bytes():
    array = numpy.arange(6, dtype=numpy.float32)
    others = [array.astype(numpy.float64), array.reshape(2, 3), array.reshape(3, 2), -array]
    digests = {attempt(lambda value=value: value, numpy, ())["sha256"] for value in [array, *others]}
    assert len(digests) == 5
    expected = hashlib.sha256(b"<f4|6|" + array.tobytes()).hexdigest()
    assert attempt(lambda: array, numpy, ()) == {"sha256": expected}


def test_an_operation_that_fails_records_its_error_in_one_line():
    def fails():
        raise RuntimeError("no\n  such kernel")

    assert attempt(fails, numpy, FAILURES) == {"error": "RuntimeError: no such kernel"}
