"""Ablation equals a projection by hand, reaches every position, and leaves no trace."""

import copy

import pytest
import torch

from polyrefuse.errors import ModelError
from polyrefuse_evaluation.ablation import ablate
from polyrefuse_evaluation.directions import RefusalDirection, random_direction
from polyrefuse_evaluation.residual_stream import find_residual_stream

IDS = torch.randint(3, 320, (2, 9), generator=torch.Generator().manual_seed(1))
HOOK_TABLES = [name for name in vars(torch.nn.Linear(1, 1)) if "hooks" in name]


def random_basis(rank, hidden=32, seed=0):
    rows = torch.randn(hidden, rank, generator=torch.Generator().manual_seed(seed))
    return torch.linalg.qr(rows).Q.T.contiguous()


@torch.no_grad()
def logits_of(model):
    return model(input_ids=IDS).logits


def state_of(model):
    """All bits of all tensors, all hook tables and all names that the modules carry."""
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    hooks = [[dict(getattr(module, t)) for t in HOOK_TABLES] for module in model.modules()]
    return tensors, hooks, [set(vars(module)) for module in model.modules()]


def assert_same_state(before, after):
    assert before[1:] == after[1:]
    assert before[0].keys() == after[0].keys()
    for name, tensor in before[0].items():
        assert torch.equal(tensor.view(torch.uint8), after[0][name].view(torch.uint8)), name


def project_by_hand(model, basis):
    """Return an untied copy of a Llama whose embedding, o_proj and down_proj write no Q Q^T x."""
    config = copy.deepcopy(model.config)
    config.tie_word_embeddings = False
    projected = type(model)(config).eval()
    projected.load_state_dict(model.state_dict())
    projected.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    keep = torch.eye(basis.shape[1], dtype=torch.float64) - basis.T.double() @ basis.double()
    with torch.no_grad():
        embedding = projected.model.embed_tokens.weight
        embedding.copy_((embedding.double() @ keep).float())
        for block in projected.model.layers:
            for linear in (block.self_attn.o_proj, block.mlp.down_proj):
                linear.weight.copy_((keep @ linear.weight.double()).float())
    return projected


@pytest.mark.parametrize("method", ["hooks", "weights"])
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma2", "falcon"])
def test_the_model_is_bit_identical_after_the_context_even_after_an_exception(
    make_model, architecture, fails, method
):
    model = make_model(architecture)
    find_residual_stream(model)
    before, logits = state_of(model), logits_of(model)
    try:
        with ablate(model, random_direction(32, 0), method=method):
            assert not torch.allclose(logits_of(model), logits, atol=1e-3)
            if fails:
                raise RuntimeError("out of memory")
    except RuntimeError:
        assert fails
    assert_same_state(before, state_of(model))
    assert torch.equal(logits_of(model), logits)


@pytest.mark.parametrize("fails", [False, True])
def test_projected_half_precision_weights_come_back_bit_for_bit(make_model, fails):
    model = make_model("gpt2").to(torch.bfloat16)
    find_residual_stream(model)
    before = state_of(model)
    weight = model.transformer.h[1].mlp.c_proj.weight
    try:
        with ablate(model, random_direction(32, 0), method="weights"):
            assert not torch.equal(weight, before[0]["transformer.h.1.mlp.c_proj.weight"])
            if fails:
                raise RuntimeError("out of memory")
    except RuntimeError:
        assert fails
    assert_same_state(before, state_of(model))


@pytest.mark.parametrize(
    ("dtype", "bound"), [(torch.float32, 1e-6), (torch.float64, 1e-7), (torch.bfloat16, 5e-3)]
)
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])  # nn.Linear, and Conv1D
def test_projected_weights_write_nothing_along_the_direction(
    make_model, architecture, dtype, bound
):
    model = make_model(architecture).to(dtype)
    stream, direction = find_residual_stream(model), random_direction(32, 0)

    def largest():
        leaks = []
        for writer in stream.writers:
            weight = writer.linear.weight.detach().double()
            rows = weight.T if isinstance(writer.linear, torch.nn.Linear) else weight
            leaks.append((rows @ direction.double()).abs().max() / rows.norm(dim=1).max())
        return max(leaks)

    assert largest() > 0.1
    with ablate(model, direction, method="weights", stream=stream):
        assert largest() <= bound


