# The agent with its libraries from Debian 13, and nothing else: no shell, no package manager.
# docs/container.md says how to build and run it.

FROM docker.io/library/debian:trixie-slim AS build
WORKDIR /src
COPY scripts/packages scripts/install-packages scripts/
RUN scripts/install-packages build image
COPY . .
# The time that the files of the image get, in seconds, so that the same tree makes the same image.
ARG SOURCE_DATE_EPOCH=
# Tables for stack traces are 74 kB, and there is no debugger in the image.
RUN cmake --preset release -DRATELIMIT_TLS=ON -DCMAKE_C_FLAGS=-fno-asynchronous-unwind-tables && \
    cmake --build --preset release -j "$(nproc)" && \
    strip build/release/ratelimit-spoa && \
    scripts/lib/image-root build/release/ratelimit-spoa /image

FROM scratch
COPY --from=build /image/ /

# A number, so that Kubernetes' runAsNonRoot can tell that it is not root.
USER 10001:10001

# Reachable from outside of the container. [::] would take both families, but can't be bound where
# the kernel has no IPv6.
ENV PATH=/usr/bin \
    RATELIMIT_SPOP_LISTEN=0.0.0.0:12345 \
    RATELIMIT_HTTP_LISTEN=0.0.0.0:8080 \
    RATELIMIT_POLICIES=/etc/ratelimit-spoa/policies.json
EXPOSE 12345 8080

# Asks the first of RATELIMIT_SPOP_LISTEN, and gives up by itself after 2 s.
HEALTHCHECK --interval=5s --timeout=4s --start-period=5s --retries=3 CMD ["ratelimit-spoa", "probe"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/ratelimit-spoa"]

ARG VERSION=0.1.0
# Where this build comes from; scripts/image says so.
ARG SOURCE=
ARG REVISION=
ARG CREATED=
ARG BASE_DIGEST=
LABEL org.opencontainers.image.title="ratelimit-spoa" \
      org.opencontainers.image.description="A rate limiter for HAProxy: an SPOE agent" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="$SOURCE" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED" \
      org.opencontainers.image.base.name="docker.io/library/debian:trixie-slim" \
      org.opencontainers.image.base.digest="$BASE_DIGEST"
