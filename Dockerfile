# The service. One stage installs exactly what deploy/locks names, the other holds that, the code and the weights:
# no compiler, no pip run, no PyTorch, and nothing that the service's user may write.
#   docker build .                          for CPUs
#   docker build --build-arg ORT=gpu .      for NVIDIA GPUs: CUDA and cuDNN come from Python packages (decision 70)
# For a base by digest: --build-arg BASE_IMAGE=python:3.11-slim-bookworm@sha256:...
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
ARG ORT=cpu
COPY deploy/locks/${ORT}.txt /build/requirements.txt
RUN python -m venv --without-pip /opt/venv
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m pip --disable-pip-version-check --python /opt/venv/bin/python install \
        --no-deps --require-hashes --only-binary :all: --requirement /build/requirements.txt
COPY service /opt/srserve/service
# Compiled here, for the root of a running container is read-only.
RUN /opt/venv/bin/python -m compileall -q /opt/srserve/service

FROM ${BASE_IMAGE} AS runtime
ARG ORT=cpu
LABEL org.opencontainers.image.title="srserve" \
      org.opencontainers.image.description="Super-resolution as a service (ONNX Runtime, ${ORT})" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 srserve \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin srserve
# The jobs' files outlive the container, on a volume that all replicas of one machine may share; so do the keys.
RUN install -d -m 0700 -o srserve -g srserve /var/lib/srserve/jobs /keys
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/srserve /opt/srserve
COPY store /opt/srserve/store
COPY deploy/healthcheck.py /opt/srserve/healthcheck.py
WORKDIR /opt/srserve
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SR_HOST=0.0.0.0 \
    SR_METRICS_HOST=0.0.0.0 \
    SR_METRICS_PORT=9090 \
    SR_JOBS=/var/lib/srserve/jobs
VOLUME /var/lib/srserve/jobs
USER 10001:10001
EXPOSE 8000 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --retries=3 --start-period=120s --start-interval=1s \
    CMD ["python", "-I", "/opt/srserve/healthcheck.py"]
ENTRYPOINT ["python", "-m", "service"]
