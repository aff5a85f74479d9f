"""The job for Locust, with its fast client.

The check is a plain comparison that raises: cheaper for Locust than `catch_response`, and a failed one still ends up in
its exit code.
"""
# mypy: ignore-errors
# locust is installed in the peers' own environment, where the type checker does not look.

import os

from locust import FastHttpUser, task

URL = os.environ["TARGET_URL"]
HEADERS = {
    "Authorization": "Token 9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b",
    "Content-Type": "application/json",
}


class Caller(FastHttpUser):
    host = URL

    @task
    def get_users(self) -> None:
        response = self.client.get(URL, headers=HEADERS)
        if response.status_code != 200:
            raise AssertionError(f"status is {response.status_code}")
