"""Servers for examples that speak other protocols: `python -m tests.e2e.protocol_servers KIND` says where it listens.

`DELAY_MS` in the environment makes answers wait.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse

DELAY_S = float(os.environ.get("DELAY_MS", "0")) / 1e3
PAGE = """<!doctype html><title>Shop</title><link rel=icon href=data:,>
<button onclick="document.body.append('Thank you')">Buy</button>"""


def say(where: str) -> None:
    print(f"listening on {where}", flush=True)  # noqa: T201  # that is what it is for


async def websocket() -> None:
    """Says what it hears."""
    from websockets.asyncio.server import ServerConnection, serve

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await asyncio.sleep(DELAY_S)
            await connection.send(message)

    async with serve(echo, "127.0.0.1", 0) as server:
        say(f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}")
        await server.serve_forever()


async def grpc() -> None:
    """The health service, which is serving."""
    from grpc import aio
    from grpc_health.v1 import health, health_pb2_grpc

    server = aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    say(f"127.0.0.1:{port}")
    await server.wait_for_termination()


async def web() -> None:
    """A shop, events, and the chat completions of a model that says ten words."""
    import uvicorn

    app = FastAPI()

    @app.get("/")
    def shop() -> HTMLResponse:
        return HTMLResponse(PAGE)

    @app.get("/items")
    def items() -> list[int]:
        return [1, 2, 3]

    async def ten(texts: list[str]) -> AsyncIterator[str]:
        for text in texts:
            await asyncio.sleep(0.01)
            yield f"data: {text}\n\n"

    @app.get("/events")
    def events() -> StreamingResponse:
        return StreamingResponse(ten([f"number {n}" for n in range(20)]), media_type="text/event-stream")

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> Response:
        body = await request.json()
        if request.headers.get("authorization") != "Bearer test" or not body["stream"]:
            return Response(status_code=401)
        deltas = [{"role": "assistant", "content": ""}, *({"content": f"word{n} "} for n in range(10)), {}]
        chunks = [json.dumps({"choices": [{"index": 0, "delta": delta}]}) for delta in deltas]
        return StreamingResponse(ten([*chunks, "[DONE]"]), media_type="text/event-stream")

    listening = socket.create_server(("127.0.0.1", 0))
    say(f"http://127.0.0.1:{listening.getsockname()[1]}")
    await uvicorn.Server(uvicorn.Config(app, log_level="warning")).serve(sockets=[listening])


if __name__ == "__main__":
    asyncio.run({"websocket": websocket, "grpc": grpc, "web": web}[sys.argv[1]]())
