"""Secret values in text and documents: replaced in every spelling, and nothing else is."""

from __future__ import annotations

import json
import traceback
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciload.result.comparison import GateVerdict
from ciload.result.document import ErrorRow, RunResult
from ciload.runner.masking import masked, secrets_at_start
from ciload.secrets import Masker, take_tokens
from tests.reports.results import comparison, error, gated, threshold
from tests.reports.results import result as result_of

SECRET = "s3cret/ü+'\\\"zqx"


@pytest.mark.parametrize(
    "spelled",
    [SECRET, quote(SECRET), quote(SECRET, safe=""), quote_plus(SECRET), quote(SECRET).lower(), json.dumps(SECRET)[1:-1],
     json.dumps(SECRET, ensure_ascii=False)[1:-1], repr(SECRET)[1:-1]],
)  # fmt: skip
def test_every_spelling_is_masked(spelled: str) -> None:
    """As it is, in URLs, in JSON, and in what Python shows of it."""
    assert Masker([SECRET])(f"a {spelled} b {spelled}") == "a *** b ***"


def test_blanks_in_a_secret_may_be_collapsed() -> None:
    """Messages are put into one line before they are shown."""
    assert Masker(["correct  horse\tbattery"])("KeyError: correct horse battery") == "KeyError: ***"


def test_short_values_are_left_alone() -> None:
    """To mask a 1 or an empty variable would punch holes into every word."""
    assert Masker(["", "abc", "   ", "1"])("abc 1 text") == "abc 1 text"


def test_the_longest_of_several_secrets_goes_first() -> None:
    """A secret that begins with another one leaves no tail."""
    assert Masker(["hunter", "hunter2zqx"])("hunter2zqx hunter") == "*** ***"


def test_values_may_be_added_later() -> None:
    """Options of the script name secrets when it has been loaded."""
    masker = Masker()
    assert masker("hunter2") == "hunter2"
    masker.add(["hunter2"])
    assert masker("hunter2") == "***"


def test_a_secret_of_several_lines_is_masked_in_whole_and_in_parts() -> None:
    """A private key is printed line by line, or in one line."""
    lines = ["-----BEGIN KEY-----", "MIIEowIBAAKCAQEAzqx", "b6wzqxTkqLQsbJ0VkL", "-----END KEY-----"]
    masker = Masker(["\n".join(lines) + "\n"])
    assert masker("\n".join(lines)) == "***"
    assert masker(" ".join(lines)) == "***"
    assert masker(f"KeyError: {lines[1]}") == "KeyError: ***"
    assert masker(json.dumps("\n".join(lines))) == '"***"'


@pytest.mark.parametrize("kept", range(4, 9))
@pytest.mark.parametrize("end", ["…", "\n…"])
def test_a_secret_that_was_cut_is_masked(kept: int, end: str) -> None:
    """Messages and tracebacks are cut somewhere, be it in the middle of a secret."""
    cut = "hunter2zqx"[:kept]
    assert Masker(["hunter2zqx"])(f"before {cut}{end} after") == f"before ***{end} after"
    assert Masker(["hunter2zqx"])(f"before hun{end}") == f"before hun{end}"


@given(
    st.text(min_size=4, max_size=12).filter(lambda text: len(text.strip()) >= 4),
    st.text(max_size=5),
    st.text(max_size=5),
)
def test_no_secret_survives(secret: str, before: str, after: str) -> None:
    """Whatever characters it has, and whatever stands around it."""
    value = secret.strip()
    assert value not in Masker([secret])(before + secret + after).replace("***", "")


def test_a_document_is_masked_everywhere_and_stays_one() -> None:
    """Names, keys, messages and options lose the secret; the document is valid and says the same numbers."""
    result = result_of(thresholds=[threshold(passed=False)])
    row = ErrorRow(source="GET /hunter2zqx", message="KeyError: hunter2zqx", count=3, detail="at hunter2zqx")
    options = {"tags": {"hunter2zqx": "a hunter2zqx"}, "base_url": "http://h/hunter2zqx", "vus": 3}
    result = result.model_copy(update={"errors": [row], "options": options})
    text = masked(result, Masker(["hunter2zqx"])).to_json()
    assert "hunter2zqx" not in text
    again = RunResult.model_validate_json(text)
    assert again.errors[0] == ErrorRow(source="GET /***", message="KeyError: ***", count=3, detail="at ***")
    assert again.options == {"tags": {"***": "a ***"}, "base_url": "http://h/***", "vus": 3}
    assert [each.code for each in again.verdict.failures] == [each.code for each in result.verdict.failures]


