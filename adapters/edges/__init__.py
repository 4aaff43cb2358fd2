"""CDNs and reverse proxies in front, which purges are sent to; one small file each."""
