package service

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"ackbox/model"
)

// Bounds of groups.
const (
	MaxGroupName  = 64  // characters
	MaxMembersAdd = 500 // in one call

	MaxAnnouncement = 2_000                // characters
	MaxMute         = 365 * 24 * time.Hour // of one member
)

// Groups is what people do with a group. Every change is decided under the group's row lock,
// has its place in the order as a notice, and tells the members with a conversation frame.
type Groups struct {
	store         *model.Store
	ids           *IDs
	writer        *Writer
	conversations *Conversations
	delivery      *Delivery
	mailboxLimit  int // members up to which messages are copied into mailboxes
	maxMembers    int
	clock         func() time.Time
}

// NewGroups wires the part.
func NewGroups(store *model.Store, ids *IDs, writer *Writer, conversations *Conversations, delivery *Delivery, mailboxLimit, maxMembers int, clock func() time.Time) *Groups {
	return &Groups{store: store, ids: ids, writer: writer, conversations: conversations, delivery: delivery, mailboxLimit: mailboxLimit, maxMembers: maxMembers, clock: clock}
}

// notice is the body of a notice: what happened, and to whom. Its sender_id is who did it.
type notice struct {
	Event   string         `json:"event"`
	UserIDs []model.UserID `json:"user_ids,omitempty"`
	Name    string         `json:"name,omitempty"`
	Role    string         `json:"role,omitempty"`
	History string         `json:"history,omitempty"`
}

func (n notice) body() model.JSON {
	text, err := json.Marshal(n)
	if err != nil {
		panic("a notice that cannot be encoded: " + err.Error()) // a field type was changed
	}
	return model.JSON(text)
}

// Create makes a group of its owner and some members, at most MaxMembersAdd. A key (1 to 64
// visible ASCII characters, "" for none) makes it happen once: the same key and content again
// answers the first group, and repeated. Errors: CodeValidation; CodeNotFound when a user does not exist;
// CodeNotAccepting; CodeKeyReused.
func (g *Groups) Create(ctx context.Context, owner model.UserID, key, name string, users []model.UserID) (group *model.View, again bool, err error) {
	if key != "" && !model.ValidClientMsgID(key) {
		return nil, false, model.Invalid("header.Idempotency-Key", "want 1 to 64 visible ASCII characters, such as a UUID", key)
	}
	if err := checkGroupName(name); err != nil {
		return nil, false, err
	}
	if users, err = g.others(ctx, owner, users); err != nil {
		return nil, false, err
	}
	if err := g.checkSize(len(users) + 1); err != nil {
		return nil, false, err
	}
	raw, err := g.ids.Next()
	if err != nil {
		return nil, false, err
	}
	now := model.MillisOf(g.clock())
	c := &model.Conversation{ID: model.ConversationID(raw), Kind: model.Group, Name: strings.TrimSpace(name), OwnerID: owner, Delivery: model.DeliveryMailbox, CreatedAt: now}
	n := &notice{Event: "group_created", UserIDs: users, Name: c.Name}
	msg := &model.Message{ConversationID: c.ID, SenderID: owner, ClientMsgID: key, Type: model.TypeNotice, Body: n.body(), Ext: "{}"}
	hash := sha256.Sum256([]byte(msg.Body))
	done, err := g.writer.Found(ctx, msg, hash[:16], func(tx *model.Store) error {
		return tx.InsertGroup(ctx, c)
	}, func(tx *model.Store, c *model.Conversation) error {
		if err := mayBring(ctx, tx, owner, users); err != nil {
			return err
		}
		if err := tx.PutMembers(ctx, c.ID, []model.UserID{owner}, model.RoleOwner, 0, now); err != nil {
			return err
		}
		if err := tx.PutMembers(ctx, c.ID, users, model.RoleGroupMember, c.Head-1, now); err != nil {
			return err
		}
		c.MemberCount = int64(len(users)) + 1
		return g.resize(ctx, tx, c, users)
	})
	var earlier repeated
	switch {
	case errors.As(err, &earlier):
		first, err := g.store.MessageByID(ctx, earlier.first)
		if err != nil {
			return nil, false, err
		}
		group, err = g.conversations.Get(ctx, owner, first.ConversationID)
		return group, true, err
	case err != nil:
		return nil, false, err
	}
	g.tell(done)
	group, err = g.conversations.Get(ctx, owner, c.ID)
	return group, false, err
}

