"""Where a log's answers came from: a checkpoint, which is loaded and compared, or an endpoint.

The checkpoint answers nothing here. Its weights are digested, and its template renders the prompts
again: a run with another template, or with special tokens doubled, is another experiment.
"""

import platform
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from polyrefuse.endpoint_schema import EndpointRecord, EndpointUsage, WithheldCount
from polyrefuse.results import Environment, ModelRecord
from polyrefuse_evaluation.chat import render_prompt
from polyrefuse_evaluation.endpoint.summary import model_record as endpoint_model_record
from polyrefuse_evaluation.integrations.foreign_run import Answer, ForeignLogError, ForeignRun
from polyrefuse_evaluation.models import LoadedModel, load_model
from polyrefuse_evaluation.prompt_sets import PromptSets
from polyrefuse_evaluation.records import model_record

HERE = ("polyrefuse", "transformers", "torch")


@dataclass(frozen=True)
class Origin:
    """What a result says of where the answers came from.

    Attributes:
        model: the model.
        endpoint: the endpoint, or None.
        environment: libraries and machine.
        count_tokens: length of an answer in tokens.
    """

    model: ModelRecord
    endpoint: EndpointRecord | None
    environment: Environment
    count_tokens: Callable[[Answer], int]


def weights_origin(run: ForeignRun, sets: PromptSets, name: str | None) -> Origin:
    """Load the checkpoint of a run and check that the run rendered its prompts as we do.

    Args:
        run: the run.
        sets: its prompts.
        name: Hub id or folder to load in place of the one that the log names.

    Raises:
        ModelError: it cannot be loaded.
        ForeignLogError: its size is not the logged one, or prompts were rendered otherwise.
    """
    revision = None if name else run.revision
    dtype = "auto" if (name or "").split(":")[0] == "planted" else run.dtype
    loaded = load_model(name or run.model, revision=revision, dtype=dtype, device="cpu")
    record = model_record(loaded)
    if run.parameters not in (None, record.parameters):
        raise ForeignLogError(
            f"{run.name}: the model had {run.parameters} parameters, {loaded.name} has "
            f"{record.parameters}.",
            "Name the checkpoint that was evaluated with --model.",
        )
    _require_same_rendering(run, sets, loaded)

    def count_tokens(answer: Answer) -> int:
        if answer.output_tokens is not None:
            return answer.output_tokens
        return len(loaded.tokenizer(answer.text, add_special_tokens=False)["input_ids"])

    return Origin(record, None, _environment(run), count_tokens)


def endpoint_origin(run: ForeignRun, sets: PromptSets) -> Origin:
    """Return what the log says of an endpoint's answers; nothing is asked again."""
    host = run.endpoint or ""
    model = endpoint_model_record(run.model, "").model_copy(update={"endpoint": host})
    return Origin(
        model, _endpoint(run, sets), _environment(run), lambda answer: answer.output_tokens or 0
    )


def _require_same_rendering(run: ForeignRun, sets: PromptSets, loaded: LoadedModel) -> None:
    tokenizer, chat = loaded.tokenizer, loaded.chat
    rendered = {(answer.language, answer.id): answer.rendered for answer in run.answers}
    if run.switches is not None:
        for switch, value in chat.switches:
            if run.switches.get(switch) != value:
                raise ForeignLogError(
                    f"{run.name}: the template was not told {switch}={value!r}, as 'polyrefuse "
                    "evaluate' does.",
                    f"Run it again with -M {switch}={str(value).lower()} where the provider takes "
                    "it, or with 'polyrefuse evaluate'.",
                )
    for row in sets.test_prompts():
        logged = rendered[row.language, row.id]
        text = row.prompt if logged is None else logged
        theirs = tokenizer(text, add_special_tokens=run.special_tokens)["input_ids"]
        # Without a log of the text, the template is the checkpoint's: only doubling can be told.
        ours = (
            tokenizer(text, add_special_tokens=False)["input_ids"]
            if logged is None
            else render_prompt(tokenizer, row.prompt, chat)
        )
        if list(theirs) != list(ours):
            raise ForeignLogError(
                f"{run.name}: prompt {row.id} ({row.language}) was not rendered as "
                f"{loaded.name}'s chat template does"
                f"{', or special tokens were added to it' if run.special_tokens else ''}.",
                "Run it again with the model's own template, as docs/integrations.md says.",
            )


def _environment(run: ForeignRun) -> Environment:
    versions = {name: found for name in HERE if (found := _version(name))}
    versions |= {name: value for name, value in run.versions.items() if value}
    return Environment(
        versions=versions,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        device="endpoint" if run.endpoint else run.device,
        threads=1,
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _endpoint(run: ForeignRun, sets: PromptSets) -> EndpointRecord:
    answers = run.answers
    times = sorted(answer.at for answer in answers if answer.at)
    labels = {(row.language, row.id): row.label for row in sets.test_prompts()}
    asked = Counter((row.language, row.label) for row in sets.test_prompts())
    withheld = Counter((a.language, labels[a.language, a.id]) for a in answers if a.filtered)
    return EndpointRecord(
        host=run.endpoint or "",
        served=dict(Counter(answer.served for answer in answers if answer.served)),
        first_answer=times[0] if times else None,
        last_answer=times[-1] if times else None,
        parameters={"temperature": 0, "max_tokens": run.max_new_tokens},
        adapted=[],
        streamed=False,
        prompts=len(answers),
        answered=len(answers),
        withheld=sum(bool(answer.filtered) for answer in answers),
        withheld_by_cell=[
            WithheldCount(language=language, label=label, n=withheld[language, label], asked=n)
            for (language, label), n in asked.items()
            if withheld[language, label]
        ],
        truncated=sum(bool(answer.truncated) for answer in answers),
        reasoned=sum(answer.reasoning for answer in answers),
        only_reasoning=sum(
            bool(a.truncated) and a.reasoning and not a.text.strip() for a in answers
        ),
        requests=len(answers),
        usage=EndpointUsage(
            prompt_tokens=sum(answer.input_tokens or 0 for answer in answers),
            completion_tokens=sum(answer.output_tokens or 0 for answer in answers),
            reasoning_tokens=0,
            unreported=sum(None in (a.input_tokens, a.output_tokens) for a in answers),
            price_in=None,
            price_out=None,
            cost=None,
        ),
    )
