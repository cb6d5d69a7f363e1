"""Commands of the project; `locking` is what they and the images share."""
