package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"ackbox/verify"
)

// Fault is one way to break a deployment.
type Fault struct {
	Name  string
	Help  string // what is done, for the list and the report
	Shape Shape
	Crowd Crowd // the load; the zero value is the usual one
	// Limit is how late, after the fault's end, what it touched may come; 0 is 15 s.
	Limit  time.Duration
	Limits verify.Limits // without a fault; zero values are the checker's
	// NoDeadlock: that the database breaks a deadlock is a violation, although the node runs the transaction again.
	NoDeadlock bool
	// Strike injects the fault, holds it, heals it, and returns when every node is ready again. It calls begin at the
	// moment of the injection, with the node that is hit, or nil when it is a store.
	Strike func(ctx context.Context, s *Strike) error
}

func (f Fault) limit() time.Duration {
	if f.Limit == 0 {
		return 15 * time.Second
	}
	return f.Limit
}

// Strike is one injection under way.
type Strike struct {
	*Deployment
	Rand  *rand.Rand
	Short bool // the shorter of two durations
	Load  *Load

	// Keep takes down that the database is being copied; see verify.Recorder.
	Keep func() (copied, lose func())

	note func(what string)  // into the history
	hit  func(victim *Node) // for the recovery
}

// Begin takes down that the fault begins; victim is the node that is hit, nil for a store.
func (s *Strike) Begin(victim *Node, what string) {
	s.note(what)
	s.hit(victim)
}

// Done marks the moment at which the fault is there, for one whose injection takes a while.
func (s *Strike) Done(victim *Node) { s.hit(victim) }

// node is any of the nodes.
func (s *Strike) node() (*Node, int) {
	i := s.Rand.IntN(len(s.Nodes))
	return s.Nodes[i], i
}

// long is how long a fault lasts: long, or short in a short run.
func (s *Strike) long(long, short time.Duration) time.Duration {
	if s.Short {
		return short
	}
	return long
}

// wait waits for d or the end of ctx.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ErrUnknownFault says that no fault has the name.
var ErrUnknownFault = errors.New("no such fault")

// Faults are all that there are, in the order of the report.
func Faults() []Fault {
	return slices.Concat(nodeFaults(), databaseFaults(), redisFaults(), clientFaults())
}

// Find is the fault of that name.
func Find(name string) (Fault, error) {
	names := []string{}
	for _, f := range Faults() {
		if f.Name == name {
			return f, nil
		}
		names = append(names, f.Name)
	}
	return Fault{}, fmt.Errorf("%w: %q (there are %s)", ErrUnknownFault, name, strings.Join(names, ", "))
}
