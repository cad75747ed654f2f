package service

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	otel "go.opentelemetry.io/otel/trace"

	"ackbox/model"
)

// Spans are OpenTelemetry's spans of messages on their way:
//
//	POST /v1/messages            the request (api)
//	└─ message write             from the queue to the answer of COMMIT
//	   ├─ message commit         one for a batch: the child of its first sampled send, linked with the others
//	   ├─ message push           to a device, of this node
//	   │  └─ message ack         from the first push until the ack was committed
//	   └─ message relay          to other nodes
//	      └─ message receive     on another node, and the pushes there below it
//
// Only those whose request is sampled have any. A nil *Spans is off; nobody calls it then. What is pushed later than
// spansKept other sampled entries, or to a device that was away, has no span: that is what the message's trace is for.
type Spans struct {
	tracer otel.Tracer

	mu      sync.Mutex
	entries *simplelru.LRU[entryKey, otel.SpanContext] // sampled entries of users that are connected here
	pushes  *simplelru.LRU[pushKey, firstPush]         // their pushes that wait for their ack
}

// spansKept bounds what Spans remembers, of each kind.
const spansKept = 16_384

// entryKey is a mailbox's entry.
type entryKey struct {
	user model.UserID
	seq  int64
}

type firstPush struct {
	span otel.SpanContext
	at   time.Time
}

// NewSpans makes spans with a tracer.
func NewSpans(tracer otel.Tracer) *Spans {
	entries, err := simplelru.NewLRU[entryKey, otel.SpanContext](spansKept, nil)
	if err != nil {
		panic(err) // the size is a constant
	}
	pushes, err := simplelru.NewLRU[pushKey, firstPush](spansKept, nil)
	if err != nil {
		panic(err)
	}
	return &Spans{tracer: tracer, entries: entries, pushes: pushes}
}

// write begins the span of a send in the writer; nil when its request is not sampled.
func (s *Spans) write(ctx context.Context, msg *model.Message) otel.Span {
	if !otel.SpanContextFromContext(ctx).IsSampled() {
		return nil
	}
	_, span := s.tracer.Start(ctx, "message write", otel.WithAttributes(messageAttribute(msg.ID), attribute.String("ackbox.conversation_id", formatID(int64(msg.ConversationID)))))
	return span
}

func messageAttribute(id model.MessageID) attribute.KeyValue {
	return attribute.String("ackbox.message_id", formatID(int64(id)))
}

func formatID(id int64) string { return strconv.FormatInt(id, 10) }

// commit begins the span of a batch, which the database's spans are below; ctx as it was when no send of it is sampled.
func (s *Spans) commit(ctx context.Context, batch []*send) (context.Context, otel.Span) {
	var first otel.Span
	var links []otel.Link
	for _, one := range batch {
		switch {
		case one.span == nil:
		case first == nil:
			first = one.span
		default:
			links = append(links, otel.Link{SpanContext: one.span.SpanContext()})
		}
	}
	if first == nil {
		return ctx, nil
	}
	ctx, span := s.tracer.Start(otel.ContextWithSpan(ctx, first), "message commit", otel.WithLinks(links...), otel.WithAttributes(attribute.Int("ackbox.batch_size", len(batch))))
	for _, one := range batch {
		if one.span != nil && one.span != first {
			one.span.AddLink(otel.Link{SpanContext: span.SpanContext()})
		}
	}
	return ctx, span
}

// endSpan ends a span that may be nil.
func endSpan(span otel.Span, err error) {
	if span == nil {
		return
	}
	if err != nil {
		span.SetStatus(codes.Error, string(model.CodeOf(err)))
	}
	span.End()
}

// spanOf is the span of a send, for what follows its commit; nil when it has none.
func spanOf(span otel.Span) *otel.SpanContext {
	if span == nil {
		return nil
	}
	context := span.SpanContext()
	return &context
}

// committed remembers sampled entries that are pushed by this node.
func (s *Spans) committed(d *Delivery, batch []Committed) {
	for i := range batch {
		if batch[i].Span == nil {
			continue
		}
		for _, e := range batch[i].Entries {
			if len(d.sessionsOf(e.UserID)) > 0 {
				s.remember(entryKey{e.UserID, e.Seq}, *batch[i].Span)
			}
		}
	}
}

func (s *Spans) remember(key entryKey, span otel.SpanContext) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries.Add(key, span)
}

