"""Find the residual stream of any decoder: its blocks, what writes to it, and the final norm.

By structure, not by class name: one traced forward pass shows which modules' outputs add up to
what a block adds to its input. Where that does not explain a block, or a norm inside it reads more
than that, `stream_probe` searches. Knows nothing of directions or ablation.
"""

import weakref
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from polyrefuse.errors import ModelError
from polyrefuse_evaluation.block_writers import (
    Segment,
    additive_writers,
    complete_alike,
    same_linear,
)
from polyrefuse_evaluation.decoder_layout import (
    find_blocks,
    find_final_norm,
    find_origin,
    input_device,
    require_causal,
)
from polyrefuse_evaluation.decoder_layout import text_config as text_config
from polyrefuse_evaluation.forward_trace import ForwardTrace, trace_forward
from polyrefuse_evaluation.stream_probe import (
    StreamProbe,
    probed_writers,
    stream_readers,
)
from polyrefuse_evaluation.stream_watch import Named
from polyrefuse_evaluation.stream_watch import block_input as block_input

TRACE_TOKENS = 12
BOUNDS = {torch.float32: 1e-5, torch.float64: 1e-5, torch.bfloat16: 5e-3, torch.float16: 5e-3}
"""Largest relative projection that counts as none, by the dtype of a model's weights."""


@dataclass(frozen=True)
class Writer:
    """A module whose output is added to the residual stream.

    Attributes:
        name: dotted module name, e.g. ``model.layers.3.mlp``.
        module: the outermost module with that output (after a post-norm where there is one).
        block: index of its decoder block.
        linear: the innermost linear map with the same output, whose weight can be projected in
            place of hooking `module`; None where there is none (post-norms, fused experts).
    """

    name: str
    module: nn.Module
    block: int
    linear: nn.Module | None


@dataclass(frozen=True)
class ResidualStream:
    """Blocks, writers and final norm of one model.

    `hidden_size` is the stream's width; `readers` are the norms inside blocks that read the stream,
    by name: further places where a proof can look. `origin` is the module (embedding, or a norm
    after it) whose output is the first block's input, where there is one.
    """

    blocks: tuple[nn.Module, ...]
    block_names: tuple[str, ...]
    writers: tuple[Writer, ...]
    final_norm: nn.Module
    hidden_size: int
    readers: tuple[tuple[str, nn.Module], ...] = ()
    origin: nn.Module | None = None

    def without(self, writer_name: str) -> "ResidualStream":
        """Return a stream that lacks one writer: what a wrong search would have found."""
        kept = tuple(writer for writer in self.writers if writer.name != writer_name)
        return replace(self, writers=kept)


_CACHE: "weakref.WeakKeyDictionary[nn.Module, ResidualStream]" = weakref.WeakKeyDictionary()


def find_residual_stream(model: nn.Module) -> ResidualStream:
    """Return blocks, writers and final norm of a causal LM, found by one traced forward pass.

    Raises:
        ModelError: not a decoder-only model, a forward pass that fails or overflows, a block whose
            output its modules do not explain (named), or no final norm.
    """
    known = _CACHE.get(model)
    if known is None or not _is_current(model, known):
        known = _CACHE[model] = _trace(model)
    return known


def _is_current(model: nn.Module, stream: ResidualStream) -> bool:
    """Whether the modules that were found still stand where they stood (adapters replace some)."""
    modules = dict(model.named_modules())
    pairs = [*zip(stream.block_names, stream.blocks, strict=True)]
    pairs += [(writer.name, writer.module) for writer in stream.writers]
    return all(modules.get(name) is module for name, module in pairs)


def trace_ids(model: nn.Module, tokens: int = TRACE_TOKENS) -> Tensor:
    """Return (1, tokens) seeded random token ids on the model's device."""
    vocabulary = int(text_config(model).vocab_size)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, vocabulary, (1, tokens), generator=generator)
    return ids.to(input_device(model))


