"""What the admin pages of all contexts share: rows that are read only, lists that may be long, buttons that act."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.admin import SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.formats import date_format
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from shop.kernel.errors import Refusal
from shop.kernel.money import Money
from shop.kernel.panels import Action, way_back


def filter_by(column: str, *, words: Callable[[], Iterable[str]]) -> type[SimpleListFilter]:
    """Return a list filter by the words a column may hold; by itself Django reads the whole table to learn them."""

    class ByWord(SimpleListFilter):
        title = column.replace("_", " ")
        parameter_name = column

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            """Return what may be chosen."""
            return [(word, word) for word in words()]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            """Keep the rows that hold what was chosen."""
            return queryset.filter(**{column: self.value()}) if self.value() else queryset

    return ByWord


class LongList:
    """A list that costs the same whatever its length: newest first, never counted, searched by index only."""

    ordering: ClassVar[Any] = ["-id"]
    # Sorting by another column, or counting all rows, would cost more with every row there ever was.
    sortable_by: ClassVar[Any] = []
    paginator = InfinitePaginator
    show_full_result_count = False
    list_per_page = 50

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Show what `found` finds; everything while nothing is searched for."""
        text = search_term.strip()
        return (self.found(queryset, text) if text else queryset), False

    def found(self, rows: QuerySet[Any], text: str) -> QuerySet[Any]:
        """Return the rows a person means by `text`, each way exact and by an index."""
        return rows.none()


class ReadOnlyAdmin(ModelAdmin):
    """Rows that only services write. What staff may do beside looking is an action with the permission `act`."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nothing is added by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing is edited by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing is thrown away."""
        return False

    def has_act_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Tell who may act: those with Django's permission to change such rows, though no field can be edited."""
        allowed: bool = request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}")
        return allowed

    def carried_out(self, request: HttpRequest, row: Model, act: Callable[[], str]) -> str | None:
        """Act, write what `act` returns into the admin's log, and return it; tell staff of a refusal instead."""
        try:
            done = act()
        except Refusal as refusal:
            self.message_user(request, refusal.detail, messages.ERROR)
            return None
        self.log_change(request, row, done)
        return done


class ActingAdmin(ReadOnlyAdmin):
    """A read-only page with a button below it for everything that may be done with the row."""

    change_form_outer_after_template = "kernel/actions.html"

    def offered(self, row: Any) -> tuple[Action, ...]:
        """Return what the row's state allows to do with it."""
        return ()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the row, and to those who may act the buttons."""
        row = self.get_object(request, object_id)
        offered = self.offered(row) if row is not None and self.has_act_permission(request) else ()
        context = {"offered": offered, "next": request.get_full_path(), **(extra_context or {})}
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def acting(self, name: str, act: Callable[[HttpRequest, Any], str]) -> URLPattern:
        """Return the address that calls `act` with the row on a POST, tells staff what it returns, and goes back."""

        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            if request.method != "POST":
                return HttpResponseNotAllowed(["POST"])
            if not self.has_act_permission(request):
                raise PermissionDenied
            row = self.get_object(request, object_id)
            if row is None:
                raise Http404
            if done := self.carried_out(request, row, lambda: act(request, row)):
                self.message_user(request, done, messages.SUCCESS)
            page = reverse(f"admin:{self._named('change')}", args=[row.pk])
            return HttpResponseRedirect(way_back(request, otherwise=page))

        address: URLPattern = path(f"<str:object_id>/{name}/", self.admin_site.admin_view(view), name=self._named(name))
        return address

    def _named(self, view: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{view}"


def instant_text(at: datetime) -> str:
    """Return an instant as admin pages write it, in UTC."""
    return str(date_format(at, "Y-m-d H:i:s"))


def money_text(minor: int, currency: str) -> str:
    """Return money as admin pages write it, such as `12.50 EUR`."""
    return str(Money(minor, currency))
