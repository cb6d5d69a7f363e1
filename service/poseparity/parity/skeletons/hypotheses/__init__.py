"""What can explain a difference between two skeletons. Each looks at an alignment and names causes, or none."""
