package main

import (
	"testing"
	"time"
)

// TestSilence: pings come once a second at most, whatever the heartbeat, and late while the database is away.
func TestSilence(t *testing.T) {
	for heartbeat, want := range map[time.Duration]time.Duration{
		100 * time.Millisecond: 15 * time.Second, 5 * time.Second: 15 * time.Second, 25 * time.Second: 75 * time.Second,
	} {
		if got := silence(heartbeat); got != want {
			t.Errorf("silence at a heartbeat of %s: %s, want %s", heartbeat, got, want)
		}
	}
}