def _trace(model: nn.Module) -> ResidualStream:
    if getattr(model.config, "is_encoder_decoder", False):
        raise ModelError(
            f"{type(model).__name__} is an encoder-decoder model.",
            "Only decoder-only language models can be evaluated.",
        )
    ids = trace_ids(model)
    trace = trace_forward(model, ids)
    require_causal(model, ids, trace)
    list_name, blocks = find_blocks(model, trace)
    names = tuple(f"{list_name}.{index}" for index in range(len(blocks)))
    for name in names:
        if not torch.isfinite(trace.outputs[name]).all():
            raise ModelError(
                f"{name}: its output is not finite in {trace.outputs[name].dtype}.",
                "Load the model in bfloat16 or float32 (--dtype).",
            )
    norm_name, direct = find_final_norm(model, list_name, names[-1], trace)
    segments = list(_segments(model, list_name, names, norm_name, trace))
    width = trace.last_inputs[norm_name].shape[-1]
    readers = stream_readers(model, ids, segments, width)
    if norm_name not in direct:  # something mixes the streams before the final norm
        readers[len(blocks) - 1] += [(name, model.get_submodule(name)) for name in direct]
    found = ResidualStream(
        tuple(blocks),
        names,
        (),
        model.get_submodule(norm_name),
        width,
        tuple(reader for block in range(len(blocks)) for reader in readers[block]),
        find_origin(model, names[0], trace),
    )
    return replace(found, writers=_writers(model, ids, found, segments, readers, norm_name, trace))


def _writers(
    model: nn.Module,
    ids: Tensor,
    stream: ResidualStream,
    segments: list[Segment],
    readers: dict[int, list[Named]],
    norm_name: str,
    trace: ForwardTrace,
) -> tuple[Writer, ...]:
    """Return the writers of all blocks: those that add up, and where sites leak, a search."""
    names = complete_alike(
        model, segments, {segment.block: additive_writers(segment, trace) for segment in segments}
    )
    ends = [*zip(stream.block_names, stream.blocks, strict=True)][1:]
    ends.append((norm_name, stream.final_norm))
    sites = {block: [*readers[block], ends[block]] for block in names}
    bound = BOUNDS.get(next(model.parameters()).dtype, 5e-3)
    probe = StreamProbe(model, ids, stream.blocks[0], stream.origin, stream.hidden_size)

    def named(blocks: range) -> list[Named]:
        return [(n, model.get_submodule(n)) for block in blocks for n in names[block]]

    every = range(len(segments))
    leaks = probe.leaks(named(every), [site for block in every for site in sites[block]])
    for segment in segments:
        block = segment.block
        if names[block] and all(leaks.get(name, 0.0) <= bound for name, _ in sites[block]):
            continue
        searched = probed_writers(probe, segment, sites[block], named(range(block)), trace, bound)
        if isinstance(searched, str) and names[block]:
            continue  # rounding, or a leak: the proof will tell
        if isinstance(searched, str):
            raise _unexplained(segment, model, searched)
        names[block] = searched
        leaks = probe.leaks(named(every), [site for b in every for site in sites[b]])
    return tuple(
        Writer(name, model.get_submodule(name), block, same_linear(model, name, trace))
        for block in every
        for name in names[block]
    )


def _unexplained(segment: Segment, model: nn.Module, site: str) -> ModelError:
    kind = type(model.get_submodule(segment.name)).__name__
    return ModelError(
        f"{segment.name} ({kind}): its modules' outputs do not add up to what it writes to the "
        f"residual stream; with all of them projected a direction still appears before {site}: it "
        "scales or mixes the stream's channels, or writes to it outside its modules.",
        "Ablation cannot be proven on this architecture; report it with the model id.",
    )


def _segments(
    model: nn.Module,
    list_name: str,
    names: tuple[str, ...],
    norm_name: str,
    trace: ForwardTrace,
) -> Iterator[Segment]:
    """Yield each block with what is called between it and the next, or the final norm."""
    modules = {name: module for name, module in model.named_modules() if name in trace.ends}
    for index, (name, following) in enumerate(zip(names, (*names[1:], norm_name), strict=True)):
        inside = {n: n.count(".") - name.count(".") for n in modules if n.startswith(name + ".")}
        after, until = trace.ends[name], trace.begins[following]
        between = {
            n: 1
            for n in modules
            if after < trace.begins[n]
            and trace.ends[n] < until
            and not n.startswith(list_name + ".")
        }
        end = trace.last_inputs[following]
        start = trace.inputs[name]
        found = {n: modules[n] for n in (*inside, *between)}
        yield Segment(index, name, start, end, found, {**inside, **between})
