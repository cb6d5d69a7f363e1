"""What explains the difference between two traces: from parameters, from the environment, from the arrays."""
