package service

import (
	"sync/atomic"
	"time"
)

// redisRest is how long Redis is left alone after it failed, so that a slow or missing one costs
// one caller a second its patience, not every caller.
const redisRest = time.Second

// rest is the time in which nobody asks what has failed. When it is over one caller asks; the
// others go on without an answer until that one has had it. The zero value asks.
type rest struct{ until atomic.Int64 } // by monotonic, which no step of the clock changes; 0: it works

var beginning = time.Now()

// monotonic is ns of this process.
func monotonic() int64 { return int64(time.Since(beginning)) }

// ask says whether this caller may.
func (r *rest) ask() bool {
	until, now := r.until.Load(), monotonic()
	if until == 0 {
		return true
	}
	return now >= until && r.until.CompareAndSwap(until, now+int64(redisRest))
}

// answered takes the outcome of asking.
func (r *rest) answered(ok bool) {
	if ok {
		r.until.Store(0)
		return
	}
	r.until.Store(monotonic() + int64(redisRest))
}
