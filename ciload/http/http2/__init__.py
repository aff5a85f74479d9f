"""HTTP/2 (RFC 9113), for the exchanges that HTTP/1 connections make otherwise. Imported when a client wants it.

`exchange()` holds a `Http2Stream` as it holds a `Connection`; several streams share one `Http2Connection`.

OriginConnections (which connection has room) ──► Http2Connection (frames, flow control) ◄──► Http2Stream (one exchange)
"""
