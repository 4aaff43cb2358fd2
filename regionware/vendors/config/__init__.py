"""`render`: the configuration that an edge needs to keep what the policies say, and no more."""

from regionware.vendors.config.rendering import render

__all__ = ["render"]
