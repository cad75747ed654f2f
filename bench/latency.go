package bench

import (
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are kept between 1 µs and a minute (longer ones count as a minute) with three significant digits.
const maxLatency = time.Minute

// latency is a histogram that many goroutines record into. One lock is enough: a record takes some 50 ns.
type latency struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
}

func newLatency() *latency {
	return &latency{h: hdrhistogram.New(1, maxLatency.Microseconds(), 3)}
}

func (l *latency) record(d time.Duration) {
	us := min(max(d, time.Microsecond), maxLatency).Microseconds()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.h.RecordValue(us); err != nil {
		panic(fmt.Sprintf("bench: %d µs is within the histogram's bounds: %v", us, err))
	}
}

// figures are the histogram's percentiles in milliseconds, named prefix_p50_ms and so on.
func (l *latency) figures(prefix string) []Figure {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Figure
	for _, p := range [...]struct {
		name string
		at   float64
	}{{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p999", 99.9}, {"max", 100}} {
		out = append(out, Figure{Name: prefix + "_" + p.name + "_ms", Value: float64(l.h.ValueAtPercentile(p.at)) / 1000})
	}
	return out
}
