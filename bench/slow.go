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
	slowDevice    = "slow"
	readingDevice = "reading"
	// slowFill is what each of them is sent, in bytes, before a round: more than the kernels take.
	slowFill = 128 << 10
	// slowWarmup and slowWindow bound a round: the server closes a socket that has taken nothing for ten seconds, and a
	// round is about those that are open.
	slowWarmup = time.Second
	slowWindow = 6 * time.Second
	slowAck    = time.Second // between two acks of a socket that is read
	// slowLook is how long a socket is read at the end of a round, to see whether the server had closed it.
	slowLook = 2 * time.Second
)

// Kinds of rounds of slow. The same is sent to the users of the sockets in all of them.
const (
	slowWithout = iota // no sockets
	slowReading        // as many, and all that comes is read
	slowWith           // nobody reads them
	slowKinds
)

// slowKindNames begin the names of figures.
var slowKindNames = [slowKinds]string{"without", "reading", "with"}

// Slow measures what sockets that do not read cost the others: the rate scenario in rounds without sockets beside it, with
// sockets that are read and acked, and with sockets that are not, by turns. Before a round they are sent more than the kernels take of what
// nobody reads, and they go on getting messages in it: those that read show what the messages alone cost.
func Slow(ctx context.Context, o Options, users, slow []*User, parties []Party) (*Report, error) {
	if err := raiseFileLimit(3*len(users) + len(slow) + 2*backlogParallel + 256); err != nil {
		return nil, err
	}
	started := time.Now()
	o.Warmup, o.Duration = min(o.Warmup, slowWarmup), min(o.Duration, slowWindow)
	var rounds [slowKinds][]*Report
	var opened, closedEarly int64
	for range o.SlowRounds {
		for kind := range slowKinds {
			report, sockets, err := slowRound(ctx, o, kind, users, slow, parties)
			if err != nil {
				return nil, err
			}
			rounds[kind] = append(rounds[kind], report)
			if kind == slowWith {
				opened += int64(len(sockets.open))
				closedEarly += sockets.closed
			}
		}
	}
	report := &Report{Scenario: "slow", Started: started, Errors: map[string]int64{}}
	report.add("slow_sockets", float64(opened)/float64(o.SlowRounds))
	report.add("slow_closed_by_server", float64(closedEarly)/float64(o.SlowRounds))
	slowFigures(report, rounds)
	return report, nil
}

// slowFigures are the medians of each kind, those with slow sockets against the others, and every round's slowest hundredth.
func slowFigures(report *Report, rounds [slowKinds][]*Report) {
	var medians [slowKinds]*Report
	var all []*Report
	for kind, list := range rounds {
		medians[kind] = Median(list)
		all = append(all, list...)
	}
	each := func(name string, found func(values [slowKinds]float64)) {
		var values [slowKinds]float64
		for kind, median := range medians {
			var ok bool
			if values[kind], ok = median.Value(name); !ok {
				return
			}
			report.add(slowKindNames[kind]+"_"+name, values[kind])
		}
		found(values)
	}
	for _, name := range []string{"push_p50_ms", "push_p99_ms", "push_p999_ms", "send_p50_ms", "send_p99_ms"} {
		each(name, func(v [slowKinds]float64) {
			name := name[:len(name)-len("_ms")]
			if v[slowWithout] > 0 {
				report.add("ratio_"+name, v[slowWith]/v[slowWithout])
			}
			if v[slowReading] > 0 {
				report.add("ratio_to_reading_"+name, v[slowWith]/v[slowReading])
			}
		})
	}
	for i := range rounds[slowWithout] {
		for kind, list := range rounds {
			v, _ := list[i].Value("push_p99_ms")
			report.add(fmt.Sprintf("round%d_%s_push_p99_ms", i+1, slowKindNames[kind]), v)
		}
	}
	for _, name := range []string{"sends_per_s", "machine_busy_pct", "others_cpu_pct", "server_cpu_us_a_message", "client_cpu_us_a_message"} {
		each(name, func([slowKinds]float64) {})
	}
	total := Median(all)
	report.Errors = total.Errors
	for _, name := range []string{"sent", "slow_messages", "slow_failed", "failed", "dropped", "lost", "duplicates", "disorder"} {
		if v, ok := total.Value(name); ok {
			report.add(name, v)
		}
	}
}

