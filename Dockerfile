FROM python:3.13.14-slim-trixie AS base

# Has pip, the build's tools and the sources; of it only /opt/llm-worker is kept.
FROM base AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src

# Wheels alone, so that no compiler is needed. pip compiles them to bytecode: at run time nothing
# may be written there.
COPY requirements.lock ./
RUN python -m venv --without-pip /opt/llm-worker \
    && pip --python /opt/llm-worker/bin/python install --require-hashes --only-binary :all: -r requirements.lock

# What makes the package's wheel: hatchling and what it needs, by the lock as well.
COPY requirements-dev.lock ./
RUN sed -n '/^\(hatchling\|packaging\|pathspec\|pluggy\|tomlkit\|trove-classifiers\)==/,/[^\\]$/p' requirements-dev.lock > build.lock \
    && pip install --require-hashes --only-binary :all: -r build.lock

COPY pyproject.toml README.md LICENSE topics.yaml ./
COPY schemas ./schemas
COPY llm_worker ./llm_worker
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && pip --python /opt/llm-worker/bin/python install --no-deps --no-index dist/*.whl

FROM base
LABEL org.opencontainers.image.title="llm-worker" \
    org.opencontainers.image.description="Kafka-native worker that buys comparison verdicts from LLM providers and loses none" \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.licenses="Apache-2.0"

# Who gets in finds no installer.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin llm-worker \
    && python -m pip uninstall --yes pip setuptools wheel \
    && rm -rf /usr/local/lib/python3.*/ensurepip
COPY --from=build /opt/llm-worker /opt/llm-worker
ENV PATH=/opt/llm-worker/bin:$PATH PYTHONDONTWRITEBYTECODE=1 LLM_WORKER_WEB__HOST=0.0.0.0

# Empty: a place to mount llm-worker.toml, if the environment is not enough.
WORKDIR /app
USER 10001:10001

# The worker's, and the accountant's.
EXPOSE 8080 8081
# The worker's: for the accountant ask 8081.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('LLM_WORKER_WEB__PORT', '8080') + '/livez', timeout=4)"]

# Drains; give it LLM_WORKER_DRAIN_S and a minute more before SIGKILL.
STOPSIGNAL SIGTERM
ENTRYPOINT ["llm-worker"]
CMD ["worker"]
