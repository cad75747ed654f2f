package chaos

import (
	"context"
	"time"
)

func clientFaults() []Fault {
	return []Fault{
		{Name: "slow-readers", Help: "40 sockets that do not read", Shape: Shape{Nodes: 2}, Strike: slowReaders},
		{Name: "small-ack-queue", Help: "nodes that remember 16 pushes, and bursts of ten times the usual rate", Shape: Shape{Nodes: 2, Env: []string{"ACKBOX_ACK_QUEUE_SIZE=16"}}, Strike: burst},
		{Name: "membership", Help: "joins, leaves, blocks and recalls against sends", Shape: Shape{Nodes: 2}, Crowd: Crowd{People: 24, Groups: 4, GroupSize: 8, LogSize: 16, Churn: 0.3}, Strike: burst},
		{Name: "deadlock", Help: "bursts into 200 groups of 50 over 300 people", Shape: Shape{Nodes: 2}, Crowd: Crowd{People: 300, Groups: 200, GroupSize: 50}, NoDeadlock: true, Strike: burst},
	}
}

// burst lets everybody send as fast as they can for a moment.
func burst(ctx context.Context, s *Strike) error {
	s.Begin(nil, "a burst")
	s.Load.Hurry(true)
	err := wait(ctx, s.long(2*time.Second, time.Second))
	s.Load.Hurry(false)
	return err
}
