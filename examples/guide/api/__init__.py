"""The guide's API: lists users, creates organizations. Django REST framework, token authentication."""
