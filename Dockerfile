# docker build -t llmproxyd --build-arg COMMIT="$(git rev-parse --short=12 HEAD)" .
#
# The image holds the executable, glibc, CA certificates and a user; no shell. It needs nothing writable:
# docker run --read-only --cap-drop ALL -v ./config:/etc/llmproxyd:ro -p 3000:3000 llmproxyd

FROM node:22-bookworm-slim AS build
WORKDIR /src
# The packages are a layer of their own, which changes only with the lock file.
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
ARG COMMIT=unknown
ENV COMMIT=$COMMIT
RUN npm run build

FROM gcr.io/distroless/base-debian12:nonroot
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="llmproxyd" \
      org.opencontainers.image.description="A load balancer for large-language-model APIs" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.revision=$COMMIT
COPY --from=build /src/dist/llmproxyd /usr/local/bin/llmproxyd
# The image's user, by number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 3000 9000
STOPSIGNAL SIGTERM
# There is no shell and no curl: the executable asks itself.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 \
  CMD ["/usr/local/bin/llmproxyd", "health", "--config", "/etc/llmproxyd/config.yaml"]
ENTRYPOINT ["/usr/local/bin/llmproxyd"]
CMD ["--config", "/etc/llmproxyd/config.yaml"]
