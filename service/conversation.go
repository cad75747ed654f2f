package service

import (
	"context"
	"fmt"
	"math"
	"slices"

	"time"

	"ackbox/model"
	"ackbox/trace"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Audiences caches who receives a conversation's messages. A cached one may be stale;
// the writer compares its version under the conversation's lock, so staleness costs
// a read and never a wrong delivery. Bounded at audienceCapacity conversations.
type Audiences struct {
	store *model.Store
	cache *lru.Cache[model.ConversationID, *model.Audience]
}

const (
	audienceCapacity = 50_000
	directCapacity   = 200_000
)

// NewAudiences makes an empty cache.
func NewAudiences(store *model.Store) (*Audiences, error) {
	cache, err := lru.New[model.ConversationID, *model.Audience](audienceCapacity)
	if err != nil {
		return nil, fmt.Errorf("audience cache: %w", err)
	}
	return &Audiences{store: store, cache: cache}, nil
}

// Get answers the cached audience, or reads it.
func (a *Audiences) Get(ctx context.Context, id model.ConversationID) (*model.Audience, error) {
	if audience, ok := a.cache.Get(id); ok {
		return audience, nil
	}
	return a.Refresh(ctx, id)
}

// Refresh reads it.
func (a *Audiences) Refresh(ctx context.Context, id model.ConversationID) (*model.Audience, error) {
	audience, err := a.store.LoadAudience(ctx, id)
	if err != nil {
		return nil, err
	}
	a.Put(audience)
	return audience, nil
}

// large is the cached audience, perhaps an old one, of a conversation that is known to be a log, which
// it stays; else nil. It spares reading thousands of members for each of them who reads or writes.
func (a *Audiences) large(id model.ConversationID) *model.Audience {
	if audience, ok := a.cache.Get(id); ok && audience.Delivery == model.DeliveryLog {
		return audience
	}
	return nil
}

// Put remembers an audience.
func (a *Audiences) Put(audience *model.Audience) { a.cache.Add(audience.ConversationID, audience) }

type pair struct{ low, high model.UserID }

// Conversations are what members do with a conversation beside sending.
type Conversations struct {
	store     *model.Store
	ids       *IDs
	audiences *Audiences
	delivery  *Delivery
	clock     func() time.Time
	direct    *lru.Cache[pair, model.ConversationID]

	receiptsMax int // members up to which a group has receipts
}

// NewConversations wires the part.
func NewConversations(store *model.Store, ids *IDs, audiences *Audiences, delivery *Delivery, clock func() time.Time) (*Conversations, error) {
	direct, err := lru.New[pair, model.ConversationID](directCapacity)
	if err != nil {
		return nil, fmt.Errorf("direct conversation cache: %w", err)
	}
	return &Conversations{store: store, ids: ids, audiences: audiences, delivery: delivery, clock: clock, direct: direct, receiptsMax: math.MaxInt}, nil
}

// Direct is the conversation of two users, made on first use, for me to write into. An
// unknown user is CodeNotFound; one who takes no messages from strangers, of whom I am one,
// is CodeNotAccepting. Writing to oneself is a note to self.
func (c *Conversations) Direct(ctx context.Context, me, other model.UserID) (model.ConversationID, error) {
	return c.resolve(ctx, me, other, c.mayBegin)
}

// resolve answers a pair's conversation. While nothing has been said in it, begin decides
// whether it may be had, or made, and it is not cached.
func (c *Conversations) resolve(ctx context.Context, me, other model.UserID, begin func(ctx context.Context, me, other model.UserID) error) (model.ConversationID, error) {
	p := pair{min(me, other), max(me, other)}
	if id, ok := c.direct.Get(p); ok {
		return id, nil
	}
	conversation, err := c.store.DirectConversation(ctx, me, other)
	if err == nil && conversation.Head > 0 {
		c.direct.Add(p, conversation.ID)
		return conversation.ID, nil
	}
	if err != nil && model.CodeOf(err) != model.CodeNotFound {
		return 0, err
	}
	if err := begin(ctx, me, other); err != nil {
		return 0, err
	}
	if err != nil {
		id, idErr := c.ids.Next()
		if idErr != nil {
			return 0, idErr
		}
		conversation, err = c.store.EnsureDirect(ctx, model.ConversationID(id), me, other, model.MillisOf(c.clock()))
	}
	if err != nil {
		return 0, err
	}
	return conversation.ID, nil
}

// mayBegin is nil, or why me may not say the first word to other: CodeNotFound,
// CodeNotAccepting.
func (c *Conversations) mayBegin(ctx context.Context, me, other model.UserID) error {
	user, err := c.store.UserByID(ctx, other)
	if err != nil || me == other || user.DirectMessages != model.FromContacts {
		return err
	}
	shared, err := c.store.ShareGroup(ctx, me, other)
	if err == nil && !shared {
		err = model.NewError(model.CodeNotAccepting, "this user takes direct messages from contacts only")
	}
	return err
}

// exists is CodeNotFound for an unknown user.
func (c *Conversations) exists(ctx context.Context, _, user model.UserID) error {
	_, err := c.store.UserByID(ctx, user)
	return err
}

// Begin answers the audience of a direct conversation in which, as far as an older audience
// tells, nothing has been said yet; CodeNotAccepting when that is so and me may not begin.
func (c *Conversations) Begin(ctx context.Context, me model.UserID, old *model.Audience) (*model.Audience, error) {
	audience, err := c.audiences.Refresh(ctx, old.ConversationID)
	if err != nil || !audience.Empty || !slices.Contains(audience.Members, me) {
		return audience, err
	}
	for _, other := range audience.Members {
		if other != me {
			return audience, c.mayBegin(ctx, me, other)
		}
	}
	return audience, nil
}

// Forget drops what is cached of the conversation of two users, and answers whether
// something was.
func (c *Conversations) Forget(me, other model.UserID) bool {
	p := pair{min(me, other), max(me, other)}
	id, cached := c.direct.Peek(p)
	if cached {
		c.direct.Remove(p)
		c.audiences.cache.Remove(id)
	}
	return cached
}

// Forget drops everything that is cached: the database was restored or failed over.
func (a *Audiences) Forget() { a.cache.Purge() }

// ForgetAll drops everything that is cached, the audiences too.
func (c *Conversations) ForgetAll() {
	c.direct.Purge()
	c.audiences.Forget()
}

// SetBlock makes me refuse, or accept again, the direct messages of other. The pair's
// conversation is made if need be, so that its row lock decides between a block and a
// message that race.
func (c *Conversations) SetBlock(ctx context.Context, me, other model.UserID, blocked bool) error {
	if me == other {
		return model.Invalid("path.user_id", "you cannot block yourself", other)
	}
	id, err := c.resolve(ctx, me, other, c.exists)
	if err != nil {
		return err
	}
	return c.store.SetBlock(ctx, id, me, other, blocked, model.MillisOf(c.clock()))
}

// Get is one conversation as I see it; CodeNotFound when I am no member.
func (c *Conversations) Get(ctx context.Context, me model.UserID, id model.ConversationID) (*model.View, error) {
	list, err := c.store.Views(ctx, me, model.ListCursor{}, []model.ConversationID{id}, 1)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, model.NotFound("conversation")
	}
	list[0].Receipts = c.hasReceipts(&list[0].Conversation)
	return list[0], nil
}

