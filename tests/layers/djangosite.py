"""The application as Django has it; the settings name this module."""

from typing import Any

from asgiref.sync import sync_to_async
from django.db import DatabaseError, connections, models, transaction
from django.db.models.expressions import Func
from django.http import HttpRequest, JsonResponse
from django.urls import path

from regionware import current
from tests.layers.djangosettings import regionware_of


class Item(models.Model):
    """A thing with a value."""

    value = models.IntegerField()

    class Meta:
        """The table is there."""

        app_label = "layers"
        db_table = "goods"
        managed = False

    def __str__(self) -> str:
        return str(self.pk)


def change(number: int, words: Any) -> None:
    rw = regionware_of()
    if "early" in words:
        rw.purge(tags=[f"item:{number}"])
    if "savepoint" in words:
        with transaction.atomic():
            Item.objects.filter(pk=number).update(value=-1)
    if "raw" in words:
        with connections["default"].cursor() as cursor:
            cursor.execute("UPDATE goods SET value = %s WHERE id = %s", [words["value"], number])
    else:
        item = Item.objects.get(pk=number)
        item.value = int(words["value"])
        item.save()
    if "refused" in words:
        with connections["default"].cursor() as cursor:
            cursor.execute("INSERT INTO parts_of_goods VALUES (-1)")
    if "purge" in words:
        rw.purge(tags=[f"item:{number}"])


def work(words: Any, number: int) -> dict[str, Any]:
    for _ in range(int(words.get("times", 1))):
        with transaction.atomic():
            change(number, words)
            if "rollback" in words:
                transaction.set_rollback(True)
    return {"written": True}


def note(error: DatabaseError) -> JsonResponse:
    found = getattr(error.__cause__, "sqlstate", None)
    told = {"error": found, "notes": getattr(error, "__notes__", [])}
    return JsonResponse(told, status=409)


def look(number: int) -> dict[str, Any]:
    where = Func(function="pg_is_in_recovery", output_field=models.BooleanField())
    item = Item.objects.annotate(replica=where).get(pk=number)
    return {"value": item.value, "replica": item.replica}


@transaction.non_atomic_requests
def items(request: HttpRequest, number: int) -> JsonResponse:
    """Explicit transactions."""
    try:
        if request.method == "PUT":
            return JsonResponse(work(request.GET, number))
        if "value" in request.GET:
            change(number, request.GET)
        if "named" in request.GET:
            with connections["fra/replica-1"].cursor() as cursor:
                cursor.execute("SELECT 1")
        found = look(number)
        state = current()
        assert state is not None
        return JsonResponse({**found, "bound": state.lower is not None})
    except DatabaseError as error:
        return note(error)


def whole(request: HttpRequest, number: int) -> JsonResponse:
    """One transaction around the view: `ATOMIC_REQUESTS`."""
    if request.method == "PUT":
        change(number, request.GET)
    return JsonResponse(look(number))


@transaction.non_atomic_requests
def single(request: HttpRequest, number: int) -> JsonResponse:
    """Each statement is a transaction of its own."""
    if request.method == "PUT":
        change(number, request.GET)
    return JsonResponse(look(number))


async def loop(request: HttpRequest, number: int) -> JsonResponse:
    """An asynchronous view, whose transactions are in a thread."""
    if request.method == "PUT":
        return JsonResponse(await sync_to_async(work)(request.GET, number))
    item = await Item.objects.aget(pk=number)
    return JsonResponse({"value": item.value, "replica": item._state.db == "fra/replica-1"})


VIEWS = {"items": items, "cached": items, "strong": items, "fail": items, "escalate": items}
urlpatterns = [
    *(path(f"{kind}/<int:number>", view) for kind, view in VIEWS.items()),
    path("whole/<int:number>", whole),
    path("single/<int:number>", single),
    path("loop/<int:number>", transaction.non_atomic_requests(loop)),
]