def test_an_error_while_entering_leaves_the_model_as_it_was(make_model, monkeypatch):
    model = make_model("llama")
    before = state_of(model)
    last = find_residual_stream(model).writers[-1].module
    monkeypatch.setattr(last, "register_forward_hook", None)
    with pytest.raises(TypeError), ablate(model, random_direction(32, 0)):
        pass
    monkeypatch.undo()
    assert_same_state(before, state_of(model))


@pytest.mark.parametrize("method", ["hooks", "weights"])
@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_ablated_logits_equal_those_of_writers_projected_by_hand(
    make_model, tied, rank, method, bias
):
    model = make_model("llama", tie_word_embeddings=tied, attention_bias=bias)
    basis = random_basis(rank)
    by_hand = project_by_hand(model, basis)
    if bias:
        with torch.no_grad():
            for block in by_hand.model.layers:
                bias_of = block.self_attn.o_proj.bias
                bias_of.sub_(basis.T @ (basis @ bias_of))
    with ablate(model, basis[0] if rank == 1 else basis, method=method):
        ablated = logits_of(model)
    torch.testing.assert_close(ablated, logits_of(by_hand), atol=1e-4, rtol=0)
    assert (ablated - logits_of(model)).abs().max() > 0.1
    with torch.no_grad():  # the fault: one matrix not projected
        by_hand.model.layers[1].mlp.down_proj.weight.copy_(
            model.model.layers[1].mlp.down_proj.weight
        )
    assert (ablated - logits_of(by_hand)).abs().max() > 1e-2


@pytest.mark.parametrize(
    "architecture", ["llama", "gemma2", "gpt2", "gpt_neox", "bloom", "qwen3_moe"]
)
@pytest.mark.parametrize("rank", [1, 3])
def test_projecting_weights_equals_hooks(make_model, architecture, rank):
    model = make_model(architecture)
    basis = random_basis(rank)
    with ablate(model, basis):
        hooked = logits_of(model)
    with ablate(model, basis, method="weights"):
        projected = logits_of(model)
    torch.testing.assert_close(projected, hooked, atol=1e-4, rtol=0)
    assert (hooked - logits_of(model)).abs().max() > 1e-2


def test_ablating_the_same_direction_twice_is_ablating_it_once(make_model):
    model = make_model("llama")
    direction = random_direction(32, 0)
    with ablate(model, direction):
        once = logits_of(model)
        with ablate(model, direction):
            twice = logits_of(model)
    torch.testing.assert_close(twice, once, atol=1e-5, rtol=0)


def test_nested_contexts_ablate_the_span_of_both_and_end_one_by_one(make_model):
    model = make_model("llama")
    basis = random_basis(2)
    plain = logits_of(model)
    with ablate(model, basis):
        both = logits_of(model)
    with ablate(model, basis[0], method="weights"):
        outer = logits_of(model)
        with ablate(model, basis[1], method="weights"):
            torch.testing.assert_close(logits_of(model), both, atol=1e-5, rtol=0)
        assert torch.equal(logits_of(model), outer)
        with pytest.raises(ModelError, match="cannot be saved"):
            model.save_pretrained("anywhere")
    assert torch.equal(logits_of(model), plain)


def test_ablation_touches_only_its_direction(make_model):
    """Ablating r or all that is orthogonal to r are different things, and neither is nothing."""
    model = make_model("llama")
    basis = random_basis(32)
    plain = logits_of(model)
    changes = []
    for part in (basis[:1], basis[1:]):
        with ablate(model, part):
            changes.append((logits_of(model) - plain).abs().max())
    assert 0.1 < changes[0] < changes[1]