// slowRound is one round, and its sockets, which are closed.
func slowRound(ctx context.Context, o Options, kind int, users, slow []*User, parties []Party) (*Report, *slowSockets, error) {
	device := slowDevice
	if kind == slowReading {
		device = readingDevice
	}
	b := newSlowBacklog(o, device, slow, parties)
	sockets := &slowSockets{}
	if kind != slowWithout {
		if err := b.visit(ctx); err != nil { // what they left lying would make them be told to pull, not pushed to
			return nil, nil, err
		}
		var err error
		if sockets, err = b.openSlow(ctx, kind == slowReading); err != nil {
			return nil, nil, err
		}
	}
	err := b.fill(ctx, slowFill/o.SlowText+1)
	var report *Report
	if err == nil {
		report, err = b.beside(ctx, func(ctx context.Context) (*Report, error) { return Rate(ctx, o, users) })
	}
	sockets.close(ctx)
	if err != nil {
		return nil, nil, err
	}
	report.add("slow_messages", float64(b.sent.Load()))
	report.add("slow_failed", float64(b.failed.Load()))
	return report, sockets, nil
}

// slowBacklog is the users whose sockets do not read, and the groups that they are sent messages in.
type slowBacklog struct {
	*backlog
	device string
}

func newSlowBacklog(o Options, device string, users []*User, parties []Party) *slowBacklog {
	o.Text = o.SlowText
	return &slowBacklog{newBacklog(o, device, users, parties), device}
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

// slowSockets are open sockets that nobody reads, or whose messages are all read and acked.
type slowSockets struct {
	mu      sync.Mutex
	open    []*pushSocket
	readers sync.WaitGroup
	reading bool
	acks    chan *conn // for acks; full when nobody acks
	closed  int64      // how many the server had closed
}

// reader takes what comes from a socket, and acks once a second at most.
func (s *slowSockets) reader(ctx context.Context, b *slowBacklog, u *User) func(text []byte) error {
	acked := since()
	return func(text []byte) error {
		seq, ok := seqField(text)
		if now := since(); !ok || now-acked < slowAck {
			return nil
		}
		acked = since()
		c := <-s.acks
		defer func() { s.acks <- c }()
		return b.insist(ctx, c, u, appendAck(nil, b.device, seq))
	}
}

// openSlow opens one for each device. What comes before somebody looks stays in the kernels' buffers, then in the server's.
func (b *slowBacklog) openSlow(ctx context.Context, reading bool) (*slowSockets, error) {
	all := slowSockets{reading: reading, acks: make(chan *conn, backlogParallel)}
	for i := range cap(all.acks) {
		all.acks <- newConn(ctx, b.devices[i%len(b.devices)].user.target, b.options.Timeout)
	}
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
			s, err := upgrade(ctx, nc, d.user, url.Values{"device_id": {b.device}})
			if err != nil {
				return fmt.Errorf("open a slow socket: %w", err)
			}
			all.mu.Lock()
			defer all.mu.Unlock()
			all.open = append(all.open, s)
			if reading {
				all.readers.Go(func() {
					s.serve(all.reader(ctx, b, d.user)) //nolint:errcheck // it ends by close, or the server has closed it
				})
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		all.close(ctx)
		return nil, err
	}
	return &all, nil
}

// close reads for a moment what has piled up, closes all and counts how many the server had closed before.
func (s *slowSockets) close(ctx context.Context) {
	if s.reading {
		for _, socket := range s.open {
			socket.end()
		}
		s.readers.Wait()
	}
	for range cap(s.acks) {
		(<-s.acks).Close()
	}
	if s.reading {
		return
	}
	var cut atomic.Int64
	until := time.Now().Add(slowLook)
	for _, socket := range s.open {
		s.readers.Go(func() {
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
	s.readers.Wait()
	s.closed = cut.Load()
}
