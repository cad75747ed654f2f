package verify

import (
	"time"

	"ackbox/client"
)

// recall: after a recall was answered, no answer that is asked for shows the content, no socket that is opened does, an open
// one does not for long, and the tables have it no more. Nothing is recalled that nobody recalled.
func (c *check) recall() {
	answered := map[client.MessageID]*Event{}
	begun := map[client.MessageID]bool{}
	for i := range c.run.Events {
		e := &c.run.Events[i]
		if e.Op != OpRecall {
			continue
		}
		begun[e.Message] = begun[e.Message] || e.Phase == Invoke
		if e.Phase == OK && answered[e.Message] == nil && !c.mayUndo(e) {
			answered[e.Message] = e
		}
	}
	for _, s := range c.sightings {
		gone := answered[s.sight.Message]
		if s.sight.Recalled && !begun[s.sight.Message] && s.sight.written() {
			c.broken(RuleRecall, []*Event{s.event}, "%v was shown as recalled, and nobody has recalled it", *s.sight)
		}
		if gone == nil || s.sight.empty() {
			continue
		}
		switch {
		case s.invoked > gone.At:
			c.broken(RuleRecall, []*Event{gone, s.event}, "%v was shown to %s after its recall was answered", *s.sight, s.event.User)
		case s.event.Op == OpPush && s.event.At > gone.At+c.limits.Recall && !c.disturbed(gone.At, s.event.At):
			c.broken(RuleRecall, []*Event{gone, s.event}, "%v was pushed to %s %v after its recall was answered", *s.sight, s.event.User, (s.event.At - gone.At).Round(time.Millisecond))
		}
	}
	told := map[client.MessageID]int{}
	for _, row := range c.storedPlace {
		if row.Type == "recall" {
			told[row.Target]++
		}
		if row.Recalled && row.written() && !begun[row.Message] {
			c.broken(RuleRecall, nil, "%v is stored as recalled, and nobody has recalled it", *row)
		}
	}
	gone := func(s *Sight, where string) {
		if e := answered[s.Message]; e != nil && (!s.empty() || !s.Recalled) {
			c.broken(RuleRecall, []*Event{e}, "%v was recalled, and is still in %s", *s, where)
		}
	}
	for _, row := range c.storedPlace {
		gone(row, "its conversation")
		if answered[row.Message] != nil && told[row.Message] != 1 {
			c.broken(RuleRecall, []*Event{answered[row.Message]}, "%v was recalled, and %d messages of its conversation say so", *row, told[row.Message])
		}
	}
	for at, s := range c.storedSlot {
		gone(s, "the mailbox of "+string(at.user))
	}
}
