"""Pipelines that gate pull requests with a script: examples/ci/ with its places filled in.

What is filled in is made of characters that mean nothing in YAML, Groovy, shells and CI expressions: `PipelineGate`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import Template
from urllib.parse import urlsplit

from ciload.errors import UsageError
from ciload.starter.service import Service

HARMLESS = re.compile(r"[\w./-]+\.py", re.ASCII)
HARMLESS_URL = re.compile(r"https?://[\w.:\[\]/%~?=&+-]*", re.ASCII)
MADE_BY = "# Made by `ciload init`"

GITHUB = Template("""\
$made_by: each pull request is compared with the runs of the default branch.
# Put the owner of your copy of ciload in place of OWNER.
name: Load test

on:
  push:
  pull_request:

permissions: {}

jobs:
  load:
    if: github.event_name == 'pull_request' || github.ref_name == github.event.repository.default_branch
    runs-on: ubuntu-24.04
    timeout-minutes: 20
    permissions:
      contents: read
      pull-requests: write # for the comment; without it, the job summary says the same
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
        with:
          persist-credentials: false
$start
      # On the default branch its run joins the baseline, in pull requests it is compared with it.
      - uses: OWNER/ciload@v0
        with:
          script: $script
          base-url: $base_url
$wait          confirm: 2
          comment: true
$secrets$after""")
GITLAB = Template("""\
$made_by: merge requests are compared with the target branch's runs.
# Put the owner of your copy of ciload in place of OWNER.
load:
  stage: test
  image: ghcr.io/OWNER/ciload:v0
$start  variables:
    CILOAD_SCRIPT: $script
    CILOAD_BASE_URL: $base_url
$wait    # In the project's package registry, where it survives red pipelines; the default branch adds its own run.
    CILOAD_BASELINE: package:load
    # A note at the merge request, if CILOAD_GITLAB_TOKEN is set.
    CILOAD_COMMENT: "true"
$secrets  rules:
    - if: $$CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $$CI_COMMIT_BRANCH == $$CI_DEFAULT_BRANCH
      variables:
        CILOAD_SAVE_BASELINE: package:load
  script:
    - ciload run
  artifacts:
    when: always
    paths:
      - ciload-results/
    reports:
      junit: ciload-results/junit.xml
      # Premium: the widgets of the merge request.
      load_performance: ciload-results/load-performance.json
      metrics: ciload-results/metrics.txt
