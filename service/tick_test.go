package service

import (
	"context"
	"testing"
	"time"

	"ackbox/model"
)

// TestTickWithoutDatabase: the pings do not wait for a database that does not answer.
func TestTickWithoutDatabase(t *testing.T) {
	t.Parallel()
	i := newInbox(t, standard)
	o, err := i.mailboxes.Open(within(t), i.device("phone"), 0, seq(0), 0)
	must(t, err)
	o.ExpiresAt = i.clock.now().Add(24 * time.Hour)
	s := i.delivery.Join(open{}, o)
	t.Cleanup(func() { i.delivery.Leave(s) })
	i.clock.step(2 * touchInterval)
	taken, give, given := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		given <- i.store.Tx(context.WithoutCancel(t.Context()), func(*model.Store) error { close(taken); <-give; return nil })
	}()
	<-taken
	ticked := make(chan error, 1)
	go func() { ticked <- i.delivery.Tick(t.Context()) }()
	select {
	case err := <-ticked:
		if !model.Unreachable(err) {
			t.Errorf("got %v, want that the database does not answer", err)
		}
	case <-within(t).Done():
		t.Error("the tick waits for the database")
	}
	close(give)
	must(t, <-given)
}
