package verify

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"ackbox/client"
)

// good is a history with something of everything.
func good() *Run {
	w := newWorld(4)
	a, b, c, d := userID(0), userID(1), userID(2), userID(3)
	g := w.group(false, a, b, c)
	l := w.group(true, a, b, d)
	ab := w.direct(a, b)
	w.send(a, ab, false)
	w.send(b, ab, true)
	w.disconnect(w.devices[1])
	gone := w.send(a, g, false)
	w.send(b, g, true)
	w.lostAnswer(c, g, true, true)
	w.lostAnswer(c, g, false, true)
	w.lostAnswer(c, g, true, false)
	w.lostAnswer(c, g, false, false)
	w.refused(d, g)
	w.send(d, l, false)
	w.send(a, l, true)
	w.join(g, a, d)
	w.send(d, g, false)
	w.leave(g, a, c)
	w.send(a, g, false)
	w.send(b, g, false)
	w.join(g, a, c)
	w.recall(gone)
	w.repeat(gone)
	w.repeat(w.sent[0])
	w.readUpTo(b, ab)
	w.look(a, ab)
	w.look(a, g)
	w.connect(w.devices[1])
	w.send(c, g, false)
	w.look(a, g)
	w.look(a, ab)
	return w.run()
}

// find is the n-th event that fits, or nil.
func find(r *Run, n int, fits func(*Event) bool) *Event {
	for i := range r.Events {
		if fits(&r.Events[i]) {
			if n--; n < 0 {
				return &r.Events[i]
			}
		}
	}
	return nil
}

// rooms are the conversations of a kind, in order.
func rooms(r *Run, fits func(Conversation) bool) []client.ConversationID {
	var list []client.ConversationID
	for id, c := range r.Tables.Conversations {
		if fits(c) {
			list = append(list, id)
		}
	}
	slices.Sort(list)
	return list
}

func answeredSend(e *Event) bool { return e.Op == OpSend && e.Phase == OK && !e.Duplicate }

// repeated is an answer to a key that had been answered as new, or nil.
func repeated(r *Run) *Event {
	return find(r, 0, func(e *Event) bool {
		return e.Op == OpSend && e.Duplicate && find(r, 0, func(f *Event) bool { return answeredSend(f) && f.Key == e.Key }) != nil
	})
}

func textPush(e *Event) bool {
	return e.Op == OpPush && e.Sights[0].Type == "text" && e.Sights[0].Seq > 0
}

// own makes the sights of an event its own, to be changed.
func own(e *Event) *Sight {
	e.Sights = slices.Clone(e.Sights)
	return &e.Sights[0]
}

// change changes the table of a conversation.
func change(r *Run, id client.ConversationID, do func(*Conversation)) {
	c := r.Tables.Conversations[id]
	do(&c)
	r.Tables.Conversations[id] = c
}

