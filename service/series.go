package service

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

const (
	// SeriesStep is the time between two samples.
	SeriesStep = 2 * time.Second
	// SeriesTime is how far back samples are kept.
	SeriesTime = time.Hour
)

// Sample is what a node did in one step, in rates a second, and how it stood at the step's end. Latencies are
// of what happened in the step, read from histograms, so they are as exact as their buckets; 0 when nothing happened.
type Sample struct {
	At           int64   `json:"at" doc:"Unix ms"`
	Sends        float64 `json:"sends" doc:"Messages committed, a second"`
	Pushes       float64 `json:"pushes" doc:"First pushes, a second"`
	Acks         float64 `json:"acks"`
	Retries      float64 `json:"retries" doc:"Pushes again, a second"`
	Duplicates   float64 `json:"duplicates" doc:"Sends answered with an earlier message, a second"`
	Errors       float64 `json:"errors" doc:"Sends that failed in the writer, a second"`
	Evictions    float64 `json:"evictions" doc:"Pushes that the ack queue forgot, a second"`
	Repairs      float64 `json:"repairs" doc:"Sessions that the sweep repaired, a second"`
	Sessions     int     `json:"sessions"`
	AckQueue     int     `json:"ack_queue"`
	WriterQueue  int     `json:"writer_queue"`
	BatchSize    float64 `json:"batch_size" doc:"Messages in one transaction, on average; 0: there was none"`
	CommitP50    float64 `json:"commit_p50_ms"`
	CommitP99    float64 `json:"commit_p99_ms"`
	AckCommitP50 float64 `json:"ack_commit_p50_ms" doc:"Transactions of acks"`
	AckCommitP99 float64 `json:"ack_commit_p99_ms"`
	AckP50       float64 `json:"ack_p50_ms" doc:"From the first push to the ack"`
	AckP99       float64 `json:"ack_p99_ms"`
	SendPushP50  float64 `json:"send_push_p50_ms" doc:"From when a batch began to be written to its pushes on this node; of the batches that had any"`
	SendPushP99  float64 `json:"send_push_p99_ms"`
	RelayDropped float64 `json:"relay_dropped" doc:"Events for other nodes that were dropped, a second"`
	Goroutines   int     `json:"goroutines"`
	HeapBytes    int64   `json:"heap_bytes"`
}

// Series keeps the samples of the last hour, in one array that it reuses.
type Series struct {
	writer   *Writer
	delivery *Delivery
	clock    func() time.Time

	mu     sync.Mutex
	ring   []Sample
	next   int // where the next sample goes
	filled bool
	before *figureReading // nil: there was none
}

// figureReading is what the counters said at a moment.
type figureReading struct {
	at         time.Time
	counters   map[string]float64
	histograms map[string]*dto.Histogram
}

// NewSeries makes an empty one; a job calls Sample every SeriesStep.
func NewSeries(writer *Writer, delivery *Delivery, clock func() time.Time) *Series {
	return &Series{writer: writer, delivery: delivery, clock: clock, ring: make([]Sample, SeriesTime/SeriesStep)}
}

func (s *Series) read() (*figureReading, error) {
	r := &figureReading{at: s.clock(), counters: map[string]float64{}, histograms: map[string]*dto.Histogram{}}
	m := servedFigures()
	for name, metric := range m {
		var out dto.Metric
		if err := metric.Write(&out); err != nil {
			return nil, fmt.Errorf("read the figure %s: %w", name, err)
		}
		if h := out.GetHistogram(); h != nil {
			r.histograms[name] = h
		} else {
			r.counters[name] = out.GetCounter().GetValue()
		}
	}
	return r, nil
}

// servedFigures are the figures that samples are made of.
func servedFigures() map[string]prometheus.Metric {
	m := metrics
	return map[string]prometheus.Metric{
		"sends": m.sends, "pushes": m.pushes, "acks": m.acks, "retries": m.retries, "duplicates": m.duplicates, "errors": m.sendErrors, "evictions": m.evictions, "repairs": m.repairs,
		"dropped": m.relayDropped, "batch": m.batchSize, "commit": m.commitSeconds, "ackcommit": m.ackSeconds, "ack": m.ackLatency, "sendpush": m.pushDelay,
	}
}

