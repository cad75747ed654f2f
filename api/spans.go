package api

import (
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// traced makes a span of each request of a known route. A client's traceparent is its parent; whether it is sampled is
// ours to decide, or anybody could have everything sampled.
func (a *API) traced(c *gin.Context) {
	route := c.FullPath()
	switch route {
	case "", "/metrics", "/healthz", "/readyz":
		return
	}
	ctx := propagation.TraceContext{}.Extract(c.Request.Context(), propagation.HeaderCarrier(c.Request.Header))
	name := a.figures.routeOf(c.Request.Method, route)
	ctx, span := a.deps.Tracer.Start(ctx, c.Request.Method+" "+name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("http.request.method", c.Request.Method), attribute.String("http.route", name), attribute.String("ackbox.request_id", requestID(c))))
	defer span.End()
	c.Request = c.Request.WithContext(ctx)
	c.Next()
	status := c.Writer.Status()
	span.SetAttributes(attribute.Int("http.response.status_code", status))
	if status >= 500 {
		span.SetStatus(codes.Error, "")
	}
}

// observeRequest adds to a histogram, with the trace as an exemplar when the request is sampled.
func observeRequest(histogram prometheus.Observer, seconds float64, c *gin.Context) {
	span := trace.SpanContextFromContext(c.Request.Context())
	if observer, can := histogram.(prometheus.ExemplarObserver); can && span.IsSampled() {
		observer.ObserveWithExemplar(seconds, prometheus.Labels{"trace_id": span.TraceID().String()})
		return
	}
	histogram.Observe(seconds)
}
