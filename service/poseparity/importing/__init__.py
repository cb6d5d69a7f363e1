"""Making a bundle out of files that other programs wrote: `poseparity bundle import`."""
