package service

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestRest: after a failure nobody asks for a while, then one does, and its answer decides for all.
func TestRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r rest
		asks := func(what string, want ...bool) {
			t.Helper()
			for _, w := range want {
				equal(t, what, r.ask(), w)
			}
		}
		asks("while it works", true, true)
		r.answered(true)
		asks("after an answer", true, true)
		r.answered(false)
		asks("after a failure", false, false)
		<-time.After(redisRest - time.Millisecond)
		asks("just before the end of the rest", false)
		<-time.After(time.Millisecond)
		asks("after the rest", true, false, false)
		r.answered(false)
		asks("after the second failure", false)
		<-time.After(redisRest)
		asks("after the second rest", true, false)
		<-time.After(redisRest) // whoever asked has gone without a word
		asks("after nobody said", true, false)
		r.answered(true)
		asks("when it works again", true, true)
	})
}
