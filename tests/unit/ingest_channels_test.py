"""``channels.yaml``: what is wrong in it is named by file, line and field."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jmespath
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jmespath.exceptions import JMESPathError

from services.common.errors import ConfigurationError
from services.common.paths import EXAMPLES
from services.ingest.channels import Channels, load_channels
from services.ingest.domain.paths import compile_path
from tests.fakes_ingest import Front, raw
from tests.payloads import payloads

_GOOD = """\
version: 1
channels:
  - topic: feedback.raw
    name: feedback
    adapter: canonical
  - topic: feedback.raw.forum
    name: forum
    workspace: lumora
    mapping:
      id: post.id
      text: {path: post.body}
      board: {constant: product}
      author:
        alias: {path: post.user, prefix: "forum:"}
"""


def _load(tmp_path: Path, text: str) -> Channels:
    path = tmp_path / "channels.yaml"
    path.write_text(text)
    return load_channels(path)


def test_the_example_names_every_channel_of_the_demo() -> None:
    channels = load_channels(EXAMPLES / "channels.yaml")
    assert ["feedback.raw", *(f"feedback.raw.{name}" for name in ("email", "ticket", "chat", "review", "nps"))] == channels.topics()
    assert {"lumora"} == {channel.workspace for channel in channels.channels if channel.mapping is not None}
    assert {"product"} == {channel.board for channel in channels.channels if channel.mapping is not None}


def test_a_mapping_finds_constants_prefixes_and_paths(tmp_path: Path) -> None:
    front = Front(channels=_load(tmp_path, _GOOD))
    alias, event = front.events(raw("feedback.raw.forum", 0, {"post": {"id": 7, "body": "Dark mode.", "user": 12}}))
    assert alias.alias == "forum:12"
    assert (event.external_id, event.text, event.board, event.source) == ("7", "Dark mode.", "product", "forum")


@pytest.mark.parametrize(
    ("old", "new", "line", "field"),
    [
        ("version: 1", "version: 2", 1, "version"),
        ("    name: forum", "    name: For um", 7, "channels.1.name"),
        ("    name: forum\n", "", 6, "channels.1.name"),
        ("id: post.id", "id: post.[", 10, "channels.1.mapping.id.path"),
        ("{path: post.body}", "{path: post.body, timestamp: soon}", 11, "channels.1.mapping.text.timestamp"),
        ("{path: post.body}", "{path: post.body, steps: [shout]}", 11, "channels.1.mapping.text.steps.0"),
        ("{path: post.body}", "{}", 11, "channels.1.mapping.text"),
        ("{constant: product}", "{constant: product, path: x}", 12, "channels.1.mapping.board"),
        ("{constant: product}", "{constant: product, prefix: x}", 12, "channels.1.mapping.board"),
        ('prefix: "forum:"', 'prefixed: "forum:"', 14, "channels.1.mapping.author.alias.prefixed"),
        ("    workspace: lumora\n", "", 6, "channels.1"),
        ("      board: {constant: product}\n", "", 6, "channels.1"),
        ("    adapter: canonical", "    adapter: telepathy", 5, "channels.0.adapter"),
        ("    adapter: canonical\n", "", 3, "channels.0"),
        ("topic: feedback.raw.forum", "topic: people.raw", 6, "channels.1.topic"),
        ("topic: feedback.raw.forum", "topic: a b", 6, "channels.1.topic"),
        ("topic: feedback.raw.forum", "topic: feedback.raw", 1, "file"),
        ("    workspace: lumora", "    named: [x]\n    workspace: lumora", 6, "channels.1"),
        ("channels:", "chanels:", 2, "chanels"),
    ],
)
def test_a_fault_is_named_by_file_line_and_field(tmp_path: Path, old: str, new: str, line: int, field: str) -> None:
    assert _GOOD.count(old) == 1 or old.startswith(("version", "topic"))
    with pytest.raises(ConfigurationError) as caught:
        _load(tmp_path, _GOOD.replace(old, new, 1))
    assert f"{tmp_path / 'channels.yaml'}:{line}: {field}: " in str(caught.value)


@pytest.mark.parametrize(("text", "line"), [("version: 1\nchannels: [\n", 3), ("a: b: c\n", 1), ("\tx: 1\n", 1)])
def test_what_is_no_yaml_is_named_by_its_line(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(ConfigurationError, match=rf"channels\.yaml:{line}: not YAML"):
        _load(tmp_path, text)


@pytest.mark.parametrize("text", ["", "[]", "just text"])
def test_another_document_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"channels\.yaml:1: file: "):
        _load(tmp_path, text)


def test_a_missing_file_is_named_with_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="GROUNDSWELL_CHANNELS_FILE"):
        load_channels(tmp_path / "none.yaml")


_BODIES = st.recursive(
    st.none() | st.integers() | st.sampled_from([True, False, 0, 1, 0.0, 1.5, "", "x"]) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(names=st.lists(st.sampled_from("abc"), min_size=1, max_size=3), body=_BODIES)
def test_the_short_cut_for_plain_paths_answers_as_jmespath_does(names: list[str], body: Any) -> None:
    expression = ".".join(names)
    assert jmespath.search(expression, body) == compile_path(expression)(body)


_OPERANDS = st.sampled_from(
    ["a", "b", "c", "a.b", "a[0]", "b[-1]", "@", "`0`", "`null`", "'x'", "`[]`", "type(a)", "a[?b]", "a[?b == 'x'].c", "a[*].b"]
)
_EXPRESSIONS = st.recursive(
    _OPERANDS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["||", "&&", "==", "!=", "<", "|"]), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda one: f"!({one})"),
        st.tuples(inner, inner).map(lambda pair: f"[{pair[0]}, {pair[1]}][?@]"),
        st.tuples(st.sampled_from(["to_string", "type", "length", "not_null"]), inner).map(lambda call: f"{call[0]}({call[1]})"),
        st.tuples(st.sampled_from(["contains", "starts_with", "join", "type"]), inner, inner).map(
            lambda call: f"{call[0]}({call[1]}, {call[2]})"
        ),
        inner.map(lambda one: f"join('/', [{one}, 'x'])"),
        inner.map(lambda one: f"contains(['x', '', `0`, `true`], {one})"),
    ),
    max_leaves=6,
)


@given(expression=_EXPRESSIONS, body=_BODIES)
@example("(a < `0`)", {"a": ""})
def test_a_compiled_expression_answers_as_the_interpreter_does(expression: str, body: Any) -> None:
    assert repr(_answer(jmespath.compile(expression).search, body)) == repr(_answer(compile_path(expression), body))


def _answer(search: Callable[[Any], Any], body: Any) -> Any:
    try:
        return search(body)
    except (JMESPathError, TypeError) as error:  # the interpreter does not say what it cannot order
        return type(error)


def test_every_expression_of_ours_answers_as_the_interpreter_does() -> None:
    specs = [*load_channels(EXAMPLES / "channels.yaml").channels, *load_channels(EXAMPLES / "vendors.yaml").channels]
    mappings = [channel.mapping.compiled() for channel in specs if channel.mapping is not None]
    expressions = {field.expression for mapping in mappings for field in (*mapping.fields, *mapping.author) if field.expression is not None}
    bodies = [json.loads(value) for name, value in payloads() if name != "mail"]
    assert len(expressions) > 80
    for expression in expressions:
        compiled, interpreted = compile_path(expression), jmespath.compile(expression).search
        for body in bodies:
            assert _answer(interpreted, body) == _answer(compiled, body), expression
