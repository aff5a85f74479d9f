"""Comments on pull and merge requests: one that stays, nobody else's, and never at the price of the verdict."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from markdown_it import MarkdownIt

from ciload.ci.forge import ApiError
from ciload.ci.github_comments import post_comment
from ciload.ci.gitlab import post_note
from ciload.ci.publish import publish
from ciload.ci.sticky import MOST_BYTES, comment_text, marker_of
from ciload.ci.workflow_commands import workflow_command
from ciload.cli.comment import _comment
from ciload.errors import UsageError
from ciload.result.comparison import GateVerdict
from ciload.result.document import CI, Failure, RunResult
from ciload.result.suite import Suite, SuiteTest
from ciload.runner.report_files import COMMENT, write_report
from tests.ci.conftest import Job
from tests.ci.forge import BOT, HUMAN, OTHER_BOT, SHA, TOKEN, GitHub, GitLab, Reply
from tests.reports import results
from tests.reports.results import comparison, hostile, hostile_comparison, result, verdict
from tests.runner.reports import write_reports

MARKER = "<!-- ciload:0123456789abcdef -->"
DENIED = Reply(403, {"message": "Resource not accessible by integration"})


def post(environment: dict[str, str], body: str = "new") -> tuple[str, int | None]:
    posted = post_comment(environment, MARKER, f"{MARKER}\n{body}")
    return posted.done, posted.number


# --- whose comment


def test_first_comment_is_created_and_the_next_one_changes_it(github: GitHub, job: Job) -> None:
    """A pull request with twenty pushes has one comment."""
    assert [post(job(), "one"), post(job(), "two")] == [("created", 7), ("updated", 7)]
    assert [each["body"] for each in github.comments] == [f"{MARKER}\ntwo"]


def test_own_comment_is_found_on_the_last_of_many_pages(github: GitHub, job: Job) -> None:
    """Busy pull requests get no second comment."""
    for number in range(250):
        github.comment(f"talk {number}", HUMAN)
    github.comment(f"{MARKER}\nold", BOT)
    assert post(job()) == ("updated", 7)
    assert len(github.comments) == 251


@pytest.mark.parametrize("somebody", [HUMAN, OTHER_BOT], ids=lambda user: user["login"])
@pytest.mark.parametrize("viewer", [True, False], ids=["known", "unknown"])
def test_nobody_elses_comment_is_changed(github: GitHub, job: Job, somebody: dict[str, Any], viewer: bool) -> None:
    """Whoever copies the marker keeps what he wrote, whether or not the forge says whose the token is."""
    if not viewer:
        github.viewer = None
    github.comment(f"{MARKER}\nmine", somebody)
    assert post(job()) == ("created", 7)
    assert github.comments[0]["body"] == f"{MARKER}\nmine"


def test_human_with_the_login_of_the_bot_is_no_bot(github: GitHub, job: Job) -> None:
    """The kind of user is looked at as well."""
    github.viewer = None
    github.comment(f"{MARKER}\nmine", {**HUMAN, "login": BOT["login"]})
    assert post(job())[0] == "created"


def test_marker_in_the_middle_is_a_quotation(github: GitHub, job: Job) -> None:
    """Only a comment that begins with the marker was made by us."""
    github.comment(f"> {MARKER}\nwhat is this?", BOT)
    assert post(job())[0] == "created"


def test_token_of_a_person_changes_that_persons_comment(github: GitHub, job: Job) -> None:
    """CILOAD_GITHUB_TOKEN may be anybody's; it comes before GITHUB_TOKEN."""
    github.viewer, github.me = {"login": "mallory", "databaseId": 666}, HUMAN
    environment = job(GITHUB_TOKEN="wrong", CILOAD_GITHUB_TOKEN=TOKEN)
    assert [post(environment)[0], post(environment)[0]] == ["created", "updated"]


def test_comment_that_was_deleted_meanwhile_is_created_again(github: GitHub, job: Job) -> None:
    """Between finding and changing, a maintainer may have tidied up."""
    github.comment(f"{MARKER}\nold", BOT)
    github.first.append((r"PATCH .*", Reply(404, {"message": "Not Found"})))
    assert post(job())[0] == "created"


# --- which pull request


def test_event_of_a_push_is_looked_up_by_its_commit(github: GitHub, job: Job) -> None:
    """A branch with an open pull request gets a comment there; closed ones, and those that went on, do not count."""
    github.pull(5, state="closed")
    github.pull(6, sha="0" * 40)
    github.pull(7)
    assert post(job("push", {"ref": "refs/heads/x"})) == ("created", 7)


