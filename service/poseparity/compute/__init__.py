"""Where the models compute: lanes of one process that holds them once."""
