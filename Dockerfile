# The service as an image: no compiler, no pip, one fixed user, and nothing to write to but /tmp.
#
# Tag and digest of the base name the same multi-architecture index; deploy/README.md says how to move them.
# Any Debian or Ubuntu with Python 3.11+ and its venv module does: --build-arg BASE=...
ARG BASE=docker.io/library/python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3

# --- Every package as a wheel. All hashes are checked here; what comes as source (pyvips, this package) is built by
# hash-pinned build tools, and without a compiler: pyvips then binds libvips at run time.
FROM ${BASE} AS wheels
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python3 -m venv /opt/backend
COPY requirements/backend.txt /src/requirements/
RUN /opt/backend/bin/python -m pip install --only-binary :all: --require-hashes -r /src/requirements/backend.txt
COPY requirements/runtime.txt /src/requirements/
RUN /opt/backend/bin/python -m pip wheel --only-binary :all: --no-binary pyvips --no-build-isolation --require-hashes \
    --wheel-dir /wheels -r /src/requirements/runtime.txt

# --- The environment that runs: those wheels and nothing else, not even pip. Bytecode is compiled here, because nothing
# can be written later; it is not checked against the sources' times, which some builders rewrite. The package itself is
# not in it, so that a new version of Veil is a small layer on an unchanged one.
FROM wheels AS environment
RUN python3 -m venv --without-pip /opt/venv \
 && /opt/backend/bin/python -m pip --python /opt/venv/bin/python install \
        --no-compile --no-index --no-deps /wheels/*.whl \
 && /opt/venv/bin/python -c 'import site; print("/opt/veil", file=open(site.getsitepackages()[0] + "/veil.pth", "w"))' \
 && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib

# --- The package.
FROM environment AS application
COPY pyproject.toml README.md LICENSE /src/
COPY service /src/service
RUN /opt/backend/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir /veil /src \
 && /opt/backend/bin/python -m pip --python /opt/venv/bin/python install \
        --no-compile --no-index --no-deps --target /opt/veil /veil/*.whl \
 && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/veil

# --- The models. The build extra (ONNX) and pip stay in this stage; everything else of its lock is there already.
FROM environment AS models
RUN python3 -m venv /opt/venv
COPY requirements/build.txt /src/requirements/
RUN /opt/venv/bin/python -m pip install --only-binary :all: --require-hashes -r /src/requirements/build.txt
COPY model_repository /models
COPY --from=application /opt/veil /opt/veil
RUN export VEIL_MODELS__REPOSITORY=/models \
 && /opt/veil/bin/veil models build \
 && /opt/veil/bin/veil models verify \
 && chmod -R a+rX,go-w /models

# --- What ships.
FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="veil" \
      org.opencontainers.image.description="On-premise REST service that hides faces and license plates in street-level photographs" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# libturbojpeg rewrites only the touched blocks of a JPEG.
RUN if ! ldconfig -p | grep -q libturbojpeg.so.0; then \
        apt-get update \
     && apt-get install --yes --no-install-recommends libturbojpeg0 \
     && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/cache/ldconfig; \
    fi
# /var/lib/veil is for the embedded default (SQLite), /engines for Triton's model repository: a new volume that is
# mounted there takes over the owner.
RUN groupadd --gid 10001 veil \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin veil \
 && install --directory --owner 10001 --group 10001 --mode 0750 /var/lib/veil \
 && install --directory --owner 10001 --group 10001 --mode 0755 /engines
COPY --from=environment /opt/venv /opt/venv
COPY --from=models /models /usr/share/veil/models
COPY deploy/probe.py /usr/share/veil/probe.py
COPY --from=application /opt/veil /opt/veil
# Large pages for large arrays: rewriting a JPEG of 75 megapixels then takes a third less time.
ENV PATH=/opt/veil/bin:/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    GLIBC_TUNABLES=glibc.malloc.hugetlb=1 \
    VEIL_SERVER__HOST=0.0.0.0 \
    VEIL_SERVER__METRICS_HOST=0.0.0.0 \
    VEIL_MODELS__REPOSITORY=/usr/share/veil/models
WORKDIR /var/lib/veil
USER 10001:10001
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
# Alive, not ready: an orchestrator may replace a container that fails this, and that cures no database that is down.
# docker-compose.yml, where nothing is replaced, asks for /readyz.
HEALTHCHECK --interval=10s --timeout=5s --start-period=40s --retries=3 \
    CMD ["/opt/venv/bin/python", "-I", "-S", "/usr/share/veil/probe.py", "/livez"]
ENTRYPOINT ["veil"]
CMD ["serve"]
