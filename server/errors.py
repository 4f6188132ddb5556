"""Errors of the server: those that become an HTTP answer, and those of the way to a worker.

    bitloom.errors.BitloomError
    ├── WorkerLinkError        the exchange with a worker failed; `worker_faults` makes an answer of it
    │   ├── WorkerUnreachable     no connection could be had
    │   ├── WorkerConnectionLost  the worker closed it, or said what is no HTTP
    │   └── WorkerOrderRefused    the engine did not do what the gateway itself asked for
    └── RequestError           one request failed; carries the fields of OpenAI's error object
        ├── BadRequest         400  the request cannot be used
        ├── Forbidden          403  the key lacks the scope
        ├── Unauthorized       401  no key, or an unknown one
        ├── NotFound           404  no experiment, arm or request has this name
        ├── UnknownModel       404  no variant or route has this name
        ├── ClientTimeout      408  the body did not arrive in time
        ├── Conflict           409  what is asked of a variant does not go with what it is, or with its routes
        ├── TooLarge           413  the body, an image or their sum is over a limit
        ├── TooMany            429  the variant's queue or the key's rate is full
        ├── WorkerFailed       502  the worker died, or answered what no worker should
        ├── StateUnusable      503  the state directory cannot be read or written
        ├── WorkerUnavailable  503  the worker is starting or restarting
        └── WorkerTimeout      504  the worker did not answer in time

Messages say what was given, what was expected and what to do. They never quote a decoder's
exception, a key or the content of a prompt.
"""

from __future__ import annotations

from bitloom.errors import BitloomError


class WorkerLinkError(BitloomError):
    """The exchange with a worker failed."""


class WorkerUnreachable(WorkerLinkError):
    """No connection to the worker could be had."""


class WorkerConnectionLost(WorkerLinkError):
    """The connection ended before the answer, or what came over it is no HTTP."""


class WorkerOrderRefused(WorkerLinkError):
    """The engine did not do what the gateway itself asked for."""


class RequestError(BitloomError):
    """A request that is answered with OpenAI's error object.

    `code` is a stable word for programs, `param` names the faulty part of the request,
    `retry_after_s` becomes the Retry-After header.
    """

    status = 500
    kind = "server_error"

    def __init__(
        self, message: str, *, code: str, param: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        self.retry_after_s = retry_after_s

    def document(self) -> dict[str, dict[str, str | None]]:
        """OpenAI's error object."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}

    def headers(self) -> dict[str, str]:
        """Headers that belong to the answer."""
        return {} if self.retry_after_s is None else {"retry-after": str(self.retry_after_s)}


class BadRequest(RequestError):
    """The request cannot be used as it is."""

    status = 400
    kind = "invalid_request_error"


class Unauthorized(RequestError):
    """No key was given, or one that the server does not know."""

    status = 401
    kind = "authentication_error"

    def headers(self) -> dict[str, str]:
        """With the scheme, as RFC 9110 demands of a 401."""
        return {**super().headers(), "www-authenticate": "Bearer"}


class Forbidden(RequestError):
    """The key does not have the scope that the path needs."""

    status = 403
    kind = "permission_error"


class NotFound(RequestError):
    """What the path or the body names does not exist."""

    status = 404
    kind = "invalid_request_error"


class UnknownModel(RequestError):
    """No variant or route has the name that the request gives."""

    status = 404
    kind = "invalid_request_error"


class ClientTimeout(RequestError):
    """The client did not send its body in time."""

    status = 408
    kind = "invalid_request_error"


class Conflict(RequestError):
    """What is asked of a variant does not go with its state, its routes or the memory there is."""

    status = 409
    kind = "invalid_request_error"


class TooLarge(RequestError):
    """The body, an image, or the sum of the images is over a limit."""

    status = 413
    kind = "invalid_request_error"


class TooMany(RequestError):
    """The variant's queue or the key's rate limit is full."""

    status = 429
    kind = "rate_limit_error"


class WorkerFailed(RequestError):
    """The worker died while it answered, or its answer cannot be passed on."""

    status = 502


class StateUnusable(RequestError):
    """What the server keeps of its experiments cannot be read or written now."""

    status = 503


class WorkerUnavailable(RequestError):
    """The worker is starting, restarting or stopping."""

    status = 503


class WorkerTimeout(RequestError):
    """The worker did not answer within the limit."""

    status = 504
