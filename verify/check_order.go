package verify

import (
	"cmp"
	"slices"
	"time"

	"ackbox/client"
)

// order: in a conversation, a send that began after another was answered has the higher conversation_seq. One sender's
// order is the special case.
func (c *check) order() {
	type sent struct {
		key        *keyed
		seq        int64
		begin, end time.Duration // end is -1 for one that was never answered
		answer     *Event
	}
	conversations := map[client.ConversationID][]sent{}
	for _, k := range c.keys {
		s := sent{key: k, begin: k.tries[0].invoke.At, end: -1}
		var id client.ConversationID
		if first, doubtful := c.latest(k); first != nil && (!doubtful || c.storedAs(k, first.answer())) {
			id, s.seq, s.end, s.answer = first.answer().Conversation, first.answer().ConversationSeq, first.end.At, first.end
		} else if rows := c.storedKeys[k.key]; len(rows) > 0 {
			id, s.seq = rows[0].Conversation, rows[0].ConversationSeq
		} else {
			continue
		}
		conversations[id] = append(conversations[id], s)
	}
	for id, sends := range conversations {
		slices.SortFunc(sends, func(a, b sent) int { return cmp.Compare(a.begin, b.begin) })
		ends := slices.Clone(sends)
		slices.SortFunc(ends, func(a, b sent) int { return cmp.Compare(a.end, b.end) })
		ends = slices.DeleteFunc(ends, func(s sent) bool { return s.end < 0 })
		var highest sent
		for _, s := range sends {
			for len(ends) > 0 && ends[0].end < s.begin {
				if ends[0].seq > highest.seq {
					highest = ends[0]
				}
				ends = ends[1:]
			}
			if s.seq < highest.seq {
				c.broken(RuleOrder, []*Event{highest.answer, s.key.tries[0].invoke},
					"conversation %s: key %s was sent after key %s had been answered as %d, and is %d", id, s.key.name, highest.key.name, highest.seq, s.seq)
			}
		}
	}
}

// storedAs says whether a key is stored as it was answered.
func (c *check) storedAs(k *keyed, told *Sight) bool {
	rows := c.storedKeys[k.key]
	return len(rows) > 0 && rows[0].Message == told.Message
}