// tell sends a change's conversation frame to the members.
func (g *Groups) tell(done Committed) {
	g.delivery.Notify(done.Audience.Members, encodeFrame(ConversationEvent{Type: "conversation", Event: "updated", ConversationID: done.Audience.ConversationID}))
}

// resize writes a group whose members changed (fresh joined), and switches it to the log when it has
// outgrown the mailboxes: at this conversation_seq, for good.
func (g *Groups) resize(ctx context.Context, tx *model.Store, c *model.Conversation, fresh []model.UserID) error {
	c.MembersVersion++
	pin := fresh
	if c.MemberCount > int64(g.mailboxLimit) && c.Delivery == model.DeliveryMailbox {
		c.Delivery = model.DeliveryLog
		audience, err := tx.LoadAudience(ctx, c.ID)
		if err != nil {
			return err
		}
		pin = audience.Members
	}
	if c.Delivery == model.DeliveryLog {
		// Each device has what was before this notice from its mailbox, or may not see it.
		if err := tx.PinLogPositions(ctx, c.ID, pin, c.Head-1); err != nil {
			return err
		}
	}
	return tx.UpdateGroup(ctx, c)
}

// others are the distinct users beside me, all of whom must exist.
func (g *Groups) others(ctx context.Context, me model.UserID, users []model.UserID) ([]model.UserID, error) {
	users = slices.Clone(users)
	slices.Sort(users)
	users = slices.DeleteFunc(slices.Compact(users), func(u model.UserID) bool { return u == me })
	if len(users) > MaxMembersAdd {
		return nil, model.Invalid("body.member_ids", fmt.Sprintf("are more than %d", MaxMembersAdd), len(users))
	}
	known, err := g.store.KnownUsers(ctx, users)
	if err != nil {
		return nil, err
	}
	if len(known) != len(users) {
		return nil, model.NotFound("user")
	}
	return users, nil
}

// mayBring is CodeNotAccepting when one of the users does not let me bring them into a group: a group
// would be a way around their taking messages from contacts only.
func mayBring(ctx context.Context, tx *model.Store, me model.UserID, users []model.UserID) error {
	unwilling, err := tx.Unwilling(ctx, me, users)
	if err == nil && len(unwilling) > 0 {
		err = model.NewError(model.CodeNotAccepting, "user %s does not let you bring them into a group", unwilling[0])
	}
	return err
}

func (g *Groups) checkSize(n int) error {
	if n > g.maxMembers {
		return model.Invalid("body.member_ids", fmt.Sprintf("a group has at most %d members", g.maxMembers), n)
	}
	return nil
}

func checkGroupName(name string) error {
	if n := utf8.RuneCountInString(name); n > MaxGroupName || blank(name) {
		return model.Invalid("body.name", fmt.Sprintf("want 1 to %d characters, not blank", MaxGroupName), name)
	}
	return nil
}

// change does something to a group that a member asked for. do gets the member's role,
// under the lock. The operators (model.System) are in no group, and do what its owner may.
func (g *Groups) change(ctx context.Context, me model.UserID, id model.ConversationID, n *notice, do func(tx *model.Store, c *model.Conversation, role string) error) (Committed, error) {
	return g.changeAfter(ctx, me, id, n, func(*model.Store) error { return nil }, do)
}

