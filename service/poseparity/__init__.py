"""poseparity: skeleton action recognition whose server computes what the local machine computed, bit for bit."""

__version__ = "0.1.0"
