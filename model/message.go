package model

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// MessageType says what a body means.
type MessageType string

// The types. Recall and Notice are written by the server only.
const (
	TypeText     MessageType = "text"
	TypeImage    MessageType = "image"
	TypeFile     MessageType = "file"
	TypeAudio    MessageType = "audio"
	TypeVideo    MessageType = "video"
	TypeLocation MessageType = "location"
	TypeEmoji    MessageType = "emoji"
	TypeCard     MessageType = "card"
	TypeCustom   MessageType = "custom"
	TypeRecall   MessageType = "recall"
	TypeNotice   MessageType = "notice"
)

// Message is one message of a conversation. (ConversationID, ConversationSeq) is its
// place in the one order; ID names it everywhere else.
type Message struct {
	ID              MessageID      `json:"message_id"`
	ConversationID  ConversationID `json:"conversation_id"`
	ConversationSeq int64          `json:"conversation_seq"`
	SenderID        UserID         `json:"sender_id"`
	ClientMsgID     string         `json:"client_msg_id"`
	Type            MessageType    `json:"type"`
	Body            JSON           `json:"body"`
	Ext             JSON           `json:"ext"`
	ReplyTo         MessageID      `json:"reply_to"`
	CreatedAt       Millis         `json:"created_at"`
	RecalledAt      Millis         `json:"recalled_at"`
	Mentions        Mentions       `json:"mentions,omitempty"`
	Quote           *Quote         `json:"quote,omitempty"`          // of what ReplyTo names; not kept, FillQuotes reads it
	DeletedForMe    bool           `json:"deleted_for_me,omitempty"` // by the user whose mailbox was read: without content
	SenderSeq       int64          `json:"-"`                        // its seq in the sender's own mailbox; 0 in a log conversation
}

// AppendJSON appends the message as the contract shows it. It is written by hand
// because it runs once for every message and its bytes are shared by the answer
// and by every push.
func (m *Message) AppendJSON(b []byte) []byte {
	b = append(b, `{"message_id":"`...)
	b = strconv.AppendInt(b, int64(m.ID), 10)
	b = append(b, `","conversation_id":"`...)
	b = strconv.AppendInt(b, int64(m.ConversationID), 10)
	b = append(b, `","conversation_seq":`...)
	b = strconv.AppendInt(b, m.ConversationSeq, 10)
	b = append(b, `,"sender_id":"`...)
	b = strconv.AppendInt(b, int64(m.SenderID), 10)
	b = append(b, `","client_msg_id":`...)
	b = appendString(b, m.ClientMsgID)
	b = append(b, `,"type":`...)
	b = appendString(b, string(m.Type))
	b = append(b, `,"body":`...)
	b = appendObject(b, m.Body)
	b = append(b, `,"ext":`...)
	b = appendObject(b, m.Ext)
	if m.ReplyTo == 0 {
		b = append(b, `,"reply_to":null`...)
	} else {
		b = append(b, `,"reply_to":"`...)
		b = strconv.AppendInt(b, int64(m.ReplyTo), 10)
		b = append(b, '"')
	}
	b = append(b, `,"created_at":"`...)
	b = m.CreatedAt.Time().AppendFormat(b, TimeFormat)
	b = append(b, '"')
	if m.RecalledAt == 0 {
		b = append(b, `,"recalled_at":null`...)
	} else {
		b = append(b, `,"recalled_at":"`...)
		b = m.RecalledAt.Time().AppendFormat(b, TimeFormat)
		b = append(b, '"')
	}
	if m.DeletedForMe {
		b = append(b, `,"deleted_for_me":true`...)
	}
	if len(m.Mentions) > 0 {
		b = append(b, `,"mentions":`...)
		b = m.Mentions.AppendJSON(b)
	}
	if m.Quote != nil { // last: see EmptyQuote
		b = append(b, `,"quote":`...)
		b = m.Quote.appendJSON(b)
	}
	return append(b, '}')
}

// MarshalJSON is AppendJSON.
func (m Message) MarshalJSON() ([]byte, error) { return m.AppendJSON(make([]byte, 0, 512)), nil }

func appendObject(b []byte, j JSON) []byte {
	if j == "" {
		return append(b, '{', '}')
	}
	return append(b, j...)
}

// appendString appends s, which is UTF-8, as a JSON string: the quotation mark, the backslash
// and control characters are escaped.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			continue
		case c == '"' || c == '\\':
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// ValidClientMsgID says whether s can be an idempotency key: 1 to 64 visible ASCII
// characters (a UUID is the usual one). Spaces are out because MySQL's ascii_bin
// compares "k" and "k " as equal.
func ValidClientMsgID(s string) bool {
	if len(s) < 1 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if s[i] < '!' || s[i] > '~' {
			return false
		}
	}
	return true
}

// SendKey is the permanent record of one (sender, client_msg_id).
type SendKey struct {
	SenderID    UserID
	ClientMsgID string
	MessageID   MessageID
	ContentHash []byte // 16 bytes of SHA-256 over what was sent
}

