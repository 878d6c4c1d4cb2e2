"""What is on the Hub now: commit, gating and the digest of every file. Reads only."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from polyrefuse.hub.hub_errors import PublishError, hub_errors

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Gating = Literal["auto", "manual"]
RepoType = Literal["dataset", "model"]


@dataclass(frozen=True)
class Remote:
    """The state of a repository; `commit` is None where there is none.

    `digests` maps a path to its git blob id, or to ``sha256:...`` where it is an LFS file.
    """

    commit: str | None
    gated: Gating | Literal[False]
    digests: dict[str, str] = field(default_factory=dict)


def hub_client(endpoint: str | None, token: str | None) -> "HfApi":
    """Return a Hub client for `endpoint` (default: HF_ENDPOINT, else huggingface.co).

    Raises:
        PublishError: the endpoint is no plain http(s) address.
    """
    from huggingface_hub import HfApi, constants

    address = (endpoint or constants.ENDPOINT).rstrip("/")
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise PublishError(
            "the Hub's endpoint is no address like 'https://huggingface.co'.",
            "Correct HF_ENDPOINT; it holds neither user nor password.",
        )
    return HfApi(endpoint=address, token=token)


def resolve_token(token: str | None) -> str | None:
    """Return `token`, else the one of the environment or of ``hf auth login``, else None."""
    from huggingface_hub import get_token

    return token or get_token()


def read_remote(
    api: "HfApi", repo: str, revision: str | None = None, repo_type: RepoType = "dataset"
) -> Remote:
    """Return the state of repository `repo` at `revision` (default: main).

    Raises:
        PublishError: the Hub cannot be reached or does not let this token read.
    """
    from huggingface_hub import RepoFile
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    token = api.token if isinstance(api.token, str) else None
    with hub_errors(repo, token):
        try:
            info = api.repo_info(repo, revision=revision, repo_type=repo_type)
        except GatedRepoError:
            raise
        except RepositoryNotFoundError:
            return Remote(None, gated=False)
        tree = api.list_repo_tree(repo, recursive=True, revision=info.sha, repo_type=repo_type)
        files = [entry for entry in tree if isinstance(entry, RepoFile)]
    digests = {
        entry.path: f"sha256:{entry.lfs.sha256}" if entry.lfs else entry.blob_id for entry in files
    }
    return Remote(info.sha, gated=info.gated or False, digests=digests)
