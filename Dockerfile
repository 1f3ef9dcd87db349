# The broker and the client in one small image: no shell, no package manager, not root. Build: docker build -t daypass .

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# Queries were checked against a database when .sqlx was written; the build needs none.
ENV SQLX_OFFLINE=true
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist --workspace \
    && mkdir -p /out/bin /out/var/ci /out/var/secrets \
    && cp target/dist/daypass-broker target/dist/daypass /out/bin/

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/bin/ /usr/local/bin/
COPY policies /etc/daypass/policies
# New volumes mounted here belong to the image's user.
COPY --from=build --chown=65532:65532 /out/var /var/lib/daypass
USER 65532:65532
WORKDIR /var/lib/daypass
# native (CI jobs), operator, metrics and health
EXPOSE 8443 8444 9090
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["daypass-broker", "healthcheck"]
ENTRYPOINT ["daypass-broker"]
CMD ["serve", "--config", "/etc/daypass/daypass.toml"]
