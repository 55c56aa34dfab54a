# The official image of Ollama with the sidecar in front: docker build -t ollama-sidecar .
#
# BASE must have a C library, libcurl, libcjson and libinih at least as new as BUILD_BASE's: today's ollama/ollama with
# debian:12-slim. An older BASE (ollama/ollama:0.9.5 is Ubuntu 20.04) needs its own like: --build-arg BUILD_BASE=ubuntu:20.04
ARG BASE=ollama/ollama
ARG BUILD_BASE=debian:12-slim

FROM ${BUILD_BASE} AS build
WORKDIR /src
COPY scripts/ scripts/
RUN scripts/deps build
COPY . .
RUN make -j"$(nproc)" install PREFIX=/usr/local DESTDIR=/out

FROM ${BASE}
LABEL org.opencontainers.image.title="ollama-sidecar" \
      org.opencontainers.image.description="Ollama behind a supervisor and a streaming proxy" \
      org.opencontainers.image.licenses="MIT"
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends libcjson1 libcurl4 libinih1 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/usr/local/bin/ /usr/local/bin/
COPY deploy/profiles/container.ini /etc/ollama-sidecar/supervisor.ini
COPY preload-models.txt models.json /etc/ollama-sidecar/
# The base's OLLAMA_HOST=0.0.0.0:11434 stays, so that `docker exec … ollama pull` comes through the proxy; the supervisor
# moves the server itself to 127.0.0.1:11435.
EXPOSE 11434
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=6s --start-period=10s --retries=3 \
    CMD ["sidecarctl", "-c", "/etc/ollama-sidecar/supervisor.ini", "health", "--ready"]
ENTRYPOINT ["/usr/local/bin/ollama-supervisor", "-c", "/etc/ollama-sidecar/supervisor.ini"]
CMD []
