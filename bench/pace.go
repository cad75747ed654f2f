package bench

import (
	"context"
	"runtime"
	"time"
)

// maxNap bounds one sleep of a pacer, so that it notices the end of its context.
const maxNap = 50 * time.Millisecond

// pace calls emit at start + i × interval (times since epoch) for i = 0 … count-1, each with the time it was due, and
// returns early when the context ends. It never skips: when it wakes late, the overdue calls follow one another at once,
// with their own due times, which is what keeps a stall visible in the latencies.
func pace(ctx context.Context, start, interval time.Duration, count int, emit func(i int, due time.Duration)) {
	runtime.LockOSThread() // nap blocks the thread
	defer runtime.UnlockOSThread()
	for i := range count {
		due := start + time.Duration(i)*interval
		for wait := due - since(); wait > 0; wait = due - since() {
			if ctx.Err() != nil {
				return
			}
			nap(min(wait, maxNap))
		}
		if ctx.Err() != nil {
			return
		}
		emit(i, due)
	}
}