""")
JENKINS = Template("""\
// Made by `ciload init`: builds of main keep their runs, pull requests are compared with them.
// A multibranch pipeline. Plugins: JUnit, Copy Artifact; Performance, if you want its charts.
// Put the owner of your copy of ciload in place of OWNER.
pipeline {
    agent { label 'docker' }
    environment {
        CILOAD_SCRIPT = '$script'
        CILOAD_BASE_URL = '$base_url'
$wait        // Main adds its run to the file, and compares with what is in it already.
        BASELINE_OPTION = "$${env.BRANCH_NAME == 'main' ? '--save-baseline' : '--baseline'}"
$secrets    }
    stages {
        stage('Load test') {
            steps {
                // What an earlier build left here is not this one's.
                dir('ciload-results') { deleteDir() }
$start                // Of the last build, also of a failed one: an alarm belongs to the history.
                copyArtifacts(
                    projectName: "$${env.JOB_NAME.substring(0, env.JOB_NAME.lastIndexOf('/'))}/main",
                    selector: lastCompleted(), filter: 'ciload-baseline.json', optional: true
                )
                sh '''
                    # What was pushed: a line `ciload-accept: reason` accepts a change.
                    export CILOAD_COMMIT_MESSAGE="$$(git log -1 --format=%B)"
                    docker run --rm --network host --user "$$(id -u):$$(id -g)" --volume "$$WORKSPACE:/load" \\
                        --env CILOAD_SCRIPT --env CILOAD_BASE_URL$options \\
                        --env JENKINS_URL --env BUILD_NUMBER --env BUILD_URL --env JOB_NAME \\
                        --env CHANGE_ID --env CHANGE_FORK --env BRANCH_NAME --env GIT_COMMIT \\
                        --env CILOAD_COMMIT_MESSAGE \\
                        ghcr.io/OWNER/ciload:v0 run "$$BASELINE_OPTION" ciload-baseline.json
                '''
            }
        }
    }
    post {
        always {
            archiveArtifacts artifacts: 'ciload-results/**, ciload-baseline.json', allowEmptyArchive: true
            junit testResults: 'ciload-results/junit.xml', allowEmptyResults: true
            perfReport sourceDataFiles: 'ciload-results/**/final-status.xml', filterRegex: ''
        }
$stop    }
}
""")


@dataclass(frozen=True, slots=True)
class PipelineGate:
    """What a pipeline runs.

    Raises:
        UsageError: the name of the script, or an address, has characters that some CI would act on.
    """

    script: str
    base_url: str
    is_local: bool  # the pipeline starts the target
    wait_for: str = ""
    variables: Sequence[str] = ()  # that hold credentials
    service: Service | None = None  # how the target starts, if that can be told

    def __post_init__(self) -> None:
        if not HARMLESS.fullmatch(self.script) or ".." in self.script or self.script.startswith(("/", "-")):
            raise UsageError(
                f"--output {self.script!r}: a pipeline needs a path inside of the repository, "
                "of letters, digits, '.', '_', '-' and '/'"
            )
        for url in filter(None, (self.base_url, self.wait_for)):
            if not HARMLESS_URL.fullmatch(url):
                raise UsageError(f"{url!r}: a pipeline needs an address without quotes, spaces and such; encode them")

    @property
    def port(self) -> int:
        """Of the target."""
        parts = urlsplit(self.base_url)
        return parts.port or (443 if parts.scheme == "https" else 80)


def github(gate: PipelineGate) -> str:
    pairs = "".join(f"          {each}: ${{{{ secrets.{each} }}}}\n" for each in gate.variables)
    names = "".join(f"            {each}\n" for each in gate.variables)
    return GITHUB.substitute(
        made_by=MADE_BY,
        script=gate.script,
        base_url=gate.base_url,
        start=_github_start(gate) if gate.is_local else "",
        wait=f"          wait-for: {_quoted(gate.wait_for)}\n" if gate.wait_for else "",
        secrets=f"          env: |\n{names}        env:\n{pairs}" if names else "",
        after=_github_after(gate.service) if gate.is_local else "",
    )


def _github_after(service: Service | None) -> str:
    """What comes after the load, whatever happened before."""
    steps = []
    if service:
        steps.append(f"\n      - name: What the service said\n        if: failure()\n        run: {service.logs}\n")
    if stop := service.stop if service else "docker compose down":
        steps.append(f"\n      - name: Stop the service\n        if: always()\n        run: {stop}\n")
    return "".join(steps)


def _github_start(gate: PipelineGate) -> str:
    """The step that starts the service; it waits for its port where no page is known that answers."""
    service, port = gate.service, gate.port
    if service is None:
        return (
            "\n      # However your service starts.\n"
            "      - name: Start the service\n        run: docker compose up --detach\n"
        )
    lines = service.lines(port)
    if not gate.wait_for:
        lines.append(f"timeout 120 bash -c 'until (echo > /dev/tcp/localhost/{port}) 2> /dev/null; do sleep 1; done'")
    run = "".join(f"          {each}\n" for each in lines)
    return (
        f"\n      # Guessed from {service.known_by}: see that your service starts so.\n"
        f"      - name: Start the service\n        run: |\n{run}"
    )


def gitlab(gate: PipelineGate) -> str:
    service = (
        "  services:\n    # However your service is built: this is the image of this commit.\n"
        "    - name: $CI_REGISTRY_IMAGE:$CI_COMMIT_SHA\n      alias: api\n"
    )
    names = ", ".join(gate.variables)
    return GITLAB.substitute(
        made_by=MADE_BY,
        script=gate.script,
        base_url=_at_service(gate.base_url) if gate.is_local else gate.base_url,
        start=service if gate.is_local else "",
        wait=f"    CILOAD_WAIT_FOR: {_quoted(_at_service(gate.wait_for) if gate.is_local else gate.wait_for)}\n"
        if gate.wait_for
        else "",
        secrets=f"  # The script reads {names}: masked variables, in Settings > CI/CD.\n" if names else "",
    )


def jenkins(gate: PipelineGate) -> str:
    service = gate.service if gate.service and gate.service.in_docker else None
    about = (
        f"Guessed from {service.known_by}: see that your service starts so"
        if service
        else "However your service starts"
    )
    lines = service.lines(gate.port) if service else ["docker compose up --detach"]
    up = f"                // {about}.\n" + "".join(f"                sh '{each}'\n" for each in lines)
    stop = service.stop if service else "docker compose down"
    down = f"        // Whatever happens above.\n        cleanup {{\n            sh '{stop}'\n        }}\n"
    secrets = "".join(f"        {name} = credentials('{name.lower().replace('_', '-')}')\n" for name in gate.variables)
    passed = ["CILOAD_WAIT_FOR"] * bool(gate.wait_for) + list(gate.variables)
    return JENKINS.substitute(
        script=gate.script,
        base_url=gate.base_url,
        start=up if gate.is_local else "",
        stop=down if gate.is_local else "",
        wait=f"        CILOAD_WAIT_FOR = '{gate.wait_for}'\n" if gate.wait_for else "",
        secrets=secrets,
        options="".join(f" --env {name}" for name in passed),
    )


def _at_service(url: str) -> str:
    """Services of GitLab are other machines: `localhost` is called by its alias."""
    return re.sub(r"(?<=://)(\[[^\]]*\]|[^:/?]*)", "api", url, count=1)


def _quoted(url: str) -> str:
    return f'"{url}"'
