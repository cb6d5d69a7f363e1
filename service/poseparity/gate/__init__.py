"""May this image serve? What it said when it ran the clips, held against what this machine says."""
