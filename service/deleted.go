package service

import (
	"context"

	"ackbox/model"
)

// Delete deletes a message for me, on all my devices; the others keep it. Doing it again changes
// nothing. CodeNotFound when I do not see the message.
func (c *Conversations) Delete(ctx context.Context, me model.UserID, id model.MessageID) error {
	message, _, err := c.visible(ctx, me, id)
	if err != nil {
		return err
	}
	fresh, err := c.ids.Next()
	if err != nil {
		return err
	}
	done, err := c.store.DeleteForMe(ctx, me, message, model.DeletionID(fresh))
	if err != nil || !done {
		return err
	}
	c.delivery.Notify([]model.UserID{me}, encodeFrame(DeletedFrame{Type: "deleted", ConversationID: message.ConversationID, MessageID: id, ConversationSeq: message.ConversationSeq}))
	return nil
}

// Deletions is a page of what I have deleted for me, in that order, after an id: for my
// devices that were offline.
func (c *Conversations) Deletions(ctx context.Context, me model.UserID, after model.DeletionID, limit int) (list []model.Deletion, more bool, err error) {
	list, err = c.store.Deletions(ctx, me, after, limit+1)
	if err != nil {
		return nil, false, err
	}
	if more = len(list) > limit; more {
		list = list[:limit]
	}
	return list, more, nil
}
