package service

import (
	"slices"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	otel "go.opentelemetry.io/otel/trace"

	"ackbox/internal/testenv"
)

// TestSpansAcrossNodes: the push of another node is below the send's span; without a sampled send, events carry nothing.
func TestSpansAcrossNodes(t *testing.T) {
	t.Parallel()
	store, redis, clock := sqliteStore(t), testenv.StartRedis(t), newHandClock()
	one := &inbox{node: newNode(t, store, standard, clock.now), t: t, clock: clock}
	two := newNode(t, store, standard, clock.now)
	one.audience, one.writes, one.reads = one.pair(t)
	recorder := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("test")
	one.delivery.SpannedBy(NewSpans(tracer))
	two.delivery.SpannedBy(NewSpans(tracer))
	relayed(t, one.node, redis.URL(), "here")
	relayed(t, two, redis.URL(), "here")
	o, err := two.mailboxes.Open(within(t), one.device("phone"), 0, nil, 0)
	must(t, err)
	phone := two.join(t, o)
	phone.expect("hello 0 of 0", "synced 0")
	hears(one.node, phone)

	_, request := tracer.Start(within(t), "request")
	list := one.store1(2)
	span := request.SpanContext()
	list[0].Span = &span
	one.delivery.Committed(list)
	for range 2 {
		for phone.next().Type != "message" { // what is left of the asking
		}
	}
	one.acked(Ack{Key: phone.session.Key, UpTo: seq(2)})
	eventually(t, "the ack's span", func() bool { return len(ended(recorder, "message ack")) == 1 })

	parents := []otel.SpanContext{span}
	for _, name := range []string{"message relay", "message receive", "message push", "message ack"} {
		spans := ended(recorder, name)
		most := 1 // of the sampled message
		if name == "message relay" {
			most = 2 // one for each batch to Redis: what it tells of its two users may go out apart
		}
		if len(spans) == 0 || len(spans) > most {
			t.Fatalf("%d spans %q, want 1 to %d", len(spans), name, most)
		}
		next := make([]otel.SpanContext, len(spans))
		for i, s := range spans {
			next[i] = s.SpanContext()
			if !slices.ContainsFunc(parents, func(p otel.SpanContext) bool { return p.SpanID() == s.Parent().SpanID() }) || s.Parent().TraceID() != span.TraceID() {
				t.Errorf("%s: is below %s, want one of %v", name, s.Parent().SpanID(), parents)
			}
		}
		parents = next
	}
}

func ended(recorder *tracetest.SpanRecorder, name string) (list []sdktrace.ReadOnlySpan) {
	for _, span := range recorder.Ended() {
		if span.Name() == name {
			list = append(list, span)
		}
	}
	return list
}

// TestSpansAreFree: without tracing, an event is as long as it was and a span costs nothing.
func TestSpansAreFree(t *testing.T) { // not in parallel: it counts allocations
	if text := string(encodeFrame(event{Node: "n", Kind: "entry", Trace: carried(nil)})); text != `{"n":"n","k":"entry"}` {
		t.Errorf("got %s", text)
	}
	if n := testing.AllocsPerRun(100, func() {
		endSpan(nil, nil)
		if spanOf(nil) != nil || carried(nil) != "" {
			t.Error("a span of nothing")
		}
		observe(metrics.ackLatency, 0.1, otel.SpanContext{})
	}); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}
