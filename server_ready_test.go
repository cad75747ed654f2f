package main

import (
	"context"
	"testing"
	"time"

	"ackbox/api"
)

// TestDependencies: one that hangs does not make another look down.
func TestDependencies(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	got := dependencies(ctx, []probe{
		{"database", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
		{"redis", func(ctx context.Context) error { defer cancel(); return ctx.Err() }},
	})
	if len(got) != 2 || got[0].Name != "database" || got[0].State != api.StateDown || got[1].Name != "redis" || got[1].State != api.StateUp {
		t.Errorf("got %+v, want the database down and redis up", got)
	}
}
