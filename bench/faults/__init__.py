"""The fault suite: one thing is broken on the server's side, and `compare` has to name the stage and the cause.

Each fault is planted for real: another value in bundle.toml, a bit in a weights file, a function of the process, a
package from the index, an environment variable. `scripts/bench faults` writes the table of docs/faults.md.
"""
