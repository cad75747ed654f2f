package verify

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"ackbox/client"
)

// pageLimit is how much is pulled at a time, the most that the contract gives.
const pageLimit = 200

// store is what a device holds.
type store struct {
	ids    []client.MessageID              // of the mailbox, by seq: the first is of seq 1
	acked  int64                           // what the server has said that it knows
	dirty  int                             // entries since the last ack
	since  time.Time                       // the first of them
	groups map[client.ConversationID]int64 // the highest conversation_seq held
	logs   map[client.ConversationID]int64 // of log conversations, what is not acked yet; the key stays
	held   map[place]client.MessageID      // of all conversations
}

func newStore() *store {
	return &store{groups: map[client.ConversationID]int64{}, logs: map[client.ConversationID]int64{}, held: map[place]client.MessageID{}}
}

// position is the highest mailbox seq held, and its message.
func (s *store) position() (int64, client.MessageID) {
	if len(s.ids) == 0 {
		return 0, ""
	}
	return int64(len(s.ids)), s.ids[len(s.ids)-1]
}

// touch notes that there is something to ack.
func (s *store) touch() {
	if s.dirty++; s.dirty == 1 {
		s.since = time.Now()
	}
}

// put takes the next entry of the mailbox in, and says whether it was that.
func (s *store) put(seq int64, m client.Message) bool {
	if seq != int64(len(s.ids))+1 {
		return false
	}
	s.ids = append(s.ids, m.MessageID)
	s.keep(m)
	s.touch()
	return true
}

// keep keeps a message in its conversation.
func (s *store) keep(m client.Message) {
	s.groups[m.ConversationID] = max(s.groups[m.ConversationID], m.ConversationSeq)
	s.held[place{m.ConversationID, m.ConversationSeq}] = m.MessageID
}

// end is the highest message held of a conversation; of one that is read from its beginning there is none.
func (s *store) end(id client.ConversationID) (seq int64, message client.MessageID) {
	return s.groups[id], s.held[place{id, s.groups[id]}]
}

// pushed takes a message frame in.
func (a *Actor) pushed(ctx context.Context, f client.Frame) error {
	s := a.store
	if f.Seq == 0 {
		id := f.Message.ConversationID
		switch held := s.groups[id]; {
		case f.Message.ConversationSeq <= held && s.held[place{id, f.Message.ConversationSeq}] != f.Message.MessageID:
			return a.stepBackLog(ctx, id)
		case f.Message.ConversationSeq <= held: // the ack was lost
			s.logs[id] = held
			s.touch()
		case f.Message.ConversationSeq == held+1 && held > 0:
			s.keep(f.Message)
			s.logs[id] = f.Message.ConversationSeq
			s.touch()
		default:
			return a.pullLog(ctx, id)
		}
		return nil
	}
	if f.Seq <= int64(len(s.ids)) {
		if s.ids[f.Seq-1] != f.Message.MessageID {
			return a.stepBack(ctx)
		}
		s.touch()
		return nil
	}
	if !s.put(f.Seq, f.Message) {
		return a.pull(ctx)
	}
	return nil
}

