"""The WSGI application: a table of routes, and every refusal as an answer."""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple
from wsgiref.types import StartResponse, WSGIEnvironment

from .api import Api, as_json
from .background import announce_readiness, start_sweeper
from .callbacks import Outbox, start_senders
from .config import Config, read_config
from .errors import MethodNotAllowed, NotFound, Refusal
from .faults import Faults
from .instants import utc_now
from .pages import Pages
from .refunds import Refunds
from .sessions import Sessions
from .store import Store
from .wsgi import Request, Response

Handler = Callable[[Request], Response]
Routes = dict[str, dict[str, Handler]]
log = logging.getLogger("sandbox_gateway")


class Parts(NamedTuple):
    """What the process is made of."""

    store: Store
    faults: Faults
    outbox: Outbox
    sessions: Sessions
    refunds: Refunds


def create_application() -> Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
    """Return the application, with its threads running; called once, in the process that serves."""
    # Django leaves its own TZ behind in the process that became this one; the log is in UTC whatever it says.
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)sZ gateway %(levelname)s %(message)s")
    config = read_config(environ=os.environ)
    parts = build_parts(config=config)
    start_senders(outbox=parts.outbox, url=config.callback_url, secret=config.webhook_secret)
    start_sweeper(sessions=parts.sessions, refunds=parts.refunds)
    announce_readiness(config=config)
    return Application(routes=build_routes(config=config, parts=parts))


def build_parts(*, config: Config) -> Parts:
    """Return the objects of one gateway, wired."""
    store = Store(folder=config.folder)
    faults = Faults(store=store)
    outbox = Outbox(store=store, faults=faults)
    sessions = Sessions(
        store=store,
        faults=faults,
        outbox=outbox,
        public_url=config.public_url,
        processing_seconds=config.processing_seconds,
    )
    return Parts(store, faults, outbox, sessions, Refunds(store=store, faults=faults, outbox=outbox, sessions=sessions))


def build_routes(*, config: Config, parts: Parts) -> Routes:
    """Return which handler serves which path and method."""
    api = Api(secret=config.api_secret, sessions=parts.sessions, refunds=parts.refunds, faults=parts.faults)
    pages = Pages(sessions=parts.sessions, merchant=config.merchant)
    guarded, authorized = api.guarded, api.authorized
    return {
        "/healthz": {"GET": healthz},
        "/v1/sessions": {"POST": guarded(api.create_session), "GET": guarded(api.list_sessions)},
        "/v1/sessions/{id}": {"GET": guarded(api.get_session)},
        "/v1/sessions/{id}/close": {"POST": guarded(api.close_session)},
        "/v1/refunds": {"POST": guarded(api.create_refund), "GET": guarded(api.list_refunds)},
        "/v1/refunds/{id}": {"GET": guarded(api.get_refund)},
        # Never spoiled by a fault: somebody has to be able to turn the faults off.
        "/v1/faults": {
            "GET": authorized(api.get_faults),
            "PUT": authorized(api.put_faults),
            "DELETE": authorized(api.delete_faults),
        },
        "/pay/{id}": {"GET": pages.show, "POST": pages.pay},
        "/pay/{id}/cancel": {"GET": pages.cancel, "POST": pages.cancel},
    }


class Application:
    """Find the handler, call it, and turn what it raises into an answer."""

    def __init__(self, *, routes: Routes) -> None:
        """Serve these routes."""
        self._routes = routes

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one call; nothing escapes as a server error but a defect, which is logged."""
        request = Request(environ=environ, now=utc_now())
        try:
            response = self._find(request=request)(request)
        except Refusal as refusal:
            error = {"code": refusal.code, "message": refusal.message}
            response = as_json(body={"error": error, **refusal.extra}, status=refusal.status)
        except Exception:
            log.exception("api.defect method=%s path=%s", request.method, request.path)
            error = {"code": "internal_error", "message": "This is a defect of the sandbox gateway."}
            response = as_json(body={"error": error}, status=500)
        return response.send(start_response=start_response)

    def _find(self, *, request: Request) -> Handler:
        methods = self._routes.get(request.path)
        if methods is None:
            parts = request.path.split("/")
            place = 3 if parts[1:2] == ["v1"] else 2
            if len(parts) > place and parts[place]:
                request.object_id = parts[place]
                parts[place] = "{id}"
                methods = self._routes.get("/".join(parts))
        if methods is None:
            raise NotFound("There is no such path.")
        if request.method not in methods:
            raise MethodNotAllowed(f"Allowed: {', '.join(methods)}.")
        return methods[request.method]


def healthz(_request: Request) -> Response:
    """GET /healthz: the process answers."""
    return as_json(body={"status": "ok"})