def test_push_without_a_pull_request_is_no_failure(github: GitHub, job: Job) -> None:
    """Most pushes to main belong to none."""
    assert post(job("push", {})) == ("", None)
    assert github.comments == []


@pytest.mark.parametrize(
    ("name", "event", "number"),
    [
        ("pull_request_target", {"pull_request": {"number": 7}}, 7),
        ("issue_comment", {"issue": {"number": 7, "pull_request": {"url": "x"}}}, 7),
        ("issue_comment", {"issue": {"number": 7}}, None),
        ("schedule", {}, None),
        ("pull_request", {"pull_request": {"number": "7/../8"}}, None),
        ("pull_request", [], None),
    ],
)
def test_number_comes_from_the_event(github: GitHub, job: Job, name: str, event: Any, number: int | None) -> None:
    """Of every kind of event that is about a pull request, and of no other."""
    assert post(job(name, event))[1] == number


def workflow_run(**changes: Any) -> dict[str, Any]:
    run = {
        "head_sha": SHA, "head_branch": "patch-1", "name": "load", "html_url": "https://github.test/a/b/actions/runs/9",
        "head_repository": {"full_name": "fork/b", "owner": {"login": "fork"}}, "pull_requests": [],
    }  # fmt: skip
    return {"workflow_run": run | changes}


def test_workflow_run_finds_the_forks_pull_request_by_its_head(github: GitHub, job: Job) -> None:
    """The event has no pull request of a fork; the one at the same commit of the same fork is it."""
    github.pull(5, source="other/b")
    github.pull(6, sha="0" * 40)
    github.pull(7)
    assert post(job("workflow_run", workflow_run())) == ("created", 7)
    asked = next(each for each in github.asked if each.path == "/repos/a/b/pulls")
    assert asked.query["head"] == ["fork:patch-1"]


def test_branch_name_cannot_change_the_question(github: GitHub, job: Job) -> None:
    """Branches of forks have names that somebody chose."""
    post(job("workflow_run", workflow_run(head_branch="x&state=closed#")))
    asked = next(each for each in github.asked if each.path == "/repos/a/b/pulls")
    assert (asked.query["head"], asked.query["state"]) == (["fork:x&state=closed#"], ["open"])


# --- when the forge does not want to


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_hiccup_is_tried_again(github: GitHub, job: Job, status: int) -> None:
    """The second attempt works, and there is one comment."""
    for pattern in ("GET .*", "POST .*comments"):
        github.first.append((pattern, Reply(status, {"message": "hiccup"}, {"Retry-After": "0"})))
    assert post(job()) == ("created", 7)
    assert len(github.comments) == 1


def test_comment_that_was_created_though_the_forge_said_500_is_not_created_twice(github: GitHub, job: Job) -> None:
    """Before the second attempt we look whether the first one has worked after all."""
    real, failures = github.answer, iter([True])

    def answer(request: Any) -> Reply:
        reply = real(request)
        failed = request.method == "POST" and "comments" in request.path and next(failures, False)
        return Reply(502, {"message": "bad gateway"}) if failed else reply

    github.answer = answer  # type: ignore[method-assign]
    assert post(job()) == ("updated", 7)
    assert len(github.comments) == 1


def test_attempts_come_to_an_end(github: GitHub, job: Job) -> None:
    """Three, and no wait of minutes that the forge asks for."""
    github.always["GET .*"] = Reply(503, {"message": "down"})
    with pytest.raises(ApiError, match="503"):
        post(job())
    assert len(github.lines("GET")) == 3
    github.asked.clear()
    github.always["GET .*"] = Reply(503, {"message": "down"}, {"Retry-After": "3600"})
    with pytest.raises(ApiError, match="503"):
        post(job())
    assert len(github.lines("GET")) == 1


