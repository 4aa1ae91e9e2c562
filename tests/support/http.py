"""A server that writes down what it is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from aiohttp import web

Answering: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Server:
    """What was asked of a server."""

    url: str
    asked: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)


async def fine(_request: web.Request) -> web.StreamResponse:
    """Answer 200."""
    return web.Response(text="ok")


@asynccontextmanager
async def serving(answer: Answering = fine) -> AsyncIterator[Server]:
    """Run a server on loopback that answers everything with *answer*."""

    async def note(request: web.Request) -> web.StreamResponse:
        server.asked.append((request.headers, await request.read()))
        return await answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", note)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server = Server(f"http://127.0.0.1:{runner.addresses[0][1]}/hook")
    try:
        yield server
    finally:
        await runner.cleanup()
