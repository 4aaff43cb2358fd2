"""Django's settings: one set for each process, in which only the worker changes."""

from typing import Any

import django
from django.conf import settings

from regionware import Regionware
from regionware.adapters.django import databases


def regionware_of() -> Regionware:
    """The worker that the settings name."""
    found = settings.REGIONWARE
    assert isinstance(found, Regionware)
    return found


def configure(rw: Regionware) -> None:
    """Set up Django, once; then only name another worker."""
    if not settings.configured:
        options: dict[str, Any] = {"ATOMIC_REQUESTS": True, "CONN_MAX_AGE": 0}
        settings.configure(
            ALLOWED_HOSTS=["*"],
            DATABASES=databases(rw.selector, **options),
            DATABASE_ROUTERS=["regionware.adapters.django.Router"],
            MIDDLEWARE=["regionware.adapters.django.middleware"],
            REGIONWARE=rw,
            ROOT_URLCONF="tests.layers.djangosite",
            SECRET_KEY="of the tests",
        )
        django.setup()
    settings.REGIONWARE = rw
