"""Where ingest answers by a shorter way than the library that it relies on: both say the same."""

from __future__ import annotations

import contextlib
import unicodedata
from typing import Any, cast

import comrak
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from services.common.errors import MalformedRecord
from services.ingest.domain.texts import language, noise
from services.ingest.domain.texts.language import detect_languages
from services.ingest.domain.texts.markdown import markdown_to_text, read_rendered
from services.ingest.domain.texts.markup import html_to_text

_SAID = (
    "Please let me export a board as PDF, my client cannot open the link that I send",
    "Bitte lasst mich ein Board als PDF ausgeben, mein Kunde kann den Link nicht öffnen",
    "Laissez-moi exporter un tableau en PDF, mon client ne peut pas ouvrir le lien",
    "Déjame exportar un tablero en PDF, mi cliente no puede abrir el enlace que le mando",
    "ボードをPDFでエクスポートできるようにしてください",
    "请让我把看板导出为 PDF",
    "Пожалуйста, позвольте выгружать доску в PDF",
    "PLEASE EXPORT BOARDS AS PDF",
    "Molim vas, omogućite izvoz ploče u PDF",
    "Молим вас, омогућите извоз табле",
)


@pytest.fixture(scope="module")
def library() -> Any:
    return cast("Any", LanguageIdentifier).from_model_file(MODEL_FILE, norm_probs=True)


@settings(max_examples=300)
@given(
    pieces=st.lists(
        st.sampled_from(_SAID).flatmap(lambda said: st.integers(0, len(said)).map(lambda end: said[:end])) | st.text(), max_size=4
    )
)
@example(pieces=["e\u0301" * 20])
@example(pieces=["\ud800 is half of a character, and more is said"])
@example(pieces=["1234567890 " * 30])
@example(pieces=["A\u00b2\u00b9", "ボードをPDFでエ"])
def test_a_language_is_the_librarys_verdict(library: Any, pieces: list[str]) -> None:
    text = " ".join(pieces)[:400]
    letters = sum(char.isalnum() and unicodedata.category(char) != "Nd" for char in text)
    expected, probability = library.classify(text)
    [found] = detect_languages([text])
    if letters < 12:
        assert found is None
    elif abs(probability - 0.5) > 1e-4:  # nearer to it, the order in which floats are added decides
        assert found == (expected if probability > 0.5 else None)


@settings(max_examples=100)
@given(
    texts=st.lists(st.sampled_from(_SAID).flatmap(lambda said: st.integers(1, 40).map(lambda end: said[:end] * 3)), max_size=90),
    data=st.data(),
)
def test_a_language_does_not_depend_on_what_is_asked_beside_it(texts: list[str], data: st.DataObject) -> None:
    together = language._model().classify(texts) if texts else []
    order = data.draw(st.permutations(range(len(texts))))
    cut = data.draw(st.integers(0, len(texts)))
    parts = [[texts[place] for place in some] for some in (order[:cut], order[cut:]) if some]
    apart = [verdict for part in parts for verdict in language._model().classify(part)]
    assert apart == [together[place] for place in order]  # to the bit


@given(advert=st.from_regex(noise._ADVERTS), before=st.sampled_from(("", "See ", "K\u017f ")))
def test_no_advert_is_overlooked(advert: str, before: str) -> None:
    text = before + advert
    assert noise._may_advertise(text, text.lower())


_MARKS = (
    *("a", "word", "Foo bar", "(", ")", ",", ".", "!", "\n", "\n\n", "  \n", " ", "    ", "\t", "*", "**", "_", "~~", "`", "```\n"),
    *("# ", "## ", "- ", "1. ", "> ", "| a | b |\n|---|---|\n| c | d |\n", "- [ ] ", "- [x] ", "[l](http://x.y)", "[a www.b.c](z)"),
    *("![i](j)", "<b>", "</b>", "<div>", "<!-- c -->", "&amp;", "&lt;", "&copy;", "&#1;", "https://ex.com/a?b=c&d=e", "www.x.org"),
    *("me@x.org", "\\", "---\n", "===\n", "<", "é", "🙏", "\u00a0", "\x0b", '"', "'", ":", "(x)", "<script>", "[", "]", "](y)"),
)


@settings(max_examples=400)
@given(pieces=st.lists(st.sampled_from(_MARKS), max_size=14))
def test_markdown_reads_as_its_html_does(pieces: list[str]) -> None:
    options = comrak.ExtensionOptions()
    options.autolink = options.strikethrough = options.table = options.tagfilter = options.tasklist = True
    rendered = comrak.render_markdown("".join(pieces), extension_options=options)
    assert read_rendered(rendered) in (None, html_to_text(rendered))


@pytest.mark.parametrize(
    ("markdown", "seen"),
    [
        ("**large** boards (_all_ of them), [here](http://x.y).", "large boards (all of them), here."),
        ("one\ntwo  \nthree\n\n- a\n- b `c < d`\n\n> quoted", "one two\nthree\n\n- a\n- b c < d\n\nquoted"),
        ("- [ ] todo\n- [x] done", "- todo\n- done"),
        ("| a | b |\n|---|---|\n| 1 | &copy; |", "a b\n1 ©"),
        ("a <b>bold</b> word, <!-- a hint --> no more", "a bold word, no more"),
        ("- &#1;a list\n- of two", "- a list\n- of two"),
        ("- &#1;*", "- *"),
    ],
)
def test_markdown_is_read_without_an_html_parser(markdown: str, seen: str) -> None:
    assert markdown_to_text(markdown) == seen


@pytest.mark.parametrize("text", [">" * 20_000 + "a", "[" * 50_000, "*a" * 50_000, "`" * 60_000, "1. " * 3_000 + "a", "<" * 50_000])
def test_hostile_markdown_ends_soon(text: str) -> None:
    with contextlib.suppress(MalformedRecord):  # nested too deep
        markdown_to_text(text)
