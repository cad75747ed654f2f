package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"ackbox/config"
	"ackbox/service"

	"github.com/XSAM/otelsql"
	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"
)

// tracing sends spans to a collector; nil: off, and nothing is paid for it.
type tracing struct {
	provider *sdktrace.TracerProvider
	spans    *service.Spans
}

// tracingQueue is how many spans may wait for the collector; beyond, they are dropped.
const tracingQueue = 8_192

// tracingFarewell bounds the last export, at the end of the process.
const tracingFarewell = 2 * time.Second

// traceEndpoint is where spans go, and whether they do. Without a setting of ours the exporter reads OpenTelemetry's own.
func traceEndpoint(c *config.Config) (options []otlptracehttp.Option, on bool, err error) {
	if c.OTLPEndpoint == "" {
		return nil, os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "", nil
	}
	u, err := url.Parse(c.OTLPEndpoint)
	if err != nil {
		return nil, false, fmt.Errorf("ACKBOX_OTLP_ENDPOINT: %w", err)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	return []otlptracehttp.Option{otlptracehttp.WithEndpointURL(u.String())}, true, nil
}

func (s *server) openTracing(ctx context.Context) error {
	options, on, err := traceEndpoint(s.config)
	if err != nil || !on {
		return err
	}
	exporter, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return fmt.Errorf("traces: %w", err)
	}
	otel.SetErrorHandler(&tracingErrors{log: s.log})
	about, err := resource.New(ctx, resource.WithFromEnv(), resource.WithAttributes(
		attribute.String("service.name", "ackbox"), attribute.String("service.version", version), attribute.String("service.instance.id", nodeAddress(s.config.HTTPAddr))))
	if err != nil {
		return fmt.Errorf("traces: %w", err)
	}
	ratio := sdktrace.TraceIDRatioBased(s.config.OTLPRatio)
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter, sdktrace.WithMaxQueueSize(tracingQueue)),
		// By the trace's id, so that all nodes agree; a client's word that it is sampled does not count.
		sdktrace.WithSampler(sdktrace.ParentBased(ratio, sdktrace.WithRemoteParentSampled(ratio), sdktrace.WithRemoteParentNotSampled(ratio))),
		sdktrace.WithResource(about),
	)
	s.tracing = &tracing{provider: provider, spans: service.NewSpans(provider.Tracer("ackbox"))}
	s.onClose("traces", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, tracingFarewell)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			s.log.Warn("the last spans could not be sent", "error", err)
		}
		return nil
	})
	s.log.Info("spans are sent to a collector", "ratio", s.config.OTLPRatio)
	return nil
}

// openDB opens a pool whose statements are spans, of transactions that are.
func (t *tracing) openDB(connector driver.Connector) *sql.DB {
	return otelsql.OpenDB(connector, otelsql.WithTracerProvider(beneath{provider: t.provider}), otelsql.WithSpanOptions(otelsql.SpanOptions{
		DisableQuery: true, // what users wrote is in it
		OmitRows:     true, OmitConnResetSession: true, OmitConnectorConnect: true,
	}))
}

// client makes spans of what is asked of Redis by traced requests, without keys and values.
func (t *tracing) client(client redis.UniversalClient) error {
	err := redisotel.InstrumentTracing(client, redisotel.WithTracerProvider(beneath{provider: t.provider}), redisotel.WithDBStatement(false), redisotel.WithCallerEnabled(false))
	if err != nil {
		return fmt.Errorf("traces: %w", err)
	}
	return nil
}

// tracer is nil when tracing is off.
func (t *tracing) tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.provider.Tracer("ackbox")
}

// beneath makes spans only below one that is sampled: jobs and heartbeats would begin a trace with each statement.
type beneath struct {
	embedded.TracerProvider
	provider trace.TracerProvider
}

// Tracer implements trace.TracerProvider.
func (b beneath) Tracer(name string, options ...trace.TracerOption) trace.Tracer {
	return beneathTracer{tracer: b.provider.Tracer(name, options...)}
}

type beneathTracer struct {
	embedded.Tracer
	tracer trace.Tracer
}

// Start implements trace.Tracer.
func (b beneathTracer) Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return ctx, noop.Span{}
	}
	return b.tracer.Start(ctx, name, options...) //nolint:spancheck // the caller ends it
}

// tracingErrors logs what goes wrong with sending, once a minute.
type tracingErrors struct {
	log  *slog.Logger
	last atomic.Int64 // Unix seconds
}

// Handle implements otel.ErrorHandler.
func (e *tracingErrors) Handle(err error) {
	now, last := time.Now().Unix(), e.last.Load()
	if now-last >= 60 && e.last.CompareAndSwap(last, now) {
		e.log.Warn("spans could not be sent", "error", err)
	}
}
