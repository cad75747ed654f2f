package verify

import (
	"fmt"
	"time"

	"ackbox/client"
)

const (
	// maxViolations is how many violations of one rule are told in full; more are counted.
	maxViolations = 20

	defaultDelay   = 10 * time.Second
	defaultReorder = 5 * time.Second
	defaultRecall  = 5 * time.Second
)

// withDefaults are the limits with nothing left open.
func (l Limits) withDefaults() Limits {
	if l.Delay == 0 {
		l.Delay = defaultDelay
	}
	if l.Reorder == 0 {
		l.Reorder = defaultReorder
	}
	if l.Recall == 0 {
		l.Recall = defaultRecall
	}
	return l
}

// rules are the checks, each in a file of its own.
var rules = []func(*check){
	(*check).stored, (*check).once, (*check).forged, (*check).contiguous, (*check).agreement, (*check).order, (*check).late,
	(*check).view, (*check).receipts, (*check).acks, (*check).audience, (*check).recall, (*check).delay, (*check).resources,
}

// Check compares a history with what is stored and names every broken promise. It takes a few seconds and about as much
// memory again as the history for a million events.
func Check(run Run) Result {
	c := &check{index: newIndex(run), told: map[Rule]int{}, lost: map[client.MessageID]bool{}}
	c.result.Violations = []Violation{}
	for _, rule := range rules {
		rule(c)
	}
	c.count()
	return c.result
}

// check is a check being made.
type check struct {
	*index
	result Result
	told   map[Rule]int
	lost   map[client.MessageID]bool
}

// broken takes a violation down.
func (c *check) broken(rule Rule, events []*Event, format string, args ...any) {
	if c.told[rule]++; c.told[rule] > maxViolations {
		if c.result.More == nil {
			c.result.More = map[Rule]int{}
		}
		c.result.More[rule]++
		return
	}
	v := Violation{Rule: rule, Detail: fmt.Sprintf(format, args...)}
	for _, e := range events {
		if e != nil {
			v.Events = append(v.Events, *e)
		}
	}
	c.result.Violations = append(c.result.Violations, v)
}

// count fills in what the rules haven't counted.
func (c *check) count() {
	s := &c.result.Stats
	s.Events = len(c.run.Events)
	s.Lost = len(c.lost)
	s.TakenBack = len(c.phantoms)
	for _, k := range c.keys {
		s.Sends++
		s.Tries += len(k.tries)
		switch {
		case k.answered() != nil:
			s.Accepted++
		case k.refused():
			s.Refused++
		default:
			s.Unknown++
		}
	}
	for i := range c.run.Events {
		switch e := &c.run.Events[i]; {
		case e.Op == OpReset:
			s.Resets++
		case e.Op == OpRecall && e.Phase == OK:
			s.Recalls++
		case e.Op == OpConnect && e.Phase == OK:
			s.Connects++
		}
	}
	had := map[shown]bool{}
	for _, s := range c.sightings {
		if s.event.Op != OpPush && s.event.Op != OpPull {
			continue
		}
		at := shown{s.event.User, s.event.Device, s.sight.Message}
		if had[at] {
			c.result.Stats.Duplicates++
			continue
		}
		had[at] = true
		c.result.Stats.Deliveries++
		if s.event.Op == OpPush {
			c.result.Stats.Pushed++
		}
	}
}
