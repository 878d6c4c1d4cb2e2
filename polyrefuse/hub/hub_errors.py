"""What the Hub client raises, as one line that says what was wrong and what to do.

The client's own messages may repeat what was sent, so they are redacted, and the exceptions behind
them are cut off: not even a traceback shows a token.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from polyrefuse.errors import AnswerIsNo, PolyRefuseError
from polyrefuse.hub.redaction import redacted_logs
from polyrefuse.redaction import redact

CHANGED = (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED)
LOG_IN = "Run 'hf auth login', or set HF_TOKEN to a token with write permission."


class PublishError(PolyRefuseError):
    """The Hub, the network, a token or a repository id that cannot be used."""


@contextmanager
def hub_errors(repo: str, token: str | None) -> Iterator[None]:
    """Turn whatever the Hub client raises into a `PublishError` (or `AnswerIsNo`) without secrets.

    Raises:
        PublishError: no network, no permission, no such repository, an answer of the Hub.
        AnswerIsNo: the repository changed in between.
    """
    try:
        with redacted_logs(token):
            yield
    except PolyRefuseError:
        raise
    except Exception as error:  # the client raises many unrelated classes
        explained = _explain(error, repo, token)
        if explained is None:
            raise
        raise explained from None


def require_repo_id(repo: str) -> None:
    """Raise `PublishError` unless `repo` is an id like ``organisation/name``."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo)
        valid = repo.count("/") == 1
    except HFValidationError:
        valid = False
    if not valid:
        raise PublishError(
            f"{redact(repo)!r} is no repository id.", "Name it like 'organisation/polyrefuse'."
        )


def _explain(error: Exception, repo: str, token: str | None) -> PolyRefuseError | None:
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return PublishError(f"{repo}: HF_HUB_OFFLINE is set, so the Hub is not asked.", "Unset it.")
    if isinstance(error, HFValidationError):
        return PublishError(f"{redact(repo, token)!r} is no repository id.", "Correct it.")
    if isinstance(error, HfHubHTTPError):
        said = redact(error.server_message or str(error).splitlines()[0], token)
        return _explain_status(error.response.status_code, repo, " ".join(said.split()))
    if isinstance(error, httpx2.HTTPError | ConnectionError | TimeoutError):
        return PublishError(
            f"{repo}: the Hub cannot be reached ({type(error).__name__}).",
            "Check the network and HF_ENDPOINT, then run the same command again.",
        )
    if isinstance(error, ValueError | RuntimeError | KeyError):
        said = " ".join(redact(str(error), token).split())
        return PublishError(f"{repo}: the Hub client refuses: {said}.", "Correct it and try again.")
    return None


def _explain_status(status: int, repo: str, said: str) -> PolyRefuseError:
    if status in CHANGED:
        return changed(repo)
    if status == HTTPStatus.UNAUTHORIZED:
        return PublishError(f"{repo}: the Hub does not accept the token (401).", LOG_IN)
    if status == HTTPStatus.FORBIDDEN:
        return PublishError(
            f"{repo}: the token may not do this (403: {said}).",
            "Use a token with write permission for that organisation, or open a pull request.",
        )
    if status == HTTPStatus.NOT_FOUND:
        return PublishError(f"{repo}: not found on the Hub (404: {said}).", "Check the name.")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return PublishError(f"{repo}: the Hub asks to slow down (429).", "Try again later.")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return PublishError(
            f"{repo}: the Hub failed ({status}: {said}).", "Run the same command again."
        )
    return PublishError(f"{repo}: the Hub refuses ({status}: {said}).", "Correct it.")


def changed(repo: str) -> AnswerIsNo:
    """Return the refusal to publish over what somebody else put there in between."""
    return AnswerIsNo(
        f"{repo}: the repository changed since the plan was made; nothing was uploaded.",
        "Run again without --yes, and look at the new plan.",
    )
