"""What the database holds before a test: twenty users, and a token that the scripts know."""

import os

from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token

# Published, so it protects nothing. The guide's scripts have it as their default; API_TOKEN replaces both.
DEMO_TOKEN = "c110add0c110add0c110add0c110add0c110add0"

USERS = 20
FIRST_NAMES = ("Ada", "Alan", "Barbara", "Dennis", "Edsger", "Frances", "Grace", "John", "Margaret", "Tony")
LAST_NAMES = ("Bell", "Hill")


def seed() -> str:
    """Create what is missing and return the token. Running it again changes nothing."""
    User.objects.bulk_create([make_user(number) for number in range(1, USERS + 1)], ignore_conflicts=True)
    owner = User.objects.get(username="user01")
    key = os.environ.get("API_TOKEN") or DEMO_TOKEN
    Token.objects.filter(user=owner).exclude(key=key).delete()
    Token.objects.get_or_create(user=owner, key=key)
    return key


def make_user(number: int) -> User:
    """User 1, 2, ...: always the same person. The password is unusable, as nobody logs in."""
    user = User(
        username=f"user{number:02}",
        first_name=FIRST_NAMES[(number - 1) % len(FIRST_NAMES)],
        last_name=LAST_NAMES[(number - 1) // len(FIRST_NAMES) % len(LAST_NAMES)],
        email=f"user{number:02}@example.com",
    )
    user.set_unusable_password()
    return user
