"""The one table of our own; users and tokens are Django's."""

from django.db import models


class Organization(models.Model):
    """What the guide's POST creates. Names may repeat: two test runs create the same ones."""

    name = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return str(self.name)
