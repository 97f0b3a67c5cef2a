# One image for both sides and for the command line. It is built in stages, so that compilers stay behind.

# The full image has the compilers that packages with native parts ask for.
FROM node:20-bookworm AS build
WORKDIR /app
# The packages first: this layer is reused until they change. The headers of Node are in the image already.
COPY package.json package-lock.json .npmrc ./
RUN npm install --no-save --no-audit --no-fund --nodedir=/usr/local
COPY . .
RUN npm run build && npm prune --omit=dev --no-audit --no-fund

# A kernel and an initrd for the RISC-V machine, on hosts that have no apt. Built only when it is asked for:
#
#   docker build --target image --output images --build-arg PACKAGES=redis-server,sqlite3 --build-arg INIT=console .
FROM build AS debian-image
ARG PACKAGES=redis-server,sqlite3
ARG INIT=console
ARG SUITE=trixie
RUN bin/sterna image debian --packages "$PACKAGES" --init "$INIT" --suite "$SUITE" --out /image

FROM scratch AS image
COPY --from=debian-image /image /

FROM node:20-bookworm-slim
WORKDIR /app
COPY --from=build /app/package.json /app/LICENSE ./
COPY --from=build /app/bin ./bin
COPY --from=build /app/docker ./docker
COPY --from=build /app/dist ./dist
COPY --from=build /app/node_modules ./node_modules
# Ownership records and control sockets; a volume that is mounted here first gets this owner.
RUN mkdir -p /run/sterna && chown node:node /run/sterna
USER node
ENV NODE_ENV=production STERNA_SHARED=/run/sterna PATH=/app/bin:$PATH
ENTRYPOINT ["sterna"]
CMD ["--help"]
