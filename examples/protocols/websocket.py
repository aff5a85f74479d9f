"""A chat over WebSocket: how long it takes until what one says comes back."""

import os

from websockets.asyncio.client import connect

from ciload import check, measure, sleep

URL = os.environ.get("WEBSOCKET_URL", "ws://localhost:8765")

options = {
    "name": "websocket",
    "vus": 10,
    "duration": "30s",
    "thresholds": {
        "op_duration{name:connect}": "p(95)<500",
        "op_duration{name:echo}": ["p(95)<100", "p(99)<250"],
        "op_failed": "rate<0.01",
        "checks": "rate>0.99",
    },
}


async def default(vu):
    async with measure("connect", protocol="websocket"):
        socket = await connect(URL)
    async with socket:
        for number in range(10):
            message = f"{vu.id}: {number}"
            async with measure("echo", protocol="websocket") as operation:
                await socket.send(message)
                answer = await socket.recv()
                operation.bytes_sent, operation.bytes_received = len(message), len(answer)
            check(answer, {"is what was said": lambda text, said=message: text == said})
            await sleep("50ms")
