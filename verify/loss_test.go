package verify

import (
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ackbox/client"
)

// keep makes a copy of the store; lose puts it back, and every device that is online comes back and steps back.
func (w *world) keep() (copied, lose func()) {
	w.call++
	e := w.add(Event{Op: OpKeep, Phase: Begin, Call: w.call})
	rooms, boxes := map[client.ConversationID]*room{}, map[client.UserID][]Sight{}
	for id, r := range w.rooms {
		rooms[id] = r.clone()
	}
	for user, box := range w.boxes {
		boxes[user] = slices.Clone(box)
	}
	copied = func() { w.end(e, End) }
	return copied, func() {
		w.add(Event{Op: OpLoss, Phase: OK, Call: e.Call})
		w.late()
		for id, r := range w.rooms {
			if before := rooms[id]; before != nil {
				*r = *before.clone()
			} else {
				delete(w.rooms, id)
			}
		}
		w.boxes = maps.Clone(boxes)
		w.sent = slices.DeleteFunc(w.sent, func(e Event) bool {
			r := w.rooms[e.Sights[0].Conversation]
			return r == nil || int64(len(r.messages)) < e.Sights[0].ConversationSeq
		})
		var online []*phone
		for _, p := range w.devices {
			if !p.lost {
				p.good, p.goodLogs = p.held, maps.Clone(p.logs)
			}
			p.lost, p.good = true, min(p.good, int64(len(w.boxes[p.user])))
			for id := range p.goodLogs {
				if r := w.rooms[id]; r != nil {
					p.goodLogs[id] = min(p.goodLogs[id], int64(len(r.messages)))
				}
			}
			if p.conn != "" {
				w.add(Event{Op: OpClose, Phase: OK, User: p.user, Device: p.name, Connection: p.conn, Code: closePositions})
				p.conn = ""
				online = append(online, p)
			}
		}
		for _, p := range online {
			w.connect(p)
		}
	}
}

// late is what was on its way to the sockets when the store died: their newest frames once more.
func (w *world) late() {
	newest := map[string]Event{}
	for _, e := range w.events {
		if e.Op == OpReceipt || e.Op == OpPush && e.Sights[0].Seq != 0 {
			newest[string(e.Op)+e.Connection] = e
		}
	}
	for _, p := range w.devices {
		for _, op := range []Op{OpReceipt, OpPush} {
			if e, is := newest[string(op)+p.conn]; is && p.conn != "" {
				w.add(e)
			}
		}
	}
}

func (r *room) clone() *room {
	c := *r
	c.messages, c.members, c.delivered, c.read = slices.Clone(r.messages), maps.Clone(r.members), maps.Clone(r.delivered), maps.Clone(r.read)
	return &c
}

// stepBack gives up what a device holds of a store that was lost.
func (w *world) stepBack(p *phone) {
	if !p.lost {
		return
	}
	p.lost = false
	if p.held > p.good {
		p.held = p.good
		w.add(Event{Op: OpReset, Phase: OK, User: p.user, Device: p.name, UpTo: p.held})
	}
	p.acked = min(p.acked, p.held)
	for id, held := range p.logs {
		if held > p.goodLogs[id] {
			p.logs[id] = 0 // it may have holes below, of times when its user was no member
			w.add(Event{Op: OpReset, Phase: OK, User: p.user, Device: p.name, Conversation: id, UpTo: p.logs[id]})
		}
	}
}

// resend sends a key again whose message was lost.
func (w *world) resend(lost Event) Event {
	hash := Content("text", map[string]any{"text": lost.Key}, nil)
	e := w.invoke(Event{Op: OpSend, User: lost.User, Conversation: lost.Conversation, Key: lost.Key, Type: "text", Hash: hash})
	s := w.store(w.rooms[lost.Conversation], Sight{Sender: lost.User, Key: lost.Key, Type: "text", Hash: hash})
	s.Seq = int64(len(w.boxes[lost.User]))
	e.Sights = []Sight{s}
	e = w.end(e, OK)
	w.push()
	return e
}

// TestLossHistories: no history of a store that was put back as it says is red.
func TestLossHistories(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		if result := Check(*draw(t, rapid.IntRange(1, 2).Draw(t, "losses"))); !result.OK() {
			t.Fatalf("a false alarm: %v", result.Violations)
		}
	})
}

