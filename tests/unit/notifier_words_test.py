"""Templates for some: by workspace, segment and language; ways out; and what no template and no text can do."""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as default_policy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import ConfigurationError
from services.common.events import Alert
from services.common.paths import EXAMPLES
from services.common.unsubscribe import PATH, Subscription, read_token
from services.notifier.adapters.templates import Links, Templates
from services.notifier.domain.letter import Letter, letter_id
from services.notifier.ports import Unrenderable
from tests.unit.notifier_mail_test import ALERT, SENDER

SECRET = "s" * 32
URL = "https://feedback.lumora.example"


def write(folder: Path, **files: str) -> Path:
    for name, text in {"default.subject.txt": "Plain", "default.txt": "plain", "default.html": "plain", **files}.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


def variation(name: str) -> dict[str, str]:
    return {f"{name}.{part}": name for part in ("subject.txt", "txt", "html")}


def subject(folder: Path, alert: Alert = ALERT, *, language: str | None = None, segments: tuple[str, ...] = ()) -> str:
    writer = Templates(folder, ["shipped"], product="Lumora", sender=SENDER, unsubscribe=None)
    return str(parsed(writer.compose(Letter(letter_id((alert,)), "ann@example.com", (alert,), 1, language, segments)).body)["Subject"])


def parsed(body: bytes) -> EmailMessage:
    message = message_from_bytes(body, policy=default_policy)
    assert isinstance(message, EmailMessage)
    return message


def test_people_are_written_to_in_their_language_where_there_are_words_in_it(tmp_path: Path) -> None:
    folder = write(tmp_path, **variation("shipped"), **variation("shipped.de"), **variation("shipped.pt-BR"))
    assert subject(folder, language="de-AT") == "shipped.de"
    assert subject(folder, language="pt-BR") == "shipped.pt-BR"
    assert subject(folder, language="pt-PT") == subject(folder, language="fr") == subject(folder) == "shipped"


def test_the_workspace_weighs_more_than_the_segment_and_that_more_than_the_language(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        **variation("shipped.de"),
        **variation("shipped@plan=enterprise"),
        **variation("shipped@plan=enterprise.de"),
        **variation("lumora/shipped"),
        **variation("other/shipped"),
    )
    elsewhere = replace(ALERT, workspace="acme")
    segments = ("plan=enterprise", "region=dach")
    assert subject(folder, language="de", segments=segments) == "lumora/shipped"
    assert subject(folder, elsewhere, language="de", segments=segments) == "shipped@plan=enterprise.de"
    assert subject(folder, elsewhere, language="fr", segments=segments) == "shipped@plan=enterprise"
    assert subject(folder, elsewhere, language="de", segments=("plan=free",)) == "shipped.de"
    assert subject(folder, elsewhere) == "Plain"


def test_what_is_for_some_only_has_all_parts_or_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"shipped\.de\.subject\.txt is there, shipped\.de\.txt is not"):
        subject(write(tmp_path, **{"shipped.de.subject.txt": "Hallo"}))


def test_a_broken_template_for_some_is_refused_before_anybody_is_written_to(tmp_path: Path) -> None:
    files = variation("lumora/shipped.de") | {"lumora/shipped.de.html": "\n{{ titel }}"}
    with pytest.raises(ConfigurationError, match=r"lumora/shipped\.de\.html:2: UndefinedError"):
        subject(write(tmp_path, **files))


@pytest.mark.parametrize(
    "attack",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ self.__init__.__globals__ }}",
        "{{ title.__class__.__base__ }}",
        "{% for x in [].__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ ''['__class__'] }}",
        "{{ '%c' % title.format.__globals__ }}",
        "{% include '/etc/passwd' %}",
        "{% include '../../../../etc/passwd' %}",
        "{% import 'os' as os %}{{ os }}",
    ],
)
def test_no_template_gets_out_of_its_sandbox(tmp_path: Path, attack: str) -> None:
    with pytest.raises(ConfigurationError):
        subject(write(tmp_path, **{"default.txt": attack}))


