# A static binary in an empty image. Alone it serves from SQLite in /data:
#
#   docker build -t ackbox . && docker run -p 127.0.0.1:8080:8080 -v ackbox:/data ackbox

FROM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/ackbox . && mkdir /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/ackbox /ackbox
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
ENV ACKBOX_HTTP_ADDR=0.0.0.0:8080 ACKBOX_DATA_DIR=/data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/ackbox", "healthcheck"]
ENTRYPOINT ["/ackbox"]
CMD ["serve"]
