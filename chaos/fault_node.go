package chaos

import (
	"context"
	"errors"
	"time"
)

func nodeFaults() []Fault {
	return []Fault{
		{Name: "kill-node", Help: "kill -9 of one of two nodes", Shape: Shape{Nodes: 2}, Strike: killNode},
		{Name: "kill-sqlite", Help: "kill -9 of the only node, on SQLite", Shape: Shape{Nodes: 1, SQLite: true}, Strike: killNode},
		{Name: "freeze-node", Help: "a node frozen in a transaction for longer than the database lets it be idle", Shape: Shape{Nodes: 2, DatabaseProxies: true}, Strike: freezeNode},
		{Name: "clock-step", Help: "the clock of one of two nodes an hour ahead or behind, and back", Shape: Shape{Nodes: 2, Clock: true}, Strike: stepClock},
		{Name: "rolling-restart", Help: "SIGTERM to three nodes, one after the other", Shape: Shape{Nodes: 3}, Strike: rollingRestart},
	}
}

func killNode(ctx context.Context, s *Strike) error {
	node, _ := s.node()
	s.Begin(node, "kill -9 of "+node.Name)
	if err := node.Kill(); err != nil {
		return err
	}
	s.Done(node)
	return node.Start(ctx)
}

// idleCap is the idle_write_transaction_timeout that the product sets.
const idleCap = 10 * time.Second

// leaseEnd is longer than a node's lease (30 s) and what Redis knows of it (45 s) hold.
const leaseEnd = 50 * time.Second

// freezeNode stops a node that has written and wants to commit: its locks stay until the database ends the transaction.
func freezeNode(ctx context.Context, s *Strike) (err error) {
	node, i := s.node()
	held, release := s.DatabaseProxies[i].HoldCommit()
	defer release()
	select {
	case <-held:
	case <-time.After(10 * time.Second):
		return errors.New("no COMMIT in 10 s")
	case <-ctx.Done():
		return ctx.Err()
	}
	s.Begin(node, "SIGSTOP of "+node.Name+" in a transaction")
	if err := node.Freeze(); err != nil {
		return err
	}
	asleep := idleCap + 2*time.Second
	if !s.Short && s.Rand.IntN(2) == 0 {
		asleep = leaseEnd // it wakes up to find its node id taken, its presence gone and its clients elsewhere
	}
	err = wait(ctx, asleep)
	return errors.Join(err, node.Thaw(), func() error { release(); return node.AwaitReady(ctx) }())
}

func stepClock(ctx context.Context, s *Strike) error {
	node, _ := s.node()
	step := time.Hour
	if s.Rand.IntN(2) == 0 {
		step = -step
	}
	s.Begin(node, "the clock of "+node.Name+" stepped by "+step.String())
	if err := node.StepClock(ctx, step); err != nil {
		return err
	}
	err := wait(ctx, s.long(35*time.Second, 2*time.Second)) // long: a lease of before the step would have ended
	return errors.Join(err, node.StepClock(context.WithoutCancel(ctx), 0), s.AwaitReady(ctx))
}

func rollingRestart(ctx context.Context, s *Strike) error {
	s.Begin(s.Nodes[0], "SIGTERM to all nodes, one by one")
	for _, node := range s.Nodes {
		if err := node.Stop(); err != nil {
			return err
		}
		if err := node.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}
