package service

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"ackbox/model"
)

// Announcements are what the operators tell everybody: messages of one log conversation
// (model.Everyone) that is stored once and pushed to every session. Whoever has an account belongs to it.
type Announcements struct {
	store    *model.Store
	messages *Messages
	clock    func() time.Time
}

// NewAnnouncements wires the part.
func NewAnnouncements(store *model.Store, messages *Messages, clock func() time.Time) *Announcements {
	return &Announcements{store: store, messages: messages, clock: clock}
}

// Publish makes a text (1 to 10,000 characters, something of it visible) durable and tells everybody. key
// makes it happen once: the same key and text again answers the first announcement. Errors: as Messages.Send.
func (a *Announcements) Publish(ctx context.Context, key, text string) (Sent, error) {
	body, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		return Sent{}, model.Invalid("body.text", err.Error(), nil)
	}
	d := Draft{Sender: model.System, ClientMsgID: key, Conversation: model.Everyone, Type: model.TypeText, Body: model.JSON(body)}
	sent, err := a.messages.Send(ctx, d)
	if model.CodeOf(err) == model.CodeNotFound { // the first of all
		if err := a.store.OpenAnnouncements(ctx, model.MillisOf(a.clock())); err != nil {
			return Sent{}, err
		}
		sent, err = a.messages.Send(ctx, d)
	}
	return sent, err
}

// List is a page of what was announced, newest first, before a conversation_seq (0: from the newest).
func (a *Announcements) List(ctx context.Context, before int64, limit int) (list []*model.Message, more bool, err error) {
	list, err = a.store.Announcements(ctx, before, limit+1)
	if more = len(list) > limit; more {
		list = list[:limit]
	}
	return list, more, err
}

// pushEveryone brings announcements, ascending, to all sessions of this node, on all cores.
func (f *logFanOut) pushEveryone(list []logMessage) {
	frames := framesOf(list)
	counts := f.counts(list)
	shards := &f.delivery.shards
	var taken atomic.Int64 // shards that a worker has or had
	var workers sync.WaitGroup
	for w := range min(len(shards), len(counts)) {
		workers.Go(func() {
			for i := taken.Add(1) - 1; i < int64(len(shards)); i = taken.Add(1) - 1 {
				shards[i].each(func(s *Session) { s.offerLogs(list, frames, counts[w]) })
			}
		})
	}
	workers.Wait()
	f.tell(list, counts)
}

// meetEveryone begins the announcements of a session that was there before the first of them (later ones
// are told where they stand when they open). The caller holds the lock.
func (s *Session) meetEveryone() {
	if s.state != stateClosed {
		s.log(model.Everyone, 0)
	}
}

// sweepEveryone makes the next sweep tell a session that the first announcement has missed.
func (s *Session) sweepEveryone(head int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logs[model.Everyone] == nil && s.state != stateClosed {
		s.log(model.Everyone, 0).swept = head
	}
}