// defects each break one promise of a good history; break says whether the history had something to break.
var defects = []struct {
	name   string
	rule   Rule
	breaks func(r *Run) bool
}{
	{"an accepted message is not stored", RuleStored, func(r *Run) bool {
		e := find(r, 0, answeredSend)
		if e == nil {
			return false
		}
		s := e.Sights[0]
		change(r, s.Conversation, func(c *Conversation) {
			c.Messages = slices.DeleteFunc(c.Messages, func(m Sight) bool { return m.Message == s.Message })
		})
		return true
	}},
	{"an accepted message is stored elsewhere than it was told", RuleStored, func(r *Run) bool {
		e := find(r, 0, answeredSend)
		if e == nil {
			return false
		}
		own(e).ConversationSeq += 100
		return true
	}},
	{"an accepted message is stored with another body", RuleStored, func(r *Run) bool {
		e := find(r, 0, func(e *Event) bool { return answeredSend(e) && !recalled(r, e.Sights[0].Message) })
		if e == nil {
			return false
		}
		change(r, e.Sights[0].Conversation, func(c *Conversation) { c.Messages[e.Sights[0].ConversationSeq-1].Hash++ })
		return true
	}},
	{"an accepted message's conversation is not there", RuleStored, func(r *Run) bool {
		e := find(r, 0, answeredSend)
		if e == nil {
			return false
		}
		delete(r.Tables.Conversations, e.Sights[0].Conversation)
		return true
	}},
	{"a device is told that it has lost its position, and has not", RuleAcks, func(r *Run) bool {
		e := find(r, 0, func(e *Event) bool { return e.Op == OpAck && e.Phase == OK && e.Acked > 0 })
		if e == nil {
			return false
		}
		held := int64(0)
		for i := range r.Events {
			if f := &r.Events[i]; f.User == e.User && f.Device == e.Device && f.Phase == OK && (f.Op == OpPush || f.Op == OpPull) {
				for _, s := range f.Sights {
					held = max(held, s.Seq)
				}
			}
		}
		r.Events = append(r.Events, Event{Op: OpReset, Phase: OK, User: e.User, Device: e.Device, UpTo: held, At: r.Events[len(r.Events)-1].At + 1})
		return true
	}},
	{"a message is missing in a mailbox", RuleStored, func(r *Run) bool {
		for user, box := range r.Tables.Mailboxes {
			if n := len(box.Entries); n > 0 {
				box.Entries, box.Head = box.Entries[:n-1], box.Head-1
				r.Tables.Mailboxes[user] = box
				return true
			}
		}
		return false
	}},
	{"a repeat is answered with another message", RuleOnce, func(r *Run) bool {
		e := repeated(r)
		if e == nil {
			return false
		}
		own(e).Message += "9"
		return true
	}},
	{"a repeat is answered as new", RuleOnce, func(r *Run) bool {
		e := repeated(r)
		if e == nil {
			return false
		}
		e.Duplicate = false
		return true
	}},
	{"a key is stored twice", RuleOnce, func(r *Run) bool {
		e := find(r, 0, answeredSend)
		if e == nil {
			return false
		}
		change(r, e.Sights[0].Conversation, func(c *Conversation) {
			twin := c.Messages[e.Sights[0].ConversationSeq-1]
			twin.Message += "9"
			c.Head++
			twin.ConversationSeq = c.Head
			c.Messages = append(c.Messages, twin)
		})
		return true
	}},
	{"a stored message was sent by nobody", RuleForged, func(r *Run) bool {
		for _, id := range rooms(r, func(Conversation) bool { return true }) {
			change(r, id, func(c *Conversation) {
				c.Head++
				c.Messages = append(c.Messages, Sight{Message: "9999", Conversation: id, ConversationSeq: c.Head, Sender: userID(0), Key: "forged", Type: "text", Hash: 7})
			})
			return true
		}
		return false
	}},
	{"a refused message is stored", RuleForged, func(r *Run) bool {
		e := find(r, 0, func(e *Event) bool {
			return answeredSend(e) && find(r, 1, func(f *Event) bool { return f.Key == e.Key && f.Phase == Invoke }) == nil
		})
		if e == nil {
			return false
		}
		e.Phase, e.Sights = Fail, nil
		return true
	}},
	{"a message is shown that is not stored", RuleForged, func(r *Run) bool {
		e := find(r, 0, textPush)
		if e == nil {
			return false
		}
		s := own(e)
		s.ConversationSeq, s.Message = 5000, "5000"
		return true
	}},
	{"a conversation has a hole", RuleContiguous, func(r *Run) bool {
		for _, id := range rooms(r, func(c Conversation) bool { return len(c.Messages) > 2 }) {
			change(r, id, func(c *Conversation) { c.Messages = slices.Delete(slices.Clone(c.Messages), 1, 2) })
			return true
		}
		return false
	}},
	{"a conversation's head is beyond its messages", RuleContiguous, func(r *Run) bool {
		for _, id := range rooms(r, func(Conversation) bool { return true }) {
			change(r, id, func(c *Conversation) { c.Head++ })
			return true
		}
		return false
	}},
	{"a mailbox has a hole", RuleContiguous, func(r *Run) bool {
		for user, box := range r.Tables.Mailboxes {
			if len(box.Entries) > 2 {
				box.Entries = slices.Delete(slices.Clone(box.Entries), 1, 2)
				r.Tables.Mailboxes[user] = box
				return true
			}
		}
		return false
	}},
	{"a device is shown another body", RuleAgreement, func(r *Run) bool {
		e := find(r, 0, func(e *Event) bool { return textPush(e) && !recalled(r, e.Sights[0].Message) })
		if e == nil {
			return false
		}
		own(e).Hash++
		return true
	}},
	{"two messages at one place", RuleAgreement, func(r *Run) bool {
		e := find(r, 0, textPush)
		if e == nil {
			return false
		}
		own(e).Message += "7"
		return true
	}},
	{"a mailbox has a conversation in another order", RuleAgreement, func(r *Run) bool {
		for user, box := range r.Tables.Mailboxes {
			for i := 1; i < len(box.Entries); i++ {
				if box.Entries[i].Conversation == box.Entries[i-1].Conversation {
					entries := slices.Clone(box.Entries)
					entries[i], entries[i-1] = entries[i-1], entries[i]
					entries[i].Seq, entries[i-1].Seq = entries[i-1].Seq, entries[i].Seq
					box.Entries = entries
					r.Tables.Mailboxes[user] = box
					return true
				}
			}
		}
		return false
	}},
	{"a later send comes before", RuleOrder, func(r *Run) bool {
		for n := 0; ; n++ {
			first := find(r, n, answeredSend)
			if first == nil {
				return false
			}
			later := find(r, 0, func(e *Event) bool {
				return answeredSend(e) && e.At > first.At && e.Sights[0].Conversation == first.Sights[0].Conversation
			})
			if later != nil {
				first.Sights, later.Sights = slices.Clone(first.Sights), slices.Clone(later.Sights)
				a, b := &first.Sights[0], &later.Sights[0]
				a.ConversationSeq, b.ConversationSeq = b.ConversationSeq, a.ConversationSeq
				return true
			}
		}
	}},
	{"a page has a hole", RuleLate, func(r *Run) bool {
		e := find(r, 0, func(e *Event) bool { return e.Op == OpPull && e.Phase == OK && len(e.Sights) == 0 })
		box := Mailbox{}
		if e != nil {
			box = r.Tables.Mailboxes[e.User]
		}
		if len(box.Entries) < 3 {
			return false
		}
		e.After = 0
		e.Sights = []Sight{box.Entries[0], box.Entries[2]}
		return true
	}},
	{"a last page ends before the head", RuleLate, func(r *Run) bool {
		e := find(r, 0, func(e *Event) bool { return e.Op == OpPull && e.Phase == OK })
		if e == nil {
			return false
		}
		e.Head++
		return true
	}},
	{"a head falls", RuleLate, func(r *Run) bool {
		e := find(r, 0, func(e *Event) bool { return e.Op == OpPull && e.Phase == OK && e.Head > 1 })
		if e == nil {
			return false
		}
		again := *e
		again.Phase, again.Call = Invoke, 1<<40
		again.At = r.Events[len(r.Events)-1].At + 1
		answer := again
		answer.Phase, answer.After, answer.Head, answer.Sights, answer.At = OK, 1, 1, nil, again.At+1
		r.Events = append(r.Events, again, answer)
		return true
	}},
	{"a device never gets a message", RuleView, func(r *Run) bool {
		for i := range r.Events {
			if e := &r.Events[i]; textPush(e) {
				r.Events = slices.Delete(r.Events, i, i+1)
				return true
			}
		}
		return false
	}},
	{"a device never gets a message of a large group", RuleView, func(r *Run) bool {
		for i := range r.Events {
			if e := &r.Events[i]; e.Op == OpPush && e.Sights[0].Seq == 0 {
				r.Events = slices.Delete(r.Events, i, i+1)
				return true
			}
		}
		return false
	}},
	{"a push overtakes another", RuleView, func(r *Run) bool {
		for n := 0; ; n++ {
			first := find(r, n, textPush)
			if first == nil {
				return false
			}
			next := find(r, 0, func(e *Event) bool { return textPush(e) && e.Connection == first.Connection && e.At > first.At })
			if next != nil {
				first.Sights, next.Sights = next.Sights, first.Sights
				return true
			}
		}
	}},
	{"a receipt claims more than was acked", RuleReceipts, func(r *Run) bool {
		e := find(r, 0, func(e *Event) bool { return e.Op == OpReceipt && e.Kind == "delivered" })
		if e == nil {
			return false
		}
		e.UpTo += 1000
		return true
	}},
	{"a receipt comes before its ack", RuleReceipts, func(r *Run) bool {
		e := find(r, 0, func(e *Event) bool { return e.Op == OpReceipt && e.Kind == "delivered" && e.UpTo > 1 })
		if e == nil {
			return false
		}
		early := *e
		early.At = 0
		r.Events = append([]Event{early}, r.Events...)
		return true
	}},
	{"a read receipt of somebody who has not read", RuleReceipts, func(r *Run) bool {
		e := find(r, 0, func(e *Event) bool {
			return e.Op == OpReceipt && e.Kind == "delivered" && e.UpTo > 1 && find(r, 0, func(f *Event) bool { return f.Op == OpRead && f.User == e.Users[0] }) == nil && r.Tables.Conversations[e.Conversation].Kind == "direct"
		})
		if e == nil {
			return false
		}
		e.Kind = "read"
		return true
	}},
	{"positions fall", RuleReceipts, func(r *Run) bool {
		for n := 0; ; n++ {
			e := find(r, n, func(e *Event) bool {
				return e.Op == OpPositions && e.Phase == OK && r.Tables.Conversations[e.Conversation].Kind == "direct"
			})
			if e == nil {
				return false
			}
			if before := find(r, 0, func(f *Event) bool {
				return f.Op == OpPositions && f.Phase == OK && f.Conversation == e.Conversation && f.At < e.At
			}); before != nil && before.Positions[0].Delivered > 0 {
				e.Positions = []Position{{User: before.Positions[0].User}}
				return true
			}
		}
	}},
	{"positions are stored below what was told", RuleReceipts, func(r *Run) bool {
		e := find(r, 0, func(e *Event) bool {
			// Who has read an empty conversation was told as 0: nothing is below that.
			return e.Op == OpReceipt && e.UpTo > 0 && r.Tables.Conversations[e.Conversation].Kind == "direct"
		})
		if e == nil {
			return false
		}
		change(r, e.Conversation, func(c *Conversation) { c.Positions = []Position{{User: e.Users[0]}} })
		return true
	}},
	{"a position falls", RuleAcks, func(r *Run) bool {
		e := find(r, 0, func(e *Event) bool {
			return e.Op == OpAck && e.Phase == OK && e.Acked > 1 && find(r, 0, func(f *Event) bool {
				return f.Op == OpAck && f.Phase == OK && f.User == e.User && f.Device == e.Device && f.At < e.At
			}) != nil
		})
		if e == nil {
			return false
		}
		e.Acked = 0
		return true
	}},
	{"a position is beyond what was acked", RuleAcks, func(r *Run) bool {
		e := find(r, 0, func(e *Event) bool { return e.Op == OpAck && e.Phase == OK })
		if e == nil {
			return false
		}
		e.Acked++
		return true
	}},
	{"a stranger is pushed a message", RuleAudience, func(r *Run) bool {
		for n := 0; ; n++ {
			e := find(r, n, func(e *Event) bool {
				return e.Op == OpPush && r.Tables.Conversations[e.Sights[0].Conversation].Kind == "direct"
			})
			if e == nil {
				return false
			}
			for i := range r.Events {
				f := &r.Events[i]
				if f.Op == OpConnect && f.Phase == OK && !slices.Contains(r.Tables.Conversations[e.Sights[0].Conversation].Users, f.User) {
					leak := *e
					leak.User, leak.Device, leak.Connection, leak.At = f.User, f.Device, f.Connection, r.Events[len(r.Events)-1].At
					own(&leak).Seq = 0
					r.Events = append(r.Events, leak)
					return true
				}
			}
		}
	}},
	{"who has left finds a message in the mailbox", RuleAudience, func(r *Run) bool {
		for _, id := range rooms(r, func(c Conversation) bool { return c.Kind == "group" && c.Delivery == "mailbox" }) {
			c := r.Tables.Conversations[id]
			for _, m := range c.Messages {
				if m.Notice == nil || m.Notice.Event != "member_removed" {
					continue
				}
				who := m.Notice.Users[0]
				box := r.Tables.Mailboxes[who]
				box.Head++
				leak := m
				leak.Seq = box.Head
				box.Entries = append(box.Entries, leak)
				r.Tables.Mailboxes[who] = box
				return true
			}
		}
		return false
	}},
	{"a recalled body is pulled", RuleRecall, func(r *Run) bool {
		gone := find(r, 0, func(e *Event) bool { return e.Op == OpRecall && e.Phase == OK })
		if gone == nil {
			return false
		}
		sent := find(r, 0, func(e *Event) bool {
			return answeredSend(e) && e.Sights[0].Message == gone.Message && !e.Sights[0].empty() // not a repeat that was answered after the recall
		})
		if sent == nil {
			return false
		}
		last := r.Events[len(r.Events)-1].At
		ask := Event{At: last + 1, Op: OpHistory, Phase: Invoke, Call: 1 << 41, User: sent.User, Device: "phone", Conversation: sent.Sights[0].Conversation, After: sent.Sights[0].ConversationSeq - 1}
		answer := ask
		answer.At, answer.Phase, answer.More = last+2, OK, true
		answer.Sights = []Sight{sent.Sights[0]}
		r.Events = append(r.Events, ask, answer)
		return true
	}},
	{"a recalled body is pushed much later", RuleRecall, func(r *Run) bool {
		gone := find(r, 0, func(e *Event) bool { return e.Op == OpRecall && e.Phase == OK })
		if gone == nil {
			return false
		}
		push := find(r, 0, func(e *Event) bool {
			return e.Op == OpPush && e.Sights[0].Message == gone.Message && e.Sights[0].Hash != Content("text", nil, nil)
		})
		if push == nil {
			return false
		}
		late := *push
		late.At, late.Attempt = gone.At+time.Hour, 2
		r.Events = append(r.Events, late)
		return true
	}},
	{"a recalled body is still stored", RuleRecall, func(r *Run) bool {
		for _, id := range rooms(r, func(Conversation) bool { return true }) {
			for i, m := range r.Tables.Conversations[id].Messages {
				if m.Recalled {
					change(r, id, func(c *Conversation) { c.Messages[i].Hash = 5 })
					return true
				}
			}
		}
		return false
	}},
	{"a message is recalled by nobody", RuleRecall, func(r *Run) bool {
		e := find(r, 0, func(e *Event) bool { return answeredSend(e) && !recalled(r, e.Sights[0].Message) })
		if e == nil {
			return false
		}
		change(r, e.Sights[0].Conversation, func(c *Conversation) {
			m := &c.Messages[e.Sights[0].ConversationSeq-1]
			m.Recalled, m.Hash = true, Content("text", nil, nil)
		})
		return true
	}},
	{"a message comes late", RuleDelay, func(r *Run) bool {
		e := find(r, 0, textPush)
		if e == nil {
			return false
		}
		sent := find(r, 0, func(f *Event) bool { return answeredSend(f) && f.Sights[0].Message == e.Sights[0].Message })
		if sent == nil {
			return false
		}
		for i := range r.Events {
			if &r.Events[i] == e {
				late := *e
				late.At = sent.At + 11*time.Second
				r.Events = append(slices.Delete(r.Events, i, i+1), late)
				return find(r, 0, func(f *Event) bool { return f.Op == OpClose && f.Device == late.Device && f.User == late.User }) == nil && find(r, 0, func(f *Event) bool {
					return (f.Op == OpPull || f.Op == OpPush) && f.User == late.User && f.Device == late.Device && f.At < late.At && slices.ContainsFunc(f.Sights, func(s Sight) bool { return s.Message == late.Sights[0].Message })
				}) == nil
			}
		}
		return false
	}},
	{"goroutines are left", RuleResources, func(r *Run) bool {
		r.Resources = []Growth{{"a", Sample{100, 20, 10, 1 << 20}, Sample{300, 20, 10, 1 << 20}}}
		return true
	}},
	{"heap is left", RuleResources, func(r *Run) bool {
		r.Resources = []Growth{{"a", Sample{100, 20, 10, 1 << 20}, Sample{100, 20, 10, 1 << 30}}}
		return true
	}},
}

