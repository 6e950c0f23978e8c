"""What a request gets when something is wrong on our side: a status and a library's words, no detail."""

from __future__ import annotations

import structlog
from flask import request
from sqlalchemy.exc import SQLAlchemyError, TimeoutError
from werkzeug.exceptions import HTTPException, InternalServerError, ServiceUnavailable

from service.logs import describe_fault
from service.store.database import DatabaseBusyError

DATABASE_FAULTS = (SQLAlchemyError, DatabaseBusyError)
_RETRY_AFTER_SECONDS = 10

log = structlog.get_logger(__name__)


def answer_fault(error: Exception) -> HTTPException:
    """The answer to a request that ended in `error`: 503 when the database could not do it, else 500.

    An exception's message may quote what somebody wrote: neither the page nor the log holds it. What is an
    answer already (not found, too large) passes.
    """
    if isinstance(error, HTTPException):
        return error
    log.error("request_fault", endpoint=request.endpoint, **describe_fault(error))
    if isinstance(error, DATABASE_FAULTS):
        return ServiceUnavailable(retry_after=_RETRY_AFTER_SECONDS)
    return InternalServerError()


def describe_database_fault(error: Exception) -> str:
    """One line for operators: what kind of fault it is, never its message."""
    is_busy = isinstance(error, TimeoutError | DatabaseBusyError)
    return f"database: {'busy' if is_busy else type(error).__name__}"
