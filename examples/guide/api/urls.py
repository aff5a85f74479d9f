"""Which path is answered by which view."""

from django.urls import path

from api.views import CreateOrganization, ListUsers, health

urlpatterns = [
    path("health", health),
    path("v3/users", ListUsers.as_view()),
    path("v3/organizations", CreateOrganization.as_view()),
]
