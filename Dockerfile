# docker build -t headwater .
# docker run --rm -p 127.0.0.1:1883:1883 -p 127.0.0.1:8085:8085 -v headwater:/data headwater --allow-anonymous

FROM node:20-slim AS build
WORKDIR /app
COPY .npmrc package.json package-lock.json tsconfig.json ./
# Without scripts: `prepare` would build before the sources are here, and no dependency needs its own.
RUN npm ci --ignore-scripts
COPY firmware-sim firmware-sim
COPY src src
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:20-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
RUN install --directory --owner=node --group=node /data
USER node

# From a container's loopback nobody can be served. Headwater refuses to start on any other address until credentials are
# configured; this release has none, so whoever runs the image has to say --allow-anonymous, and to keep strangers away from
# the ports that are published.
ENV HEADWATER_HOST=0.0.0.0 HEADWATER_DATA_DIR=/data
VOLUME /data
EXPOSE 1883 8085

# Node is the first process and gets the signal itself. It takes up to 10 s, then some for the rest: docker stop -t 15.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.HEADWATER_HTTP_PORT || 8085) + '/readyz').then((reply) => process.exit(reply.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/src/main.js"]
