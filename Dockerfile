# ciload as a container image. How it is used: docs/container.md.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /source
RUN python3 -m venv /opt/ciload
COPY pyproject.toml README.md LICENSE ./
COPY ciload ciload
# pip has served its purpose once everything is there, and the libraries' own tests are a tenth of the image.
RUN /opt/ciload/bin/pip install --no-cache-dir . \
    && /opt/ciload/bin/pip uninstall --yes --quiet pip \
    && find /opt/ciload/lib/*/site-packages/numpy /opt/ciload/lib/*/site-packages/scipy -type d -name tests -prune -exec rm -r {} +
COPY docker/entrypoint.py /opt/ciload/entrypoint.py
COPY action/steps.py /opt/ciload/action_steps.py

FROM ${PYTHON_IMAGE}
# The standard library comes without bytecode, and a container that may not write would compile it anew for each run.
RUN python3 -m compileall -q -x '/(test|tests|idlelib|tkinter|turtledemo|ensurepip|(site|dist)-packages)/' \
    "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=build /opt/ciload /opt/ciload
# Any user may leave results here, also without a volume.
RUN mkdir /load && chmod 1777 /load
WORKDIR /load
ENV PATH=/opt/ciload/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["/opt/ciload/bin/python3", "-I", "-S", "/opt/ciload/entrypoint.py"]

ARG SOURCE=""
ARG VERSION=""
ARG REVISION=""
LABEL org.opencontainers.image.title="ciload" \
      org.opencontainers.image.description="A load tester that lives in CI" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
