"""The measured HTTP client that scripts use: `from ciload import http`.

    call ──► Prepared (bytes) ──► Connection (protocol and parser) ──► Response
                                       │ time stamps
                                       ▼
                                  HttpSeries (metrics)
"""
