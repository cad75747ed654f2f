package bench

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	slowDevice = "slow"
	// slowFill is what each of them is sent, in bytes, before a round: more than the kernels take.
	slowFill = 128 << 10
	// slowWarmup and slowWindow bound a round: the server closes a socket that has taken nothing for ten seconds, and a
	// round is about those that are open.
	slowWarmup = time.Second
	slowWindow = 6 * time.Second
	// slowLook is how long a socket is read at the end of a round, to see whether the server had closed it.
	slowLook = 2 * time.Second
)

// Slow measures what sockets that do not read cost the others: the rate scenario in pairs of rounds, without and with such
// sockets, which are sent more than the kernels take before a round begins, and go on getting messages in it. The same is sent
// to their users in both rounds, so that only the sockets make the difference.
func Slow(ctx context.Context, o Options, users, slow []*User, parties []Party) (*Report, error) {
	if err := raiseFileLimit(3*len(users) + len(slow) + 2*backlogParallel + 256); err != nil {
		return nil, err
	}
	started := time.Now()
	o.Warmup, o.Duration = min(o.Warmup, slowWarmup), min(o.Duration, slowWindow)
	var without, with []*Report
	var opened, closedEarly int64
	for range o.SlowRounds {
		for _, slowly := range []bool{false, true} {
			b := newSlowBacklog(o, slow, parties)
			var readers *slowSockets
			if slowly {
				if err := b.visit(ctx); err != nil { // what they left lying would make them be told to pull, not pushed to
					return nil, err
				}
				var err error
				if readers, err = b.openSlow(ctx); err != nil {
					return nil, err
				}
				opened += int64(len(readers.open))
			}
			if err := b.fill(ctx, slowFill/o.SlowText+1); err != nil {
				if slowly {
					readers.close(ctx)
				}
				return nil, err
			}
			report, err := b.beside(ctx, func(ctx context.Context) (*Report, error) { return Rate(ctx, o, users) })
			if slowly {
				closedEarly += readers.close(ctx)
			}
			if err != nil {
				return nil, err
			}
			report.add("slow_messages", float64(b.sent.Load()))
			report.add("slow_failed", float64(b.failed.Load()))
			if slowly {
				with = append(with, report)
			} else {
				without = append(without, report)
			}
		}
	}
	report := &Report{Scenario: "slow", Started: started, Errors: map[string]int64{}}
	report.add("slow_sockets", float64(opened)/float64(o.SlowRounds))
	report.add("slow_closed_by_server", float64(closedEarly)/float64(o.SlowRounds))
	a, b := Median(without), Median(with)
	for _, name := range []string{"push_p50_ms", "push_p99_ms", "push_p999_ms", "send_p50_ms", "send_p99_ms"} {
		before, _ := a.Value(name)
		after, _ := b.Value(name)
		report.add("without_"+name, before)
		report.add("with_"+name, after)
		if before > 0 {
			report.add("ratio_"+name[:len(name)-len("_ms")], after/before)
		}
	}
	for i := range without {
		before, _ := without[i].Value("push_p99_ms")
		after, _ := with[i].Value("push_p99_ms")
		report.add(fmt.Sprintf("round%d_without_push_p99_ms", i+1), before)
		report.add(fmt.Sprintf("round%d_with_push_p99_ms", i+1), after)
	}
	for _, name := range []string{"sends_per_s", "machine_busy_pct", "others_cpu_pct", "server_cpu_us_a_message", "client_cpu_us_a_message"} {
		before, ok := a.Value(name)
		if after, also := b.Value(name); ok && also {
			report.add("without_"+name, before)
			report.add("with_"+name, after)
		}
	}
	all := Median(append(without, with...))
	report.Errors = all.Errors
	for _, name := range []string{"sent", "slow_messages", "slow_failed", "failed", "dropped", "lost", "duplicates", "disorder"} {
		if v, ok := all.Value(name); ok {
			report.add(name, v)
		}
	}
	return report, nil
}

// slowBacklog is the users whose sockets do not read, and the groups that they are sent messages in.
type slowBacklog struct {
	*backlog
}

func newSlowBacklog(o Options, users []*User, parties []Party) *slowBacklog {
	o.Text = o.SlowText
	return &slowBacklog{newBacklog(o, slowDevice, users, parties)}
}

// beside runs drive while messages are sent to the groups in turn, at a constant rate.
func (b *slowBacklog) beside(ctx context.Context, drive func(ctx context.Context) (*Report, error)) (*Report, error) {
	sending, stop := context.WithCancel(ctx)
	defer stop()
	var sender sync.WaitGroup
	sender.Go(func() {
		for _, s := range b.senders {
			s.open(sending)
		}
		defer func() {
			for _, s := range b.senders {
				s.close()
			}
		}()
		interval := time.Duration(float64(time.Second) / (b.options.SlowRate * float64(len(b.senders))))
		pace(sending, since(), interval, maxMessagesASender, func(i int, due time.Duration) {
			b.senders[i%len(b.senders)].send(sending, due)
		})
	})
	report, err := drive(ctx)
	stop()
	sender.Wait()
	return report, err
}

// slowSockets are open sockets that nobody reads.
type slowSockets struct {
	mu   sync.Mutex
	open []*pushSocket
}

// openSlow opens one for each device. What comes before somebody looks stays in the kernels' buffers, then in the server's.
func (b *slowBacklog) openSlow(ctx context.Context) (*slowSockets, error) {
	var all slowSockets
	stop := b.options.progress(func() string { return fmt.Sprintf("slow: opening %d sockets", len(b.devices)) })
	defer stop()
	group, opening := errgroup.WithContext(ctx)
	group.SetLimit(openParallel)
	for i, d := range b.devices {
		group.Go(func() error {
			if opening.Err() != nil {
				return opening.Err()
			}
			nc, err := d.user.target.dialNarrow(ctx, d.user.target.source(i))
			if err != nil {
				return fmt.Errorf("open a slow socket: %w", err)
			}
			s, err := upgrade(ctx, nc, d.user, url.Values{"device_id": {slowDevice}})
			if err != nil {
				return fmt.Errorf("open a slow socket: %w", err)
			}
			all.mu.Lock()
			defer all.mu.Unlock()
			all.open = append(all.open, s)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		for _, s := range all.open {
			s.end()
		}
		return nil, err
	}
	return &all, nil
}

// close reads for a moment what has piled up, closes all and tells how many the server had closed before.
func (s *slowSockets) close(ctx context.Context) int64 {
	var cut atomic.Int64
	var readers sync.WaitGroup
	until := time.Now().Add(slowLook)
	for _, socket := range s.open {
		readers.Go(func() {
			defer socket.end()
			if err := socket.nc.SetReadDeadline(until); err != nil {
				return // it has ended with ctx
			}
			err := socket.serve(func([]byte) error { return nil })
			if ctx.Err() == nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				cut.Add(1)
			}
		})
	}
	readers.Wait()
	return cut.Load()
}
