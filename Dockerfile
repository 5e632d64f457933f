# syntax=docker/dockerfile:1
# The image of all pods of k8s/, for machines without and with an NVIDIA GPU:
#
#   docker build --target cpu --build-arg GIT_SHA=$(git rev-parse HEAD) --build-arg TORCH_INDEX=... -t theta-ray:dev .
#   docker build --target gpu --build-arg GIT_SHA=$(git rev-parse HEAD) -t theta-ray-gpu:dev .
#
# What it holds is decided here: nothing is installed or fetched when it runs. Libraries of CUDA come with torch's own
# wheels; the node gives the driver.

ARG PYTHON_IMAGE=python:3.12-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254
ARG RAY_VERSION=2.60.0

FROM ${PYTHON_IMAGE} AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /opt/theta_ray
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY theta_ray ./theta_ray

FROM packages AS packages-cpu
# pytorch.org names the address of builds without CUDA; left out, the image is some gigabytes larger
ARG TORCH_INDEX
RUN pip install -c requirements.lock ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} \
        "$(grep -i '^torch==' requirements.lock)" \
    && pip install -c requirements.lock --no-compile ".[sample,gcs,azure]"

FROM packages AS packages-gpu
RUN pip install -c requirements.lock --no-compile ".[sample,gcs,azure,gpu]"

FROM ${PYTHON_IMAGE} AS base
ARG RAY_VERSION
ARG GIT_SHA=unknown
LABEL org.opencontainers.image.title="theta_ray" \
      org.opencontainers.image.description="Embeddings, topics and networks of social text on Ray" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${GIT_SHA}" \
      io.ray.version="${RAY_VERSION}"
RUN groupadd --gid 1000 theta && useradd --uid 1000 --gid 1000 --no-create-home --home-dir /tmp theta
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    HF_HUB_OFFLINE=1 \
    TRANSFORMERS_OFFLINE=1 \
    OMP_WAIT_POLICY=PASSIVE \
    GOMP_SPINCOUNT=0
WORKDIR /opt/theta_ray
COPY --chown=0:0 jobs ./jobs
COPY --chown=0:0 recipes ./recipes
COPY --chown=0:0 cluster_configs ./cluster_configs

FROM base AS cpu
ARG RAY_VERSION
COPY --from=packages-cpu /opt/venv /opt/venv
RUN test "$(python -c 'import ray; print(ray.__version__)')" = "${RAY_VERSION}"
USER 1000:1000
CMD ["theta-ray", "--help"]

FROM base AS gpu
ARG RAY_VERSION
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=packages-gpu /opt/venv /opt/venv
RUN test "$(python -c 'import ray; print(ray.__version__)')" = "${RAY_VERSION}"
USER 1000:1000
CMD ["theta-ray", "--help"]