// pushed makes the span of a push, the first one or a repeated one. The caller holds the session's lock.
func (s *Spans) pushed(session *Session, seq int64, attempt int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	parent, sampled := s.entries.Get(entryKey{session.Key.UserID, seq})
	if !sampled {
		return
	}
	_, span := s.tracer.Start(otel.ContextWithSpanContext(context.Background(), parent), "message push", otel.WithSpanKind(otel.SpanKindProducer), otel.WithAttributes(
		attribute.String("ackbox.user_id", formatID(int64(session.Key.UserID))), attribute.String("ackbox.device_id", string(session.Key.DeviceID)),
		attribute.String("ackbox.connection_id", session.ConnectionID), attribute.Int64("ackbox.seq", seq), attribute.Int("ackbox.attempt", attempt), attribute.String("ackbox.node", session.delivery.node)))
	span.End()
	if key := (pushKey{session, 0, seq}); !s.pushes.Contains(key) {
		s.pushes.Add(key, firstPush{span.SpanContext(), time.Now()})
	}
}

// acked makes the span of an ack, and answers it for an exemplar; an invalid one when the push had none.
func (s *Spans) acked(session *Session, seq int64) otel.SpanContext {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := pushKey{session, 0, seq}
	push, sampled := s.pushes.Peek(key)
	if !sampled {
		return otel.SpanContext{}
	}
	s.pushes.Remove(key)
	_, span := s.tracer.Start(otel.ContextWithSpanContext(context.Background(), push.span), "message ack", otel.WithTimestamp(push.at), otel.WithAttributes(
		attribute.String("ackbox.user_id", formatID(int64(session.Key.UserID))), attribute.String("ackbox.device_id", string(session.Key.DeviceID)), attribute.Int64("ackbox.seq", seq)))
	span.End()
	return span.SpanContext()
}

// left forgets the pushes of a session that is gone.
func (s *Spans) left(session *Session, unacked []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seq := range unacked {
		s.pushes.Remove(pushKey{session, 0, seq})
	}
}

// traceContext writes and reads a span as W3C's traceparent.
var traceContext propagation.TraceContext

// carried is a span as it travels to other nodes, "" for none.
func carried(span *otel.SpanContext) string {
	if span == nil {
		return ""
	}
	carrier := propagation.MapCarrier{}
	traceContext.Inject(otel.ContextWithSpanContext(context.Background(), *span), carrier)
	return carrier.Get("traceparent")
}

// relayed makes the spans of what is published, one for each message, and lets the events carry them; ended ends them.
func (s *Spans) relayed(batch []published) (ended func(err error)) {
	var spans map[string]otel.Span // by what the events carry
	for i := range batch {
		from := batch[i].event.Trace
		if from == "" {
			continue
		}
		span, begun := spans[from]
		if !begun {
			ctx := traceContext.Extract(context.Background(), propagation.MapCarrier{"traceparent": from})
			_, span = s.tracer.Start(ctx, "message relay", otel.WithSpanKind(otel.SpanKindProducer))
			if spans == nil {
				spans = map[string]otel.Span{}
			}
			spans[from] = span
		}
		context := span.SpanContext()
		batch[i].event.Trace = carried(&context)
	}
	return func(err error) {
		for _, span := range spans {
			endSpan(span, err)
		}
	}
}

// received makes the span of an entry that another node tells of; the pushes are below it.
func (s *Spans) received(e event, node string) otel.Span {
	ctx := traceContext.Extract(context.Background(), propagation.MapCarrier{"traceparent": e.Trace})
	_, span := s.tracer.Start(ctx, "message receive", otel.WithSpanKind(otel.SpanKindConsumer), otel.WithAttributes(
		attribute.String("ackbox.user_id", formatID(int64(e.User))), attribute.Int64("ackbox.seq", e.Seq), attribute.String("ackbox.node", node)))
	s.remember(entryKey{e.User, e.Seq}, span.SpanContext())
	return span
}

// observe adds to a histogram, with the trace as an exemplar when it is sampled.
func observe(histogram prometheus.Histogram, value float64, span otel.SpanContext) {
	if observer, can := histogram.(prometheus.ExemplarObserver); can && span.IsSampled() {
		observer.ObserveWithExemplar(value, prometheus.Labels{"trace_id": span.TraceID().String()})
		return
	}
	histogram.Observe(value)
}