func recalled(r *Run, id client.MessageID) bool {
	return find(r, 0, func(e *Event) bool { return e.Op == OpRecall && e.Message == id }) != nil
}

func wantRule(t interface{ Fatalf(string, ...any) }, result Result, rule Rule) {
	for _, v := range result.Violations {
		if v.Rule == rule {
			return
		}
	}
	t.Fatalf("rule %s is not broken; broken are %v", rule, result.Violations)
}

// TestDefects: a good history breaks no rule, and each defect the rule that it is about.
func TestDefects(t *testing.T) {
	t.Parallel()
	if result := Check(*good()); !result.OK() {
		t.Fatalf("a good history: %v", result.Violations)
	}
	covered := map[Rule]bool{}
	for _, defect := range defects {
		covered[defect.rule] = true
		t.Run(defect.name, func(t *testing.T) {
			t.Parallel()
			r := good()
			if !defect.breaks(r) {
				t.Fatal("the good history has nothing to break")
			}
			wantRule(t, Check(*r), defect.rule)
		})
	}
	for _, rule := range []Rule{RuleStored, RuleOnce, RuleForged, RuleContiguous, RuleAgreement, RuleOrder, RuleLate, RuleView, RuleReceipts, RuleAcks, RuleAudience, RuleRecall, RuleDelay, RuleResources} {
		if !covered[rule] {
			t.Errorf("no defect breaks rule %s", rule)
		}
	}
}