def test_slow_forge_is_given_up(github: GitHub, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """A forge that does not answer costs seconds, not the job's time limit."""
    monkeypatch.setattr("ciload.ci.forge.TIMEOUT_S", 0.05)
    github.delay_s = 0.2
    with pytest.raises(ApiError, match=r"[Tt]ime"):
        post(job())


def test_next_page_is_never_sought_at_another_host(github: GitHub, job: Job) -> None:
    """A Link header cannot make us hand out the token."""
    github.first.append(("GET .*comments", Reply(200, [], {"Link": '<http://127.0.0.2:1/x>; rel="next"'})))
    with pytest.raises(ApiError, match="another host"):
        post(job())


def test_redirect_to_another_host_is_not_followed_with_a_comment(github: GitHub, job: Job, storage: Any) -> None:
    """The comment and the token stay with the API."""
    github.first.append(("GET .*comments", Reply(302, None, {"Location": f"{storage.url}/x"})))
    with pytest.raises(ApiError, match="another host"):
        post(job())
    assert storage.asked == []


def test_redirect_within_the_host_is_followed(github: GitHub, job: Job) -> None:
    """A repository that was renamed answers with one."""
    moved = f"{github.url}/repos/a/b/issues/7/comments?per_page=100"
    github.first.append(("GET .*/old/comments|GET .*/issues/7/comments", Reply(301, None, {"Location": moved})))
    assert post(job()) == ("created", 7)


@pytest.mark.parametrize("body", [b"<html>", b"[" * 100_000, b"{}", b'[1, null, {"body": 3}]', b'"x"'], ids=len)
def test_nonsense_from_the_forge_is_no_traceback(github: GitHub, job: Job, body: bytes) -> None:
    """Either it is understood as an empty list, or it is an ApiError."""
    github.always["GET .*"] = Reply(200, body)
    with suppress(ApiError):
        assert post(job())[0] == "created"


# --- the whole way


def comment_in(folder: Path) -> Callable[[str], Path]:
    return lambda body: write_report(folder / COMMENT, body)


def published(
    run: RunResult, folder: Path, environment: dict[str, str], comment: str = "always", *, status: bool = False
) -> list[str]:
    files, code = write_reports(folder, run), run.verdict.exit_code
    write = comment_in(folder)
    return publish(run, files, folder, environment, write, comment=comment, status=status, exit_code=code).said


def test_comment_is_posted_and_kept_as_a_file(github: GitHub, job: Job, tmp_path: Path) -> None:
    """What the pull request shows is what comment.md has."""
    run = result(ci=CI(provider="github", run_url="https://github.test/a/b/actions/runs/1"))
    assert published(run, tmp_path, job()) == ["created a comment at pull request 7"]
    body = github.comments[0]["body"]
    assert body == (tmp_path / "comment.md").read_text(encoding="utf-8")
    assert "## ✅ load passed: p95 283 ms" in body
    assert "[run and report](https://github.test/a/b/actions/runs/1)" in body
    assert "About this run" not in body


def test_fork_gets_a_notice_instead_of_a_failure(github: GitHub, job: Job, tmp_path: Path) -> None:
    """One line says why there is no comment, where it is, and what to do."""
    github.always["POST .*comments"] = DENIED
    run = result(ci=CI(provider="github"))
    done = publish(
        run, write_reports(tmp_path, run), tmp_path, job(), comment_in(tmp_path), comment="always", exit_code=0
    )
    [said] = done.said
    assert done.commands == [workflow_command("notice", said, {"title": "ciload"})]
    assert "forks" in said
    assert "docs/ci.md" in said
    assert "comment.md" in said
    assert "warning" not in said
    assert (tmp_path / "comment.md").is_file()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"GITHUB_TOKEN": ""}, "GITHUB_TOKEN: ${{ github.token }}"),
        ({"GITHUB_API_URL": "http://127.0.0.1:1"}, "warning: no comment: http://127.0.0.1:1"),
        ({"GITHUB_API_URL": "no url"}, "warning: no comment"),
        ({"GITHUB_TOKEN": "with\nnewline"}, "warning: no comment"),
        ({"GITHUB_TOKEN": "ünï"}, "no comment"),
    ],
    ids=["no token", "no server", "no URL", "newline", "no ASCII"],
)
def test_what_keeps_us_from_commenting_is_said(
    github: GitHub, job: Job, tmp_path: Path, changes: dict[str, str], expected: str
) -> None:
    """And the token is not."""
    [said] = published(result(ci=CI(provider="github")), tmp_path, job(**changes))
    assert expected in said
    assert "newline" not in said


GITHUB_RUN = CI(provider="github", run_url="https://github.test/a/b/actions/runs/1")
FAILED = verdict(Failure(code=99, reason="threshold failed: p(95)<100"))


