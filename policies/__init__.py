"""What an application declares: `Route`, and the policies a route is made of."""

from regionware.policies.cache import Cache
from regionware.policies.cdn import Cdn
from regionware.policies.database import Database
from regionware.policies.route import Route
from regionware.policies.write import Write

__all__ = ["Cache", "Cdn", "Database", "Route", "Write"]