// TestHistories: no history of a server that keeps its promises is red, and it is with a defect.
func TestHistories(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := draw(t, 0)
		if result := Check(*r); !result.OK() {
			t.Fatalf("a false alarm: %v", result.Violations)
		}
		defect := rapid.SampledFrom(defects).Draw(t, "defect")
		if defect.breaks(r) {
			wantRule(t, Check(*r), defect.rule)
		}
	})
}

// draw makes a history of a server that keeps its promises, and whose store was put back some times.
func draw(t *rapid.T, losses int) *Run {
	w := newWorld(rapid.IntRange(3, 5).Draw(t, "users"))
	users := len(w.boxes)
	for _, p := range w.devices {
		users = max(users, int(p.user[len(p.user)-1]-'0')+1)
	}
	someone := func(name string) client.UserID { return userID(rapid.IntRange(0, users-1).Draw(t, name)) }
	groups := []*room{w.group(false, userID(0), userID(1), userID(2)), w.group(true, userID(0), userID(1))}
	place := func() *room {
		if rapid.Bool().Draw(t, "direct") {
			a, b := someone("a"), someone("b")
			if a != b {
				return w.direct(a, b)
			}
		}
		return rapid.SampledFrom(groups).Draw(t, "group")
	}
	writer := func(r *room) client.UserID {
		var list []client.UserID
		for user := range r.members {
			list = append(list, user)
		}
		slices.Sort(list)
		return rapid.SampledFrom(list).Draw(t, "writer")
	}
	steps := func() {
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			r := place()
			switch rapid.IntRange(0, 11).Draw(t, "step") {
			case 0, 1, 2, 3:
				w.send(writer(r), r, rapid.Bool().Draw(t, "early"))
			case 4:
				w.lostAnswer(writer(r), r, rapid.Bool().Draw(t, "stored"), rapid.Bool().Draw(t, "again"))
			case 5:
				if len(w.sent) > 0 {
					w.repeat(rapid.SampledFrom(w.sent).Draw(t, "sent"))
				}
			case 6:
				if len(w.sent) > 0 {
					w.recall(rapid.SampledFrom(w.sent).Draw(t, "sent"))
				}
			case 7:
				p := rapid.SampledFrom(w.devices).Draw(t, "device")
				w.disconnect(p)
				w.pull(p)
			case 8:
				if p := rapid.SampledFrom(w.devices).Draw(t, "device"); p.conn == "" {
					w.connect(p)
				}
			case 9:
				if who := someone("who"); r.kind == "group" && who != userID(0) {
					w.join(r, userID(0), who)
				}
			case 10:
				if who := someone("who"); r.kind == "group" && who != userID(0) {
					w.leave(r, userID(0), who)
				}
			default:
				w.readUpTo(writer(r), r)
				w.look(writer(r), r)
			}
		}
	}
	steps()
	for range losses {
		copied, lose := w.keep()
		copied()
		steps()
		lose()
		steps()
	}
	return w.run()
}