// List is a page of my conversations, newest activity first.
func (c *Conversations) List(ctx context.Context, me model.UserID, cursor model.ListCursor, limit int) (list []*model.View, more bool, err error) {
	list, err = c.store.Views(ctx, me, cursor, nil, limit+1)
	if err != nil {
		return nil, false, err
	}
	if more = len(list) > limit; more {
		list = list[:limit]
	}
	for _, v := range list {
		v.Receipts = c.hasReceipts(&v.Conversation)
	}
	return list, more, nil
}

// History is a page of messages: ascending after a conversation_seq, descending
// before one, or the newest ones without either. Only what I may see (Member.SeesAfter).
func (c *Conversations) History(ctx context.Context, me model.UserID, id model.ConversationID, after, before *int64, limit int) (list []*model.Message, head int64, more bool, err error) {
	return c.history(ctx, me, id, after, 0, before, limit)
}

// HistoryFrom is History after a conversation_seq at which the caller holds a message. CodePositionLost when the conversation
// has another one there, or does not reach that far; what I may not see, or have deleted for myself, is not compared.
func (c *Conversations) HistoryFrom(ctx context.Context, me model.UserID, id model.ConversationID, after int64, afterID model.MessageID, limit int) (list []*model.Message, head int64, more bool, err error) {
	return c.history(ctx, me, id, &after, afterID, nil, limit)
}