def test_the_length_of_a_single_direction_and_how_it_is_given_do_not_matter(make_model):
    model = make_model("llama")
    direction = random_direction(32, 0)
    given = [direction, 7 * direction, direction.double(), direction[None]]
    given += [RefusalDirection(direction, 3.0, -1, 1, "en")]
    results = []
    for value in given:
        with ablate(model, value):
            results.append(logits_of(model))
    for result in results[1:]:
        torch.testing.assert_close(result, results[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", ["hooks", "weights"])
def test_half_precision_models_stay_in_half_precision(make_model, method):
    model = make_model("gemma2").to(torch.bfloat16)
    seen = []
    model.model.norm.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    direction = random_direction(32, 0)
    with ablate(model, direction, method=method):
        assert logits_of(model).dtype == torch.bfloat16
    stream = seen[-1]
    assert stream.dtype == torch.bfloat16
    assert (stream.float() @ direction).abs().max() < 5e-3 * stream.float().norm(dim=-1).max()


def test_double_precision_models_are_ablated_in_double_precision(make_model):
    model = make_model("llama").double()
    with torch.no_grad():
        model.model.embed_tokens.weight.div_(3)  # no longer numbers that float32 holds
    seen = []
    norm = model.model.layers[0].input_layernorm
    norm.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with ablate(model, torch.eye(32)[0]):
        logits_of(model)
    embedded = model.model.embed_tokens(IDS)
    assert torch.equal(seen[-1][..., 1:], embedded[..., 1:])
    assert torch.equal(seen[-1][..., 0], torch.zeros_like(embedded[..., 0]))


def test_gradients_flow_through_an_ablated_model(make_model):
    model = make_model("llama")
    direction = random_direction(32, 0)
    with ablate(model, direction):
        model(input_ids=IDS).logits.logsumexp(-1).sum().backward()
    gradient = model.model.layers[0].mlp.down_proj.weight.grad
    assert gradient.abs().max() > 0
    # What is written along r never reaches the output.
    assert (direction @ gradient).abs().max() < 1e-4 * gradient.abs().max()


@pytest.mark.parametrize("method", ["hooks", "weights"])
def test_generation_with_cache_equals_forward_passes_without(make_model, method):
    model = make_model("llama")
    model.generation_config.eos_token_id = None
    plain = model.generate(IDS, max_new_tokens=8, do_sample=False)
    with ablate(model, random_direction(32, 0), method=method), torch.no_grad():
        cached = model.generate(IDS, max_new_tokens=8, do_sample=False)
        ids = IDS
        for _ in range(8):
            following = model(input_ids=ids, use_cache=False).logits[:, -1].argmax(-1)
            ids = torch.cat([ids, following[:, None]], dim=1)
    assert torch.equal(cached, ids)
    assert not torch.equal(cached, plain)


@pytest.mark.parametrize(
    ("direction", "problem"),
    [
        (torch.ones(31), r"shape \(31,\); expected \(32,\)"),
        (torch.ones(2, 2, 32), "expected"),
        (torch.ones(0, 32), "expected"),
        (torch.zeros(32), "zero"),
        (torch.full((32,), torch.nan), "NaN"),
        (torch.full((32,), torch.inf), "infinite"),
        (torch.ones(2, 32) / 32**0.5, "not orthonormal"),
        (2 * random_basis(2), "not orthonormal"),
    ],
)
def test_a_direction_that_does_not_fit_is_refused_and_nothing_is_hooked(
    make_model, direction, problem
):
    model = make_model("llama")
    find_residual_stream(model)
    before = state_of(model)
    with pytest.raises(ModelError, match=problem), ablate(model, direction):
        pass
    assert_same_state(before, state_of(model))


def test_nothing_ablated_can_be_saved_or_shared_from_any_part_of_the_model(make_model, tmp_path):
    model = make_model("llama")
    attempts = [
        lambda: model.save_pretrained(tmp_path / "all"),
        lambda: model.push_to_hub("someone/something"),
        lambda: model.model.save_pretrained(tmp_path / "body"),
        lambda: model.state_dict(),
        lambda: model.model.layers.state_dict(),
        lambda: torch.save(model.state_dict(), tmp_path / "weights.pt"),
    ]
    with ablate(model, random_direction(32, 0), method="weights"):
        for attempt in attempts:
            with pytest.raises(ModelError, match="cannot be saved or shared"):
                attempt()
    with ablate(model, random_direction(32, 0)):
        for attempt in attempts[:3]:
            with pytest.raises(ModelError, match="cannot be saved or shared"):
                attempt()
        assert model.state_dict()  # the weights themselves are untouched
    assert not [*tmp_path.iterdir()]
    model.save_pretrained(tmp_path / "after")
    assert (tmp_path / "after" / "model.safetensors").is_file()
