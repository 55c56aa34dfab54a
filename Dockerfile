# Ollama's official image with the sidecar in front: docker build -t ollama-sidecar .   docs/image.md says what is in it.
#
# BASE is any Debian or Ubuntu with an ollama on PATH. The programs are built on the base itself, so that they fit its C
# library whatever it is. Another BUILD_BASE must have a C library and a libcurl that are not newer than the base's
# (docs/adr/0014-image.md): what would not run there is found out at the end of the build. BALANCER=yes is for an image that stands in
# front of several Ollamas, MODELS=yes for one that serves models of a Hugging Face hub: they are larger (docs/adr/0019-hiredis.md).
ARG BASE=ollama/ollama
ARG BUILD_BASE=${BASE}

FROM ${BUILD_BASE} AS build
ARG BALANCER=no
ARG MODELS=no
WORKDIR /src
COPY scripts/deps scripts/lib.sh scripts/
RUN BALANCER=${BALANCER} scripts/deps build
COPY . .
RUN make -j"$(nproc)" LTO=1 BALANCER=${BALANCER} MODELS=${MODELS} all \
    && mkdir /out \
    && for program in ollama-supervisor ollama-proxy sidecarctl; do \
           strip -o "/out/$program" "build/$program" || exit 1; \
       done \
    && ln -s sidecarctl /out/ollama-preload

FROM ${BASE}
LABEL org.opencontainers.image.title="ollama-sidecar" \
      org.opencontainers.image.description="Ollama behind a supervisor and a streaming proxy" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"
# What the base lacks: the libraries of sidecarctl and of the preloader.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates libcjson1 libcurl4 \
    && rm -rf /var/lib/apt/lists/*
# Ollama's own user, which has this number too where the base has one already, as Ollama's installer makes it. Group 0 may write
# where it may, for platforms that choose a user id by themselves, with that group.
# /root/.ollama leads to the volume, so that one that is mounted there, as in the official image, is the volume; what a base
# has there already goes along.
RUN if getent group ollama; then groupmod --gid 11434 ollama; else groupadd --gid 11434 ollama; fi \
    && if getent passwd ollama; then usermod --uid 11434 --gid ollama --home /ollama/data --shell /usr/sbin/nologin ollama; \
       else useradd --uid 11434 --gid ollama --home-dir /ollama/data --no-create-home --shell /usr/sbin/nologin ollama; fi \
    && for group in video render; do if getent group "$group"; then usermod -aG "$group" ollama; fi; done \
    && install -d /ollama && install -d -m 0775 /ollama/data && install -d -m 0770 /run/ollama-sidecar \
    && if [ -d /root/.ollama ]; then cp -a /root/.ollama/. /ollama/data/ && rm -rf /root/.ollama; fi \
    && chown -R ollama:0 /ollama/data && ln -s /ollama/data /root/.ollama
COPY --from=build /out/ /usr/local/bin/
COPY --from=build /src/LICENSE /src/build/NOTICES /src/build/sbom.cdx.json /usr/share/doc/ollama-sidecar/
COPY deploy/profiles/container.ini /etc/ollama-sidecar/supervisor.ini
COPY preload-models.txt models.json /etc/ollama-sidecar/
RUN chmod 0755 /etc/ollama-sidecar && chmod 0644 /etc/ollama-sidecar/* \
    && for program in ollama-supervisor ollama-proxy ollama-preload sidecarctl; do \
           "/usr/local/bin/$program" --version && continue; \
           echo "error: $program does not run on BASE: its libraries are older than those of BUILD_BASE, where it was built." \
                "Leave BUILD_BASE out, so that it is built on BASE itself, or choose one that is not newer." >&2; \
           exit 1; \
       done \
    && ollama-supervisor -c /etc/ollama-sidecar/supervisor.ini --check
# All that is to outlive the container is on the volume /ollama/data, whatever supervisor.ini says of itself. OLLAMA_MODELS, and
# another OLLAMA_MODEL_CACHE_DIR, move the models.
ENV HOME=/ollama/data \
    OLLAMA_MODEL_CACHE_DIR=/ollama/data/models \
    SIDECAR_SUPERVISOR_STATE_DIR=/ollama/data/.sidecar \
    SIDECAR_SUPERVISOR_CONTROL_SOCKET=/run/ollama-sidecar/control.sock
# The base's OLLAMA_HOST=0.0.0.0:11434 stays, so that `docker exec … ollama pull` comes through the proxy; the supervisor
# moves the server itself to 127.0.0.1:11435.
EXPOSE 11434
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=6s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/sidecarctl", "-c", "/etc/ollama-sidecar/supervisor.ini", "health", "--ready"]
ENTRYPOINT ["/usr/local/bin/ollama-supervisor", "-c", "/etc/ollama-sidecar/supervisor.ini"]
CMD []
