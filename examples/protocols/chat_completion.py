"""A streamed chat completion, as OpenAI's API and many servers of language models have it: time to first token."""

import os

from ciload import Trend, check, http

first_token = Trend("time to first token", unit="ms", gate=True)
speed = Trend("tokens per second", gate=True, better="higher")

options = {
    "name": "chat completion",
    "base_url": os.environ.get("OPENAI_BASE_URL", "http://localhost:8000/v1"),
    "headers": {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', 'none')}"},
    "vus": 5,
    "duration": "30s",
    "thresholds": {"time to first token": "p(95)<2000", "tokens per second": "med>5", "checks": "rate>0.99"},
}


async def default(vu):
    question = {"role": "user", "content": f"Tell me something about the number {vu.random.randrange(1000)}."}
    body = {"model": "small", "messages": [question], "stream": True}
    tokens = []
    async with await http.post("chat/completions", json=body, stream=True, timeout="2m") as reply:
        async for event in reply.aiter_sse():
            if event.data != "[DONE]" and event.json()["choices"][0]["delta"].get("content"):
                tokens.append(event.at)  # ms since the request was sent
    check(reply, {"status is 200": lambda r: r.status_code == 200, "has tokens": bool(tokens)})
    if tokens:
        first_token.add(tokens[0])
    if len(tokens) > 1:
        speed.add(1000 * (len(tokens) - 1) / (tokens[-1] - tokens[0]))
