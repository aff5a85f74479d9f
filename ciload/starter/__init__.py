"""Files to start with: a script made from a URL or an OpenAPI document, and the pipelines that run it."""