// rowsPerStatement keeps multi-row statements under SQLite's 32,766 parameters and
// MariaDB's in_predicate_conversion_threshold (1,000), above which an IN list
// becomes a subquery.
const rowsPerStatement = 500

// sqliteRows is the same for SQLite, whose driver takes a time that rises with the square
// of a statement's parameters: a batch of 256 messages took 13.0 ms with 500 rows in a
// statement, 6.3 with 50, 6.8 with 10.
const sqliteRows = 50

// rows is how many rows go into one statement: at most n, fewer on SQLite.
func (s *Store) rows(n int) int {
	if s.dialect == SQLite {
		return min(n, sqliteRows)
	}
	return n
}

// values is "(?,?),(?,?)…" for rows of width columns.
func values(rows, width int) string {
	one := "(" + strings.Repeat("?,", width-1) + "?)"
	return strings.Repeat(one+",", rows-1) + one
}

// chunks runs fn over list in pieces of at most size.
func chunks[T any](list []T, size int, fn func(part []T) error) error {
	for len(list) > 0 {
		n := min(size, len(list))
		if err := fn(list[:n]); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// ClaimSendKeys inserts the keys, which must be sorted by (sender, key) and
// distinct, and answers who owns each: the message of this call, or the one of an
// earlier send. Another transaction's uncommitted row of the same key is waited for.
func (s *Store) ClaimSendKeys(ctx context.Context, keys []SendKey, now Millis) (owners []SendKey, err error) {
	onDuplicate := " ON DUPLICATE KEY UPDATE message_id = message_id"
	if s.dialect == SQLite {
		onDuplicate = " ON CONFLICT (sender_id, client_msg_id) DO NOTHING"
	}
	var steps []*step
	for part := range slices.Chunk(keys, s.rows(rowsPerStatement)) {
		steps = append(steps, insertSendKeys(part, now).add(onDuplicate), s.readSendKeys(part, &owners))
	}
	err = s.run(ctx, steps...)
	return owners, err
}

// ErrKeyTaken says that a batch's keys are not all new.
var ErrKeyTaken = errors.New("a send key is taken")

// TakePlaces is ClaimSendKeys, AdvanceConversations and AdvanceMailboxes, in this order, for keys that are all new: then
// they need no answer between them, and go in one round trip. ErrKeyTaken when one of the keys has an owner; the transaction
// must not be committed then.
func (s *Store) TakePlaces(ctx context.Context, keys []SendKey, conversations []ConversationCount, users []UserCount, now Millis) (heads map[ConversationID]ConversationHead, mailboxes map[UserID]int64, err error) {
	heads, mailboxes = make(map[ConversationID]ConversationHead, len(conversations)), make(map[UserID]int64, len(users))
	var steps []*step
	for part := range slices.Chunk(keys, s.rows(rowsPerStatement)) {
		steps = append(steps, insertSendKeys(part, now))
	}
	steps = append(append(steps, s.advanceConversations(conversations, now, heads)...), s.advanceMailboxes(users, mailboxes)...)
	if err = s.run(ctx, steps...); duplicateKey(err) {
		err = fmt.Errorf("%w: %w", ErrKeyTaken, err)
	}
	return heads, mailboxes, err
}

func insertSendKeys(keys []SendKey, now Millis) *step {
	q := newStep("insert send keys", "INSERT INTO send_keys (sender_id, client_msg_id, message_id, content_hash, created_at) VALUES ", 64*len(keys))
	for i := range keys {
		q.comma()
		q.add("(").number(int64(keys[i].SenderID)).add(",").string(keys[i].ClientMsgID).add(",").number(int64(keys[i].MessageID))
		q.add(",").bytes(keys[i].ContentHash).add(",").number(int64(now)).add(")")
	}
	return q
}

func (s *Store) readSendKeys(keys []SendKey, into *[]SendKey) *step {
	q := newStep("read send keys", "SELECT sender_id, client_msg_id, message_id, content_hash FROM send_keys WHERE (sender_id, client_msg_id) IN ("+s.tuplesOf(), 32*len(keys))
	for i := range keys {
		q.comma()
		q.add("(").number(int64(keys[i].SenderID)).add(",").string(keys[i].ClientMsgID).add(")")
	}
	q.add(")")
	q.scan = func(r *sql.Rows) error {
		var k SendKey
		err := r.Scan(&k.SenderID, &k.ClientMsgID, &k.MessageID, &k.ContentHash)
		*into = append(*into, k)
		return err
	}
	return q
}

// tuplesOf goes before a list of row values for IN: SQLite wants VALUES.
func (s *Store) tuplesOf() string {
	if s.dialect == SQLite {
		return "VALUES "
	}
	return ""
}

// SendKeys reads the records of the given (sender, key) pairs, at most 500; those
// that were never sent are left out.
func (s *Store) SendKeys(ctx context.Context, keys []SendKey) (found []SendKey, err error) {
	err = s.run(ctx, s.readSendKeys(keys, &found))
	return found, err
}

// tuples is a list of row values for IN: SQLite wants VALUES before it.
func (s *Store) tuples(rows, width int) string {
	if s.dialect == SQLite {
		return "VALUES " + values(rows, width)
	}
	return values(rows, width)
}

// scanAll reads rows to their end and closes them.
func scanAll[T any](rows *sql.Rows, scan func(*sql.Rows) (T, error)) (list []T, err error) {
	defer func() {
		if closeErr := rows.Close(); closeErr != nil && err == nil {
			err = fmt.Errorf("close rows: %w", closeErr)
		}
	}()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("scan row: %w", err)
		}
		list = append(list, v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read rows: %w", err)
	}
	return list, nil
}

// InsertMessages appends messages whose places in the order were taken in this same
// transaction, with whom they mention, the files that they name (LockFiles) and their rows in mailboxes.
func (s *Store) InsertMessages(ctx context.Context, list []*Message, entries []Entry) error {
	var steps []*step
	for part := range slices.Chunk(list, s.rows(rowsPerStatement)) {
		q := newStep("insert messages", "INSERT INTO messages (conversation_id, conversation_seq, id, sender_id, client_msg_id, type, body, ext, reply_to, created_at, sender_seq, mentions) VALUES ", 128*len(part))
		for _, m := range part {
			q.comma()
			numbers(q.add("("), []int64{int64(m.ConversationID), m.ConversationSeq, int64(m.ID), int64(m.SenderID)})
			q.add(",").string(m.ClientMsgID).add(",").string(string(m.Type)).add(",").string(string(m.Body)).add(",").string(string(m.Ext)).add(",")
			numbers(q, []int64{int64(m.ReplyTo), int64(m.CreatedAt), m.SenderSeq})
			if q.add(","); len(m.Mentions) > 0 {
				q.string(m.Mentions.column())
			} else {
				q.add("''")
			}
			q.add(")")
		}
		steps = append(steps, q)
	}
	steps = append(append(append(steps, s.insertMentions(list)...), s.insertFileRefs(list)...), s.insertEntries(entries)...)
	return s.run(ctx, steps...)
}

const messageColumns = "m.id, m.conversation_id, m.conversation_seq, m.sender_id, m.client_msg_id, m.type, m.body, m.ext, m.reply_to, m.created_at, m.recalled_at, m.sender_seq, m.mentions"

func (m *Message) targets() []any {
	return []any{&m.ID, &m.ConversationID, &m.ConversationSeq, &m.SenderID, &m.ClientMsgID, &m.Type, &m.Body, &m.Ext, &m.ReplyTo, &m.CreatedAt, &m.RecalledAt, &m.SenderSeq, &m.Mentions}
}

func scanMessage(r *sql.Rows) (m *Message, err error) {
	m = new(Message)
	err = r.Scan(m.targets()...)
	return m, err
}

// Messages reads messages by id; the order is the database's. Ids that do not exist
// are left out.
func (s *Store) Messages(ctx context.Context, ids []MessageID) (list []*Message, err error) {
	err = chunks(ids, s.rows(rowsPerStatement), func(part []MessageID) error {
		rows, err := s.read(ctx).Raw("SELECT "+messageColumns+" FROM messages m WHERE m.id IN ?", part).Rows()
		if err != nil {
			return fmt.Errorf("read messages: %w", err)
		}
		found, err := scanAll(rows, scanMessage)
		list = append(list, found...)
		return err
	})
	return s.quoted(ctx, list, err)
}

// MessageByID is one message, or CodeNotFound.
func (s *Store) MessageByID(ctx context.Context, id MessageID) (*Message, error) {
	list, err := s.Messages(ctx, []MessageID{id})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, NotFound("message")
	}
	return list[0], nil
}

// History is a page of a conversation: ascending after a conversation_seq, or
// descending before one. before 0 means from the newest.
func (s *Store) History(ctx context.Context, id ConversationID, after, before, upTo int64, ascending bool, limit int) ([]*Message, error) {
	return s.HistoryFor(ctx, 0, id, after, before, upTo, ascending, limit)
}

// HistoryFor is History without what a user has deleted for themselves.
func (s *Store) HistoryFor(ctx context.Context, user UserID, id ConversationID, after, before, upTo int64, ascending bool, limit int) ([]*Message, error) {
	query := "SELECT " + messageColumns + " FROM messages m" + s.withDeleted() + " WHERE m.conversation_id = ? AND m.conversation_seq > ? AND m.conversation_seq < ? AND d.user_id IS NULL ORDER BY m.conversation_seq"
	if !ascending {
		query += " DESC"
	}
	if before == 0 || before > upTo+1 {
		before = upTo + 1
	}
	rows, err := s.read(ctx).Raw(query+" LIMIT ?", user, id, after, before, limit).Rows()
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	list, err := scanAll(rows, scanMessage)
	return s.quoted(ctx, list, err)
}

// Interface checks.
var _ json.Marshaler = Message{}