// rollback is a history with a loss, and what matters in it.
type rollback struct {
	w                     *world
	r, log                *room
	a, b                  client.UserID
	phone                 *phone // of b
	before, lost, resent  Event  // sends: before the copy, in what was lost, and that again
	second, after, logged Event  // lost and not sent again; after the loss; lost, of a large group
}

func newRollback(finish bool) *rollback {
	w := newWorld(3)
	k := &rollback{w: w, a: userID(0), b: userID(1), phone: w.devices[1]}
	k.r, k.log = w.direct(k.a, k.b), w.group(true, userID(0), userID(1), userID(2))
	w.send(k.a, k.r, false)
	w.send(k.a, k.log, false)
	k.before = w.send(k.b, k.r, false)
	copied, lose := w.keep()
	copied()
	k.lost = w.send(k.a, k.r, false)
	k.second = w.send(k.a, k.r, false)
	k.logged = w.send(k.a, k.log, false)
	w.recall(k.before)
	w.readUpTo(k.b, k.r)
	w.look(k.a, k.r)
	lose()
	w.look(k.a, k.r)
	if finish {
		k.resent = w.resend(k.lost)
		k.after = w.send(k.b, k.r, false)
		w.send(k.a, k.log, false)
	}
	return k
}

// TestLoss: a store that was put back has what was accepted before the copy and after the loss, and everybody has given up
// the rest.
func TestLoss(t *testing.T) {
	t.Parallel()
	legal := newRollback(true)
	if result := Check(*legal.w.run()); !result.OK() || result.Stats.Undone != 2 || result.Stats.Resets != 7 || result.Stats.Doubled != 0 {
		t.Fatalf("a legal loss: %d undone, want 2; %d resets, want 7; %v", result.Stats.Undone, result.Stats.Resets, result.Violations)
	}
	drop := func(r *Run, e Event) { // the store does not have it, and is whole otherwise
		s := e.Sights[0]
		change(r, s.Conversation, func(c *Conversation) {
			c.Messages = slices.DeleteFunc(c.Messages, func(m Sight) bool { return m.Message == s.Message })
		})
	}
	forget := func(r *Run, fits func(*Event) bool) {
		r.Events = slices.DeleteFunc(r.Events, func(e Event) bool { return fits(&e) })
	}
	loss := func(r *Run) time.Duration { return find(r, 0, func(e *Event) bool { return e.Op == OpLoss }).At }
	for _, c := range []struct {
		name   string
		rule   Rule
		more   bool // there are sends after the loss
		breaks func(k *rollback, r *Run)
	}{
		{"what was accepted before the copy is gone", RuleStored, true, func(k *rollback, r *Run) { drop(r, k.before) }},
		{"what was accepted after the loss is gone", RuleStored, true, func(k *rollback, r *Run) { drop(r, k.after) }},
		{"what was sent again is gone", RuleStored, true, func(k *rollback, r *Run) { drop(r, k.resent) }},
		{"what was lost comes back elsewhere", RuleStored, true, func(k *rollback, r *Run) {
			change(r, k.r.id, func(c *Conversation) {
				s := k.second.Sights[0]
				c.Head++
				s.ConversationSeq, s.Message = c.Head, "4711"
				c.Messages = append(c.Messages, s)
			})
		}},
		{"a repeat is answered with what was lost", RuleStored, false, func(k *rollback, r *Run) {
			e := k.second
			e.Call, e.Phase, e.At, e.Sights = 1<<51, Invoke, r.Events[len(r.Events)-1].At+1, nil
			r.Events = append(r.Events, e)
			e.Phase, e.At, e.Sights, e.Duplicate = OK, e.At+1, k.second.Sights, true
			r.Events = append(r.Events, e)
		}},
		{"a repeat after the loss is answered in two ways", RuleOnce, true, func(k *rollback, r *Run) {
			e := k.resent
			e.Call, e.Phase, e.At, e.Sights = 1<<51, Invoke, r.Events[len(r.Events)-1].At+1, nil
			r.Events = append(r.Events, e)
			e.Phase, e.At, e.Sights, e.Duplicate = OK, e.At+1, k.lost.Sights, true
			r.Events = append(r.Events, e)
		}},
		{"a device does not step back", RuleView, false, func(k *rollback, r *Run) {
			forget(r, func(e *Event) bool {
				return e.Op == OpReset && e.User == k.b && e.Device == k.phone.name && e.Conversation == ""
			})
		}},
		{"a device does not step back in a large group", RuleView, false, func(k *rollback, r *Run) {
			forget(r, func(e *Event) bool { return e.Op == OpReset && e.User == k.b && e.Conversation == k.log.id })
		}},
		{"a device takes what is new for what was lost", RuleView, true, func(k *rollback, r *Run) {
			forget(r, func(e *Event) bool {
				return e.User == k.b && e.Device == k.phone.name && (e.Op == OpReset || e.Op == OpPush && e.At > loss(r) && e.Sights[0].Seq == k.resent.Sights[0].Seq)
			})
		}},
		{"two devices are shown different messages after the loss", RuleAgreement, true, func(k *rollback, r *Run) {
			own(find(r, 0, func(e *Event) bool { return textPush(e) && e.At > loss(r) && e.User == k.b })).Message += "7"
		}},
		{"what was lost is shown again", RuleForged, false, func(k *rollback, r *Run) {
			s := k.second.Sights[0]
			last := r.Events[len(r.Events)-1].At
			ask := Event{At: last + 1, Op: OpHistory, Phase: Invoke, Call: 1 << 52, User: k.a, Device: "phone", Conversation: k.r.id, After: s.ConversationSeq - 1}
			answer := ask
			answer.At, answer.Phase, answer.More, answer.Sights = last+2, OK, true, []Sight{s}
			r.Events = append(r.Events, ask, answer)
		}},
		{"a head is below what it was before the copy", RuleLate, true, func(k *rollback, r *Run) {
			last := r.Events[len(r.Events)-1].At
			ask := Event{At: last + 1, Op: OpPull, Phase: Invoke, Call: 1 << 52, User: k.b, Device: "laptop", After: 1}
			answer := ask
			answer.At, answer.Phase, answer.Head = last+2, OK, 1
			r.Events = append(r.Events, ask, answer)
		}},
		{"a receipt of what was lost is told again", RuleReceipts, false, func(k *rollback, r *Run) {
			e := find(r, 0, func(e *Event) bool { return e.Op == OpPositions && e.Phase == OK && e.At > loss(r) })
			e.Positions = slices.Clone(e.Positions)
			for i := range e.Positions {
				e.Positions[i].Delivered = k.second.Sights[0].ConversationSeq
			}
		}},
		{"a receipt is below what it was before the copy", RuleReceipts, true, func(k *rollback, r *Run) {
			change(r, k.r.id, func(c *Conversation) { c.Positions = []Position{{User: k.b}} })
		}},
		{"a device is told the position that was lost", RuleAcks, false, func(k *rollback, r *Run) {
			e := find(r, 0, func(e *Event) bool { return e.Op == OpConnect && e.Phase == OK && e.At > loss(r) && e.User == k.b })
			e.Acked = k.second.Sights[0].Seq
		}},
		{"a recall after the loss is gone", RuleRecall, true, func(k *rollback, r *Run) {
			last := r.Events[len(r.Events)-1].At
			ask := Event{At: last + 1, Op: OpRecall, Phase: Invoke, Call: 1 << 52, User: k.b, Conversation: k.r.id, Message: k.after.Sights[0].Message}
			answer := ask
			answer.At, answer.Phase = last+2, OK
			r.Events = append(r.Events, ask, answer)
		}},
		{"a socket stays open over the loss", RuleView, false, func(k *rollback, r *Run) {
			forget(r, func(e *Event) bool { return e.Op == OpClose && e.User == k.b })
			r.Events = append(r.Events, Event{At: loss(r) + closedAfterLoss + time.Second, Op: OpFault, Phase: Begin, Call: 1 << 52})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := newRollback(c.more)
			r := k.w.run()
			if result := Check(*r); !result.OK() {
				t.Fatalf("it is red before it is broken: %v", result.Violations)
			}
			c.breaks(k, r)
			wantRule(t, Check(*r), c.rule)
		})
	}
}
