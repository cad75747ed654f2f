package service

import (
	"strconv"

	"ackbox/trace"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the figures of the delivery core; docs/operations.md explains each.
var metrics = newMetricSet()

type metricSet struct {
	sends, duplicates, sendErrors                      prometheus.Counter
	batchSize, commitSeconds, ackBatchSize, ackSeconds prometheus.Histogram
	pushes, retries, evictions, repairs, receipts      prometheus.Counter
	acks                                               prometheus.Counter
	ackLatency                                         prometheus.Histogram
	pushDelay                                          prometheus.Histogram
	closes                                             *prometheus.CounterVec
	redisErrors, relayDropped, relayPublished          prometheus.Counter
	rateLimited                                        *prometheus.CounterVec
	connectsRefused                                    prometheus.Counter
	fileSeconds                                        *prometheus.HistogramVec
	fileErrors                                         *prometheus.CounterVec
	fileBytes                                          prometheus.Counter
}

func newMetricSet() *metricSet {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "ackbox", Name: name, Help: help})
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "ackbox", Name: name, Help: help, Buckets: buckets})
	}
	seconds := prometheus.ExponentialBuckets(0.0005, 2, 16) // 0.5 ms to 16 s
	sizes := prometheus.ExponentialBuckets(1, 2, 11)        // 1 to 1,024
	return &metricSet{
		sends:           counter("sends_total", "Messages committed."),
		duplicates:      counter("duplicates_total", "Sends answered with an earlier message."),
		sendErrors:      counter("send_errors_total", "Sends that reached the writer and failed."),
		batchSize:       histogram("batch_size", "Messages in one transaction.", sizes),
		commitSeconds:   histogram("commit_seconds", "Time of one write transaction, from BEGIN to the answer of COMMIT.", seconds),
		ackBatchSize:    histogram("ack_batch_size", "Acks in one transaction.", sizes),
		ackSeconds:      histogram("ack_commit_seconds", "Time of one ack transaction.", seconds),
		pushes:          counter("pushes_total", "Message frames handed to sockets for the first time."),
		retries:         counter("push_retries_total", "Message frames pushed again."),
		evictions:       counter("ack_queue_evictions_total", "Un-acked pushes that the ack queue forgot because it was full."),
		repairs:         counter("sweep_repairs_total", "Sessions that the integrity sweep found behind their mailbox."),
		receipts:        counter("receipts_total", "Receipts made."),
		acks:            counter("acks_total", "Acks committed."),
		pushDelay:       histogram("send_push_seconds", "From when a batch of sends began to be written until its pushes were handed to the sockets of this node; of the batches that had any.", seconds),
		ackLatency:      histogram("ack_latency_seconds", "From the first push of an entry to its ack.", prometheus.ExponentialBuckets(0.001, 2, 18)),
		closes:          prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "ackbox", Name: "socket_closes_total", Help: "Sockets closed by the server, by close code."}, []string{"code"}),
		redisErrors:     counter("redis_errors_total", "Round trips to Redis that failed; the product goes on without."),
		relayDropped:    counter("relay_dropped_total", "Events for other nodes that were dropped; their sweep repairs."),
		relayPublished:  counter("relay_published_total", "Events published for other nodes."),
		connectsRefused: counter("connects_refused_total", "Sockets refused with 503 because too many devices connected at once or were connected."),
		fileSeconds:     prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "ackbox", Name: "file_store_seconds", Help: "Time of an operation of the file store: put, open, remove.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 9)}, []string{"operation"}),
		fileErrors:      prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "ackbox", Name: "file_store_errors_total", Help: "Operations of the file store that failed."}, []string{"operation"}),
		fileBytes:       counter("file_bytes_total", "Bytes of files stored."),
		rateLimited:     prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "ackbox", Name: "rate_limited_total", Help: "Requests refused with 429, by limit."}, []string{"limit"}),
	}
}

// RegisterMetrics adds the figures of the core and the gauges of these parts to a registry.
func RegisterMetrics(registry prometheus.Registerer, writer *Writer, delivery *Delivery) {
	m := metrics
	registry.MustRegister(m.sends, m.duplicates, m.sendErrors, m.batchSize, m.commitSeconds, m.ackBatchSize, m.ackSeconds, m.pushes, m.retries, m.evictions,
		m.repairs, m.receipts, m.acks, m.ackLatency, m.pushDelay, m.closes, m.redisErrors, m.relayDropped, m.relayPublished, m.rateLimited, m.connectsRefused, m.fileSeconds, m.fileErrors, m.fileBytes)
	gauge := func(name, help string, labels prometheus.Labels, read func() float64) {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "ackbox", Name: name, Help: help, ConstLabels: labels}, read))
	}
	gauge("writer_queue", "Sends that wait for the writer.", nil, func() float64 { return float64(writer.queue.waiting()) })
	gauge("ack_queue_entries", "Un-acked pushes in the ack queue.", nil, func() float64 { return float64(delivery.queue.Len()) })
	gauge("writer_queue_capacity", "Sends that may wait for the writer; beyond, they get 503.", nil, func() float64 { return writerCapacity })
	gauge("ack_queue_capacity", "Un-acked pushes that the ack queue may hold: ACKBOX_ACK_QUEUE_SIZE.", nil, func() float64 { return float64(delivery.opts.QueueSize) })
	gauge("mailbox_readers_waiting", "Sessions that wait for their mailbox to be read.", nil, func() float64 { return float64(len(delivery.pumps)) })
	registry.MustRegister(newSessionFigures(delivery))
	m.begin()
}

// begin makes the series that there are, at 0: of a series that appears with its first event, that event is lost to rate().
func (m *metricSet) begin() {
	for _, code := range []int{CloseRestart, CloseTryLater, CloseToken, CloseReplaced, CloseBanned, CloseUnacked, CloseSlow, ClosePositionLost} {
		m.closes.WithLabelValues(closeLabel(code))
	}
	for _, operation := range []string{blobPut, blobOpen, blobRemove} {
		m.fileSeconds.WithLabelValues(operation)
		m.fileErrors.WithLabelValues(operation)
	}
	for limit := range limitWords {
		m.rateLimited.WithLabelValues(string(limit))
	}
}

// RegisterTraceMetrics adds the figures of the trace.
func RegisterTraceMetrics(registry prometheus.Registerer, store *trace.Store) {
	counter := func(name, help string, read func(trace.Stats) int64) {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "ackbox", Name: name, Help: help}, func() float64 { return float64(read(store.Stats())) }))
	}
	counter("trace_events_total", "Events written to the trace.", func(s trace.Stats) int64 { return s.Events })
	counter("trace_dropped_total", "Events that the trace had no room for, or could not write.", func(s trace.Stats) int64 { return s.Dropped })
	counter("trace_written_bytes_total", "Bytes written to the trace.", func(s trace.Stats) int64 { return s.Written })
	registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "ackbox", Name: "trace_bytes", Help: "Bytes that the trace takes in the data folder."}, func() float64 { return float64(store.Stats().Kept) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "ackbox", Name: "trace_share", Help: "The share of messages that is traced: 1 up to ACKBOX_TRACE_RATE, 0 when the trace is off."}, func() float64 { return store.Stats().Share }),
	)
}

// closeLabel is a close code as a label.
func closeLabel(code int) string { return strconv.Itoa(code) }