// changeAfter is change, with what the transaction does before it has the lock.
func (g *Groups) changeAfter(ctx context.Context, me model.UserID, id model.ConversationID, n *notice, first func(tx *model.Store) error, do func(tx *model.Store, c *model.Conversation, role string) error) (Committed, error) {
	msg := &model.Message{ConversationID: id, SenderID: me, Type: model.TypeNotice, Body: n.body(), Ext: "{}"}
	inside := false
	done, err := g.writer.change(ctx, msg, first, func(tx *model.Store, c *model.Conversation) error {
		roles, err := tx.ActiveMembers(ctx, id, []model.UserID{me})
		if err != nil {
			return err
		}
		role, member := roles[me]
		if me == model.System && id != model.Everyone {
			role, member = model.RoleOwner, true
		}
		if !member || c.Kind != model.Group || c.DissolvedAt != 0 {
			return model.NotFound("group")
		}
		inside = true
		if err := do(tx, c, role); err != nil {
			return err
		}
		msg.Body = n.body() // do may have filled it in
		return nil
	})
	if !inside && model.CodeOf(err) == model.CodeNotFound { // in the same words, whether there is such a conversation or not
		return done, model.NotFound("group")
	}
	if err != nil {
		return done, err
	}
	g.tell(done)
	return done, nil
}

func forbidden(what string) error {
	return model.NewError(model.CodeForbidden, "only the group's owner and admins %s", what)
}

// GroupChange is what Update does; nil leaves a field as it is.
type GroupChange struct {
	Name         *string
	AvatarURL    *string
	Announcement *string // at most MaxAnnouncement characters
	MuteAll      *bool   // only the owner and admins may write
	History      *string // what who joined later sees: HistoryJoined or HistoryAll
}

// Update changes a group's own fields, by its owner and admins.
func (g *Groups) Update(ctx context.Context, me model.UserID, id model.ConversationID, u GroupChange) (*model.View, error) {
	name, avatarURL := u.Name, u.AvatarURL
	if u.Announcement != nil && utf8.RuneCountInString(*u.Announcement) > MaxAnnouncement {
		return nil, model.Invalid("body.announcement", fmt.Sprintf("is longer than %d characters", MaxAnnouncement), nil)
	}
	if name != nil {
		if err := checkGroupName(*name); err != nil {
			return nil, err
		}
	}
	if avatarURL != nil {
		if err := checkAvatarURL(*avatarURL); err != nil {
			return nil, err
		}
	}
	if u.History != nil && *u.History != model.HistoryJoined && *u.History != model.HistoryAll {
		return nil, model.Invalid("body.history", "want joined or all", *u.History)
	}
	n := notice{Event: "group_updated"}
	if name != nil {
		n.Name = strings.TrimSpace(*name)
	}
	first := func(*model.Store) error { return nil }
	if avatarURL != nil {
		seen, err := g.Get(ctx, me, id)
		if err != nil {
			return nil, err
		}
		first = func(tx *model.Store) error { return tx.LockPictures(ctx, seen.AvatarURL, *avatarURL) }
	}
	_, err := g.changeAfter(ctx, me, id, &n, first, func(tx *model.Store, c *model.Conversation, role string) error {
		if role == model.RoleGroupMember {
			return forbidden("change it")
		}
		before := *c
		if name != nil {
			c.Name = n.Name
		}
		if avatarURL != nil {
			if err := tx.ReplacePicture(ctx, model.Picture{Group: id}, c.AvatarURL, *avatarURL, checkPicture(me), model.MillisOf(g.clock())); err != nil {
				return err
			}
			c.AvatarURL = *avatarURL
		}
		if u.Announcement != nil {
			c.Announcement = *u.Announcement
		}
		if u.MuteAll != nil {
			c.MuteAll = *u.MuteAll
		}
		if u.History != nil {
			c.History, n.History = *u.History, *u.History
		}
		if before == *c {
			return errNothing
		}
		if before.MuteAll != c.MuteAll {
			c.MembersVersion++ // who may write is decided with it
		}
		return tx.UpdateGroup(ctx, c)
	})
	if err != nil && !errors.Is(err, errNothing) {
		return nil, err
	}
	return g.Get(ctx, me, id)
}

// Get is a group as one of its members sees it.
func (g *Groups) Get(ctx context.Context, me model.UserID, id model.ConversationID) (*model.View, error) {
	v, err := g.conversations.Get(ctx, me, id)
	if (err == nil && v.Kind != model.Group) || model.CodeOf(err) == model.CodeNotFound {
		return nil, model.NotFound("group")
	}
	return v, err
}

