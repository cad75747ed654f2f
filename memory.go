package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

const (
	// heapFloor is how far the heap may always grow before the collector looks at it, in bytes. A busy server
	// keeps some 20 MB and allocates some 100 MB a second: left alone, the collector runs ten times
	// a second for that and looks at the stacks of all connections each time. A server that keeps more
	// than half of the floor is collected as any Go program.
	heapFloor = 128 << 20

	usualGrowth = 100   // percent: Go's own default
	mostGrowth  = 1_000 // so that a server that keeps nearly nothing notices a rush early
)

// heapKeeper sets the collector's percentage after each collection, by what that one has found.
type heapKeeper struct {
	stopped atomic.Bool
	percent int
	found   []metrics.Sample
}

// keepHeap begins it, unless the operator has told the collector how to work, and answers what ends it.
func keepHeap() (stop func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	k := &heapKeeper{percent: usualGrowth, found: []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"},
	}}
	k.await()
	return func() { k.stopped.Store(true) }
}

// await has the runtime call adjust after the next collection.
func (k *heapKeeper) await() {
	type collected struct{ _ *byte } // with a pointer: small things without one share their memory
	runtime.AddCleanup(&collected{}, (*heapKeeper).adjust, k)
}

func (k *heapKeeper) adjust() {
	if k.stopped.Load() {
		return
	}
	metrics.Read(k.found)
	live, roots := k.found[0].Value.Uint64(), k.found[1].Value.Uint64()+k.found[2].Value.Uint64()
	percent := growth(live, roots)
	if change := percent - k.percent; change < 0 || change > k.percent/4 { // setting it stops the program for a moment
		debug.SetGCPercent(percent)
		k.percent = percent
	}
	k.await()
}

// growth is the percentage with which the heap grows up to the floor: the runtime lets it grow from live by
// so many percent of live and roots.
func growth(live, roots uint64) int {
	if live >= heapFloor {
		return usualGrowth
	}
	return int(min(max((heapFloor-live)*100/max(live+roots, 1), usualGrowth), mostGrowth))
}
