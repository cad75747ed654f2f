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
type rest struct{ until atomic.Int64 } // Unix ns; 0: it works

// ask says whether this caller may.
func (r *rest) ask() bool {
	until, now := r.until.Load(), time.Now()
	if until == 0 {
		return true
	}
	return now.UnixNano() >= until && r.until.CompareAndSwap(until, now.Add(redisRest).UnixNano())
}

// answered takes the outcome of asking.
func (r *rest) answered(ok bool) {
	if ok {
		r.until.Store(0)
		return
	}
	r.until.Store(time.Now().Add(redisRest).UnixNano())
}