@pytest.mark.parametrize(
    "word", ["http_req_duration", "http", "duration", "ciload", "ciload/result/1", "fail", "count"]
)
def test_a_secret_that_is_a_word_of_the_document_breaks_nothing(word: str) -> None:
    """Somebody's password is "duration": names of fields and metrics, and what a schema allows, stay."""
    result = result_of(thresholds=[threshold(passed=False)])
    again = masked(result, Masker([word]))
    assert RunResult.model_validate_json(again.to_json()) == again
    assert set(again.metrics) == set(result.metrics)
    assert [each.metric.partition("{")[0] for each in again.thresholds] == [
        each.metric.partition("{")[0] for each in result.thresholds
    ]


def test_without_secrets_nothing_is_copied() -> None:
    """A run that has none pays nothing for it."""
    result = result_of()
    assert masked(result, Masker()) is result


def test_what_is_secret_at_the_start() -> None:
    """Tokens, CILOAD_SECRET_*, what --secret and CILOAD_SECRETS name, also when -e sets it, and passwords in URLs."""
    environment = {
        "GITHUB_TOKEN": "ghs_1234", "CILOAD_SECRET_DB": "dbdbdb", "CILOAD_SECRETS": "A, B,NOWHERE", "A": "aaaa",
        "B": "bbbb", "C": "cccc", "CILOAD_WAIT_FOR": "http://u:wwww@h", "PATH": "/usr/bin",
    }  # fmt: skip
    found = secrets_at_start(
        environment, ["E=eeee", "F=ffff", "wrong"], {"secrets": ["E", "C"], "base_url": "http://u:pppp@h"}
    )
    assert sorted(found) == ["aaaa", "bbbb", "cccc", "dbdbdb", "eeee", "ghs_1234", "pppp", "wwww"]


def test_tokens_are_taken_and_everything_else_stays() -> None:
    """The CI's tokens that ciload signs in with, and GitLab's copies of its own; a script's secrets are its own."""
    environment = {
        "GITHUB_TOKEN": "ghs_1234", "CI_JOB_TOKEN": "glcbt-zqx", "CILOAD_GITHUB_TOKEN": "a", "CILOAD_GITLAB_TOKEN": "b",
        "CI_REGISTRY_PASSWORD": "glcbt-zqx", "CI_REPOSITORY_URL": "https://gitlab-ci-token:glcbt-zqx@h/x.git",
        "CI_PROJECT_ID": "7", "API_TOKEN": "mine", "CILOAD_SECRET_A_TOKEN": "aaaa", "GITHUB_SHA": "abc",
    }  # fmt: skip
    take_tokens(environment)
    assert environment == {
        "CI_PROJECT_ID": "7",
        "API_TOKEN": "mine",
        "CILOAD_SECRET_A_TOKEN": "aaaa",
        "GITHUB_SHA": "abc",
    }


def test_a_traceback_is_masked() -> None:
    """As a bug of ours would print it."""
    try:
        raise KeyError(SECRET)
    except KeyError:
        text = Masker([SECRET])(traceback.format_exc())
    assert "zqx" not in text.rpartition("raise")[2].partition("\n")[2]


def texts(value: object) -> set[str]:
    """All keys and texts of plain values."""
    if isinstance(value, dict):
        return {str(key) for key in value} | {text for each in value.values() for text in texts(each)}
    if isinstance(value, list):
        return {text for each in value for text in texts(each)}
    return {value} if isinstance(value, str) else set()


def test_whatever_text_is_the_secret_the_document_stays_one() -> None:
    """Each text of a result with comparisons, taken for a secret, leaves a document that can be read again."""
    compared = comparison(GateVerdict.REGRESSION, gated())
    result = result_of(comparisons=[compared], errors=[error()], thresholds=[threshold(passed=False, severity="warn")])
    for secret in texts(json.loads(result.to_json())):
        again = masked(result, Masker([secret]))
        assert RunResult.model_validate_json(again.to_json()) == again, secret
