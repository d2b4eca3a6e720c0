FROM python:3.13-slim

COPY requirements.lock /src/
RUN pip install --no-cache-dir --require-hashes -r /src/requirements.lock

COPY pyproject.toml README.md LICENSE topics.yaml /src/
COPY schemas /src/schemas
COPY llm_worker /src/llm_worker
RUN pip install --no-cache-dir --no-deps /src \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin llm-worker

# Empty: a place to mount llm-worker.toml, if the environment is not enough.
WORKDIR /app
USER 10001

ENV LLM_WORKER_WEB__HOST=0.0.0.0
EXPOSE 8080
# Asks the default port: say otherwise where LLM_WORKER_WEB__PORT is set.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/livez', timeout=4)"]

# Drains; give it LLM_WORKER_DRAIN_S and a minute more before SIGKILL.
STOPSIGNAL SIGTERM
ENTRYPOINT ["llm-worker"]
CMD ["worker"]
