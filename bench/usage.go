package bench

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"
)

// clockTick is the unit of the CPU times in /proc: USER_HZ, 100 on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// usage is the CPU time that went by in a measured window: by process, and the whole machine's busy and total time. It is
// empty where there is no /proc.
type usage struct {
	processes   map[string]time.Duration
	busy, total time.Duration
}

// watchUsage measures between two moments (since epoch) in a goroutine of its own. The returned function waits for the end
// of the window, or of the context, and gives the result.
func watchUsage(ctx context.Context, processes map[string]int, from, to time.Duration) func() usage {
	result := make(chan usage, 1)
	go func() {
		if pauseFor(ctx, from-since()) != nil {
			result <- usage{}
			return
		}
		before := readUsage(processes)
		if pauseFor(ctx, to-since()) != nil {
			result <- usage{}
			return
		}
		result <- readUsage(processes).minus(before)
	}()
	return func() usage { return <-result }
}

func readUsage(processes map[string]int) usage {
	u := usage{processes: map[string]time.Duration{}}
	if t, ok := ProcessTime(os.Getpid()); ok {
		u.processes["client"] = t
	}
	for name, pid := range processes {
		if t, ok := ProcessTime(pid); ok {
			u.processes[name] = t
		}
	}
	u.busy, u.total = machineTime()
	return u
}

func (u usage) minus(before usage) usage {
	out := usage{processes: map[string]time.Duration{}, busy: u.busy - before.busy, total: u.total - before.total}
	for name, t := range u.processes {
		if b, ok := before.processes[name]; ok {
			out.processes[name] = t - b
		}
	}
	return out
}

func (u usage) plus(more usage) usage {
	out := usage{processes: maps.Clone(more.processes), busy: u.busy + more.busy, total: u.total + more.total}
	for name, t := range u.processes {
		out.processes[name] += t
	}
	return out
}

// figures are CPU microseconds a unit (a message, a push) by process and their sum, which a busy machine disturbs less than
// it does speeds, and how busy the machine was: others_cpu_pct is the share of what we don't watch, and says how far a run
// was disturbed.
func (u usage) figures(unit string, count int64) []Figure {
	var out []Figure
	others, all := u.busy, time.Duration(0)
	for _, name := range slices.Sorted(maps.Keys(u.processes)) {
		others -= u.processes[name]
		all += u.processes[name]
		if count > 0 {
			out = append(out, Figure{Name: name + "_cpu_us_a_" + unit, Value: float64(u.processes[name].Microseconds()) / float64(count)})
		}
	}
	if count > 0 {
		out = append(out, Figure{Name: "sum_cpu_us_a_" + unit, Value: float64(all.Microseconds()) / float64(count)})
	}
	if u.total > 0 {
		out = append(out,
			Figure{Name: "machine_busy_pct", Value: 100 * float64(u.busy) / float64(u.total)},
			Figure{Name: "others_cpu_pct", Value: 100 * float64(max(others, 0)) / float64(u.total)})
	}
	return out
}

// ProcessTime is a process's user and system time so far.
func ProcessTime(pid int) (time.Duration, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	// The name in parentheses may hold anything; utime and stime are the 12th and 13th fields after it.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, false
	}
	user, ok1 := parseUint(fields[11])
	system, ok2 := parseUint(fields[12])
	return time.Duration(user+system) * clockTick, ok1 && ok2
}

// machineTime is the time that all processors have been busy, and in all, since boot.
func machineTime() (busy, total time.Duration) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0
	}
	line, _, _ := bytes.Cut(text, []byte{'\n'})
	for i, field := range bytes.Fields(line) {
		n, ok := parseUint(field)
		if !ok || i > 8 { // the label; guest time is in user time already
			continue
		}
		total += time.Duration(n) * clockTick
		if i != 4 && i != 5 { // idle and waiting for disks
			busy += time.Duration(n) * clockTick
		}
	}
	return busy, total
}