// Dissolve ends a group; only its owner does. Its messages stay in the mailboxes. The answer is
// the group as it was, with the notice of its end as its last message.
func (g *Groups) Dissolve(ctx context.Context, me model.UserID, id model.ConversationID) (*model.View, error) {
	v, err := g.Get(ctx, me, id)
	if err != nil {
		return nil, err
	}
	last, err := g.dissolve(ctx, me, id)
	if err != nil {
		return nil, err
	}
	v.Head, v.Last, v.UpdatedAt = last.ConversationSeq, last, last.CreatedAt
	return v, nil
}

// dissolve answers the notice.
func (g *Groups) dissolve(ctx context.Context, me model.UserID, id model.ConversationID) (*model.Message, error) {
	done, err := g.change(ctx, me, id, &notice{Event: "group_dissolved"}, func(tx *model.Store, c *model.Conversation, role string) error {
		if role != model.RoleOwner {
			return model.NewError(model.CodeForbidden, "only the group's owner dissolves it")
		}
		c.DissolvedAt = model.MillisOf(g.clock())
		c.MembersVersion++
		return tx.UpdateGroup(ctx, c)
	})
	if err != nil {
		return nil, err
	}
	g.removed(done, done.Audience.Members)
	return done.Message, nil
}

// removed tells users that a change has taken them out.
func (g *Groups) removed(done Committed, users []model.UserID) {
	id := done.Message.ConversationID
	g.delivery.ForgetLog(users, id, done.Message.ConversationSeq)
	g.delivery.Notify(users, encodeFrame(ConversationEvent{Type: "conversation", Event: "removed", ConversationID: id}))
}

// Members is a page of a group's members by user id, after one.
func (g *Groups) Members(ctx context.Context, me model.UserID, id model.ConversationID, after model.UserID, limit int) (list []*model.Member, more bool, err error) {
	if _, err := g.Get(ctx, me, id); err != nil {
		return nil, false, err
	}
	if list, err = g.store.Members(ctx, id, after, limit+1); err != nil {
		return nil, false, err
	}
	if more = len(list) > limit; more {
		list = list[:limit]
	}
	return list, more, nil
}

