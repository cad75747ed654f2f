package verify

import (
	"time"

	"ackbox/client"
)

// holding is what a device has been shown, as it drops what it has and steps back at a reset.
type holding struct {
	began    time.Duration // of its first connection or pull
	from     int64         // it holds, or wants, nothing up to this mailbox seq
	seqs     map[int64]*Sight
	logs     map[place]client.MessageID
	retired  bool
	lastSeen *Event
}

// view: in the end every device has been shown everything that its user's mailbox and large groups hold, beginning where
// the device began; and what is new to it was pushed in order. A device is not told for nothing that its position is lost.
func (c *check) view() {
	devices := map[device]*holding{}
	newest := map[string]int64{}     // by connection: the highest seq pushed
	newestLog := map[logPush]int64{} // the same of a log conversation
	for i := range c.run.Events {
		e := &c.run.Events[i]
		id := device{e.User, e.Device}
		h := devices[id]
		if h == nil {
			if e.Op != OpConnect && e.Op != OpPull || e.Phase != Invoke {
				continue
			}
			h = &holding{began: e.At, from: -1, seqs: map[int64]*Sight{}, logs: map[place]client.MessageID{}}
			devices[id] = h
		}
		if e.Op == OpReset && e.Conversation == "" && !h.above(e.UpTo) && !c.excused(e.At) {
			c.broken(RuleAcks, []*Event{e}, "%s of %s was told that its position is lost, and holds nothing but what the server has up to %d", id.name, id.user, e.UpTo)
		}
		h.note(e)
		if e.Phase != OK || e.Op != OpPush && e.Op != OpPull && e.Op != OpHistory {
			continue
		}
		for j := range e.Sights {
			s := &e.Sights[j]
			held := h.holds(s)
			if e.Op == OpPush && !held {
				if s.Seq != 0 {
					c.pushed(e, s.Seq, newest[e.Connection])
				} else {
					c.pushed(e, s.ConversationSeq, newestLog[logPush{e.Connection, s.Conversation}])
				}
			}
			if s.Seq != 0 {
				h.seqs[s.Seq] = s
			}
			h.logs[place{s.Conversation, s.ConversationSeq}] = s.Message
			if e.Op == OpPush && s.Seq != 0 {
				newest[e.Connection] = max(newest[e.Connection], s.Seq)
			} else if e.Op == OpPush {
				at := logPush{e.Connection, s.Conversation}
				newestLog[at] = max(newestLog[at], s.ConversationSeq)
			}
		}
	}
	c.closed()
	for id, h := range devices {
		if h.retired {
			continue
		}
		c.complete(id, h)
		c.completeLogs(id, h)
	}
}

// logPush is a log conversation on a connection.
type logPush struct {
	connection   string
	conversation client.ConversationID
}

// holds says whether the device has the message.
func (h *holding) holds(s *Sight) bool {
	return s.Seq != 0 && h.at(s.Seq) == s.Message || h.logs[place{s.Conversation, s.ConversationSeq}] == s.Message
}

// at is what the device holds at a seq of the mailbox, or nothing.
func (h *holding) at(seq int64) client.MessageID {
	if s := h.seqs[seq]; s != nil {
		return s.Message
	}
	return ""
}

// above says whether the device holds something above a mailbox seq.
func (h *holding) above(seq int64) bool {
	for held := range h.seqs {
		if held > seq {
			return true
		}
	}
	return false
}

// note follows where the device begins, its steps back and its end.
func (h *holding) note(e *Event) {
	switch {
	case h.from < 0 && (e.Op == OpConnect || e.Op == OpPull) && e.Phase == Invoke && e.After >= 0:
		h.from = e.After
	case h.from < 0 && e.Op == OpConnect && e.Phase == OK:
		h.from = e.Acked
	case e.Op == OpReset && e.Conversation == "":
		for seq, s := range h.seqs {
			if seq > e.UpTo {
				delete(h.seqs, seq)
				delete(h.logs, place{s.Conversation, s.ConversationSeq})
			}
		}
	case e.Op == OpReset:
		for at := range h.logs {
			if at.conversation == e.Conversation && at.seq > e.UpTo {
				delete(h.logs, at)
			}
		}
	case e.Op == OpRetire:
		h.retired = true
	}
	h.lastSeen = e
}

