package model

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// Kind is direct (two people, for good) or group.
type Kind string

// Delivery says where a conversation's messages go: into each member's mailbox, or
// only into the conversation's own log, which members read by conversation_seq.
type Delivery string

// Kinds and deliveries.
const (
	Direct Kind = "direct"
	Group  Kind = "group"

	DeliveryMailbox Delivery = "mailbox"
	DeliveryLog     Delivery = "log"
)

// Who joined a group later sees what came after they joined, or everything.
const (
	HistoryJoined = "joined"
	HistoryAll    = "all"
)

// Conversation is one conversation's own row.
type Conversation struct {
	ID             ConversationID
	Kind           Kind
	Name           string
	AvatarURL      string
	Announcement   string
	MuteAll        bool   // only the owner and admins may write
	History        string // HistoryJoined or HistoryAll
	OwnerID        UserID
	Low, High      UserID // the pair of a direct conversation, 0 otherwise
	Delivery       Delivery
	Head           int64 // last conversation_seq given out
	MembersVersion int64 // rises with each join, leave, block and change of role
	MemberCount    int64
	DissolvedAt    Millis
	CreatedAt      Millis
	UpdatedAt      Millis
}

const conversationColumns = "c.id, c.kind, c.name, c.avatar_url, c.announcement, c.mute_all <> 0, c.history, c.owner_id, COALESCE(c.low_user_id, 0), COALESCE(c.high_user_id, 0), c.delivery, c.head, c.members_version, c.member_count, c.dissolved_at, c.created_at, c.updated_at"

func (c *Conversation) targets() []any {
	return []any{&c.ID, &c.Kind, &c.Name, &c.AvatarURL, &c.Announcement, &c.MuteAll, &c.History, &c.OwnerID, &c.Low, &c.High, &c.Delivery, &c.Head, &c.MembersVersion, &c.MemberCount, &c.DissolvedAt, &c.CreatedAt, &c.UpdatedAt}
}

// Peer is the other one of a direct conversation (oneself in a note to self).
func (c *Conversation) Peer(me UserID) UserID {
	if c.Low == me {
		return c.High
	}
	return c.Low
}

// Audience is who receives what is sent into a conversation at one MembersVersion,
// and who may send. It never changes: a new version is a new Audience.
type Audience struct {
	ConversationID ConversationID
	Kind           Kind
	Delivery       Delivery
	Version        int64
	Members        []UserID // active members, ascending
	Joined         []int64  // their joined_seqs: of what is not after it they are no audience
	Staff          []UserID // of a group that is muted: those who may write, ascending
	MuteAll        bool
	MutedUntil     map[UserID]Millis
	Dissolved      bool
	Empty          bool     // a direct conversation in which nothing had been said
	BlockedBy      []UserID // in a direct conversation: those who refuse the other's messages
}

// MaySend is nil, or why this user's message is refused: CodeNotFound for who is not a
// member, CodeBlocked for who is blocked by the peer, CodeMuted.
func (a *Audience) MaySend(user UserID, now Millis) error {
	if a.ConversationID == Everyone && user != System {
		return NewError(CodeMuted, "only the operators of this service write here")
	}
	if _, member := slices.BinarySearch(a.Members, user); !member || a.Dissolved {
		return NotFound("conversation")
	}
	for _, by := range a.BlockedBy {
		if by != user {
			return NewError(CodeBlocked, "this user does not accept your messages")
		}
	}
	if _, staff := slices.BinarySearch(a.Staff, user); a.MuteAll && !staff {
		return NewError(CodeMuted, "only the group's owner and admins may write")
	}
	if until := a.MutedUntil[user]; until > now {
		return NewError(CodeMuted, "you may not write in this group until %s", until.Time().Format(TimeFormat))
	}
	return nil
}

// ConversationHead is what a writer learns under the row lock.
type ConversationHead struct {
	ID             ConversationID
	Head           int64
	MembersVersion int64
}

// ConversationCount is a number of messages for a conversation.
type ConversationCount struct {
	ID    ConversationID
	Count int64
}

