"""The stages, one small class each; `base.py` has a row for each, `pipeline.py` puts them together."""