// pull pulls the mailbox until there is no more, and acks it.
func (a *Actor) pull(ctx context.Context) error {
	for {
		page, err := a.page(ctx, true)
		if lost(err) {
			if err := a.stepBack(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := a.take(page); err != nil {
			return err
		}
		if !page.HasMore {
			return a.ack(ctx)
		}
	}
}

// page pulls what is after the device's position.
func (a *Actor) page(ctx context.Context, acks bool) (client.Page, error) {
	after, id := a.store.position()
	var page client.Page
	err := a.call(ctx, a.at(), Event{Op: OpPull, After: after, Acks: acks}, func(ctx context.Context, s *client.Session, e *Event) (err error) {
		if page, err = s.Sync(ctx, client.Pull{DeviceID: a.o.Device, After: after, AfterID: id, Limit: pageLimit}); err == nil {
			seen(e, page)
		}
		return err
	})
	return page, err
}

func seen(e *Event, page client.Page) {
	e.Head, e.Floor, e.More = page.Head, page.Floor, page.HasMore
	for _, entry := range page.Entries {
		e.Sights = append(e.Sights, See(entry.Seq, entry.Message))
	}
}

// take stores a page.
func (a *Actor) take(page client.Page) error {
	for i, entry := range page.Entries {
		if i == 0 && entry.Seq == page.Floor && entry.Seq > int64(len(a.store.ids)) { // what is below is pruned
			for int64(len(a.store.ids)) < entry.Seq-1 {
				a.store.ids = append(a.store.ids, "")
			}
		}
		if !a.store.put(entry.Seq, entry.Message) {
			return fmt.Errorf("a page has seq %d after %d", entry.Seq, len(a.store.ids))
		}
	}
	return nil
}

// lost says whether the server holds something else at the device's position.
func lost(err error) bool {
	p, ok := client.AsProblem(err)
	return ok && p.Code == "position_lost"
}

// stepBack goes back to the last entry that the server has under the same seq and id.
func (a *Actor) stepBack(ctx context.Context) error {
	held := int64(len(a.store.ids))
	for {
		from := max(held-pageLimit, 0)
		var page client.Page
		err := a.call(ctx, a.at(), Event{Op: OpPull, After: from}, func(ctx context.Context, s *client.Session, e *Event) (err error) {
			if page, err = s.Mailbox(ctx, from, pageLimit); err == nil {
				seen(e, page)
			}
			return err
		})
		if err != nil {
			return err
		}
		same := from
		for _, entry := range page.Entries {
			if entry.Seq > held || a.store.ids[entry.Seq-1] != entry.Message.MessageID {
				break
			}
			same = entry.Seq
		}
		if same > from || from == 0 {
			a.store.ids = a.store.ids[:same]
			a.record(Event{Op: OpReset, UpTo: same})
			return nil
		}
		held = from
	}
}

// pullLog pulls a large group from what the device holds.
func (a *Actor) pullLog(ctx context.Context, id client.ConversationID) error {
	for {
		after, afterID := a.store.end(id)
		var page client.History
		err := a.call(ctx, a.at(), Event{Op: OpHistory, Conversation: id, After: after}, func(ctx context.Context, s *client.Session, e *Event) (err error) {
			query := url.Values{"after_seq": {strconv.FormatInt(after, 10)}, "limit": {strconv.Itoa(pageLimit)}}
			if afterID != "" {
				query.Set("after_id", string(afterID))
			}
			if page, err = s.History(ctx, id, query); err != nil {
				return err
			}
			e.Head, e.More = page.Head, page.HasMore
			for _, m := range page.Messages {
				e.Sights = append(e.Sights, See(0, m))
			}
			return nil
		})
		if gone(err) { // the user is no member any more
			delete(a.store.logs, id)
			return nil
		}
		if lost(err) {
			a.forgetLog(id)
			continue
		}
		if err != nil {
			return err
		}
		for _, m := range page.Messages {
			a.store.keep(m)
		}
		if !page.HasMore {
			a.store.logs[id] = a.store.groups[id]
			a.store.touch()
			return a.ack(ctx)
		}
	}
}

// stepBackLog pulls a large group anew that has other messages than the device holds.
func (a *Actor) stepBackLog(ctx context.Context, id client.ConversationID) error {
	a.forgetLog(id)
	return a.pullLog(ctx, id)
}

// forgetLog goes back to the beginning of a large group: there may be holes below, of times when the user was no member.
func (a *Actor) forgetLog(id client.ConversationID) {
	a.store.groups[id], a.store.logs[id] = 0, 0
	a.record(Event{Op: OpReset, Conversation: id})
}

func gone(err error) bool {
	p, ok := client.AsProblem(err)
	return ok && p.Status == 404
}

// ack acks what is stored and not acked yet.
func (a *Actor) ack(ctx context.Context) error {
	s := a.store
	if upTo, id := s.position(); upTo > s.acked || s.dirty > 0 && upTo > 0 {
		err := a.call(ctx, a.at(), Event{Op: OpAck, UpTo: upTo}, func(ctx context.Context, session *client.Session, e *Event) (err error) {
			e.Acked, err = session.Ack(ctx, client.Ack{DeviceID: a.o.Device, UpTo: &upTo, UpToID: id})
			return err
		})
		if lost(err) {
			return a.stepBack(ctx)
		}
		if err != nil {
			return err
		}
		s.acked = upTo
	}
	for id, upTo := range s.logs {
		if upTo == 0 {
			continue
		}
		err := a.call(ctx, a.at(), Event{Op: OpAck, Conversation: id, ConversationSeq: upTo}, func(ctx context.Context, session *client.Session, e *Event) (err error) {
			e.Acked, err = session.Ack(ctx, client.Ack{DeviceID: a.o.Device, Conversations: []client.LogAck{{ConversationID: id, UpTo: upTo}}})
			return err
		})
		switch {
		case gone(err):
			delete(s.logs, id)
		case lost(err):
			return a.stepBackLog(ctx, id)
		case err != nil:
			return err
		default:
			s.logs[id] = 0
		}
	}
	s.dirty = 0
	return nil
}

// drain pulls and acks everything, large groups of which nothing was ever pushed included.
func (a *Actor) drain(ctx context.Context) error {
	if err := a.pull(ctx); err != nil {
		return err
	}
	cursor := ""
	for {
		session, err := a.account.at(ctx, a.at())
		if err != nil {
			return err
		}
		page, err := session.Conversations(ctx, cursor, pageLimit)
		if err != nil {
			return fmt.Errorf("list the conversations: %w", err)
		}
		for _, c := range page.Conversations {
			if c.Delivery != "log" {
				continue
			}
			do := a.pullLog
			switch held, last := a.store.end(c.ConversationID); {
			case c.Head < held, c.Head == held && c.LastMessage != nil && c.LastMessage.ConversationSeq == held && c.LastMessage.MessageID != last:
				do = a.stepBackLog
			case c.Head == held:
				continue
			}
			if err := do(ctx, c.ConversationID); err != nil {
				return err
			}
		}
		if cursor = page.NextCursor; !page.HasMore {
			return nil
		}
		if cursor == "" {
			return errors.New("a page of conversations has more and no cursor")
		}
	}
}