// AdvanceConversations takes Count conversation_seqs in each conversation and
// answers the new heads with the version of the members that they hold for. The list must be
// sorted by id; the rows stay locked until the transaction ends. A conversation that does
// not exist is CodeNotFound, and the transaction must not be committed then.
func (s *Store) AdvanceConversations(ctx context.Context, list []ConversationCount, now Millis) (heads map[ConversationID]ConversationHead, err error) {
	heads = make(map[ConversationID]ConversationHead, len(list))
	return heads, s.run(ctx, s.advanceConversations(list, now, heads)...)
}

func (s *Store) advanceConversations(list []ConversationCount, now Millis, heads map[ConversationID]ConversationHead) (steps []*step) {
	onDuplicate := " ON DUPLICATE KEY UPDATE head = head + VALUES(head), updated_at = VALUES(updated_at)"
	if s.dialect == SQLite {
		onDuplicate = " ON CONFLICT (id) DO UPDATE SET head = head + excluded.head, updated_at = excluded.updated_at"
	}
	for part := range slices.Chunk(list, s.rows(rowsPerStatement)) {
		ids := make([]ConversationID, 0, len(part))
		advance := newStep("advance conversation heads", "INSERT INTO conversations (id, head, updated_at) VALUES ", 48*len(part))
		for _, c := range part {
			advance.row(int64(c.ID), c.Count, int64(now))
			ids = append(ids, c.ID)
		}
		read := numbers(newStep("read conversation heads", "SELECT id, head, members_version, kind FROM conversations WHERE id IN (", 20*len(part)), ids).add(")")
		read.scan = func(r *sql.Rows) error {
			var h ConversationHead
			var kind Kind
			err := r.Scan(&h.ID, &h.Head, &h.MembersVersion, &kind)
			if err == nil && kind == "" { // the upsert made a row: there was none
				err = NotFound("conversation")
			}
			heads[h.ID] = h
			return err
		}
		steps = append(steps, advance.add(onDuplicate), read)
	}
	return steps
}

