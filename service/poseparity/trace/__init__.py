"""Traces: what every stage of a run was given, made and took, small enough to send and to keep.

A trace is one JSON object, format "poseparity-trace/1". A script reads it with nothing but a JSON parser:

{"format", "created"            UTC, ISO 8601
 "poseparity"                   version of the package
 "bundle"                       {"name", "version", "sha256"}: sha256 of bundle.toml, which holds those of the weights
 "input"                        {"name", "kind": "video" or "csv", "bytes", "sha256"}
 "environment"                  what `verify_env.py snapshot` says of the process's environment
 "prediction"                   {"index", "label", "scores": [{"label", "score"}]}
 "stages"                       in their order; a skeleton CSV begins with "inspect"
    {"name", "parameters"       all that the stage ran with, weights by their sha256, code by that of its source
     "seconds"
     "digest"                   sha256 of "NAME:SHA256\\n" of each of its values, in their order
     "values"
        {"name", "kind"         "result": a record of the pipeline holds it; "observed": it passed by, one item a frame
         "unit", "dtype"        NumPy's dtype.str, always little-endian: "<f8" is float64, "|u1" is uint8
         "shape"                of an observed value [frames, ...]; null for a length that differs between frames
         "sha256"               see below
         "frames"               for a value with one item a frame: the first 12 hex digits of each item's digest
         "data"}]}              base64 of its bytes, where there are at most 4096 of them
 "arrays"}                      {"file", "sha256"} of the .npz beside the trace, or null

Digest of an array: sha256 over the text DTYPE|LENGTH,LENGTH,...| and the array's bytes in C order. A scalar has no
lengths: "<i8||". Digest of an observed value: sha256 over the digests of its items, 32 bytes each, one after the other.

In the .npz a result is "STAGE.NAME", an observed value "STAGE.NAME/FRAME", frames counted from 0.

The golden traces of a bundle say nothing of time, machine and code, so that recording one again gives the same bytes:
"created", "poseparity", "environment", "seconds" and the bundle's "sha256" are null, parameters have no "code" and no
"engine_code", and the .npz holds results only.
"""
