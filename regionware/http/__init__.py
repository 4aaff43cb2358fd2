"""HTTP as values: the request view, header fields, dates. Nothing here performs I/O."""
