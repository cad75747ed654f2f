package service

import (
	"context"
	"errors"
	"fmt"

	"ackbox/model"
)

// Recall takes a message back: its sender within the recall window, a group's owner
// or admin at any time. Its content is gone everywhere; a message of type recall has
// its place in the order, so that devices that were away hear of it. Repeating it changes
// nothing. It answers the message as it is now.
func (m *Messages) Recall(ctx context.Context, me model.UserID, id model.MessageID) (*model.Message, error) {
	target, err := m.store.MessageByID(ctx, id)
	if err != nil {
		return nil, err
	}
	if _, err := m.store.MemberOf(ctx, target.ConversationID, me); err != nil {
		if model.CodeOf(err) == model.CodeNotFound {
			return nil, model.NotFound("message")
		}
		return nil, err
	}
	return m.recall(ctx, me, target, func(tx *model.Store, c *model.Conversation, target *model.Message) error {
		member, err := tx.MemberOf(ctx, c.ID, me)
		if err != nil {
			return err
		}
		if target.RecalledAt != 0 {
			return errNothing
		}
		return m.mayRecall(c, member, target)
	})
}

// Remove takes any message back, by the operators: in every kind of conversation, at any time. What the server wrote
// stays: CodeForbidden.
func (m *Messages) Remove(ctx context.Context, id model.MessageID) (*model.Message, error) {
	target, err := m.store.MessageByID(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := m.store.EnsureSystem(ctx, model.MillisOf(m.clock())); err != nil {
		return nil, err
	}
	return m.recall(ctx, model.System, target, func(_ *model.Store, _ *model.Conversation, target *model.Message) error {
		if target.RecalledAt != 0 {
			return errNothing
		}
		return mayGo(target)
	})
}

// recall empties a message that by takes back. may decides under the conversation's lock, on the message as it is there.
func (m *Messages) recall(ctx context.Context, by model.UserID, target *model.Message, may func(tx *model.Store, c *model.Conversation, target *model.Message) error) (*model.Message, error) {
	id, seen := target.ID, target
	msg := &model.Message{
		ConversationID: target.ConversationID, SenderID: by, Type: model.TypeRecall, ReplyTo: id, Ext: "{}",
		Body: model.JSON(fmt.Sprintf(`{"message_id":"%d","conversation_seq":%d}`, target.ID, target.ConversationSeq)),
	}
	first := func(tx *model.Store) error {
		_, err := tx.LockFiles(ctx, []*model.Message{seen}) // a transaction's files come before its conversations
		return err
	}
	_, err := m.writer.change(ctx, msg, first, func(tx *model.Store, c *model.Conversation) (err error) {
		if target, err = tx.MessageByID(ctx, id); err != nil { // again, under the lock
			return err
		}
		if err := may(tx, c, target); err != nil {
			return err
		}
		return tx.Recall(ctx, target, model.MillisOf(m.clock()))
	})
	if errors.Is(err, errNothing) {
		return target, nil
	}
	if err != nil {
		return nil, err
	}
	m.conversations.delivery.Recalled(target)
	return target, nil
}

// mayGo is CodeForbidden for what nobody takes back.
func mayGo(target *model.Message) error {
	if target.Type == model.TypeRecall || target.Type == model.TypeNotice {
		return model.NewError(model.CodeForbidden, "what the server wrote stays")
	}
	return nil
}

func (m *Messages) mayRecall(c *model.Conversation, member *model.Member, target *model.Message) error {
	switch {
	case c.DissolvedAt != 0 || target.ConversationSeq <= member.SeesAfter(c):
		return model.NotFound("message")
	case mayGo(target) != nil:
		return mayGo(target)
	case member.Role == model.RoleOwner || member.Role == model.RoleGroupAdmin:
		return nil
	case target.SenderID != member.UserID:
		return model.NewError(model.CodeForbidden, "only the sender, or a group's owner or admin, recalls a message")
	case m.clock().Sub(target.CreatedAt.Time()) > m.recallWindow:
		return model.NewError(model.CodeRecallTooLate, "a message can be recalled for %s", m.recallWindow)
	}
	return nil
}
