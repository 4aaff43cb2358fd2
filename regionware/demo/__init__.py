"""The reference application, and `regionware demo`, which shows it on two continents.

`schema`, `asgi` and `wsgi` are a small multi-tenant catalogue, once on Starlette and once on plain
werkzeug. `policies` is everything that regionware needs to know about it. The other modules start
real servers with a distance between them, send them one workload, and check every answer.
"""
