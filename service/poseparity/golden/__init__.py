"""Golden traces: what a bundle's inputs gave where the bundle was made, to be held against what they give elsewhere.

bundle.toml names them: `[[golden]]` with `input` (a file of the bundle), `trace` (golden/NAME.json) and its `sha256`.
Beside a trace lies its .npz with the results of every stage. Neither says anything of time, machine and code, so that
recording one again gives the same bytes.
"""
