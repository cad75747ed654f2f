package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// portsAnAddress is how many connections one source address makes to one server before the next loopback address is
	// used; Linux has 28,232 ephemeral ports by default.
	portsAnAddress = 20000
)

// Idle opens connections sockets (the users' devices in turn), holds them for the duration, and tells what one costs the
// server in memory. The figures before are taken when the first socket has been opened and closed again, so that what the
// server sets up once isn't counted.
func Idle(ctx context.Context, o Options, users []*User) (*Report, error) {
	if err := raiseFileLimit(o.Connections + 256); err != nil {
		return nil, err
	}
	started := time.Now()
	probe, err := o.probe(ctx)
	if err != nil {
		return nil, err
	}
	sockets, closeSockets := context.WithCancel(ctx)
	crowd := &crowd{options: o, users: users}
	defer crowd.sockets.Wait()
	defer closeSockets()
	if err := crowd.first(sockets); err != nil {
		return nil, err
	}
	before, err := probe.read(ctx, o.MemorySettle)
	if err != nil {
		return nil, err
	}

	stop := o.progress(func() string { return fmt.Sprintf("idle: %d of %d sockets open", crowd.open.Load(), o.Connections) })
	opening := time.Now()
	err = crowd.fill(sockets)
	took := time.Since(opening)
	held := readUsage(o.Processes)
	if err == nil {
		err = pauseFor(ctx, o.Duration)
	}
	held = readUsage(o.Processes).minus(held)
	stop()
	if err != nil {
		return nil, err
	}
	after, err := probe.read(ctx, o.MemorySettle)
	if err != nil {
		return nil, err
	}

	report := &Report{Scenario: "idle", Started: started, Errors: crowd.errors.snapshot()}
	open := crowd.open.Load()
	report.add("connections", float64(open))
	report.add("closed_early", float64(int64(o.Connections)-open))
	report.add("opened_per_s", float64(o.Connections)/took.Seconds())
	report.add("frames", float64(crowd.frames.Load()))
	kilobytes := func(name string, before, after int64) {
		if before > 0 && after > 0 && open > 0 {
			report.add(name+"_kb_a_connection", float64(after-before)/1024/float64(open))
		}
	}
	kilobytes("rss", before.rss, after.rss)
	kilobytes("go_memory", before.goMemory(), after.goMemory())
	kilobytes("heap", before.heapInUse, after.heapInUse)
	kilobytes("stack", before.stack, after.stack)
	if before.rss > 0 {
		report.add("rss_before_mb", float64(before.rss)/(1<<20))
		report.add("rss_after_mb", float64(after.rss)/(1<<20))
	}
	if t, ok := held.processes["server"]; ok {
		report.add("server_idle_cpu_pct", 100*t.Seconds()/o.Duration.Seconds())
	}
	return report, nil
}

// Held are idle sockets that stay open while something else is measured.
type Held struct {
	crowd *crowd
	close context.CancelFunc
}

// Hold opens connections sockets (the users' devices in turn) and returns when each has had its hello. Close has to be called,
// unless there is an error.
func Hold(ctx context.Context, o Options, users []*User) (*Held, error) {
	if err := raiseFileLimit(o.Connections + 3*o.Clients + 256); err != nil {
		return nil, err
	}
	sockets, closeSockets := context.WithCancel(ctx)
	h := &Held{crowd: &crowd{options: o, users: users}, close: closeSockets}
	stop := o.progress(func() string { return fmt.Sprintf("idle: %d of %d sockets open", h.Open(), o.Connections) })
	err := h.crowd.fill(sockets)
	stop()
	if err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// IdleDevice is the name of a user's n-th idle device, from 0 on.
func IdleDevice(n int) string { return fmt.Sprintf("idle-%d", n) }

// Open is how many of them are open.
func (h *Held) Open() int64 { return h.crowd.open.Load() }

// Close closes them, and returns when all have ended.
func (h *Held) Close() {
	h.close()
	h.crowd.sockets.Wait()
}

// crowd is the sockets of an idle run; each has a goroutine that reads it until it ends.
type crowd struct {
	options      Options
	users        []*User
	open, frames atomic.Int64
	errors       tally
	sockets      sync.WaitGroup
}

// first opens one socket and closes it again.
func (c *crowd) first(ctx context.Context) error {
	ws, end, err := openSocket(ctx, c.users[0], url.Values{"device_id": {"idle-first"}}, nil)
	if err != nil {
		return err
	}
	defer end()
	if err := ws.SetReadDeadline(time.Now().Add(c.options.Timeout)); err != nil {
		return err
	}
	_, err = readFrame(ws, nil)
	return err
}

// fill opens all sockets, openParallel at a time, and returns when each has had its hello.
func (c *crowd) fill(ctx context.Context) error {
	var next atomic.Int64
	var openers sync.WaitGroup
	fatal := make(chan error, openParallel)
	for range openParallel {
		openers.Go(func() {
			for i := int(next.Add(1)) - 1; i < c.options.Connections && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := c.add(ctx, i); err != nil {
					fatal <- err
					return
				}
			}
		})
	}
	openers.Wait()
	select {
	case err := <-fatal:
		return err
	default:
		return ctx.Err()
	}
}

// add opens the i-th socket, trying again a few times, and leaves it to a reader.
func (c *crowd) add(ctx context.Context, i int) error {
	u := c.users[i%len(c.users)]
	query := url.Values{"device_id": {IdleDevice(i / len(c.users))}}
	source := u.target.source(i)
	var last error
	for attempt := range 5 {
		ws, end, err := openSocket(ctx, u, query, source)
		if err == nil {
			hello := make(chan error, 1)
			c.sockets.Go(func() {
				defer end()
				var buf []byte
				buf, err := readFrame(ws, buf)
				hello <- err
				if err != nil {
					return
				}
				c.open.Add(1)
				for err == nil {
					c.frames.Add(1)
					buf, err = readFrame(ws, buf)
				}
				if ctx.Err() == nil {
					c.open.Add(-1)
					c.errors.add(closed(err))
				}
			})
			select {
			case err = <-hello:
			case <-time.After(c.options.Timeout):
				err = fmt.Errorf("no hello within %s", c.options.Timeout)
				end()
			}
			if err == nil {
				return nil
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		last = err
		c.errors.add(closed(err))
		if err := pauseFor(ctx, rand.N(time.Duration(attempt+1)*200*time.Millisecond)); err != nil {
			return err
		}
	}
	return fmt.Errorf("socket %d: %w", i, last)
}