// Sample takes one. A job calls it every SeriesStep.
func (s *Series) Sample(context.Context) error {
	now, err := s.read()
	if err != nil {
		return err
	}
	sample := Sample{
		At: now.at.UnixMilli(), Sessions: s.delivery.count(), AckQueue: s.delivery.queue.Len(), WriterQueue: s.writer.queue.waiting(),
		Goroutines: runtime.NumGoroutine(), HeapBytes: heapBytes(),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.before
	s.before = now
	if before == nil {
		return nil // rates need two
	}
	seconds := now.at.Sub(before.at).Seconds()
	if seconds <= 0 { // the clock was set back
		return nil
	}
	rate := func(name string) float64 {
		return round(max(0, now.counters[name]-before.counters[name]) / seconds)
	}
	sample.Sends, sample.Pushes, sample.Acks, sample.Retries, sample.Duplicates = rate("sends"), rate("pushes"), rate("acks"), rate("retries"), rate("duplicates")
	sample.Errors, sample.Evictions, sample.Repairs, sample.RelayDropped = rate("errors"), rate("evictions"), rate("repairs"), rate("dropped")
	if n := now.histograms["batch"].GetSampleCount() - before.histograms["batch"].GetSampleCount(); n > 0 {
		sample.BatchSize = round((now.histograms["batch"].GetSampleSum() - before.histograms["batch"].GetSampleSum()) / float64(n))
	}
	for name, to := range map[string][2]*float64{
		"commit": {&sample.CommitP50, &sample.CommitP99}, "ackcommit": {&sample.AckCommitP50, &sample.AckCommitP99},
		"ack": {&sample.AckP50, &sample.AckP99}, "sendpush": {&sample.SendPushP50, &sample.SendPushP99},
	} {
		*to[0] = round(1000 * quantile(0.5, before.histograms[name], now.histograms[name]))
		*to[1] = round(1000 * quantile(0.99, before.histograms[name], now.histograms[name]))
	}
	s.ring[s.next] = sample
	s.next = (s.next + 1) % len(s.ring)
	s.filled = s.filled || s.next == 0
	return nil
}

// Last are the samples of the last time, at most SeriesTime, the oldest first.
func (s *Series) Last(last time.Duration) []Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.clock().Add(-last).UnixMilli()
	list := []Sample{}
	start, n := 0, s.next
	if s.filled {
		start, n = s.next, len(s.ring)
	}
	for i := range n {
		if sample := s.ring[(start+i)%len(s.ring)]; sample.At >= from {
			list = append(list, sample)
		}
	}
	return list
}

// quantile is a quantile of what a histogram got between two readings, interpolated within its bucket as Prometheus does; what
// is above the last bound counts as that bound.
func quantile(q float64, before, now *dto.Histogram) float64 {
	total := now.GetSampleCount() - before.GetSampleCount()
	if total == 0 {
		return 0
	}
	rank := q * float64(total)
	var lower, below float64
	for i, b := range now.GetBucket() {
		count := float64(b.GetCumulativeCount() - before.GetBucket()[i].GetCumulativeCount())
		bound := b.GetUpperBound()
		if math.IsInf(bound, 1) {
			break
		}
		if count >= rank {
			if count == below {
				return bound
			}
			return lower + (bound-lower)*(rank-below)/(count-below)
		}
		lower, below = bound, count
	}
	return lower
}

// round keeps four digits: a chart shows no more, and the answer is shorter.
func round(v float64) float64 {
	if v == 0 {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

// valueOf is what a counter says.
func valueOf(c prometheus.Metric) int64 {
	var out dto.Metric
	if err := c.Write(&out); err != nil {
		return 0
	}
	return int64(out.GetCounter().GetValue())
}
