"""Pictures for people: the skeleton over its video, and missing joints over time. Nothing here feeds a result."""
