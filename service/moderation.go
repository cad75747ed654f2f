package service

import (
	"context"
	"errors"
	"time"

	"ackbox/model"
)

// Moderation is what operators see and do of what people write: any conversation and any message. Who may ask is decided at
// the edge, and what is asked is written down there.
type Moderation struct {
	store    *model.Store
	groups   *Groups
	messages *Messages
	clock    func() time.Time
}

// NewModeration wires the part.
func NewModeration(store *model.Store, groups *Groups, messages *Messages, clock func() time.Time) *Moderation {
	return &Moderation{store: store, groups: groups, messages: messages, clock: clock}
}

// List is a page of all conversations behind a place (nil: from the beginning), and whether there are more.
func (m *Moderation) List(ctx context.Context, f model.ConversationFilter, by model.ConversationSort, descending bool, after *model.ConversationPlace, limit int) (list []*model.Conversation, more bool, err error) {
	list, err = m.store.Conversations(ctx, f, by, descending, after, limit+1)
	if more = len(list) > limit; more {
		list = list[:limit]
	}
	return list, more, err
}

// Conversation is one of them with both people of a direct one.
func (m *Moderation) Conversation(ctx context.Context, id model.ConversationID) (c *model.Conversation, people []*model.User, err error) {
	if c, err = m.store.ConversationByID(ctx, id); err != nil || c.Kind != model.Direct {
		return c, nil, err
	}
	people, err = m.store.UsersByID(ctx, []model.UserID{c.Low, c.High})
	return c, people, err
}

// Members is a page of a conversation's members by user id, after one. Of the announcements, to which everybody belongs, it is empty.
func (m *Moderation) Members(ctx context.Context, id model.ConversationID, after model.UserID, limit int) (list []*model.NamedMember, more bool, err error) {
	if _, err := m.store.ConversationByID(ctx, id); err != nil {
		return nil, false, err
	}
	list, err = m.store.NamedMembers(ctx, id, after, limit+1)
	if more = len(list) > limit; more {
		list = list[:limit]
	}
	return list, more, err
}

// History is Conversations.History of any conversation, the dissolved ones too, with all that is kept.
func (m *Moderation) History(ctx context.Context, id model.ConversationID, after, before *int64, limit int) (list []*model.Message, head int64, more bool, err error) {
	c, err := m.store.ConversationByID(ctx, id)
	if err != nil {
		return nil, 0, false, err
	}
	from, to := int64(0), int64(0)
	if after != nil {
		from = *after
	}
	if before != nil {
		to = max(*before, 1)
	}
	list, err = m.store.History(ctx, id, from, to, c.Head, after != nil, limit+1)
	if more = len(list) > limit; more {
		list = list[:limit]
	}
	return list, c.Head, more, err
}

// Between is a page of a conversation's messages of [from, to), a zero being no bound, the newest first, before a conversation_seq (0: from
// the newest).
func (m *Moderation) Between(ctx context.Context, id model.ConversationID, from, to model.Millis, before int64, limit int) (list []*model.Message, more bool, err error) {
	c, err := m.store.ConversationByID(ctx, id)
	if err != nil {
		return nil, false, err
	}
	first, end := int64(1), c.Head+1
	if from > 0 {
		if first, err = m.store.SeqAt(ctx, c, from); err != nil {
			return nil, false, err
		}
	}
	if to > 0 {
		if end, err = m.store.SeqAt(ctx, c, to); err != nil {
			return nil, false, err
		}
	}
	if before > 0 {
		end = min(end, before)
	}
	if first >= end {
		return nil, false, nil
	}
	list, err = m.store.History(ctx, id, first-1, end, c.Head, false, limit+1)
	if more = len(list) > limit; more {
		list = list[:limit]
	}
	return list, more, err
}

// Sent is the message that a sender's key made; nil when there is none.
func (m *Moderation) Sent(ctx context.Context, sender model.UserID, key string) (*model.Message, error) {
	if !model.ValidClientMsgID(key) {
		return nil, model.Invalid("query.client_msg_id", "want 1 to 64 visible ASCII characters", key)
	}
	found, err := m.store.SendKeys(ctx, []model.SendKey{{SenderID: sender, ClientMsgID: key}})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return m.store.MessageByID(ctx, found[0].MessageID)
}

// Message is any message, or CodeNotFound.
func (m *Moderation) Message(ctx context.Context, id model.MessageID) (*model.Message, error) {
	return m.store.MessageByID(ctx, id)
}

// RemoveMessage takes a message back: see Messages.Remove.
func (m *Moderation) RemoveMessage(ctx context.Context, id model.MessageID) (*model.Message, error) {
	return m.messages.Remove(ctx, id)
}

// Dissolve ends a group as its owner would. CodeNotFound for what is no group, or was dissolved.
func (m *Moderation) Dissolve(ctx context.Context, id model.ConversationID) error {
	if err := m.store.EnsureSystem(ctx, model.MillisOf(m.clock())); err != nil {
		return err
	}
	_, err := m.groups.dissolve(ctx, model.System, id)
	return err
}

// MuteAll lets only a group's owner and admins write, or all again. CodeNotFound as Dissolve.
func (m *Moderation) MuteAll(ctx context.Context, id model.ConversationID, mute bool) error {
	if err := m.store.EnsureSystem(ctx, model.MillisOf(m.clock())); err != nil {
		return err
	}
	_, err := m.groups.change(ctx, model.System, id, &notice{Event: "group_updated"}, func(tx *model.Store, c *model.Conversation, _ string) error {
		if c.MuteAll == mute {
			return errNothing
		}
		c.MuteAll = mute
		c.MembersVersion++ // who may write is decided with it
		return tx.UpdateGroup(ctx, c)
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}

// RemoveMember takes anybody out of a group; of an owner the group is inherited as if they had left. CodeNotFound as Dissolve, and for
// who is no member.
func (m *Moderation) RemoveMember(ctx context.Context, id model.ConversationID, user model.UserID) error {
	if err := m.store.EnsureSystem(ctx, model.MillisOf(m.clock())); err != nil {
		return err
	}
	return m.groups.Remove(ctx, model.System, id, user)
}
