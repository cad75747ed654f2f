package bench

import (
	"context"
	"sync"
	"time"
)

// queuedSends bounds the sends that wait for one open-loop client; what is due beyond that is dropped and counted.
const queuedSends = 1 << 10

// Send runs the closed loop: every user sends to the next as fast as its answers come, for warm-up and duration.
func Send(ctx context.Context, o Options, users []*User) (*Report, error) {
	r := newPairs(o, users)
	return r.measure(ctx, "send", r.closedLoop)
}

// closedLoop lets all senders send as fast as their answers come, until the end of the run.
func (r *run) closedLoop(ctx context.Context) {
	var senders sync.WaitGroup
	for _, s := range r.senders {
		senders.Go(func() {
			s.open(ctx)
			defer s.close()
			for now := since(); now < r.end && ctx.Err() == nil && s.index < maxMessagesASender; now = since() {
				if wait := s.send(ctx, now); wait > 0 && pauseFor(ctx, wait) != nil {
					return
				}
			}
		})
	}
	senders.Wait()
}

// Rate runs the open loop: sends are due at a constant rate, taken in turn by the users, whatever the answers do, and their
// latency counts from when they were due. A user whose last send is still in flight sends late, never two at a time.
func Rate(ctx context.Context, o Options, users []*User) (*Report, error) {
	r := newPairs(o, users)
	return r.measure(ctx, "rate", func(ctx context.Context) {
		var senders sync.WaitGroup
		queues := make([]chan time.Duration, len(r.senders))
		for i, s := range r.senders {
			queues[i] = make(chan time.Duration, queuedSends)
			senders.Go(func() {
				s.open(ctx)
				defer s.close()
				for due := range queues[i] {
					if ctx.Err() != nil {
						return
					}
					if wait := s.send(ctx, due); wait > 0 && pauseFor(ctx, wait) != nil {
						return
					}
				}
			})
		}
		begin := r.start - o.Warmup
		interval := time.Duration(float64(time.Second) / o.Rate)
		pace(ctx, begin, interval, int((r.end-begin)/interval), func(i int, due time.Duration) {
			select {
			case queues[i%len(queues)] <- due:
			default:
				r.dropped.Add(1)
			}
		})
		for _, q := range queues {
			close(q)
		}
		senders.Wait()
	})
}

// measure wraps a scenario's sending: sets its window, watches processes and progress, and makes the report.
func (r *run) measure(ctx context.Context, name string, drive func(ctx context.Context)) (*Report, error) {
	started := time.Now()
	var usage usage
	err := r.during(ctx, func(ctx context.Context) {
		r.start = since() + r.options.Warmup
		r.end = r.start + r.options.Duration
		watch := watchUsage(ctx, r.options.Processes, r.start, r.end)
		if r.options.Started != nil {
			r.options.Started()
		}
		stop := r.options.progress(func() string { return r.line(name) })
		drive(ctx)
		stop()
		usage = watch()
	})
	if err != nil {
		return nil, err
	}
	seconds := r.options.Duration.Seconds()
	report := &Report{Scenario: name, Started: started, Errors: r.errors.snapshot()}
	accepted := r.accepted.Load()
	if name == "rate" {
		report.add("rate_wanted_per_s", r.options.Rate)
	}
	if name == "group" {
		report.add("messages_per_s", float64(accepted)/seconds)
		report.add("rows_per_s", float64(accepted)/seconds*float64(r.options.GroupSize))
	} else {
		report.add("sends_per_s", float64(accepted)/seconds)
	}
	report.add("pushes_per_s", float64(r.pushed.Load())/seconds)
	report.Figures = append(report.Figures, r.sendLatency.figures("send")...)
	report.Figures = append(report.Figures, r.pushLatency.figures("push")...)
	if name == "rate" {
		report.Figures = append(report.Figures, r.lateness.figures("late_start")...)
		report.add("dropped", float64(r.dropped.Load()))
	}
	r.count(report)
	report.add("receipts", float64(r.receipts.Load()))
	report.Figures = append(report.Figures, usage.figures("message", accepted)...)
	return report, nil
}

// count reports what was sent and what became of it.
func (r *run) count(report *Report) {
	report.add("sent", float64(r.sent.Load()))
	report.add("failed", float64(r.failed.Load()))
	report.add("lost", float64(r.lost()))
	report.add("duplicates", float64(r.duplicates.Load()))
	report.add("disorder", float64(r.disorder.Load()))
	report.add("repeated_answers", float64(r.repeats.Load()))
	report.add("pushed_again", float64(r.repushed.Load()))
	report.add("pulls", float64(r.pulled.Load()))
	report.add("acks", float64(r.acks.Load()))
}
