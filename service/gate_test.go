package service

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"ackbox/model"
)

// TestGate: so many at a time; the next wait, for a bounded time and in a bounded number;
// the refused are sent back at different times.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(2)
		first, err := g.Enter(t.Context())
		must(t, err)
		second, err := g.Enter(t.Context())
		must(t, err)

		entered := make(chan error, 100)
		enter := func() {
			leave, err := g.Enter(t.Context())
			if err == nil {
				defer leave()
			}
			entered <- err
		}
		go enter()
		synctest.Wait()
		equal(t, "waits", len(entered), 0)
		first()
		first() // once is enough: the second's slot is not given away
		synctest.Wait()
		must(t, <-entered)
		leave, err := g.Enter(t.Context())
		must(t, err)

		// Two are in: nobody else comes in, whatever was left twice.
		began := time.Now()
		for range 2*gateQueue + 3 {
			go enter()
		}
		synctest.Wait()
		equal(t, "refused at once, beyond the queue", len(entered), 3)
		times := map[time.Duration]bool{}
		for range 2*gateQueue + 3 {
			err := <-entered
			wantError(t, err, model.CodeUnavailable)
			var e *model.Error
			if !errors.As(err, &e) || e.RetryAfter < retryAtLeast || e.RetryAfter >= retryAtLeast+retrySpread {
				t.Errorf("come back after %v", err)
				continue
			}
			times[e.RetryAfter] = true
		}
		equal(t, "the others waited", time.Since(began), gatePatience)
		if len(times) < gateQueue {
			t.Errorf("%d refusals share %d times", 2*gateQueue+3, len(times))
		}
		leave()
		second()

		// A client that goes away does not wait; closing sends everybody away.
		one, err := g.Enter(t.Context())
		must(t, err)
		defer one()
		two, err := g.Enter(t.Context())
		must(t, err)
		defer two()
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := g.Enter(gone); !errors.Is(err, context.Canceled) {
			t.Errorf("a client that is gone: %v", err)
		}
		go enter()
		synctest.Wait()
		g.Close()
		g.Close()
		wantError(t, <-entered, model.CodeDraining)
		_, err = g.Enter(t.Context())
		wantError(t, err, model.CodeDraining)
	})
}
