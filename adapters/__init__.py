"""How the world outside speaks: ASGI and WSGI."""