func (c *Conversations) history(ctx context.Context, me model.UserID, id model.ConversationID, after *int64, afterID model.MessageID, before *int64, limit int) (list []*model.Message, head int64, more bool, err error) {
	conversation, err := c.store.ConversationByID(ctx, id)
	if err != nil {
		return nil, 0, false, err
	}
	// After the head that is shown up to: who still belongs then has left at none of it.
	member, err := c.store.MemberOf(ctx, id, me)
	if err != nil {
		return nil, 0, false, err
	}
	if conversation.DissolvedAt != 0 {
		return nil, 0, false, model.NotFound("conversation")
	}
	from, to, ascending := member.SeesAfter(conversation), int64(0), after != nil
	if after != nil {
		from = max(from, *after)
	}
	if before != nil {
		to = max(*before, 1)
	}
	lost := func(detail string) error {
		return &model.Error{Code: model.CodePositionLost, Detail: detail, Head: conversation.Head, Floor: 1}
	}
	if afterID != 0 && *after > conversation.Head {
		return nil, 0, false, lost("the conversation does not reach that far")
	}
	compared := afterID != 0 && from == *after && from > 0
	if compared { // in the statement that reads the page: both are of one database
		from--
		limit++
	}
	list, err = c.store.HistoryFor(ctx, me, id, from, to, conversation.Head, ascending, limit+1)
	if err != nil {
		return nil, 0, false, err
	}
	if compared {
		limit--
		if len(list) > 0 && list[0].ConversationSeq == *after {
			if list[0].ID != afterID {
				return nil, 0, false, lost("the conversation has another message there")
			}
			list = list[1:]
		}
	}
	if more = len(list) > limit; more {
		list = list[:limit]
	}
	return list, conversation.Head, more, nil
}

// visible is a message that I may see, in its conversation; else CodeNotFound.
func (c *Conversations) visible(ctx context.Context, me model.UserID, id model.MessageID) (*model.Message, *model.Conversation, error) {
	message, err := c.store.MessageByID(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	conversation, err := c.store.ConversationByID(ctx, message.ConversationID)
	if err != nil {
		return nil, nil, err
	}
	member, err := c.store.MemberOf(ctx, message.ConversationID, me)
	switch {
	case err != nil && model.CodeOf(err) != model.CodeNotFound:
		return nil, nil, err
	case err != nil, conversation.DissolvedAt != 0, message.ConversationSeq <= member.SeesAfter(conversation):
		return nil, nil, model.NotFound("message")
	}
	return message, conversation, nil
}

// Prefer sets what is mine about a conversation and tells my other devices.
func (c *Conversations) Prefer(ctx context.Context, me model.UserID, id model.ConversationID, p model.Preferences) (*model.View, error) {
	if err := c.store.SetPreferences(ctx, id, me, p); err != nil {
		return nil, err
	}
	c.delivery.Notify([]model.UserID{me}, encodeFrame(ConversationEvent{Type: "conversation", Event: "updated", ConversationID: id}))
	return c.Get(ctx, me, id)
}

// Typing tells the others that I am writing, and keeps nothing. In a log conversation it
// tells nobody: a large group does not want to know.
func (c *Conversations) Typing(ctx context.Context, me model.UserID, id model.ConversationID) error {
	if large := c.audiences.large(id); large != nil && large.MaySend(me, model.MillisOf(c.clock())) == nil {
		return nil
	}
	audience, err := c.audiences.Refresh(ctx, id)
	if err != nil {
		return err
	}
	if err := audience.MaySend(me, model.MillisOf(c.clock())); err != nil {
		return err
	}
	if audience.Delivery == model.DeliveryLog {
		return nil
	}
	others := slices.DeleteFunc(slices.Clone(audience.Members), func(u model.UserID) bool { return u == me })
	c.delivery.Notify(others, encodeFrame(Typing{Type: "typing", ConversationID: id, UserID: me}))
	return nil
}

// Read moves my read position forward and tells the others, and my other devices.
func (c *Conversations) Read(ctx context.Context, me model.UserID, id model.ConversationID, upTo int64) (int64, error) {
	before, readSeq, err := c.store.RaiseRead(ctx, id, me, upTo)
	if err != nil || readSeq == before {
		return readSeq, err
	}
	c.delivery.tellMember(trace.Read, id, me, before, readSeq)
	audience := c.audiences.large(id)
	if audience == nil {
		if audience, err = c.audiences.Refresh(ctx, id); err != nil { // who left must not hear of it
			return readSeq, err
		}
	}
	hear := audience.Members
	if audience.Delivery == model.DeliveryLog || (audience.Kind == model.Group && len(audience.Members) > c.receiptsMax) { // large: only my other devices
		hear = []model.UserID{me}
	}
	c.delivery.Notify(hear, encodeFrame(Receipt{Type: "receipt", Kind: "read", ConversationID: id, UserID: me, UpTo: readSeq, At: model.MillisOf(c.clock())}))
	return readSeq, nil
}
