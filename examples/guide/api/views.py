"""The endpoints, with what each takes and gives in JSON."""

from django.contrib.auth.models import User
from django.http import HttpRequest, JsonResponse
from rest_framework import generics, serializers

from api.models import Organization


class UserSerializer(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ("id", "username", "first_name", "last_name", "email")


class OrganizationSerializer(serializers.ModelSerializer):
    class Meta:
        model = Organization
        fields = ("id", "name", "created_at")


class ListUsers(generics.ListAPIView):
    """GET /v3/users: every user. 401 without a valid token."""

    queryset = User.objects.order_by("id")
    serializer_class = UserSerializer


class CreateOrganization(generics.CreateAPIView):
    """POST /v3/organizations {"name": ...}: 201, or 400 that says why not. 401 without a valid token."""

    queryset = Organization.objects.all()
    serializer_class = OrganizationSerializer


def health(_request: HttpRequest) -> JsonResponse:
    """GET /health: the process answers. No token, no database, so that it says nothing else."""
    return JsonResponse({"status": "ok"})
