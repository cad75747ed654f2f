package model

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"gorm.io/gorm/clause"
)

// Announcements are one log conversation of everybody, without rows in members: each account
// belongs to it from its beginning on. The ids are fixed, and below all that the id service gives:
// code tells the conversation by its id, and asks nothing.
const (
	Everyone ConversationID = 1
	System   UserID         = 1 // who writes there; no account is named like it, and none logs in as it
)

const (
	systemName       = "@system" // no ValidUsername
	systemDisplay    = "System"
	announcementName = "Announcements"
)

// OpenAnnouncements makes the conversation of everybody and who writes there, unless they
// are there.
func (s *Store) OpenAnnouncements(ctx context.Context, now Millis) error {
	return s.Tx(ctx, func(tx *Store) error {
		if err := tx.EnsureSystem(ctx, now); err != nil {
			return err
		}
		insert := "INSERT INTO conversations (id, kind, name, owner_id, delivery, members_version, mute_all, created_at, updated_at) VALUES (?,?,?,?,?,?,?,?,?)"
		if tx.dialect == SQLite {
			insert += " ON CONFLICT (id) DO NOTHING"
		} else {
			insert += " ON DUPLICATE KEY UPDATE id = id"
		}
		if err := tx.write(ctx).Exec(insert, Everyone, Group, announcementName, System, DeliveryLog, 1, true, now, now).Error; err != nil {
			return fmt.Errorf("insert the conversation of everybody: %w", err)
		}
		return nil
	})
}

