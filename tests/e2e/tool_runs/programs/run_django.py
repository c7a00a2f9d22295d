"""Django: its introspection, its ORM, a cursor on the server, what its commands look for."""

from __future__ import annotations

import io

import django
import place
from django.conf import settings
from django.core.management import call_command

settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql", "NAME": place.DATABASE, "USER": place.USER,
            "PASSWORD": place.PASSWORD, "HOST": place.HOST, "PORT": place.PORT, "OPTIONS": {
                "sslmode": place.SSLMODE, "options": "-c search_path=app,public",
                **({"sslrootcert": place.ROOT} if place.ROOT else {}),
            },
        }
    },
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)  # fmt: skip
django.setup()

from django.db import connection, models, transaction  # noqa: E402 - not before the settings are there


class Order(models.Model):
    state = models.CharField(max_length=10)
    placed = models.DateTimeField()
    note = models.TextField(null=True)

    class Meta:
        app_label = "shop"
        managed = False
        db_table = "orders"

    def __str__(self) -> str:
        return str(self.pk)


def command(name: str, *arguments: str, **options: object) -> str:
    told = io.StringIO()
    call_command(name, *arguments, stdout=told, stderr=told, **options)
    return told.getvalue()


place.attempt("inspectdb", command, "inspectdb", *sorted(
    set(connection.introspection.table_names(include_views=True)) - {"stock"}  # a foreign table that leads nowhere
))  # fmt: skip
place.attempt("check", command, "check", databases=["default"])
place.attempt("migrations", command, "showmigrations")
place.attempt("tables", connection.introspection.table_names)
place.attempt("count", Order.objects.filter(placed__year__gte=2020).count)
place.attempt("grouped", lambda: list(
    Order.objects.annotate(month=models.functions.TruncMonth("placed")).values("month").annotate(n=models.Count("id"))
    .order_by("month")[:12]
))  # fmt: skip
place.attempt("explained", lambda: bool(Order.objects.filter(pk=1).explain(analyze=True)))
with transaction.atomic():
    place.attempt("iterator", lambda: sum(1 for _ in Order.objects.iterator(chunk_size=10)))
    place.attempt("savepoint", lambda: transaction.savepoint_commit(transaction.savepoint()))