@pytest.mark.parametrize(
    "text", ["{{ 7 * 7 }}", "{% raw %}", "{{ self.__init__.__globals__ }}", "{# #}", "<script>alert(1)</script>", "\u202egnp.exe"]
)
def test_what_people_write_is_never_a_template_nor_a_tag(text: str) -> None:
    writer = Templates(EXAMPLES / "templates", ["shipped"], product="Lumora", sender=SENDER, unsubscribe=None)
    alert = replace(ALERT, title=text, quote=text, release_name=text)
    mail = parsed(writer.compose(Letter(letter_id((alert,)), "ann@example.com", (alert,), 1)).body)
    html = mail.get_body(("html",))
    plain = mail.get_body(("plain",))
    assert html is not None
    assert plain is not None
    assert "<script>" not in html.get_content()
    assert "49" not in html.get_content() + plain.get_content()
    assert text in plain.get_content()


def linked(alert: Alert, *more: Alert) -> EmailMessage:
    writer = Templates(
        EXAMPLES / "templates", ["shipped"], product="Lumora", sender=SENDER, unsubscribe=None, links=Links(URL + "/", SECRET)
    )
    alerts = (alert, *more)
    return parsed(writer.compose(Letter(letter_id(alerts), "ann@example.com", alerts, 1)).body)


def test_one_click_unsubscribes_whoever_was_written_to_and_the_page_is_named_in_both_forms() -> None:
    mail = linked(ALERT)
    by_click, by_mail = (way.strip().strip("<>") for way in str(mail["List-Unsubscribe"]).split(","))
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert by_click.startswith(URL + PATH)
    assert by_mail.startswith("mailto:hello@lumora.example")
    token = by_click.removeprefix(URL + PATH)
    assert Subscription("lumora", "lumora:person:p", "email", "lumora:idea:i") == read_token([SECRET], token)
    for kind in ("plain", "html"):
        part = mail.get_body((kind,))
        assert part is not None
        assert by_click in part.get_content()


def test_a_digest_names_no_single_idea() -> None:
    mail = linked(ALERT, replace(ALERT, alert_id="lumora:alert:bbbbbbbbbbbbbbbbbbbbbbbb", root_id="lumora:idea:j"))
    token = str(mail["List-Unsubscribe"]).split(">")[0].removeprefix(f"<{URL}{PATH}")
    assert Subscription("lumora", "lumora:person:p", "email", None) == read_token([SECRET], token)


@given(person=st.text(max_size=300), idea=st.text(max_size=300))
def test_no_id_breaks_out_of_the_link_or_its_header(person: str, idea: str) -> None:
    mail = linked(replace(ALERT, person_id=person, root_id=idea))
    assert sorted(set(mail.keys())) == sorted(mail.keys())
    assert {"List-Unsubscribe", "List-Unsubscribe-Post", "Message-ID", "Auto-Submitted"} < set(mail.keys())


def test_a_letter_is_of_the_day_on_which_it_is_written() -> None:
    writer = Templates(EXAMPLES / "templates", ["shipped"], product="Lumora", sender=SENDER, unsubscribe=None)
    written_at = ALERT.created_at + 6 * 86_400_000_000
    mail = parsed(writer.compose(Letter(letter_id((ALERT,)), "ann@example.com", (ALERT,), written_at)).body)
    assert written_at == mail["Date"].datetime.timestamp() * 1_000_000


def test_a_status_without_words_is_no_mail(tmp_path: Path) -> None:
    folder = write(tmp_path, **variation("shipped"))
    writer = Templates(folder, ["shipped"], product="Lumora", sender=SENDER, unsubscribe=None)
    for part in ("subject.txt", "txt", "html"):
        (folder / f"default.{part}").unlink()
    bare = Templates(folder, ["shipped"], product="Lumora", sender=SENDER, unsubscribe=None)
    alert = replace(ALERT, status="planned")
    assert writer.compose(Letter(letter_id((alert,)), "ann@example.com", (alert,), 1)).body
    with pytest.raises(Unrenderable, match=r"neither planned\.subject\.txt nor default\.subject\.txt"):
        bare.compose(Letter(letter_id((alert,)), "ann@example.com", (alert,), 1))
