"""Guard models as judges: what each must declare, and how all of them are asked.

A guard is a causal LM fine-tuned to answer one fixed question about a prompt and a response. One
file in `catalogue` declares a guard: its messages, its labels, its mapping to outcomes. Here its
template is filled, its answers are generated greedily in length-sorted batches, and read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from polyrefuse.errors import ModelError
from polyrefuse_evaluation.judges.composition import judge_some, unparsed
from polyrefuse_evaluation.judges.quoting import quote
from polyrefuse_evaluation.judges.rubric import case_of
from polyrefuse_evaluation.judges.types import JudgeInput, Judgement
from polyrefuse_evaluation.template_limits import limited

if TYPE_CHECKING:
    from polyrefuse_evaluation.models import LoadedModel

BATCH_TOKENS = 16_384
_PROBE = JudgeInput("en", "qjxresponse", "qjxrequest", "qjxrequest")


@dataclass(frozen=True)
class Guard:
    """One guard model's declaration.

    Attributes:
        name: name of the judge.
        version: of its messages, parser and mapping; raise it when a verdict may change.
        model: Hub id of the default model.
        template: file in ``templates/`` with the published chat template as documented.
        markers: texts by which a checkpoint's own chat template is known to be the guard's: it is
            then used in place of `template`, being exact for that revision. Empty: any chat
            template of the checkpoint is (the question is in the messages). None: never.
        messages: the chat messages for a row (texts already quoted) and its case number.
        read: the judgement in a reply, given the case number.
        labels: delimiters and role labels to break inside responses.
        max_new_tokens: limit on a reply.
        open_turn: whether the template is asked to open the assistant's turn.
        decode: text of generated tokens; default: without special tokens.
        options: further variables of the template.
    """

    name: str
    version: str
    model: str
    template: str
    markers: tuple[str, ...] | None
    messages: Callable[[JudgeInput, str], list[dict[str, str]]]
    read: Callable[[str, str], Judgement]
    labels: tuple[str, ...] = ()
    max_new_tokens: int = 64
    open_turn: bool = False
    decode: Callable[[Any, Sequence[int]], str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class GuardModel:
    """A guard with its loaded model: renders rows, proves them well quoted, and judges them."""

    guard: Guard
    loaded: "LoadedModel"
    batch_tokens: int = BATCH_TOKENS

    def judge(self, rows: Sequence[JudgeInput]) -> list[Judgement]:
        """Judge a batch. Rows that cannot be put to the model are unparsed, with the reason."""
        sequences: list[list[int]] = []
        cases: list[str] = []
        decided: list[Judgement | None] = []
        for row in rows:
            case = case_of(row)
            found = self.encode(row, case)
            decided.append(unparsed(found) if isinstance(found, str) else None)
            if not isinstance(found, str):
                sequences.append(found)
                cases.append(case)
        replies = self._generate(sequences)

        def read(_: Sequence[JudgeInput]) -> list[Judgement]:
            return [self.guard.read(*pair) for pair in zip(replies, cases, strict=True)]

        return judge_some(read, rows, decided)

    def encode(self, row: JudgeInput, case: str) -> list[int] | str:
        """Return the token ids of a row, or why it has none (``too_long``, ``unquotable``).

        A response that does not fit the model's context is cut at its end.
        """
        quoted = self._quote(row)
        limit = self.loaded.context_length
        while True:
            ids = self._token_ids(quoted, case)
            excess = 0 if limit is None else len(ids) + self.guard.max_new_tokens - limit
            if excess <= 0:
                break
            if not quoted.response:
                return "too_long"
            cut = max(excess, len(quoted.response) // 8)
            quoted = replace(quoted, response=quoted.response[: max(0, len(quoted.response) - cut)])
        if [token for token in ids if token in self._special] != self._skeleton:
            return "unquotable"
        return ids

    def render_probe(self) -> str:
        """Render harmless texts once, so that a template that does not fit shows before a run.

        Raises:
            ModelError: the template fails, or leaves the conversation out.
        """
        return self.render(_PROBE, case_of(_PROBE))

    def render(self, row: JudgeInput, case: str) -> str:
        """Return the text that the model reads.

        Raises:
            ModelError: the chat template fails.
        """
        messages: list[Any] = [dict(message) for message in self.guard.messages(row, case)]
        if self._typed_parts:
            for message in messages:
                message["content"] = [{"type": "text", "text": message["content"]}]
        return self._apply(messages)

    def _apply(self, messages: list[Any]) -> str:
        try:
            with limited():
                return str(
                    self.loaded.tokenizer.apply_chat_template(
                        messages,
                        tokenize=False,
                        add_generation_prompt=self.guard.open_turn,
                        **self.guard.options,
                    )
                )
        except Exception as error:  # templates are programs and raise anything
            raise ModelError(
                f"{self.loaded.name}: the chat template of this {self.guard.name} judge failed "
                f"({type(error).__name__}).",
                "Use the checkpoint's own tokenizer files, or another revision.",
            ) from error

    def _token_ids(self, quoted: JudgeInput, case: str) -> list[int]:
        text = self.render(quoted, case)
        return list(self.loaded.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _quote(self, row: JudgeInput) -> JudgeInput:
        prompt = quote(row.prompt or row.prompt_en or "", self._tokens, self.guard.labels)
        response = quote(row.response, self._tokens, self.guard.labels)
        return JudgeInput(row.language, response, prompt, prompt)

    def _generate(self, sequences: Sequence[Sequence[int]]) -> list[str]:
        from polyrefuse_evaluation.generation import generate, plan_batches

        limit, replies = self.guard.max_new_tokens, [""] * len(sequences)
        for batch in plan_batches(sequences, self.batch_tokens, limit):
            chosen = [sequences[index] for index in batch]
            for index, reply in zip(batch, generate(self.loaded, chosen, limit), strict=True):
                decode = self.guard.decode
                replies[index] = (
                    decode(self.loaded.tokenizer, reply.tokens) if decode else reply.text
                )
        return replies

    @cached_property
    def _tokens(self) -> frozenset[str]:
        """Special tokens, and added tokens that look like markup; blanks are no tokens to break."""
        tokenizer = self.loaded.tokenizer
        added = tokenizer.added_tokens_decoder.values()
        found = {str(token.content) for token in added if token.special or token.content[0] in "<["}
        found |= {str(token) for token in tokenizer.all_special_tokens}
        return frozenset(token for token in found if token.strip())

    @cached_property
    def _special(self) -> frozenset[int]:
        vocabulary = self.loaded.tokenizer.get_vocab()
        return frozenset(vocabulary[token] for token in self._tokens if token in vocabulary)

    @cached_property
    def _skeleton(self) -> list[int]:
        """The special tokens of the template around harmless texts."""
        ids = self._token_ids(_PROBE, case_of(_PROBE))
        return [token for token in ids if token in self._special]

    @cached_property
    def _typed_parts(self) -> bool:
        """Whether the template reads content as a list of typed parts, as Llama Guard 4 does.

        Given a string, such a template leaves the conversation out without a word.
        """
        messages: list[Any] = list(self.guard.messages(_PROBE, case_of(_PROBE)))
        try:
            text = self._apply(messages)
        except ModelError:
            text = ""
        if _PROBE.response in text and str(_PROBE.prompt) in text:
            return False
        typed = [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in messages]
        text = self._apply(typed)
        if _PROBE.response in text and str(_PROBE.prompt) in text:
            return True
        raise ModelError(
            f"{self.loaded.name}: the chat template leaves the conversation out.",
            f"Use a checkpoint of {self.guard.name} with its own tokenizer files.",
        )
