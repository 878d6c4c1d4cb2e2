"""``openai:MODEL``: any OpenAI-compatible endpoint, asked by the rubric for a structured verdict.

After StrongREJECT (arXiv 2402.10260); see `rubric` for the question and the mapping to outcomes:
refusal -> refused; no refusal and specificity 1 -> deflected; else complied.

``--judge-url`` names the base URL (OpenAI's by default), ``POLYREFUSE_JUDGE_KEY`` or
``OPENAI_API_KEY`` the key. Requests run side by side; a row whose request fails for good is
unparsed, its reason begins with ``failed:``, and it is asked again in the next run. Verdicts are
cached by endpoint, model, rubric version and inputs. A model name does not pin weights: record when
you asked.
"""

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyrefuse.errors import PolyRefuseError
from polyrefuse.outcomes import Outcome
from polyrefuse_evaluation.chat_api.client import DEFAULT_URL, ChatClient
from polyrefuse_evaluation.judges.composition import unparsed
from polyrefuse_evaluation.judges.endpoint_translator import KEY_VARIABLES
from polyrefuse_evaluation.judges.registry import RegisteredJudge
from polyrefuse_evaluation.judges.rubric import (
    RUBRIC_VERSION,
    SCHEMA,
    case_of,
    read_verdict,
    rubric_messages,
)
from polyrefuse_evaluation.judges.types import JudgeInput, Judgement
from polyrefuse_evaluation.judges.verdict_cache import VerdictCache, cache_key, default_cache_path

JUDGE_REFUSED = "judge_refused"


def request_forms(max_tokens: int) -> list[dict[str, Any]]:
    """Return the parameters of a request, most exact first: with the JSON schema, then without."""
    named = {"name": "judgement", "strict": True, "schema": SCHEMA}
    schema = {"response_format": {"type": "json_schema", "json_schema": named}}
    limits = {"temperature": 0, "max_tokens": max_tokens}
    return [{**schema, **limits}, schema, limits, {}]


@dataclass
class EndpointJudge:
    """A judge behind an endpoint."""

    client: ChatClient
    cache: VerdictCache | None
    concurrency: int = 8

    def __call__(self, rows: Sequence[JudgeInput]) -> list[Judgement]:
        """Judge a batch; rows that are the same are asked once."""
        same: defaultdict[str, list[int]] = defaultdict(list)
        for index, row in enumerate(rows):
            same[self._key(row)].append(index)
        verdicts: dict[str, Judgement] = {}
        for key in same:
            known = self.cache.get(key) if self.cache else None
            if known is not None:
                verdicts[key] = known
        self._ask_all({key: rows[same[key][0]] for key in same if key not in verdicts}, verdicts)
        return [verdicts[self._key(row)] for row in rows]

    def _ask_all(self, rows: dict[str, JudgeInput], verdicts: dict[str, Judgement]) -> None:
        self.client.stop(False)
        pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="judge")
        try:
            asked = {pool.submit(self._ask, row): key for key, row in rows.items()}
            for future in as_completed(asked):
                key, verdict = asked[future], future.result()
                verdicts[key] = verdict
                if self.cache and verdict.outcome is not Outcome.UNPARSED:
                    self.cache.put(key, verdict)  # here, in one thread, as each is paid for
        finally:
            self.client.stop()
            pool.shutdown(wait=True, cancel_futures=True)

    def _ask(self, row: JudgeInput) -> Judgement:
        case = case_of(row)
        reply = self.client.ask(rubric_messages(row, case))
        verdict = read_verdict(reply.text, case)
        problem = JUDGE_REFUSED if reply.filtered else reply.problem
        if verdict.outcome is Outcome.UNPARSED and problem:
            return unparsed(problem)
        return verdict

    def _key(self, row: JudgeInput) -> str:
        inputs = (row.language, row.prompt or row.prompt_en, row.response)
        return cache_key(self.client.url, self.client.model, RUBRIC_VERSION, *inputs)


def make_judge(
    argument: str | None = None,
    *,
    url: str = DEFAULT_URL,
    concurrency: int = 8,
    timeout: float = 60.0,
    attempts: int = 6,
    longest_wait: float = 120.0,
    max_tokens: int = 512,
    cache: Path | bool = True,
) -> RegisteredJudge:
    """Return the endpoint judge; nothing is sent yet.

    Args:
        argument: the model's name at the endpoint.
        url: base URL.
        concurrency: requests under way at once.
        timeout: limit on one request, in seconds.
        attempts: most requests for one row.
        longest_wait: most seconds to wait between two of them.
        max_tokens: limit on a reply.
        cache: file of verdicts; True is the user's cache folder, False none.

    Raises:
        PolyRefuseError: no model named, a bad setting, or the cache cannot be opened.
    """
    if not argument or argument.startswith("@"):
        raise PolyRefuseError(
            "judge 'openai' needs a model.", "Example: --judge openai:gpt-5-mini."
        )
    if min(concurrency, attempts, max_tokens) < 1 or timeout <= 0:
        raise PolyRefuseError("concurrency, attempts and timeout must be positive.")
    client = ChatClient(
        argument,
        url,
        request_forms(max_tokens),
        KEY_VARIABLES,
        url_option="--judge-url",
        timeout=timeout,
        attempts=attempts,
        longest_wait=longest_wait,
        connections=concurrency,
    )
    path = default_cache_path() if cache is True else cache
    judge = EndpointJudge(client, VerdictCache(path) if path else None, concurrency)
    return RegisteredJudge(f"openai:{argument}", f"rubric:{RUBRIC_VERSION}", judge)