// EnsureSystem makes the account in whose name the operators act, unless it is there.
func (s *Store) EnsureSystem(ctx context.Context, now Millis) error {
	system := &User{ID: System, Username: systemName, DisplayName: systemDisplay, Role: RoleUser, DirectMessages: FromContacts, CreatedAt: now} // it shares no group: nobody writes to it
	if err := s.write(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(system).Error; err != nil {
		return fmt.Errorf("insert the system's account: %w", err)
	}
	return nil
}

// beginAnnouncements makes a new account's part in them begin here. Without a row, as where nothing
// was ever announced, it begins at the first.
func (s *Store) beginAnnouncements(ctx context.Context, user UserID) error {
	if err := s.write(ctx).Exec("INSERT INTO announcement_readers (user_id, joined_seq, read_seq) SELECT ?, head, head FROM conversations WHERE id = ? AND head > 0", user, Everyone).Error; err != nil {
		return fmt.Errorf("begin announcements: %w", err)
	}
	return nil
}

// readers joins a user's own part (the argument) to the conversation of everybody, c; there is
// nothing to find before the first announcement.
const readers = " FROM conversations c LEFT JOIN announcement_readers e ON e.user_id = ?"

// readerColumns are memberColumns of a user's part in the announcements.
const readerColumns = "c.id, 0, 'member', COALESCE(e.joined_seq, 0), 0, COALESCE(e.read_seq, 0), COALESCE(e.read_seq, 0), COALESCE(e.muted, 0) <> 0, COALESCE(e.pinned, 0) <> 0, c.created_at"

// readerOf is MemberOf in the conversation of everybody.
func (s *Store) readerOf(ctx context.Context, user UserID) (*Member, error) {
	m := new(Member)
	err := s.read(ctx).Raw("SELECT "+readerColumns+readers+" WHERE c.id = ?", user, Everyone).Row().Scan(m.targets()...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, NotFound("conversation")
	}
	if err != nil {
		return nil, fmt.Errorf("read part in announcements: %w", err)
	}
	m.UserID = user
	return m, nil
}

// readerView is the conversation of everybody as one user sees it, still without what fillView
// adds; nil where there is nothing for the user. In a list (listed) it is only when something was announced since they
// came and, where they have hidden it, since then; and only after the cursor.
func (s *Store) readerView(ctx context.Context, user UserID, listed bool, cursor ListCursor) (*View, error) {
	v := new(View)
	var hidden int64
	err := s.read(ctx).Raw("SELECT "+conversationColumns+", "+readerColumns+", COALESCE(e.hidden_seq, 0)"+readers+" WHERE c.id = ?", user, Everyone).Row().
		Scan(append(append(v.Conversation.targets(), v.Member.targets()...), &hidden)...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // nothing was ever announced
	}
	if err != nil {
		return nil, fmt.Errorf("read announcements: %w", err)
	}
	v.UserID = user
	if listed && (v.Head <= v.JoinedSeq || (hidden != 0 && v.Head <= hidden) || !cursor.before(&v.Conversation)) {
		return nil, nil //nolint:nilnil // not in the list
	}
	return v, nil
}

// before says whether the conversation is in the list after the cursor.
func (l ListCursor) before(c *Conversation) bool {
	return l.ID == 0 || c.UpdatedAt < l.UpdatedAt || (c.UpdatedAt == l.UpdatedAt && c.ID < l.ID)
}

// changeReader writes columns of a user's part in the announcements; set is what happens to a row that is there.
func (s *Store) changeReader(ctx context.Context, user UserID, columns, values, set string, args ...any) error {
	onDuplicate := " ON DUPLICATE KEY UPDATE "
	if s.dialect == SQLite {
		onDuplicate = " ON CONFLICT (user_id) DO UPDATE SET "
	}
	if err := s.write(ctx).Exec("INSERT INTO announcement_readers (user_id, "+columns+") VALUES (?, "+values+")"+onDuplicate+set, append([]any{user}, args...)...).Error; err != nil {
		return fmt.Errorf("write part in announcements: %w", err)
	}
	return nil
}

// preferReader is SetPreferences in the conversation of everybody.
func (s *Store) preferReader(ctx context.Context, user UserID, p Preferences) error {
	c, err := s.ConversationByID(ctx, Everyone)
	if err != nil {
		return err
	}
	var hidden *int64
	if p.Hidden != nil {
		hidden = new(int64)
		if *p.Hidden {
			*hidden = c.Head
		}
	}
	for column, value := range map[string]*int64{"muted": flag(p.Muted), "pinned": flag(p.Pinned), "hidden_seq": hidden} {
		if value == nil {
			continue
		}
		if err := s.changeReader(ctx, user, column, "?", column+" = ?", *value, *value); err != nil {
			return err
		}
	}
	return nil
}

// flag is how the database keeps a bool.
func flag(b *bool) *int64 {
	if b == nil {
		return nil
	}
	n := new(int64)
	if *b {
		*n = 1
	}
	return n
}

// raiseReader is RaiseRead in the conversation of everybody.
func (s *Store) raiseReader(ctx context.Context, user UserID, upTo int64) (before, readSeq int64, err error) {
	me, err := s.readerOf(ctx, user)
	if err != nil {
		return 0, 0, err
	}
	c, err := s.ConversationByID(ctx, Everyone)
	if err != nil {
		return 0, 0, err
	}
	readSeq = max(me.ReadSeq, min(upTo, c.Head))
	if readSeq == me.ReadSeq {
		return readSeq, readSeq, nil
	}
	greatest := "GREATEST"
	if s.dialect == SQLite {
		greatest = "MAX"
	}
	return me.ReadSeq, readSeq, s.changeReader(ctx, user, "read_seq", "?", "read_seq = "+greatest+"(announcement_readers.read_seq, ?)", readSeq, readSeq)
}

// readReaderHead reads the head of the announcements for users, all of whom belong.
func readReaderHead(users []MemberKey, heads map[MemberKey]int64) *step {
	q := newStep("read the head of the announcements", "SELECT head FROM conversations WHERE id = ", 64).number(int64(Everyone))
	q.scan = func(r *sql.Rows) error {
		var head int64
		err := r.Scan(&head)
		for _, key := range users {
			heads[key] = head
		}
		return err
	}
	return q
}

// Announcements lists what was announced, newest first, before a conversation_seq (0: from the newest), without the
// recalls themselves.
func (s *Store) Announcements(ctx context.Context, before int64, limit int) ([]*Message, error) {
	query, args := "SELECT "+messageColumns+" FROM messages m WHERE m.conversation_id = ? AND m.type <> ?", []any{Everyone, TypeRecall}
	if before > 0 {
		query, args = query+" AND m.conversation_seq < ?", append(args, before)
	}
	rows, err := s.read(ctx).Raw(query+" ORDER BY m.conversation_seq DESC LIMIT ?", append(args, limit)...).Rows()
	if err != nil {
		return nil, fmt.Errorf("read announcements: %w", err)
	}
	return scanAll(rows, scanMessage)
}
