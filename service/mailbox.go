package service

import (
	"context"
	"time"

	"ackbox/model"
)

// Mailboxes is what a device pulls and acks. Every user has one mailbox; every device has a
// position in it.
type Mailboxes struct {
	store *model.Store
	acker *Acker
	clock func() time.Time
}

// NewMailboxes wires the part.
func NewMailboxes(store *model.Store, acker *Acker, clock func() time.Time) *Mailboxes {
	return &Mailboxes{store: store, acker: acker, clock: clock}
}

// Page is some entries of a mailbox, ascending, and where the mailbox stood.
type Page struct {
	Entries []model.SeqMessage
	Head    int64
	Floor   int64
	More    bool
}

// Get reads at most limit entries after a seq. It changes nothing.
func (m *Mailboxes) Get(ctx context.Context, user model.UserID, after int64, limit int) (Page, error) {
	head, err := m.store.MailboxHead(ctx, user)
	if err != nil {
		return Page{}, err
	}
	entries, err := m.store.Mailbox(ctx, user, after, limit+1)
	if err != nil {
		return Page{}, err
	}
	// What came between the two reads belongs to the next page: a page agrees with its head.
	entries = model.UpTo(entries, head.Head)
	page := Page{Entries: entries, Head: head.Head, Floor: head.Floor}
	if page.More = len(entries) > limit; page.More {
		page.Entries = entries[:limit]
	}
	return page, nil
}

// Sync acks everything up to `after` and answers the page behind it: the next page's
// pull is the last page's ack. CodePositionLost as Acker.Ack.
func (m *Mailboxes) Sync(ctx context.Context, key model.DeviceKey, family model.FamilyID, after int64, afterID model.MessageID, limit int) (Page, error) {
	if _, err := m.acker.Ack(ctx, Ack{Key: key, Family: family, UpTo: &after, UpToID: afterID}); err != nil {
		return Page{}, err
	}
	page, err := m.Get(ctx, key.UserID, after, limit)
	if err == nil {
		m.acker.delivery.tellPulled(key, page.Entries)
	}
	return page, err
}

// Open says where a device that connects stands, acking what it says it holds. A
// lastSeq that the mailbox does not have there is told (Reset) and acks nothing.
func (m *Mailboxes) Open(ctx context.Context, key model.DeviceKey, family model.FamilyID, lastSeq *int64, lastID model.MessageID) (Opening, error) {
	run := m.store.Run()
	acked, err := m.acker.Ack(ctx, Ack{Key: key, Family: family, UpTo: lastSeq, UpToID: lastID})
	reset := model.CodeOf(err) == model.CodePositionLost
	if reset {
		acked, err = m.acker.Ack(ctx, Ack{Key: key, Family: family})
	}
	if err != nil {
		return Opening{}, err
	}
	head, err := m.store.MailboxHead(ctx, key.UserID)
	if err != nil {
		return Opening{}, err
	}
	selective, err := m.store.SelectiveAcks(ctx, []model.DeviceKey{key})
	if err != nil {
		return Opening{}, err
	}
	logs, err := m.store.LogHeads(ctx, key)
	if err != nil {
		return Opening{}, err
	}
	o := Opening{Logs: logs, Key: key, Family: family, Start: acked, Acked: acked, Head: head.Head, Floor: head.Floor, Reset: reset, Selective: selective[key], Run: run}
	if lastSeq != nil && !reset {
		o.Start = *lastSeq
	}
	return o, nil
}

// Ack commits an ack; see Acker.Ack. It waits a moment for others, as a pull and a connect do not.
func (m *Mailboxes) Ack(ctx context.Context, ack Ack) (int64, error) {
	return m.acker.within(ctx, ack, ackLinger)
}

// Summary is what waits for a device, counted by conversation: counts first, pull
// later.
type Summary struct {
	Head          int64
	Acked         int64
	Pending       int64
	Conversations []ConversationSummary
}

// ConversationSummary is one conversation's part of a Summary.
type ConversationSummary struct {
	Unread int64 // entries behind the device's position that are not the user's own
	View   *model.View
}

// summaryConversations bounds a summary.
const summaryConversations = 200

// Summary reads it; for a device that was never seen, as if it came now.
func (m *Mailboxes) Summary(ctx context.Context, key model.DeviceKey) (Summary, error) {
	head, err := m.store.MailboxHead(ctx, key.UserID)
	if err != nil {
		return Summary{}, err
	}
	device, err := m.store.DeviceByKey(ctx, key)
	if model.CodeOf(err) == model.CodeNotFound {
		device, err = model.NewDevice(key.UserID, key.DeviceID, head.Head, model.MillisOf(m.clock())), nil
	}
	if err != nil {
		return Summary{}, err
	}
	summary := Summary{Head: head.Head, Acked: device.Acked, Pending: max(0, head.Head-max(device.Acked, head.Floor-1))}
	pending, err := m.store.PendingByConversation(ctx, key.UserID, device.Acked, summaryConversations)
	if err != nil || len(pending) == 0 {
		return summary, err
	}
	ids := make([]model.ConversationID, len(pending))
	for i, p := range pending {
		ids[i] = p.ConversationID
	}
	views, err := m.store.Views(ctx, key.UserID, model.ListCursor{}, ids, len(ids))
	if err != nil {
		return Summary{}, err
	}
	byID := make(map[model.ConversationID]*model.View, len(views))
	for _, v := range views {
		byID[v.Conversation.ID] = v
	}
	for _, p := range pending {
		if v := byID[p.ConversationID]; v != nil {
			summary.Conversations = append(summary.Conversations, ConversationSummary{Unread: p.Unread, View: v})
		}
	}
	return summary, nil
}
