"""Every option a run has: its type, its bounds, its default and its meaning. The same names work in all places."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ByteSize, ConfigDict, Field

from ciload.durations import parse_duration

# Seconds; written as a number of seconds or as text with units.
Duration = Annotated[float, BeforeValidator(parse_duration)]
Count = Annotated[int, Field(ge=1)]
# k6's bound as well: a shorter load says nothing about anything.
LoadDuration = Annotated[Duration, Field(ge=1.0)]


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _web_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if value and not usable:
        raise ValueError("not a URL like http://localhost:8000")
    return value


WebAddress = Annotated[str, AfterValidator(_web_address)]


class Options(BaseModel):
    """What a run was asked to do. Unset load options stay None; `plan.py` turns them into scenarios."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    vus: Count | None = Field(None, description="virtual users")
    duration: LoadDuration | None = Field(None, description="how long to keep them busy")
    iterations: Count | None = Field(None, description="iterations in total, shared by all virtual users")
    graceful_stop: Duration = Field(30.0, description="time for running iterations to end when the duration is over")
    base_url: WebAddress = Field("", description="what relative URLs in the script are joined to")
    thresholds: dict[str, Annotated[list[str], BeforeValidator(_as_list)]] = Field(
        default_factory=dict, description="limits that fail the run, by metric"
    )
    insecure_skip_tls_verify: bool = Field(False, description="accept any certificate")
    discard_response_bodies: bool = Field(False, description="read bodies, keep none")
    max_body_kept: Annotated[ByteSize, Field(ge=1)] = Field(
        ByteSize(8 * 1024 * 1024), description="how much of a body a script gets to see"
    )
    batch: Annotated[int, Field(ge=0)] = Field(20, description="requests of one http.batch at once; 0: no limit")
    batch_per_host: Annotated[int, Field(ge=0)] = Field(6, description="of these to one host; 0: no limit")
    setup_timeout: Annotated[Duration, Field(gt=0)] = Field(60.0, description="time for setup()")
    teardown_timeout: Annotated[Duration, Field(gt=0)] = Field(60.0, description="time for teardown()")
    wait_for: WebAddress = Field("", description="URL that must answer with a status below 400 before the run starts")
    wait_timeout: Annotated[Duration, Field(gt=0)] = Field(60.0, description="how long to wait for it")
    allow_script_errors: bool = Field(False, description="exceptions in iterations do not fail the run")
    out_dir: str = Field("ciload-results", min_length=1, description="where the reports go")
    quiet: bool = Field(False, description="no progress and no summary, only errors")


URL_OPTIONS = ("base_url", "wait_for")  # these may hold credentials
LOAD_OPTIONS = ("duration", "iterations")  # whoever sets one of them decides about both