// TestFaultsDefer: what comes late because of a fault is no violation within the fault's limit, and is beyond it.
func TestFaultsDefer(t *testing.T) {
	t.Parallel()
	late := func(limit time.Duration) Result {
		w := newWorld(2)
		a, b := userID(0), userID(1)
		r := w.direct(a, b)
		w.send(a, r, false)
		begin := w.add(Event{Op: OpFault, Phase: Begin, Call: 1 << 30, Fault: "redis", Limit: limit})
		w.disconnect(w.devices[0])
		held := w.devices
		w.devices = nil // nobody is pushed anything
		w.send(a, r, false)
		w.now += 30 * time.Second
		begin.Phase = End
		w.add(begin)
		w.now += 5 * time.Second
		w.devices = held
		w.push()
		return Check(*w.run())
	}
	if result := late(6 * time.Second); !result.OK() {
		t.Errorf("within the fault's limit: %v", result.Violations)
	} else if result.Stats.Delays[len(result.Stats.Delays)-1].Fault != "redis" {
		t.Errorf("delays %v, want some of the fault", result.Stats.Delays)
	}
	wantRule(t, late(time.Second), RuleDelay)
}

// TestTakenBack: what a lost database had shown counts as taken back when the server told of the loss and the device stepped
// back, and as a disagreement otherwise.
func TestTakenBack(t *testing.T) {
	t.Parallel()
	history := func(then ...Event) Result {
		w := newWorld(2)
		r := w.direct(userID(0), userID(1))
		w.send(userID(0), r, false)
		p := w.devices[0]
		ghost := w.boxes[p.user][0]
		ghost.Seq, ghost.ConversationSeq, ghost.Message, ghost.Key = 2, 2, "7777", "ghost"
		w.add(Event{Op: OpPush, Phase: OK, User: p.user, Device: p.name, Connection: p.conn, Attempt: 1, Sights: []Sight{ghost}})
		for _, e := range then {
			e.Phase, e.User, e.Device = OK, p.user, p.name
			if e.Op == OpClose {
				e.Connection, e.User, e.Device = w.devices[1].conn, w.devices[1].user, w.devices[1].name
				w.devices[1].conn = ""
			}
			w.add(e)
		}
		w.send(userID(0), r, false)
		w.connect(w.devices[1])
		return Check(*w.run())
	}
	back := Event{Op: OpReset, UpTo: 1}
	for name, told := range map[string]Event{"4010": {Op: OpClose, Code: closePositions}, "hello": {Op: OpConnect, Reset: true, Acked: 1, Head: 1, Connection: "again"}} {
		if result := history(told, back); !result.OK() || result.Stats.TakenBack != 1 {
			t.Errorf("with a step back after %s: %d taken back, %v", name, result.Stats.TakenBack, result.Violations)
		}
	}
	wantRule(t, history(back), RuleAgreement) // the server showed what was never committed: no database was lost
	wantRule(t, history(), RuleAgreement)
}

// TestRecorder: what was written is what is loaded, and a full recorder says so.
func TestRecorder(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	run := good()
	r := NewRecorder(len(run.Events), &file)
	for _, e := range run.Events {
		r.Add(e)
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(&file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r.Events(), loaded, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("another history than was recorded (-recorded +loaded):\n%s", d)
	}
	r.Add(Event{Op: OpPush})
	if err := r.Err(); !errors.Is(err, ErrFull) {
		t.Errorf("a full recorder: got %v, want ErrFull", err)
	}
	if _, err := Load(strings.NewReader("{}\nno json\n")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a broken file: got %v, want the line named", err)
	}
}