@pytest.mark.parametrize(
    ("when", "run", "begins"),
    [
        ("always", result(ci=GITHUB_RUN), True),
        ("on-failure", result(ci=GITHUB_RUN), False),
        ("on-failure", result(ci=GITHUB_RUN, verdict=FAILED), True),
        ("on-failure", result(ci=GITHUB_RUN, comparisons=[comparison(GateVerdict.IMPROVED)]), False),
        ("on-change", result(ci=GITHUB_RUN), False),
        ("on-change", result(ci=GITHUB_RUN, verdict=FAILED), True),
        ("on-change", result(ci=GITHUB_RUN, comparisons=[comparison(GateVerdict.IMPROVED)]), True),
        ("on-change", result(ci=GITHUB_RUN, comparisons=[comparison(GateVerdict.SUSPICIOUS)]), True),
        ("on-change", result(ci=GITHUB_RUN, comparisons=[comparison(GateVerdict.OK)]), False),
        ("off", result(ci=GITHUB_RUN, verdict=FAILED), False),
    ],
)
def test_comments_only_when_they_are_wanted(
    when: str, run: RunResult, begins: bool, github: GitHub, job: Job, tmp_path: Path
) -> None:
    said = published(run, tmp_path, job(), when)
    assert bool(github.comments) == begins
    assert (tmp_path / "comment.md").is_file() == (when != "off")
    assert not [line for line in said if line.startswith("warning")]


def test_a_comment_that_is_there_is_kept_true(github: GitHub, job: Job, tmp_path: Path) -> None:
    """A failure that has been mended must not stand there as if it were not."""
    published(result(ci=GITHUB_RUN, verdict=FAILED), tmp_path, job(), "on-failure")
    assert published(result(ci=GITHUB_RUN), tmp_path, job(), "on-failure") == ["updated a comment at pull request 7"]
    [kept] = github.comments
    assert "✅" in kept["body"]


def test_the_status_of_the_commit_has_the_headline(github: GitHub, job: Job, tmp_path: Path) -> None:
    """At the commit that was pushed, not at the merge that is checked out."""
    github.always[f"POST /repos/a/b/statuses/{SHA}"] = Reply(201, {})
    for run, state in ((result(ci=GITHUB_RUN), "success"), (result(ci=GITHUB_RUN, verdict=FAILED), "failure")):
        environment = job(GITHUB_SHA="0" * 40)
        assert published(run, tmp_path, environment, "off", status=True) == [f"set the status of commit {SHA[:7]}"]
        asked = github.asked[-1].body
        assert (asked["state"], asked["context"], asked["target_url"]) == (state, "ciload: load", GITHUB_RUN.run_url)
        assert 0 < len(asked["description"]) <= 140


def test_a_token_that_may_not_set_a_status_is_told_and_fails_nothing(github: GitHub, job: Job, tmp_path: Path) -> None:
    github.always["POST .*statuses.*"] = DENIED
    [said] = published(result(ci=GITHUB_RUN), tmp_path, job(), "off", status=True)
    assert "permissions: statuses: write" in said
    [said] = published(result(), tmp_path, {}, "off", status=True)
    assert "the commits of GitHub and GitLab have one" in said


def test_the_status_on_gitlab(gitlab: GitLab, pipeline: dict[str, str], tmp_path: Path) -> None:
    gitlab.always[f"POST /projects/5/statuses/{SHA}"] = Reply(201, {})
    run = result(ci=CI(provider="gitlab"), verdict=FAILED)
    assert published(run, tmp_path, pipeline | {"CI_COMMIT_SHA": SHA}, "off", status=True)
    assert gitlab.asked[-1].body["state"] == "failed"


def test_elsewhere_a_comment_is_a_file_only(tmp_path: Path) -> None:
    """On Jenkins and at a terminal nobody is there to comment to."""
    [said] = published(result(), tmp_path, {})
    assert "comments are for GitHub and GitLab" in said
    assert (tmp_path / "comment.md").is_file()


def test_comment_file_that_cannot_be_written_fails_the_run(github: GitHub, job: Job, tmp_path: Path) -> None:
    """It is one of the results."""
    (tmp_path / "comment.md").mkdir()
    with pytest.raises(UsageError, match=r"comment\.md"):
        published(result(ci=CI(provider="github")), tmp_path, job())


# --- the text