// Add brings users in; those who belong already stay as they are. They see what comes from the
// notice on. CodeNotAccepting when one of them does not let me.
func (g *Groups) Add(ctx context.Context, me model.UserID, id model.ConversationID, users []model.UserID) error {
	users, err := g.others(ctx, me, users)
	if err != nil {
		return err
	}
	n := notice{Event: "members_added"}
	_, err = g.change(ctx, me, id, &n, func(tx *model.Store, c *model.Conversation, role string) error {
		if role == model.RoleGroupMember {
			return forbidden("add members")
		}
		if len(users) == 0 {
			return model.Invalid("body.member_ids", "names nobody else", nil)
		}
		present, err := tx.ActiveMembers(ctx, id, users)
		if err != nil {
			return err
		}
		fresh := slices.DeleteFunc(slices.Clone(users), func(u model.UserID) bool { _, here := present[u]; return here })
		if len(fresh) == 0 {
			return errNothing
		}
		if err := mayBring(ctx, tx, me, fresh); err != nil {
			return err
		}
		n.UserIDs = fresh
		if err := g.checkSize(int(c.MemberCount) + len(fresh)); err != nil {
			return err
		}
		if err := tx.PutMembers(ctx, id, fresh, model.RoleGroupMember, c.Head-1, model.MillisOf(g.clock())); err != nil {
			return err
		}
		c.MemberCount += int64(len(fresh))
		return g.resize(ctx, tx, c, fresh)
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}

// Remove takes a member out, or lets one leave (user is me). An owner who leaves hands
// the group to the oldest admin, else member; the last one's leaving dissolves it.
func (g *Groups) Remove(ctx context.Context, me model.UserID, id model.ConversationID, user model.UserID) error {
	event := "member_removed"
	if me == user {
		event = "member_left"
	}
	done, err := g.change(ctx, me, id, &notice{Event: event, UserIDs: []model.UserID{user}}, func(tx *model.Store, c *model.Conversation, role string) error {
		roles, err := tx.ActiveMembers(ctx, id, []model.UserID{user})
		if err != nil {
			return err
		}
		theirs, member := roles[user]
		switch {
		case !member:
			return model.NotFound("member")
		case me != user && me != model.System && (role == model.RoleGroupMember || theirs == model.RoleOwner || (role == model.RoleGroupAdmin && theirs == model.RoleGroupAdmin)):
			return model.NewError(model.CodeForbidden, "you may not remove this member")
		}
		if theirs == model.RoleOwner {
			if err := g.inherit(ctx, tx, c, user); err != nil {
				return err
			}
		}
		if err := tx.EndMember(ctx, id, user, max(1, c.Head-1)); err != nil {
			return err
		}
		c.MemberCount--
		return g.resize(ctx, tx, c, nil)
	})
	if err != nil {
		return err
	}
	g.removed(done, []model.UserID{user})
	return nil
}

func (g *Groups) inherit(ctx context.Context, tx *model.Store, c *model.Conversation, owner model.UserID) error {
	next, err := tx.Successor(ctx, c.ID, owner)
	if err != nil {
		return err
	}
	c.OwnerID = next
	if next == 0 {
		c.DissolvedAt = model.MillisOf(g.clock())
		return nil
	}
	return tx.SetMemberRole(ctx, c.ID, next, model.RoleOwner)
}

// Mute keeps a member from writing for a while, by the owner and admins; 0 ends it.
func (g *Groups) Mute(ctx context.Context, me model.UserID, id model.ConversationID, user model.UserID, d time.Duration) error {
	n := notice{Event: "member_muted", UserIDs: []model.UserID{user}}
	var until model.Millis
	if d > 0 {
		until = model.MillisOf(g.clock().Add(d))
	} else {
		n.Event = "member_unmuted"
	}
	_, err := g.change(ctx, me, id, &n, func(tx *model.Store, c *model.Conversation, role string) error {
		roles, err := tx.ActiveMembers(ctx, id, []model.UserID{user})
		if err != nil {
			return err
		}
		theirs, member := roles[user]
		switch {
		case role == model.RoleGroupMember:
			return forbidden("mute members")
		case !member:
			return model.NotFound("member")
		case theirs == model.RoleOwner || (theirs == model.RoleGroupAdmin && role != model.RoleOwner):
			return model.NewError(model.CodeForbidden, "you may not mute this member")
		}
		if err := tx.MuteMember(ctx, id, user, until); err != nil {
			return err
		}
		c.MembersVersion++
		return tx.UpdateGroup(ctx, c)
	})
	return err
}

// SetRole makes a member an admin or a plain member, or hands the group over; only its
// owner does.
func (g *Groups) SetRole(ctx context.Context, me model.UserID, id model.ConversationID, user model.UserID, role string) error {
	_, err := g.change(ctx, me, id, &notice{Event: "role_changed", UserIDs: []model.UserID{user}, Role: role}, func(tx *model.Store, c *model.Conversation, mine string) error {
		if mine != model.RoleOwner {
			return model.NewError(model.CodeForbidden, "only the group's owner gives roles")
		}
		roles, err := tx.ActiveMembers(ctx, id, []model.UserID{user})
		if err != nil {
			return err
		}
		before, member := roles[user]
		switch {
		case !member:
			return model.NotFound("member")
		case before == role:
			return errNothing
		case me == user:
			return model.NewError(model.CodeForbidden, "the owner hands the group over by making someone else owner")
		}
		if role == model.RoleOwner {
			c.OwnerID = user
			if err := tx.SetMemberRole(ctx, id, me, model.RoleGroupAdmin); err != nil {
				return err
			}
		}
		if err := tx.SetMemberRole(ctx, id, user, role); err != nil {
			return err
		}
		c.MembersVersion++
		return tx.UpdateGroup(ctx, c)
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}
