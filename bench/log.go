package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Log measures one large group, delivered by log, with all its members online on their sockets. First single messages, far
// enough apart that one does not wait for another: the time from the send (when it was due) to the last member's arrival.
// Then bursts, sent as fast as the answers come: pushes a second from the first send to the last arrival.
func Log(ctx context.Context, o Options, party Party) (*Report, error) {
	if err := raiseFileLimit(len(party.members) + sharedAckers + openParallel + 256); err != nil {
		return nil, err
	}
	h := newHall(o, party)
	report := &Report{Scenario: "log", Started: time.Now()}
	opening := since()
	err := h.during(ctx, func(ctx context.Context) error {
		report.add("members", float64(len(h.members)))
		report.add("opened_per_s", float64(len(h.members))/(since()-opening).Seconds())
		stop := o.progress(func() string {
			return fmt.Sprintf("log: %d of %d messages sent, %d acks", h.sent.Load(), len(h.arrivals), h.acks.Load())
		})
		defer stop()
		if err := h.sendSingles(ctx, report); err != nil {
			return err
		}
		return h.sendBursts(ctx, report)
	})
	if err != nil {
		return nil, err
	}
	h.count(report)
	report.Errors = h.errors.snapshot()
	return report, nil
}

// sendSingles sends the messages that are spaced.
func (h *hall) sendSingles(ctx context.Context, report *Report) error {
	o := h.options
	before := readUsage(o.Processes)
	began := since()
	due := make([]time.Duration, o.LogSingles)
	pace(ctx, began, o.LogSpacing, o.LogSingles, func(i int, at time.Duration) {
		due[i] = at
		h.sender.send(ctx, at)
	})
	h.await(ctx)
	used, took := readUsage(o.Processes).minus(before), since()-began
	var last []float64
	for i, at := range due {
		if arrived := time.Duration(h.arrivals[i].last.Load()); arrived > 0 {
			last = append(last, float64((arrived-at).Microseconds())/1000)
		}
	}
	if len(last) == 0 {
		return errors.Join(ctx.Err(), fmt.Errorf("no message reached all members: %s", tallyText(h.errors.snapshot())))
	}
	slices.Sort(last)
	report.add("last_push_p50_ms", quantile(last, 0.5))
	report.add("last_push_p90_ms", quantile(last, 0.9))
	report.add("last_push_max_ms", last[len(last)-1])
	report.Figures = append(report.Figures, h.pushLatency.figures("push")...)
	if t, ok := used.processes["server"]; ok {
		report.add("singles_server_cpu_pct", 100*t.Seconds()/took.Seconds())
	}
	if used.total > 0 {
		report.add("singles_machine_busy_pct", 100*float64(used.busy)/float64(used.total))
	}
	return ctx.Err()
}

// sendBursts sends the bursts; the next begins when the last one has reached everybody and is acked.
func (h *hall) sendBursts(ctx context.Context, report *Report) error {
	o := h.options
	h.rest(ctx)
	if o.Started != nil {
		o.Started()
	}
	var speeds, spans []float64
	var used usage
	for burst := range o.LogBursts {
		before := readUsage(o.Processes)
		began := since()
		for range o.LogBurst {
			if wait := h.sender.send(ctx, since()); wait > 0 && pauseFor(ctx, wait) != nil {
				break
			}
		}
		first := o.LogSingles + burst*o.LogBurst
		h.await(ctx)
		used = used.plus(readUsage(o.Processes).minus(before))
		h.rest(ctx)
		last, reached := began, 0
		for i := first; i < first+o.LogBurst; i++ {
			if at := time.Duration(h.arrivals[i].last.Load()); at > 0 {
				last, reached = max(last, at), reached+1
			}
		}
		if reached == o.LogBurst {
			speeds = append(speeds, float64(reached*len(h.members))/(last-began).Seconds())
			spans = append(spans, float64((last-began).Microseconds())/1000)
		}
	}
	slices.Sort(speeds)
	slices.Sort(spans)
	if len(speeds) > 0 {
		report.add("pushes_per_s", quantile(speeds, 0.5))
		report.add("pushes_per_s_best", speeds[len(speeds)-1])
		report.add("burst_ms", quantile(spans, 0.5))
	}
	report.Figures = append(report.Figures, used.figures("push", int64(o.LogBursts*o.LogBurst*len(h.members)))...)
	return ctx.Err()
}

// await waits until the messages that were accepted have reached all members, or the settle time is over.
func (h *hall) await(ctx context.Context) {
	patience := time.NewTimer(h.options.Settle)
	defer patience.Stop()
	for !h.room.settled() {
		select {
		case <-h.complete:
		case <-patience.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// rest waits until what was shown has been acked, so that the next burst finds the service idle.
func (h *hall) rest(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, h.options.Settle)
	defer cancel()
	h.awaitAcks(ctx)
}

// quantile of sorted values: the smallest that as many are at most.
func quantile(sorted []float64, q float64) float64 {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
