"""What CDNs obey: dated data, the form of tags, and the configuration that an edge needs."""
