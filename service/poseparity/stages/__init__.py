"""The stages, one small class each. `pipeline.py` is the only list of them."""
