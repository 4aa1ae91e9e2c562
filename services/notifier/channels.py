"""The channels by which people can be told, made from the environment."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from email.utils import parseaddr

from services.common.clock import Clock
from services.common.codec import Codec
from services.common.errors import ConfigurationError
from services.common.settings import load_settings
from services.notifier.adapters.apprise import APPRISE, AppriseChannel
from services.notifier.adapters.email import EmailChannel
from services.notifier.adapters.in_app import IN_APP, InAppChannel
from services.notifier.adapters.posting import Poster, Reach
from services.notifier.adapters.slack import SLACK, SlackChannel
from services.notifier.adapters.smtp import SmtpMailer
from services.notifier.adapters.templates import Templates
from services.notifier.adapters.webhook import WEBHOOK, WebhookChannel
from services.notifier.domain.person import EMAIL
from services.notifier.ports import Channel
from services.notifier.settings import AppriseSettings, SlackSettings, SmtpSettings, WebhookSettings


class Channels:
    """Opens the channels of one worker; *stack* closes what they hold."""

    def __init__(
        self, stack: AsyncExitStack, *, codec: Codec, clock: Clock, templates: Templates, smtp: SmtpSettings, product: str
    ) -> None:
        self._stack = stack
        self._codec = codec
        self._clock = clock
        self._templates = templates
        self._smtp = smtp
        self._product = product

    def opened(self, names: Collection[str]) -> Mapping[str, Channel]:
        """Return the channels *names*.

        Raises:
            ConfigurationError: One of them is none, or its settings are incomplete.
        """
        makers: Mapping[str, Callable[[], Channel]] = {
            EMAIL: self._email,
            WEBHOOK: self._webhook,
            SLACK: self._slack,
            APPRISE: self._apprise,
            IN_APP: lambda: InAppChannel(self._codec),
        }
        unknown = sorted(set(names) - makers.keys())
        if unknown:
            raise ConfigurationError(f"there is no channel {unknown[0]!r}; there are {', '.join(sorted(makers))}")
        return {name: makers[name]() for name in names}

    def _email(self) -> Channel:
        mailer = SmtpMailer(self._smtp, parseaddr(self._smtp.sender)[1])
        self._stack.push_async_callback(mailer.close)
        return EmailChannel(self._templates, mailer)

    def _webhook(self) -> Channel:
        settings = load_settings(WebhookSettings)
        if not settings.secret:
            raise ConfigurationError(
                "GROUNDSWELL_WEBHOOK_SECRET: the channel webhook signs with it; set it to 32 random characters or more"
            )
        masters: Sequence[str] = [secret.get_secret_value() for secret in (settings.secret, settings.former_secret) if secret]
        return WebhookChannel(self._poster(settings.reach()), masters, self._clock, plain=settings.allow_http)

    def _slack(self) -> Channel:
        settings = load_settings(SlackSettings)
        return SlackChannel(
            self._poster(settings.reach()), self._clock, product=self._product, hosts=settings.hosts, plain=settings.allow_http
        )

    def _apprise(self) -> Channel:
        settings = load_settings(AppriseSettings)
        return AppriseChannel(
            product=self._product, schemes=settings.schemes, timeout_seconds=settings.timeout_seconds, connections=settings.connections
        )

    def _poster(self, reach: Reach) -> Poster:
        poster = Poster(reach, self._clock)
        self._stack.push_async_callback(poster.close)
        return poster
