package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"ackbox/model"
)

// errNothing is what a change answers when there is nothing to do: the transaction is
// rolled back and no message is written.
var errNothing = errors.New("nothing to change")

// repeated is what Found answers when an earlier call with the same key has done it all.
type repeated struct{ first model.MessageID }

func (r repeated) Error() string { return "message " + r.first.String() + " has this key" }

// Found is a change whose transaction makes the conversation first. A key in
// msg.ClientMsgID makes that happen once: the same key and hash again is repeated, with another hash
// CodeKeyReused.
func (w *Writer) Found(ctx context.Context, msg *model.Message, hash []byte, found func(tx *model.Store) error, change func(tx *model.Store, c *model.Conversation) error) (Committed, error) {
	key := model.SendKey{SenderID: msg.SenderID, ClientMsgID: msg.ClientMsgID, ContentHash: hash}
	msg.ClientMsgID = "" // the message is the server's own: what keeps the key is its record
	return w.change(ctx, msg, func(tx *model.Store) error {
		if key.ClientMsgID == "" {
			return found(tx)
		}
		key.MessageID = msg.ID
		owners, err := tx.ClaimSendKeys(ctx, []model.SendKey{key}, model.MillisOf(w.clock()))
		switch {
		case err != nil:
			return err
		case len(owners) == 1 && owners[0].MessageID == msg.ID:
			return found(tx)
		case len(owners) == 1 && bytes.Equal(owners[0].ContentHash, hash):
			return repeated{owners[0].MessageID}
		}
		return keyReused()
	}, change)
}

// change writes a message of the server's own (a notice, a recall) together with what it
// tells about, in one transaction under the conversation's lock: the change has its
// place in the order, and the message's audience is who belongs to the conversation
// after it. first runs before the lock is taken. Both may run more than once. change gets the
// conversation with Head at the message's own seq, may fill in msg.Body, and answers errNothing, or why it is refused.
//
// Errors: CodeNotFound for an unknown conversation; CodeUnknownOutcome when nobody can
// say whether it happened (changes are made so that repeating them is harmless).
func (w *Writer) change(ctx context.Context, msg *model.Message, first func(tx *model.Store) error, change func(tx *model.Store, c *model.Conversation) error) (Committed, error) {
	ctx, cancel := context.WithTimeout(ctx, sendPatience)
	defer cancel()
	id, err := w.ids.Next()
	if err != nil {
		return Committed{}, err
	}
	came := w.clock()
	msg.ID = model.MessageID(id)
	msg.ClientMsgID = "server-" + msg.ID.String()
	var entries []model.Entry
	var audience *model.Audience
	err = w.store.Tx(ctx, func(tx *model.Store) error {
		if err := first(tx); err != nil {
			return err
		}
		now := model.MillisOf(w.clock())
		heads, err := tx.AdvanceConversations(ctx, []model.ConversationCount{{ID: msg.ConversationID, Count: 1}}, now)
		if err != nil {
			return err
		}
		c, err := tx.ConversationByID(ctx, msg.ConversationID)
		if err != nil {
			return err
		}
		msg.ConversationSeq, msg.CreatedAt, msg.SenderSeq = heads[c.ID].Head, now, 0
		if err := change(tx, c); err != nil {
			return err
		}
		if audience, err = tx.LoadAudience(ctx, c.ID); err != nil {
			return err
		}
		s := &send{msg: msg, audience: audience}
		users := countMailboxes([]*send{s})
		mailboxes, err := tx.AdvanceMailboxes(ctx, users)
		if err != nil {
			return err
		}
		s.enter(func(user model.UserID) int64 { return mailboxes[user] })
		entries = s.entries
		return tx.InsertMessages(ctx, []*model.Message{msg}, entries)
	})
	switch {
	case errors.Is(err, errNothing):
		return Committed{}, errNothing
	case errors.Is(err, model.ErrCommitUnknown):
		return Committed{}, unknownOutcome(err)
	case err != nil:
		return Committed{}, fmt.Errorf("change conversation: %w", err)
	}
	w.tell([]*send{{msg: msg, audience: audience, came: came}}, w.clock().Sub(came))
	w.audiences.Put(audience)
	c := Committed{Message: msg, JSON: msg.AppendJSON(nil), Entries: entries, Audience: audience}
	w.committed([]Committed{c})
	return c, nil
}
