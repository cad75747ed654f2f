package service

import (
	"time"

	"ackbox/model"
	"ackbox/trace"
)

// What happens to messages is told to the trace from here. None of it waits, and the paths ask first whether
// a message is followed: usually, under load, it is not.

// messageID reads the id at the beginning of a message's encoding; 0 when it is none of ours.
func messageID(message []byte) (id model.MessageID) {
	const start = len(`{"message_id":"`)
	for i := start; i < len(message) && i < start+19; i++ {
		c := message[i] - '0'
		if c > 9 {
			break
		}
		id = id*10 + model.MessageID(c)
	}
	return id
}

// tell records what happened with one message on this session. Of a push: whether it waits for the socket.
func (s *Session) tell(kind trace.Kind, message []byte, seq int64, attempt int, waits bool) {
	id := messageID(message)
	if t := s.delivery.trace; t.Takes(id) {
		t.Put(&trace.Event{At: s.delivery.agreed().UnixMicro(), Kind: kind, Message: id, User: s.Key.UserID, Device: s.Key.DeviceID, Connection: s.ConnectionID, Seq: seq, Attempt: int32(attempt), Waits: waits})
	}
}

// tellRange records what happened with all entries (after, upTo] of the mailbox on this session, or with a log conversation's messages.
func (s *Session) tellRange(kind trace.Kind, id model.ConversationID, after, upTo, count int64) {
	t := s.delivery.trace
	if upTo > after && t.TakesRange(int64(s.Key.UserID)^int64(id), upTo) {
		t.Put(&trace.Event{At: s.delivery.agreed().UnixMicro(), Kind: kind, Conversation: id, User: s.Key.UserID, Device: s.Key.DeviceID, Connection: s.ConnectionID, After: after, Seq: upTo, Count: count})
	}
}

// tellForgotten records that the ack queue forgot a push.
func (d *Delivery) tellForgotten(key pushKey, p *pushed) {
	key.session.tell(trace.Evicted, p.message, key.seq, p.attempt, false)
}

// tellPosition records acks that settled no push here: of a device that is connected elsewhere or nowhere, or that has pulled.
func (d *Delivery) tellPosition(key model.DeviceKey, after, upTo int64, single []int64) {
	if !d.trace.On() {
		return
	}
	at := d.agreed().UnixMicro()
	put := func(after, upTo int64) {
		if upTo > after && d.trace.TakesRange(int64(key.UserID), upTo) {
			d.trace.Put(&trace.Event{At: at, Kind: trace.AckedByPosition, User: key.UserID, Device: key.DeviceID, After: after, Seq: upTo})
		}
	}
	put(after, upTo)
	for _, seq := range single {
		if seq > upTo {
			put(seq-1, seq)
		}
	}
}

// tellMember records that a member's position in a conversation has moved.
func (d *Delivery) tellMember(kind trace.Kind, id model.ConversationID, user model.UserID, after, upTo int64) {
	if d.trace.TakesRange(int64(user)^int64(id), upTo) {
		d.trace.Put(&trace.Event{At: d.agreed().UnixMicro(), Kind: kind, Conversation: id, User: user, After: after, Seq: upTo})
	}
}

// tellMessage records what happened with a message that concerns no device.
func (d *Delivery) tellMessage(kind trace.Kind, id model.MessageID, user model.UserID, count int) {
	if d.trace.Takes(id) {
		d.trace.Put(&trace.Event{At: d.agreed().UnixMicro(), Kind: kind, Message: id, User: user, Count: int64(count)})
	}
}

// tellPulled records that a device has pulled entries.
func (d *Delivery) tellPulled(key model.DeviceKey, entries []model.SeqMessage) {
	if !d.trace.On() {
		return
	}
	at := d.agreed().UnixMicro()
	for _, e := range entries {
		if d.trace.Takes(e.Message.ID) {
			d.trace.Put(&trace.Event{At: at, Kind: trace.Synced, Message: e.Message.ID, User: key.UserID, Device: key.DeviceID, Seq: e.Seq})
		}
	}
}

// TracedBy says who is told what the writer does. Set before use.
func (w *Writer) TracedBy(t *trace.Store) { w.trace = t }

// tell records a batch that has just been committed, and who repeated what.
func (w *Writer) tell(batch []*send, took time.Duration) {
	if !w.trace.On() {
		return
	}
	at := w.clock().UnixMicro()
	for _, s := range batch {
		id := s.msg.ID
		if s.owner != nil {
			id = s.owner.MessageID
		}
		if !w.trace.Takes(id) {
			continue
		}
		if repeats := len(s.twins); repeats > 0 {
			w.trace.Put(&trace.Event{At: at, Kind: trace.Duplicate, Message: id, User: s.msg.SenderID, Count: int64(repeats)})
		}
		if s.owner == nil {
			w.trace.Put(&trace.Event{At: s.came.UnixMicro(), Kind: trace.Accepted, Message: id, User: s.msg.SenderID, Count: int64(len(s.audience.Members))})
			w.trace.Put(&trace.Event{At: at, Kind: trace.Committed, Message: id, User: s.msg.SenderID, Batch: batch[0].msg.ID, Count: int64(len(batch)), Took: took.Microseconds()})
		}
	}
}