// pushed checks that something new to a device is not pushed after what follows it.
func (c *check) pushed(e *Event, seq, newest int64) {
	if seq < newest && e.Attempt <= 1 && !c.spans(c.asked(e), e.At) {
		c.broken(RuleView, []*Event{e}, "%v was first pushed to %s of %s after %d had been pushed", e.Sights[0], e.Device, e.User, newest)
	}
}

// complete compares what a device was shown with its user's mailbox: it has all of that, and nothing else.
func (c *check) complete(id device, h *holding) {
	mailbox, read := c.run.Tables.Mailboxes[id.user]
	if !read {
		return
	}
	for i := range mailbox.Entries {
		s := &mailbox.Entries[i]
		if s.Seq > h.from && h.at(s.Seq) != s.Message {
			c.lost[s.Message] = true
			c.broken(RuleView, []*Event{h.lastSeen}, "lost: %v was never shown to %s of %s", *s, id.name, id.user)
		}
	}
	for seq, s := range h.seqs {
		if row := c.storedSlot[slot{id.user, seq}]; seq >= mailbox.Floor && (row == nil || row.Message != s.Message) {
			c.broken(RuleView, []*Event{h.lastSeen}, "%s of %s still has %v, which is not stored there", id.name, id.user, *s)
		}
	}
}

// completeLogs compares what a device was shown with the large groups that its user is in. A device that came later
// than its user's membership begins with the first message that it was shown.
func (c *check) completeLogs(id device, h *holding) {
	for conversation, table := range c.run.Tables.Conversations {
		if table.Delivery != "log" {
			continue
		}
		members := c.members[conversation]
		from := members.now(id.user)
		if !members.known || from == 0 {
			continue
		}
		started := h.began < c.firstSeen(conversation, from)
		for i := range table.Messages {
			s := &table.Messages[i]
			if s.ConversationSeq < from {
				continue
			}
			if h.logs[place{conversation, s.ConversationSeq}] == s.Message {
				started = true
			} else if started {
				c.lost[s.Message] = true
				c.broken(RuleView, []*Event{h.lastSeen}, "lost: %v was never shown to %s of %s", *s, id.name, id.user)
			}
		}
		for at, message := range h.logs {
			if row := c.storedPlace[at]; at.conversation == conversation && at.seq >= max(table.From, from) && (row == nil || row.Message != message) {
				c.broken(RuleView, []*Event{h.lastSeen}, "%s of %s still has message %s at %d of %s, which is not stored there", id.name, id.user, message, at.seq, conversation)
			}
		}
	}
}

// firstSeen is when anybody was first shown something of a conversation from seq on.
func (c *check) firstSeen(id client.ConversationID, seq int64) time.Duration {
	if c.first == nil {
		c.first = map[place]time.Duration{}
		for _, s := range c.sightings {
			at := place{s.sight.Conversation, s.sight.ConversationSeq}
			if _, ok := c.first[at]; !ok {
				c.first[at] = s.event.At
			}
		}
	}
	if at, ok := c.first[place{id, seq}]; ok {
		return at
	}
	return 0
}

// closed: no socket outlives a loss of the store by much, or its client would not ask what it has lost.
func (c *check) closed() {
	for connection, hello := range c.opened {
		ended, is := c.ended[connection]
		if !is {
			ended = c.last
		}
		for _, l := range c.losses {
			if hello.At < l.at && ended > l.at+closedAfterLoss {
				c.broken(RuleView, []*Event{hello}, "the socket of %s of %s was open for %v after the store was lost", hello.Device, hello.User, (ended - l.at).Round(time.Second))
			}
		}
	}
}
