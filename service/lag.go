package service

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// sessionFigures look at the sessions of this node when they are asked, once for all of them: each session's lock is
// held for a moment, and none of Delivery's.
type sessionFigures struct {
	delivery *Delivery

	sessions, lag, lagMax, unacked, oldest, queued *prometheus.Desc
}

// lagBounds are the buckets of the sessions' lag, in entries.
var lagBounds = []int64{0, 1, 10, 100, 1_000, 10_000, 100_000}

func newSessionFigures(d *Delivery) *sessionFigures {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("ackbox_"+name, help, labels, nil)
	}
	return &sessionFigures{
		delivery: d,
		sessions: desc("sessions", "Sockets of this node by state.", "state"),
		lag:      desc("session_lag_entries", "Mailbox entries that the device of each socket of this node has not acked, now; entries of log conversations are not in it."),
		lagMax:   desc("session_lag_entries_max", "The largest lag of a socket of this node."),
		unacked:  desc("unacked_pushes", "Pushes of mailbox entries of this node that wait for their ack."),
		oldest:   desc("unacked_oldest_seconds", "Since when the oldest un-acked push of this node has waited; 0 when none waits."),
		queued:   desc("session_frames_waiting", "Frames of this node that wait because their socket takes nothing."),
	}
}

// Describe and Collect make it a prometheus.Collector.
func (f *sessionFigures) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{f.sessions, f.lag, f.lagMax, f.unacked, f.oldest, f.queued} {
		to <- desc
	}
}

// Collect is called for each scrape.
func (f *sessionFigures) Collect(to chan<- prometheus.Metric) {
	var states [stateClosed]int
	buckets := make([]uint64, len(lagBounds))
	var sessions, total, most int64
	var unacked, waiting int
	oldest := time.Time{}
	f.delivery.each(func(s *Session) {
		s.mu.Lock()
		state, lag, pushed, frames := s.state, max(0, s.head-s.acked), len(s.unacked), s.buffered+len(s.outbox)
		first := int64(0)
		if pushed > 0 {
			first = s.unacked[0]
		}
		s.mu.Unlock()
		if state == stateClosed {
			return
		}
		states[state]++
		sessions++
		total += lag
		most = max(most, lag)
		unacked += pushed
		waiting += frames
		for i, bound := range lagBounds {
			if lag <= bound {
				buckets[i]++
			}
		}
		if first > 0 {
			if at, waits := f.delivery.queue.FirstPush(s, first); waits && (oldest.IsZero() || at.Before(oldest)) {
				oldest = at
			}
		}
	})
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	for state, n := range states {
		gauge(f.sessions, float64(n), sessionState(state).String())
	}
	byBound := make(map[float64]uint64, len(lagBounds))
	for i, bound := range lagBounds {
		byBound[float64(bound)] = buckets[i]
	}
	to <- prometheus.MustNewConstHistogram(f.lag, uint64(sessions), float64(total), byBound)
	gauge(f.lagMax, float64(most))
	gauge(f.unacked, float64(unacked))
	gauge(f.queued, float64(waiting))
	age := 0.0
	if !oldest.IsZero() {
		age = f.delivery.clock().Sub(oldest).Seconds()
	}
	gauge(f.oldest, age)
}