def test_marker_tells_tests_jobs_and_workflows_apart() -> None:
    """By name, or folder and script, by target and leg; not by what changes from run to run."""
    runs = [
        result(), result(name="b.py"), result(folder="services/shop"), result(options={"name": "x"}),
        result(options={"target": "staging"}), result(options={"base_url": "http://localhost:8001"}),
        result(options={"leg": "ubuntu, 3.12"}), result(options={"name": "x", "leg": "ubuntu, 3.12"}),
    ]  # fmt: skip
    markers = {marker_of(run, workflow, job) for run in runs for workflow in "ab" for job in "cd"}
    assert len(markers) == 4 * len(runs)
    assert marker_of(result(run_id="1"), "a", "b") == marker_of(result(run_id="2", timeline=[]), "a", "b")
    assert marker_of(result(options={"name": "x"}), "a", "b") == marker_of(
        result(options={"name": "x", "base_url": "http://preview-17.example"}, name="c", folder="d"), "a", "b"
    )
    assert all(re.fullmatch(r"<!-- ciload:[0-9a-f]{16} -->", each) for each in markers)


def test_enormous_result_fits_and_says_that_it_was_shortened() -> None:
    """At the ends of rows, with the verdict kept."""
    names = [f"/{number}/{'名' * 150}" for number in range(600)]
    run = result(
        endpoints=[results.endpoint(name) for name in names],
        checks=[results.check(name) for name in names],
        errors=[results.error(name * 50, detail=name * 50) for name in names],
        thresholds=[results.threshold(metric=name) for name in names],
        verdict=verdict(*(Failure(code=99, reason=name * 50) for name in names)),
    )
    text = comment_text(run, MARKER, None)
    assert 20_000 < len(text.encode()) <= MOST_BYTES
    assert text.startswith(f"{MARKER}\n## ❌ load: ")
    assert "Shortened: the whole is in" in text
    assert re.search(r"and [\d,]+ more", text)
    assert all(line.endswith("|") for line in text.split("\n") if line.startswith("|"))


@given(text=hostile, other=hostile)
def test_nothing_breaks_out_of_a_comment(text: str, other: str) -> None:
    """No link, no mention, no second marker, and no line that GitLab takes for a quick action."""
    run = result(
        name=text, endpoints=[results.endpoint(text, method=other)], checks=[results.check(f"/close\n/close {text}")],
        errors=[results.error(f"/merge\n{text}", source=other)], comparisons=[hostile_comparison(text, other)],
        verdict=verdict(Failure(code=110, reason=f"{text}\n/close"), warnings=(other, "/approve")),
    )  # fmt: skip
    body = comment_text(run, MARKER, f"https://x/){text} [")
    parsed = MarkdownIt("commonmark").enable("table").parse(body)
    everything = [part for each in parsed for part in [each, *(each.children or ())]]
    assert not {each.type for each in everything} & {"link_open", "image"}
    assert sum("<!--" in each.content for each in everything if each.type.startswith("html")) == 1
    assert not re.search(r"^\s*/\w", body, re.MULTILINE)


# --- the second workflow


def comment_from(folder: Path, environment: dict[str, str]) -> int:
    return _comment(folder, environment)


def test_second_workflow_comments_for_the_fork(github: GitHub, job: Job, tmp_path: Path) -> None:
    """At the pull request that GitHub names, with the key that the run itself would have used, made from its data."""
    github.pull(7)
    run = result(ci=CI(provider="github", job="test", run_url="https://evil.test/", pull_request="8"))
    write_reports(tmp_path, run)
    (tmp_path / "comment.md").write_text("<!-- ciload:0 --> [click](https://evil.test)")
    assert comment_from(tmp_path, job("workflow_run", workflow_run(), GITHUB_WORKFLOW="poster", GITHUB_JOB="post")) == 0
    [posted] = github.comments
    assert posted["body"].startswith(marker_of(run, "load", "test"))
    assert "evil" not in posted["body"]
    assert "https://github.test/a/b/actions/runs/9" in posted["body"]
    assert "which the pull request decides on" in posted["body"]


