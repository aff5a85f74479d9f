"""What a run must not tell: which values are secret, and its result without them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ciload.ci.workflow_commands import known_secrets
from ciload.errors import Complaint, OptionsError
from ciload.metrics.metric import BUILTIN
from ciload.options.model import URL_OPTIONS, Options
from ciload.options.plan import Plan
from ciload.options.scenarios import EXECUTORS
from ciload.options.sources import Source
from ciload.redaction import SECRET_HEADER
from ciload.result.document import RunResult
from ciload.secrets import Masker, credentials_in

PROXY_VARIABLES = [spelled for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY") for spelled in (name, name.lower())]
# Keys of the document that readers look for.
NAMES = {*BUILTIN, *Options.model_fields, *(field for each in EXECUTORS.values() for field in each.model_fields)}


def secrets_at_start(
    environment: Mapping[str, str], env: Sequence[str], flags: Mapping[str, Any], pages: Sequence[str] = ()
) -> list[str]:
    """What is secret as far as command line and environment tell, before the script is loaded.

    Args:
        environment: of the process, tokens included.
        env: pairs of `-e`, whatever they look like.
        flags: options of the command line.
        pages: URLs that are to be requested.
    """
    given = {name: value for name, equals, value in (pair.partition("=") for pair in env) if equals}
    urls = [url for each in URL_OPTIONS for url in (flags.get(each), environment.get(f"CILOAD_{each.upper()}")) if url]
    urls += pages
    in_variable = environment.get("CILOAD_SECRETS", "").split(",")
    names = [each.strip() for each in (*(flags.get("secrets") or ()), *in_variable)]
    return known_secrets({**environment, **given}, urls, names)


def secrets_in_plan(plan: Plan, environment: Mapping[str, str], sources: Sequence[Source]) -> list[str]:
    """The values of what the option `secrets` names, and what signs in in the plan's URLs.

    Raises:
        OptionsError: a variable is set nowhere, so that nothing can be masked for it.
    """
    found = [each for name in URL_OPTIONS for each in credentials_in(getattr(plan.options, name))]
    found += [each for name in PROXY_VARIABLES for each in credentials_in(environment.get(name, ""))]
    found += [value for name, value in plan.options.headers.items() if SECRET_HEADER.search(name)]
    found += [each.password.get_secret_value() for each in plan.options.tls_auth]
    places = [os.environ, environment, *(each.env for each in plan.scenarios.values())]
    complaints = []
    where = next((each.where(("secrets",)) for each in sources if "secrets" in each.values), "")
    for number, name in enumerate(plan.options.secrets, 1):
        values = [each[name] for each in places if name in each]
        if not values:  # its name is not told: it may be the secret, put where its name belongs
            message = f"secrets: entry {number} is no variable that is set: name variables, not their values"
            complaints.append(Complaint(where, message))
        found += values
    if complaints:
        raise OptionsError(complaints)
    return found


def masked(result: RunResult, masker: Masker) -> RunResult:
    """The result without secrets, for every report that is made of it."""
    return masker.document(result, NAMES)