// LoadAudience reads a conversation's audience. In a transaction that holds the
// conversation's lock it is exact; outside, its Version tells later whether it still
// is. An unknown conversation is CodeNotFound.
func (s *Store) LoadAudience(ctx context.Context, id ConversationID) (*Audience, error) {
	// The version is read first: members that change after it make it stale, never wrong.
	c, err := s.ConversationByID(ctx, id)
	if err != nil {
		return nil, err
	}
	a := &Audience{ConversationID: id, Kind: c.Kind, Delivery: c.Delivery, Version: c.MembersVersion, Dissolved: c.DissolvedAt != 0, Empty: c.Kind == Direct && c.Head == 0, MuteAll: c.MuteAll}
	if id == Everyone { // its messages go to every session, and nobody counts who belongs
		a.Members, a.Joined, a.Staff = []UserID{System}, []int64{0}, []UserID{System}
		return a, nil
	}
	rows, err := s.read(ctx).Raw("SELECT user_id, joined_seq, role, muted_until FROM members WHERE conversation_id = ? AND left_seq = 0 ORDER BY user_id", id).Rows()
	if err != nil {
		return nil, fmt.Errorf("read members: %w", err)
	}
	if a.Members, err = scanAll(rows, func(r *sql.Rows) (u UserID, err error) {
		var role string
		var joined int64
		var until Millis
		err = r.Scan(&u, &joined, &role, &until)
		a.Joined = append(a.Joined, joined)
		if until != 0 {
			if a.MutedUntil == nil {
				a.MutedUntil = map[UserID]Millis{}
			}
			a.MutedUntil[u] = until
		}
		if a.MuteAll && role != RoleGroupMember {
			a.Staff = append(a.Staff, u)
		}
		return u, err
	}); err != nil {
		return nil, err
	}
	if c.Kind == Direct && c.Low != c.High {
		rows, err := s.read(ctx).Raw("SELECT user_id FROM blocks WHERE (user_id = ? AND blocked_id = ?) OR (user_id = ? AND blocked_id = ?)", c.Low, c.High, c.High, c.Low).Rows()
		if err != nil {
			return nil, fmt.Errorf("read blocks: %w", err)
		}
		if a.BlockedBy, err = scanAll(rows, func(r *sql.Rows) (u UserID, err error) {
			err = r.Scan(&u)
			return u, err
		}); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// ConversationByID is one conversation, or CodeNotFound.
func (s *Store) ConversationByID(ctx context.Context, id ConversationID) (*Conversation, error) {
	return s.conversation(ctx, "c.id = ?", id)
}

// DirectConversation is the conversation of a pair, or CodeNotFound.
func (s *Store) DirectConversation(ctx context.Context, a, b UserID) (*Conversation, error) {
	return s.conversation(ctx, "c.low_user_id = ? AND c.high_user_id = ?", min(a, b), max(a, b))
}

func (s *Store) conversation(ctx context.Context, where string, args ...any) (*Conversation, error) {
	c := new(Conversation)
	err := s.read(ctx).Raw("SELECT "+conversationColumns+" FROM conversations c WHERE "+where, args...).Row().Scan(c.targets()...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, NotFound("conversation")
	}
	if err != nil {
		return nil, fmt.Errorf("read conversation: %w", err)
	}
	return c, nil
}

// EnsureDirect makes the conversation of a pair, with the given id, unless there is
// one; two that race get the same. Both users must exist.
func (s *Store) EnsureDirect(ctx context.Context, id ConversationID, a, b UserID, now Millis) (c *Conversation, err error) {
	err = s.Tx(ctx, func(tx *Store) error {
		insert := "INSERT INTO conversations (id, kind, low_user_id, high_user_id, delivery, members_version, member_count, created_at, updated_at) VALUES (?,?,?,?,?,?,?,?,?)"
		if tx.dialect == SQLite {
			insert += " ON CONFLICT (low_user_id, high_user_id) DO NOTHING"
		} else {
			insert += " ON DUPLICATE KEY UPDATE id = id"
		}
		low, high := min(a, b), max(a, b)
		users := slices.Compact([]UserID{low, high})
		if err := tx.write(ctx).Exec(insert, id, Direct, low, high, DeliveryMailbox, 1, len(users), now, now).Error; err != nil {
			return fmt.Errorf("insert direct conversation: %w", err)
		}
		if c, err = tx.DirectConversation(ctx, low, high); err != nil {
			return err
		}
		if c.ID != id {
			return nil // the other of two first messages was earlier
		}
		for _, user := range users {
			if err := tx.write(ctx).Exec("INSERT INTO members (conversation_id, user_id, role, joined_seq, joined_at) VALUES (?,?,?,?,?)", id, user, "member", 0, now).Error; err != nil {
				return fmt.Errorf("insert member: %w", err)
			}
		}
		return nil
	})
	return c, err
}

// SetBlock makes user refuse, or accept again, the direct messages of other. It is
// decided under the lock of the pair's conversation, so a message is either
// before the block in the order or refused.
func (s *Store) SetBlock(ctx context.Context, id ConversationID, user, other UserID, blocked bool, now Millis) error {
	return s.Tx(ctx, func(tx *Store) error {
		if err := tx.write(ctx).Exec("UPDATE conversations SET members_version = members_version + 1 WHERE id = ?", id).Error; err != nil {
			return fmt.Errorf("lock conversation: %w", err)
		}
		if err := tx.write(ctx).Exec("DELETE FROM blocks WHERE user_id = ? AND blocked_id = ?", user, other).Error; err != nil {
			return fmt.Errorf("delete block: %w", err)
		}
		if !blocked {
			return nil
		}
		if err := tx.write(ctx).Exec("INSERT INTO blocks (user_id, blocked_id, created_at) VALUES (?,?,?)", user, other, now).Error; err != nil {
			return fmt.Errorf("insert block: %w", err)
		}
		return nil
	})
}
