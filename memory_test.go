package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestGrowth(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		live, roots uint64
		want        int
	}{
		{0, 0, mostGrowth},
		{2 * mb, mb, mostGrowth},
		{18 * mb, 4 * mb, 500},
		{28 * mb, 22 * mb, 200},
		{64 * mb, 0, 100},
		{60 * mb, 40 * mb, 100},
		{128 * mb, 0, 100},
		{1 << 40, 0, 100},
	} {
		if got := growth(c.live, c.roots); got != c.want {
			t.Errorf("%d MB live, %d MB of roots: %d%%, want %d%%", c.live/mb, c.roots/mb, got, c.want)
		}
	}
}

// TestKeepHeap wants more growth for a small heap and the usual for a large one.
func TestKeepHeap(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	before := debug.SetGCPercent(usualGrowth)
	defer debug.SetGCPercent(before)
	defer keepHeap()()
	collectUntil(t, "more than usual", func(percent uint64) bool { return percent > usualGrowth })
	large := make([]byte, heapFloor)
	collectUntil(t, "the usual", func(percent uint64) bool { return percent == usualGrowth })
	runtime.KeepAlive(large)
	collectUntil(t, "more than usual again", func(percent uint64) bool { return percent > usualGrowth })
}

func collectUntil(t *testing.T, what string, is func(percent uint64) bool) {
	t.Helper()
	setting := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	for deadline := time.Now().Add(30 * time.Second); ; runtime.GC() {
		metrics.Read(setting)
		if is(setting[0].Value.Uint64()) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the heap grows by %d%%, want %s", setting[0].Value.Uint64(), what)
		}
	}
}

// TestKeepHeapLeavesOperators does not touch what the operator has set.
func TestKeepHeapLeavesOperators(t *testing.T) {
	before := debug.SetGCPercent(77)
	defer debug.SetGCPercent(before)
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "77")
			defer keepHeap()()
			setting := []metrics.Sample{{Name: "/gc/gogc:percent"}}
			for range 10 {
				runtime.GC()
			}
			if metrics.Read(setting); setting[0].Value.Uint64() != 77 {
				t.Errorf("the heap grows by %d%%", setting[0].Value.Uint64())
			}
		})
	}
}
