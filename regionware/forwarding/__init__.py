"""How a write travels from a far region to the primary's; see docs/writes.md."""
