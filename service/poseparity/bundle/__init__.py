"""The model bundle: its tables, its weights, its signature, and the plain files it is made of."""
