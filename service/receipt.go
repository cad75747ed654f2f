package service

import (
	"context"
	"math"

	"ackbox/model"
)

// Receipts are computed from the members' positions: there is no row for a reader and a message. In
// a group above a size nobody looks at names, so they are off there: no frames to others, and the
// calls are refused.

// LimitReceipts says up to how many members a group has receipts. Set before use.
func (c *Conversations) LimitReceipts(maxMembers int) { c.receiptsMax = maxMembers }

// hasReceipts says whether members see each other's positions.
func (c *Conversations) hasReceipts(of *model.Conversation) bool {
	return of.ID != model.Everyone && (of.Kind != model.Group || of.MemberCount <= int64(c.receiptsMax))
}

func (c *Conversations) checkReceipts(of *model.Conversation) error {
	if of.ID == model.Everyone {
		return model.NewError(model.CodeReceiptsOff, "announcements have no receipts")
	}
	if !c.hasReceipts(of) {
		return model.NewError(model.CodeReceiptsOff, "a group of more than %d members has no receipts", c.receiptsMax)
	}
	return nil
}

// Receipts is a page of the members' positions by user id, after one, my own among them. Errors:
// CodeNotFound when I am no member; CodeReceiptsOff.
func (c *Conversations) Receipts(ctx context.Context, me model.UserID, id model.ConversationID, after model.UserID, limit int) (list []*model.Member, more bool, err error) {
	if _, err := c.store.MemberOf(ctx, id, me); err != nil {
		return nil, false, err
	}
	conversation, err := c.store.ConversationByID(ctx, id)
	if err != nil {
		return nil, false, err
	}
	if conversation.DissolvedAt != 0 {
		return nil, false, model.NotFound("conversation")
	}
	if err := c.checkReceipts(conversation); err != nil {
		return nil, false, err
	}
	list, err = c.store.Members(ctx, id, after, limit+1)
	if err != nil {
		return nil, false, err
	}
	if more = len(list) > limit; more {
		list = list[:limit]
	}
	return list, more, nil
}

// MessageReceipts is who has received and read a message.
type MessageReceipts struct {
	model.ReceiptCounts
	Members []*model.Member // a page of those asked for, by user id
	More    bool
}

// MessageReceipts counts the members whom a message was for, and lists those in a state. Errors:
// CodeNotFound when I do not see the message; CodeReceiptsOff.
func (c *Conversations) MessageReceipts(ctx context.Context, me model.UserID, id model.MessageID, state model.ReceiptState, after model.UserID, limit int) (r MessageReceipts, err error) {
	message, conversation, err := c.visible(ctx, me, id)
	if err != nil {
		return r, err
	}
	if err := c.checkReceipts(conversation); err != nil {
		return r, err
	}
	if r.ReceiptCounts, err = c.store.CountReceipts(ctx, message); err != nil {
		return r, err
	}
	r.Members, err = c.store.ReceiptsOf(ctx, message, state, after, limit+1)
	if r.More = len(r.Members) > limit; r.More {
		r.Members = r.Members[:limit]
	}
	return r, err
}

// LimitReceipts says up to how many members a group's senders are told of deliveries. Acks make
// receipts only where messages are in mailboxes: where no such group can be larger than that, an
// ack looks at no sizes. Set before use.
func (a *Acker) LimitReceipts(maxMembers, mailboxLimit int) {
	if a.receiptsMax = maxMembers; maxMembers >= mailboxLimit {
		a.receiptsMax = math.MaxInt
	}
}

// audible are the receipts that somebody may hear of.
func (a *Acker) audible(ctx context.Context, receipts []receipt) ([]receipt, error) {
	if a.receiptsMax == math.MaxInt || len(receipts) == 0 {
		return receipts, nil
	}
	seen := map[model.ConversationID]bool{}
	var ids []model.ConversationID
	for _, r := range receipts {
		if !seen[r.ConversationID] {
			seen[r.ConversationID] = true
			ids = append(ids, r.ConversationID)
		}
	}
	large, err := a.store.GroupsAbove(ctx, ids, a.receiptsMax)
	if err != nil {
		return nil, err
	}
	heard := receipts[:0]
	for _, r := range receipts {
		if !large[r.ConversationID] {
			heard = append(heard, r)
		}
	}
	return heard, nil
}
