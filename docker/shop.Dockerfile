# The demo's shop: plain Node programs with no dependencies, which know nothing of the proxy.
# Context: the root of the repository.
FROM node:26-slim
WORKDIR /shop
RUN echo '{ "type": "module" }' >package.json
COPY src/cli/demo/shop ./
USER node
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=2s --timeout=3s --start-period=30s --retries=5 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "main.ts"]
