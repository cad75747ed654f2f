package bench

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"time"
)

// memory is what the server used at one moment, in bytes; 0 where unknown.
type memory struct {
	rss       int64 // /proc/PID/status, else the process_resident_memory_bytes metric
	heapInUse int64 // go_memstats_heap_inuse_bytes
	stack     int64 // go_memstats_stack_inuse_bytes
}

// goMemory is heap and stacks together: what is left of the noise of the allocator's free pages.
func (m memory) goMemory() int64 { return m.heapInUse + m.stack }

// memoryProbe knows where the server's memory can be read.
type memoryProbe struct {
	pid     int     // 0: another machine
	metrics *target // nil: no metrics
	profile *target // nil: no /debug/pprof, so garbage can't be collected on demand
}

// read asks for a garbage collection when it can and returns the smallest of a few readings: the runtime gives freed memory
// back in the background, so a first reading is too high.
func (p memoryProbe) read(ctx context.Context, within time.Duration) (memory, error) {
	var least memory
	profile := p.profile
	deadline := time.Now().Add(within)
	for {
		if profile != nil {
			if _, err := fetch(ctx, profile, "/debug/pprof/heap?gc=1"); err != nil {
				profile = nil // not offered there: its metrics alone must do
			}
		}
		m, err := p.once(ctx)
		if err != nil {
			return memory{}, err
		}
		least = memory{rss: lesser(least.rss, m.rss), heapInUse: lesser(least.heapInUse, m.heapInUse), stack: lesser(least.stack, m.stack)}
		if time.Now().After(deadline) {
			return least, nil
		}
		if err := pauseFor(ctx, min(time.Second, within)); err != nil {
			return memory{}, err
		}
	}
}

// lesser ignores what isn't known.
func lesser(a, b int64) int64 {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}

func (p memoryProbe) once(ctx context.Context) (memory, error) {
	var m memory
	if p.metrics != nil {
		text, err := fetch(ctx, p.metrics, "/metrics")
		if err != nil {
			return m, fmt.Errorf("metrics: %w", err)
		}
		m.rss = metric(text, "process_resident_memory_bytes")
		m.heapInUse = metric(text, "go_memstats_heap_inuse_bytes")
		m.stack = metric(text, "go_memstats_stack_inuse_bytes")
	}
	if p.pid > 0 {
		rss, err := ResidentMemory(p.pid)
		if err != nil {
			return m, err
		}
		m.rss = rss
	}
	return m, nil
}

// fetch gets a page over a connection of its own.
func fetch(ctx context.Context, t *target, path string) ([]byte, error) {
	c := newConn(ctx, t, 30*time.Second)
	defer c.Close()
	a, err := c.Do("GET", path, "", nil)
	if err != nil {
		return nil, err
	}
	if a.Status != 200 {
		return nil, fmt.Errorf("%s: %s", path, label(a))
	}
	return a.Body, nil
}

// metric reads a gauge without labels from the Prometheus text format; 0 when it isn't there.
func metric(text []byte, name string) int64 {
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte(name+" ")); ok {
			if v, err := strconv.ParseFloat(string(bytes.TrimSpace(rest)), 64); err == nil {
				return int64(v)
			}
		}
	}
	return 0
}

// ResidentMemory is a process's VmRSS in bytes.
func ResidentMemory(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			if fields := bytes.Fields(rest); len(fields) == 2 {
				if kb, ok := parseUint(fields[0]); ok {
					return kb << 10, nil
				}
			}
		}
	}
	return 0, fmt.Errorf("process %d tells no VmRSS", pid)
}

// probe finds where the memory can be read: the metrics are on the admin listener when there is one.
func (o Options) probe(ctx context.Context) (memoryProbe, error) {
	p := memoryProbe{pid: o.Processes["server"]}
	base := o.URL[0]
	if o.AdminURL != "" {
		base = o.AdminURL
	}
	if u, err := url.Parse(base); err == nil {
		u.Path = ""
		base = u.String()
	}
	t, err := parseTarget(base)
	if err != nil {
		return p, err
	}
	if _, err := fetch(ctx, t, "/metrics"); err == nil {
		p.metrics = t
	}
	if o.AdminURL != "" {
		p.profile = t
	}
	if p.metrics == nil && p.pid == 0 {
		return p, fmt.Errorf("the server's memory can't be read: give --server-pid, or --admin-url where /metrics is")
	}
	return p, nil
}
