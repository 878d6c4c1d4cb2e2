"""Hostile chat templates: the sandbox holds, and nothing takes all time or memory."""

import time

import pytest

from polyrefuse_evaluation import template_limits
from polyrefuse_evaluation.template_limits import TemplateLimitError, require_modest

SOUND = "{% for m in messages %}<|user|>{{ m['content'] }}<|end|>{% endfor %}<|assistant|>"

ESCAPES = {
    "class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "call": "{{ messages.__class__.__base__.__subclasses__()[40]('/etc/passwd').read() }}",
    "globals": "{{ raise_exception.__globals__['os'].system('touch MARKER') }}",
    "cycler": "{{ cycler.__init__.__globals__.os.popen('touch MARKER').read() }}",
    "joiner": "{{ joiner.__init__.__globals__.os.system('touch MARKER') }}",
    "lipsum": "{{ lipsum.__globals__['os'].system('touch MARKER') }}",
    "self": "{{ self.__init__.__globals__.__builtins__.open('MARKER', 'w') }}",
    "attr": "{{ (''|attr('__class__')|attr('__mro__'))[1]|attr('__subclasses__')() }}",
    "format": "{{ '{0.__class__.__mro__[1]}'.format(1) and strftime_now.__globals__.x() }}",
    "import": "{% import 'os' as os %}{{ os.system('touch MARKER') }}",
    "include": "{% include '/etc/passwd' %}",
    "extends": "{% extends '/etc/passwd' %}",
    "namespace": "{{ namespace.__init__.__globals__['sys'].modules.os.system('touch MARKER') }}",
    "mutate": "{{ messages.append(1) }}",
    "undefined": "{{ no.such.thing.at_all }}",
    "raise": "{{ raise_exception('\x1b[2Jboo\u202e') }}",
    "syntax": "{% for %}",
    "unclosed": "{{ messages",
    "division": "{{ 1 / 0 }}",
    "recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "nothing": "",
    "constant": "hello",
    "nested": "{{ " + "(" * 5000 + ")" * 5000 + " }}",
    "nested blocks": "{% if x %}" * 3000,
    "nested lists": "{{ " + "[" * 5000 + "]" * 5000 + " }}",
}

BOMBS = {
    "loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}"
    "{% endfor %}{% endfor %}{% endfor %}" + SOUND,
    "a long range": "{% for a in range(10**9) %}{% endfor %}" + SOUND,
    "a long text": "{{ 'a' * 9999 * 9999 * 9999 }}" + SOUND,
    "a padded text": "{{ 'a'|center(3000000000) }}" + SOUND,
    "a formatted text": "{{ '%3000000000s' % 'a' }}" + SOUND,
    "doubling": "{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}{% for a in range(60) %}"
    "{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}" + SOUND,
    "doubling lists": "{% set ns = namespace(x=[1]) %}{% for a in range(60) %}"
    "{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x|length }}" + SOUND,
    "a power": "{{ 9 ** 9 ** 9 ** 9 }}" + SOUND,
    "squares": "{% set ns = namespace(x=99999) %}{% for a in range(60) %}"
    "{% set ns.x = ns.x * ns.x %}{% endfor %}" + SOUND,
    "much text": "{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}" + SOUND,
    "a large file": "{# " + "x" * 2_000_000 + " #}" + SOUND,
}


@pytest.fixture
def with_template(refused, model, tmp_path):
    """Return a function that has a template refused, in the model's folder or by the option."""

    def give(text: str, option: bool = False) -> str:
        if not option:
            (model / "chat_template.jinja").write_text(text, encoding="utf-8")
            return refused("check", model)
        path = tmp_path / "given.jinja"
        path.write_text(text, encoding="utf-8")
        return refused("check", model, "--chat-template", path)

    return give


QUICK = ("class", "lipsum", "raise", "nested", "recursion")
QUICK_BOMBS = ("loops", "a padded text", "doubling", "squares")


def some(names, quick):
    """Return parameters: those that are not quick run with `make abuse`."""
    return [pytest.param(x, marks=[] if x in quick else [pytest.mark.slow]) for x in names]


@pytest.mark.parametrize("name", some(ESCAPES, QUICK))
def test_the_sandbox_holds(with_template, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    text = ESCAPES[name].replace("MARKER", str(tmp_path / "marker"))
    with_template(text, option=name in ("class", "lipsum"))
    assert not (tmp_path / "marker").exists()


def test_without_the_sandbox_an_escape_would_run(tmp_path):
    """The mutation: the same text in an environment that is no sandbox."""
    import jinja2

    text = ESCAPES["lipsum"].replace("MARKER", str(tmp_path / "marker"))
    jinja2.Environment(autoescape=False).from_string(text).render()
    assert (tmp_path / "marker").exists()


@pytest.mark.parametrize("name", some(BOMBS, QUICK_BOMBS))
def test_bombs_are_stopped(with_template, monkeypatch, name):
    monkeypatch.setattr(template_limits, "MOST_SECONDS", 1.0)
    monkeypatch.setattr(template_limits, "MOST_BYTES", 256 * 1024**2)
    started = time.monotonic()
    line = with_template(BOMBS[name])
    assert "chat template" in line
    assert time.monotonic() - started < 30
    assert len(line) < 2000


def test_a_sound_template_passes(run, model):
    (model / "chat_template.jinja").write_text(SOUND, encoding="utf-8")
    assert run("check", model).code == 0


def test_products_that_templates_in_use_make_are_let_through():
    require_modest(
        "{{ '=' * 60 }}{{ loop.index0 * 2 }}{% generation %}x{% endgeneration %}" + SOUND
    )
    for text in ("{{ a * a }}", "{{ 2 ** 3 }}", "{{ 9999999 * 9999999 }}"):
        with pytest.raises(TemplateLimitError, match="without bound"):
            require_modest(text)


def test_without_the_clock_the_loop_would_go_on(monkeypatch):
    """The mutation: the same loop with a limit far away runs past the near one."""
    from transformers.utils.chat_template_utils import render_jinja_template

    loop = "{% for a in range(9999) %}{% for b in range(999) %}{% endfor %}{% endfor %}"

    def seconds() -> float:
        started = time.process_time()
        with template_limits.limited():
            render_jinja_template([[{"role": "user", "content": "x"}]], chat_template=loop)
        return time.process_time() - started

    monkeypatch.setattr(template_limits, "MOST_SECONDS", 60.0)
    assert seconds() > 0.15
    monkeypatch.setattr(template_limits, "MOST_SECONDS", 0.1)
    with pytest.raises(TemplateLimitError, match="does not end"):
        seconds()


def test_limits_are_gone_afterwards():
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_AS), signal.getsignal(signal.SIGVTALRM)
    with pytest.raises(TemplateLimitError), template_limits.limited():
        raise TemplateLimitError
    assert (resource.getrlimit(resource.RLIMIT_AS), signal.getsignal(signal.SIGVTALRM)) == before
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
