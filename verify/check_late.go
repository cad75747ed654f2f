package verify

import (
	"maps"
	"time"

	"ackbox/client"
)

// told is a figure that was told at a time.
type told struct {
	figure int64
	event  *Event
}

// rising follows figures that only grow: an answer that was asked for after another had come must not be lower.
type rising[K comparable] struct {
	index *index
	tally[K]
	asked map[int64]told // the best when a call began
}

func newRising[K comparable](x *index) *rising[K] {
	return &rising[K]{x, newTally[K](x.losses), map[int64]told{}}
}

// at goes on to a time. What was under way at a loss may be answered from what came back.
func (r *rising[K]) at(now time.Duration) {
	next := r.losses
	if r.pass(now) {
		maps.DeleteFunc(r.asked, func(_ int64, best told) bool { return best.event.At >= next[0].kept })
	}
}

// ask notes that a call begins.
func (r *rising[K]) ask(e *Event, of K) {
	if best, ok := r.best[of]; ok {
		r.asked[e.Call] = best
	}
}

// answer notes a call's answer, and returns what was told before it was asked for if that was more.
func (r *rising[K]) answer(e *Event, of K, figure int64) (before told, fell bool) {
	before, asked := r.asked[e.Call]
	delete(r.asked, e.Call)
	if best, ok := r.best[of]; (!ok || figure >= best.figure) && !r.index.spans(r.index.asked(e), e.At) {
		r.best[of] = told{figure, e}
	}
	return before, asked && before.figure > figure
}

// late: a page has no hole (who has read up to n never sees an n-1 appear), ends at the head when it says that it is the
// last, and heads only grow.
func (c *check) late() {
	mailboxes, conversations := newRising[client.UserID](c.index), newRising[client.ConversationID](c.index)
	for i := range c.run.Events {
		e := &c.run.Events[i]
		mailboxes.at(e.At)
		conversations.at(e.At)
		switch {
		case (e.Op == OpPull || e.Op == OpConnect) && e.Phase == Invoke:
			mailboxes.ask(e, e.User)
		case e.Op == OpPull && e.Phase == OK:
			c.page(e, max(e.After+1, e.Floor), func(s *Sight) int64 { return s.Seq })
			before, fell := mailboxes.answer(e, e.User, e.Head)
			c.shrunk(before, fell, e, "mailbox of "+string(e.User))
		case e.Op == OpConnect && e.Phase == OK:
			before, fell := mailboxes.answer(e, e.User, e.Head)
			c.shrunk(before, fell && !e.Reset, e, "mailbox of "+string(e.User))
		case e.Op == OpHistory && e.Phase == Invoke:
			conversations.ask(e, e.Conversation)
		case e.Op == OpHistory && e.Phase == OK:
			from := e.After + 1
			if len(e.Sights) > 0 && e.Sights[0].ConversationSeq > from && c.joinedAt(e, e.Sights[0].ConversationSeq) {
				from = e.Sights[0].ConversationSeq
			}
			if len(e.Sights) == 0 && c.joinedAbove(e, e.Head) { // the head was read, then the reader joined above it
				from = max(from, e.Head+1)
			}
			if c.mayUndo(e) && c.undone[member{e.Conversation, e.User}] { // where its reader joined was lost
				from = firstSeq(e, from)
			}
			c.page(e, from, func(s *Sight) int64 { return s.ConversationSeq })
			before, fell := conversations.answer(e, e.Conversation, e.Head)
			c.shrunk(before, fell, e, "conversation "+string(e.Conversation))
		}
	}
}

// firstSeq is where a page of history begins, or would.
func firstSeq(e *Event, empty int64) int64 {
	if len(e.Sights) == 0 {
		return max(empty, e.Head+1)
	}
	return e.Sights[0].ConversationSeq
}

// joinedAt says whether a page may begin at seq because its reader joined there.
func (c *check) joinedAt(e *Event, seq int64) bool {
	m := c.members[e.Conversation]
	if m == nil || !m.known {
		return true
	}
	for _, s := range m.stays[e.User] {
		if s.from == seq {
			return true
		}
	}
	return false
}

// joinedAbove says whether a page may be empty because its reader joined above seq.
func (c *check) joinedAbove(e *Event, seq int64) bool {
	m := c.members[e.Conversation]
	if m == nil || !m.known {
		return true
	}
	for _, s := range m.stays[e.User] {
		if s.from > seq {
			return true
		}
	}
	return false
}

// page checks a page for holes.
func (c *check) page(e *Event, want int64, seq func(*Sight) int64) {
	for i := range e.Sights {
		s := &e.Sights[i]
		if seq(s) != want {
			c.broken(RuleLate, []*Event{c.invokes[e.Call], e}, "a page after %d for %s: %d where %d should be: %v", e.After, e.User, seq(s), want, *s)
			return
		}
		want++
	}
	if !e.More && want-1 < e.Head {
		c.broken(RuleLate, []*Event{c.invokes[e.Call], e}, "a page after %d for %s says that it is the last, ends at %d, and the head is %d", e.After, e.User, want-1, e.Head)
	}
}

// shrunk tells of a figure that fell, unless a lost database explains it.
func (c *check) shrunk(before told, fell bool, e *Event, of string) {
	if fell && !c.lossBetween(before.event.At, e.At) {
		c.broken(RuleLate, []*Event{before.event, e}, "%s: the head was told as %d, and later as %d", of, before.figure, e.Head)
	}
}
