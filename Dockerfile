# syntax=docker/dockerfile:1
# The image has Node.js, the few libraries it needs, the program and its production packages: no shell, no package
# manager. It runs as user 65532 and never writes to its own root, so run it read-only, with a volume at
# /var/lib/serin and the configuration at /etc/serin/serin.yaml. test/e2e/image.test.ts starts what this lays out.
#
# NODE_COMPILE_CACHE is left unset: it would save half a second of CPU at a start, but code would then be run from a folder
# that the program can write to.
#
# There is no HEALTHCHECK: Kubernetes asks /livez and /readyz on port 9091 itself.
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts
COPY LICENSE ./
COPY config config
COPY src src
COPY scripts/image-root.ts scripts/
RUN node scripts/image-root.ts /image node_modules

FROM scratch
COPY --from=build /image /
USER 65532:65532
WORKDIR /var/lib/serin
ENV NODE_ENV=production
EXPOSE 8080 9090 9091 9092
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/node", "/app/src/main.ts"]
CMD ["--config", "/etc/serin/serin.yaml"]
