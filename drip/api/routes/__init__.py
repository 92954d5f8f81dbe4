"""One module per kind of thing that the API gives and takes."""