def test_second_workflow_comments_for_a_suite(github: GitHub, job: Job, tmp_path: Path) -> None:
    """All of its tests in one comment; a folder that leads elsewhere is none of its own."""
    github.pull(7)
    run = result(ci=CI(provider="github", job="test", run_url="https://evil.test/"))
    (tmp_path / "loads-a").mkdir()
    write_reports(tmp_path / "loads-a", run)
    tests = [
        SuiteTest(script="loads/a.py", results="loads-a", exit_code=0, result=run),
        SuiteTest(script="loads/b.py", results="loads-b", exit_code=1, reason="[click](https://evil.test/)"),
    ]
    suite = Suite(scripts=["loads/*.py"], git=run.git, ci=run.ci, exit_code=1, tests=tests)
    (tmp_path / "suite.json").write_text(suite.to_json())
    assert comment_from(tmp_path, job("workflow_run", workflow_run())) == 0
    [posted] = github.comments
    assert posted["body"].startswith(marker_of(suite, "load", "test"))
    assert "1 of 2 tests failed" in posted["body"]
    assert not re.search(r"\]\(https?://evil", posted["body"])
    assert posted["body"].count("<details>") == posted["body"].count("</details>")

    (tmp_path / "suite.json").write_text(suite.to_json().replace('"loads-a"', '"../loads-a"'))
    with pytest.raises(UsageError, match="is no suite of this ciload"):
        comment_from(tmp_path, job("workflow_run", workflow_run()))


def test_link_of_a_strangers_result_is_not_believed(github: GitHub, job: Job, tmp_path: Path) -> None:
    """Where GitHub does not say which run it was, there is no link at all."""
    github.pull(7)
    write_reports(tmp_path, result(ci=CI(provider="github", job="test", run_url="https://evil.test/")))
    assert comment_from(tmp_path, job("workflow_run", workflow_run(html_url=None))) == 0
    [posted] = github.comments
    assert "evil" not in posted["body"]
    assert "run and report" not in posted["body"]


def test_pull_request_that_went_on_is_left_alone(
    github: GitHub, job: Job, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A comment about an older commit would lie about the newer one."""
    github.pull(7, sha="0" * 40)
    write_reports(tmp_path, result())
    assert comment_from(tmp_path, job("workflow_run", workflow_run())) == 0
    assert github.comments == []
    assert "no open pull request" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"), (b"{}", "no result"), (b"[" * 100_000, "no result"), (b"\xff", "no result"),
        (b" " * ((64 << 20) + 1), "larger than"),
    ],
    ids=["missing", "empty", "deep", "bytes", "large"],
)  # fmt: skip
def test_second_workflow_reads_results_only(
    github: GitHub, job: Job, tmp_path: Path, content: bytes | None, message: str
) -> None:
    """What is no result of ours is refused, and nothing is posted."""
    github.pull(7)
    if content is not None:
        (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        comment_from(tmp_path, job("workflow_run", workflow_run()))
    assert github.comments == []


def test_second_workflow_without_the_permission_says_so(github: GitHub, job: Job, tmp_path: Path) -> None:
    """Here a comment is all that was wanted, so it fails."""
    github.pull(7)
    github.always["POST .*comments"] = DENIED
    write_reports(tmp_path, result())
    with pytest.raises(UsageError, match="pull-requests: write"):
        comment_from(tmp_path, job("workflow_run", workflow_run()))


# --- GitLab


def test_note_is_created_then_changed(gitlab: GitLab, pipeline: dict[str, str]) -> None:
    """One note at a merge request, found on any page, and ours only."""
    gitlab.notes = [{"id": each, "body": f"{MARKER}\ntheirs", "author": {"id": 99}} for each in range(120)]
    assert [post_note(pipeline, MARKER, f"{MARKER}\n{each}") for each in "ab"] == ["created", "updated"]
    assert [each["body"] for each in gitlab.notes[120:]] == [f"{MARKER}\nb"]
    assert {each["body"] for each in gitlab.notes[:120]} == {f"{MARKER}\ntheirs"}


def test_pipeline_without_a_merge_request_has_no_note(gitlab: GitLab, pipeline: dict[str, str]) -> None:
    """Branch pipelines are most of them."""
    del pipeline["CI_MERGE_REQUEST_IID"]
    assert post_note(pipeline, MARKER, "x") == ""
    assert gitlab.asked == []


@pytest.mark.parametrize("token", ["", "wrong"])
def test_note_without_a_token_is_a_warning(
    gitlab: GitLab, pipeline: dict[str, str], tmp_path: Path, token: str
) -> None:
    """The job's own token may not write notes; what to do is said."""
    [said] = published(result(ci=CI(provider="gitlab")), tmp_path, pipeline | {"CILOAD_GITLAB_TOKEN": token})
    assert "CILOAD_GITLAB_TOKEN" in said or "docs/ci.md" in said
    assert gitlab.notes == []
